//! Oblivious trees: all nodes of a level ask the same question.
//!
//! Each question that any tree asks is answered once a row, `value > border`; the answers of a tree's levels are the bits
//! of the number of its leaf. Rows go through in blocks, so that both passes are over rows that lie side by side.

use crate::flavor::PredictError;
use crate::flavor::plan::value::{Form, Matrix, Value};
use crate::flavor::plan::{Inputs, Step};
use crate::flavor::refusal::{Refusal, refuse};

/// Levels of one tree; CatBoost grows at most sixteen.
const MAX_LEVELS: usize = 24;

/// Rows that go through together.
const BLOCK: usize = 64;

/// All that is needed to make such a forest.
#[derive(Debug, Clone, PartialEq)]
pub struct ObliviousSpec {
    /// Number of columns of a row.
    pub features: usize,
    /// Column and border of each question: `value > border`, which NaN never is.
    pub questions: Vec<(usize, f32)>,
    /// The questions of each tree, that of the lowest bit first.
    pub trees: Vec<Vec<usize>>,
    /// Values a leaf adds.
    pub outputs: usize,
    /// The values of the leaves, tree after tree, leaf after leaf.
    pub leaves: Vec<f64>,
}

/// A forest of oblivious trees over rows of `float32` that adds doubles, in the order of the trees, from zero.
#[derive(Debug)]
pub struct Oblivious {
    features: usize,
    outputs: usize,
    /// Columns, and how many of the borders, which are in their order, belong to each.
    columns: Vec<(usize, usize)>,
    borders: Vec<f32>,
    /// For each tree, the number of its levels.
    levels: Vec<usize>,
    /// For each level of each tree, the place of its border.
    questions: Vec<usize>,
    leaves: Vec<f64>,
}

impl Oblivious {
    /// Checks the trees and puts the questions that they ask in the order of their columns.
    ///
    /// # Errors
    /// When a column, question or leaf does not exist, or a tree has too many levels.
    pub fn new(spec: ObliviousSpec) -> Result<Oblivious, Refusal> {
        let mut leaves = 0usize;
        let mut asked = vec![false; spec.questions.len()];
        for (number, tree) in spec.trees.iter().enumerate() {
            if tree.len() > MAX_LEVELS {
                refuse!(
                    "tree {number} has {} levels, at most {MAX_LEVELS} are read",
                    tree.len()
                );
            }
            leaves = leaves.saturating_add((1usize << tree.len()).saturating_mul(spec.outputs));
            for &question in tree {
                match asked.get_mut(question) {
                    Some(asked) => *asked = true,
                    None => refuse!("tree {number} has split {question} of {}", spec.questions.len()),
                }
            }
        }
        if leaves != spec.leaves.len() {
            refuse!(
                "the trees have {leaves} leaf values, {} are there",
                spec.leaves.len()
            );
        }
        let mut kept: Vec<(usize, f32, usize)> = Vec::new();
        for (number, &(column, border)) in spec.questions.iter().enumerate() {
            if column >= spec.features {
                refuse!("split {number} is of column {column} of {}", spec.features);
            }
            if asked.get(number) == Some(&true) {
                kept.push((column, border, number));
            }
        }
        kept.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
        let mut columns: Vec<(usize, usize)> = Vec::new();
        let mut borders: Vec<f32> = Vec::new();
        let mut places = vec![0; spec.questions.len()];
        for (column, border, number) in kept {
            let same = columns.last().is_some_and(|(last, _)| *last == column);
            let known = same
                && borders
                    .last()
                    .is_some_and(|last| last.to_bits() == border.to_bits());
            if !known {
                borders.push(border);
                match columns.last_mut() {
                    Some((_, count)) if same => *count += 1,
                    _ => columns.push((column, 1)),
                }
            }
            if let Some(place) = places.get_mut(number) {
                *place = borders.len() - 1;
            }
        }
        let place = |question: &usize| places.get(*question).copied().unwrap_or(0);
        Ok(Oblivious {
            features: spec.features,
            outputs: spec.outputs,
            columns,
            borders,
            levels: spec.trees.iter().map(Vec::len).collect(),
            questions: spec.trees.iter().flatten().map(place).collect(),
            leaves: spec.leaves,
        })
    }

    /// Adds every tree to the sums of every row.
    ///
    /// `rows` is `[n, features]`, row-major; `sums` is `[n, outputs]` and begins with zeros.
    pub fn run(&self, rows: &[f32], sums: &mut [f64]) {
        let (width, outputs) = (self.features.max(1), self.outputs.max(1));
        if sums.len() == outputs {
            self.row(rows, sums);
            return;
        }
        let mut answers = vec![0u8; self.borders.len() * BLOCK];
        for (rows, sums) in rows.chunks(width * BLOCK).zip(sums.chunks_mut(outputs * BLOCK)) {
            self.ask(rows, &mut answers);
            self.add(&answers, sums);
        }
    }

    /// The same for one row, whose answers lie side by side.
    fn row(&self, row: &[f32], sums: &mut [f64]) {
        let mut answers = smallvec::SmallVec::<[u8; 1024]>::with_capacity(self.borders.len());
        let mut borders = self.borders.as_slice();
        for &(column, count) in &self.columns {
            let value = row.get(column).copied().unwrap_or(f32::NAN);
            let (own, rest) = borders.split_at_checked(count).unwrap_or_default();
            answers.extend(own.iter().map(|&border| u8::from(value > border)));
            borders = rest;
        }
        let (mut questions, mut leaves) = (self.questions.as_slice(), self.leaves.as_slice());
        for &levels in &self.levels {
            let (own, rest) = questions.split_at_checked(levels).unwrap_or_default();
            questions = rest;
            let leaf = own.iter().enumerate().fold(0, |leaf, (level, &question)| {
                leaf | usize::from(answers.get(question).copied().unwrap_or(0)) << level
            });
            let (own, rest) = leaves
                .split_at_checked(self.outputs << levels)
                .unwrap_or_default();
            leaves = rest;
            for (sum, value) in sums
                .iter_mut()
                .zip(own.get(leaf * self.outputs..).unwrap_or_default())
            {
                *sum += value;
            }
        }
    }

    /// Answers every question for each row of a block; those to one question lie side by side.
    fn ask(&self, rows: &[f32], answers: &mut [u8]) {
        let mut values = [0.0; BLOCK];
        let mut borders = self.borders.iter().zip(answers.chunks_exact_mut(BLOCK));
        for &(column, count) in &self.columns {
            let column = rows
                .get(column..)
                .unwrap_or_default()
                .iter()
                .step_by(self.features.max(1));
            for (value, cell) in values.iter_mut().zip(column) {
                *value = *cell;
            }
            for (&border, answers) in borders.by_ref().take(count) {
                for (answer, &value) in answers.iter_mut().zip(&values) {
                    *answer = u8::from(value > border);
                }
            }
        }
    }

    fn add(&self, answers: &[u8], sums: &mut [f64]) {
        let (mut questions, mut leaves) = (self.questions.as_slice(), self.leaves.as_slice());
        for &levels in &self.levels {
            let (own, rest) = questions.split_at_checked(levels).unwrap_or_default();
            questions = rest;
            let mut reached = [0u32; BLOCK];
            for (level, &question) in own.iter().enumerate() {
                let answers = answers.get(question * BLOCK..).unwrap_or_default();
                for (leaf, &answer) in reached.iter_mut().zip(answers) {
                    *leaf |= u32::from(answer) << level;
                }
            }
            let (own, rest) = leaves
                .split_at_checked(self.outputs << levels)
                .unwrap_or_default();
            leaves = rest;
            for (sums, &leaf) in sums.chunks_exact_mut(self.outputs.max(1)).zip(&reached) {
                let values = own.get(leaf as usize * self.outputs..).unwrap_or_default();
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += value;
                }
            }
        }
    }
}

impl Step for Oblivious {
    fn describe(&self) -> String {
        format!(
            "{} symmetric trees over {} features, {} splits, {} levels at most, {} outputs (float64)",
            self.levels.len(),
            self.features,
            self.borders.len(),
            self.levels.iter().max().unwrap_or(&0),
            self.outputs,
        )
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f32(self.features) => Ok(Form::f64(self.outputs)),
            _ => Err(format!(
                "{} columns of float32 expected, got {inputs:?}",
                self.features
            )),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let rows = inputs.get(0)?.f32()?;
        let mut data = vec![0.0; rows.rows * self.outputs];
        Oblivious::run(self, &rows.data, &mut data);
        Ok(Value::F64(Matrix {
            rows: rows.rows,
            width: self.outputs,
            data,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec() -> ObliviousSpec {
        ObliviousSpec {
            features: 2,
            questions: vec![(1, 0.5), (0, 2.0), (1, 0.5), (0, 1.0), (1, 9.0)],
            trees: vec![vec![0, 1], vec![], vec![3, 2]],
            outputs: 1,
            leaves: vec![1.0, 2.0, 4.0, 8.0, 0.25, 10.0, 20.0, 40.0, 80.0],
        }
    }

    #[test]
    fn the_answers_of_the_levels_are_the_bits_of_the_leaf() {
        let forest = Oblivious::new(spec()).unwrap();
        for (row, wanted) in [
            ([0.0, 0.0], 1.0 + 0.25 + 10.0),
            ([1.5, 0.0], 1.0 + 0.25 + 20.0),
            ([2.5, 0.5], 4.0 + 0.25 + 20.0),
            ([2.5, 0.6], 8.0 + 0.25 + 80.0),
            ([f32::NAN, 0.6], 2.0 + 0.25 + 40.0),
        ] {
            let mut sums = [0.0];
            forest.run(&row, &mut sums);
            assert_eq!(sums, [wanted], "{row:?}");
        }
    }

    #[test]
    fn trees_that_do_not_fit_are_refused() {
        let refused = |change: fn(&mut ObliviousSpec)| {
            let mut spec = spec();
            change(&mut spec);
            Oblivious::new(spec).unwrap_err().to_string()
        };
        assert_eq!(refused(|spec| spec.trees[0][0] = 7), "tree 0 has split 7 of 5");
        assert_eq!(refused(|spec| spec.features = 1), "split 0 is of column 1 of 1");
        assert_eq!(
            refused(|spec| spec.leaves.truncate(8)),
            "the trees have 9 leaf values, 8 are there"
        );
        assert!(refused(|spec| spec.trees[0] = vec![0; 64]).contains("64 levels"));
    }

    proptest! {
        #[test]
        fn many_rows_are_answered_like_each_alone(
            rows in prop::collection::vec(prop_oneof![Just(f32::NAN), -1f32..11.0], 2..400)
        ) {
            let rows = &rows[..rows.len() / 2 * 2];
            let forest = Oblivious::new(spec()).unwrap();
            let mut sums = vec![0.0; rows.len() / 2];
            forest.run(rows, &mut sums);
            for (row, sum) in rows.chunks_exact(2).zip(sums) {
                let mut alone = [0.0];
                forest.run(row, &mut alone);
                prop_assert_eq!(alone[0], sum);
            }
        }
    }
}
