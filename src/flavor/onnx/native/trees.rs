//! Tree ensembles of `ai.onnx.ml`, as ONNX Runtime reads and adds them.

use std::sync::Arc;

use smallvec::smallvec;

use super::super::element::Element;
use super::ensemble::{Leaves, ensemble};
use super::lowering::{Attributes, Held, Lowering, Rows};
use super::proto::Node;
use super::scores::{Transform, logistic};
use crate::flavor::PredictError;
use crate::flavor::forest::step::Trees;
use crate::flavor::forest::{CategoryRule, Forest, ForestSpec, Tree};
use crate::flavor::plan::steps::labels::{Label, Labels};
use crate::flavor::plan::value::{Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Step};
use crate::flavor::refusal::{Refusal, refuse};

/// Attributes of both operators but for those of leaves.
const KNOWN: [&str; 11] = [
    "nodes_falsenodeids",
    "nodes_featureids",
    "nodes_hitrates",
    "nodes_missing_value_tracks_true",
    "nodes_modes",
    "nodes_nodeids",
    "nodes_treeids",
    "nodes_truenodeids",
    "nodes_values",
    "post_transform",
    "base_values",
];

/// `TreeEnsembleRegressor`.
pub(super) fn regressor<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Result<Vec<Held>, Refusal> {
    let mut known = KNOWN.to_vec();
    known.extend([
        "aggregate_function",
        "n_targets",
        "target_ids",
        "target_nodeids",
        "target_treeids",
        "target_weights",
    ]);
    let attributes = Attributes::of(node, &known)?;
    let targets = match usize::try_from(attributes.int("n_targets", 1)) {
        Ok(targets) if (1..=1 << 16).contains(&targets) => targets,
        _ => refuse!("`n_targets` is {}", attributes.int("n_targets", 1)),
    };
    let (trees, leaves) = ensemble(&attributes, "target", targets, false)?;
    let base = attributes.floats("base_values").to_vec();
    if !(base.is_empty() || base.len() == targets) {
        refuse!("{} base values for {targets} targets", base.len());
    }
    let transform = Transform::of(attributes.text("post_transform", "NONE"))?;
    // Of one score alone, ONNX Runtime computes no transform.
    let transform = if targets == 1 { Transform::None } else { transform };
    // An output that no leaf has added to stays zero in ONNX Runtime, whatever its base value.
    let sure = leaves.every.iter().all(|every| *every == Some(true));
    let plain = base.is_empty() && matches!(transform, Transform::None | Transform::Logistic);
    if !(sure || plain) {
        refuse!("some leaves are of a target that others of the same ensemble leave out");
    }
    let count = trees.len() as f32;
    let sums = match attributes.text("aggregate_function", "SUM") {
        "SUM" | "AVERAGE" => sums(lowering, node, trees, leaves)?,
        other => refuse!("`aggregate_function` is `{other}`"),
    };
    let average = attributes.text("aggregate_function", "SUM") == "AVERAGE";
    if !average && base.iter().all(|&base| base == 0.0) && transform == Transform::None {
        return Ok(vec![Held::Rows(sums)]);
    }
    let form = (Element::F32, sums.tail.clone());
    let out = lowering.push("base values and post transform", &[&sums], form, move |inputs| {
        let mut scores = inputs.take(0)?.into_f32()?;
        for row in scores.each_row_mut() {
            for (at, score) in row.iter_mut().enumerate() {
                if average {
                    *score /= count;
                }
                *score += base.get(at).copied().unwrap_or(0.0);
            }
            transform.apply(row);
        }
        Ok(Value::F32(scores))
    })?;
    Ok(vec![Held::Rows(out)])
}

/// `TreeEnsembleClassifier`.
pub(super) fn classifier<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Result<Vec<Held>, Refusal> {
    let mut known = KNOWN.to_vec();
    known.extend([
        "class_ids",
        "class_nodeids",
        "class_treeids",
        "class_weights",
        "classlabels_int64s",
        "classlabels_strings",
    ]);
    let attributes = Attributes::of(node, &known)?;
    let labels = attributes.labels("classlabels_int64s", "classlabels_strings")?;
    let classes = labels.len();
    if !(2..=1 << 16).contains(&classes) {
        refuse!("{classes} classes");
    }
    let ids = attributes.ints("class_ids");
    // Of two classes, one score may speak for both.
    let binary = classes == 2 && ids.first().is_some_and(|first| ids.iter().all(|id| id == first));
    if binary && ids.first() != Some(&0) && ids.first() != Some(&1) {
        refuse!("leaves are of class {:?} of 2", ids.first());
    }
    let outputs = if binary { 1 } else { classes };
    let (trees, leaves) = ensemble(&attributes, "class", outputs, binary)?;
    // A class that no leaf has added to is no candidate for the label.
    if leaves.every.iter().any(|every| *every != Some(true)) {
        refuse!("some leaves are of a class that others of the same ensemble leave out");
    }
    let base = attributes.floats("base_values").to_vec();
    let transform = Transform::of(attributes.text("post_transform", "NONE"))?;
    let positive = leaves.positive;
    let second = binary && ids.first() == Some(&1);
    if binary && (second || base.len() > 1)
        || base.len() > 1 && base.len() != classes
        || !binary && base.len() == 1
    {
        refuse!(
            "{} base values for leaves of {} classes",
            base.len(),
            if binary { 1 } else { classes }
        );
    }
    let sums = sums(lowering, node, trees, leaves)?;
    let form = (Element::F32, smallvec![outputs]);
    let scores = lowering.push("base values", &[&sums], form, move |inputs| {
        let mut scores = inputs.take(0)?.into_f32()?;
        if let (false, 2, [_, second]) = (binary, outputs, base.as_slice()) {
            // ONNX Runtime takes the first score, in this case alone, for that of the second class.
            for row in scores.each_row_mut() {
                if let [one, two] = row {
                    *two = *second + *one;
                    *one = -*two;
                }
            }
        } else if !base.is_empty() {
            for row in scores.each_row_mut() {
                row.iter_mut().zip(&base).for_each(|(score, base)| *score += base);
            }
        }
        Ok(Value::F32(scores))
    })?;
    let out = (Element::F32, smallvec![classes]);
    if binary {
        let bound = if positive { 0.5 } else { 0.0 };
        let label = above(lowering, &scores, bound, labels)?;
        let both = lowering.push("scores of two classes", &[&scores], out, move |inputs| {
            two_classes(inputs.get(0)?.f32()?, |score| match (positive, transform) {
                (true, _) => [1.0 - score, score],
                (false, Transform::Logistic) => [logistic(-score), logistic(score)],
                (false, _) => [-score, score],
            })
        })?;
        return Ok(vec![Held::Rows(label), Held::Rows(both)]);
    }
    let label = if classes == 2 {
        // ONNX Runtime looks at the second score alone.
        let second = lowering.push(
            "score of the second class",
            &[&scores],
            (Element::F32, smallvec![1]),
            |inputs| {
                let scores = inputs.get(0)?.f32()?;
                let data = scores.each_row().filter_map(|row| row.get(1).copied()).collect();
                Ok(Value::F32(Matrix {
                    rows: scores.rows,
                    width: 1,
                    data,
                }))
            },
        )?;
        above(lowering, &second, 0.0, two_labels(labels))?
    } else {
        largest(lowering, &scores, labels)?
    };
    let scores = lowering.push("post transform", &[&scores], out, move |inputs| {
        let mut scores = inputs.take(0)?.into_f32()?;
        scores.each_row_mut().for_each(|row| transform.apply(row));
        Ok(Value::F32(scores))
    })?;
    Ok(vec![Held::Rows(label), Held::Rows(scores)])
}

/// The labels of two classes of which every leaf knows both: integers are not those of the file.
fn two_labels(labels: Labels) -> Labels {
    match labels {
        Labels::Int(_) => Labels::Int(vec![0, 1]),
        other => other,
    }
}

/// Two scores out of one.
pub(super) fn two_classes<'a>(
    scores: &Matrix<f32>,
    both: impl Fn(f32) -> [f32; 2],
) -> Result<Value<'a>, PredictError> {
    let data = scores.data.iter().flat_map(|&score| both(score)).collect();
    Ok(Value::F32(Matrix {
        rows: scores.rows,
        width: 2,
        data,
    }))
}

/// The second label where the one score is above a bound.
pub(super) fn above(
    lowering: &mut Lowering<'_>,
    score: &Rows,
    bound: f32,
    labels: Labels,
) -> Result<Rows, Refusal> {
    class(lowering, score, Class::Above(bound), labels)
}

/// The label of the first largest score; NaN is none.
pub(super) fn largest(lowering: &mut Lowering<'_>, scores: &Rows, labels: Labels) -> Result<Rows, Refusal> {
    class(lowering, scores, Class::Largest, labels)
}

fn class(lowering: &mut Lowering<'_>, scores: &Rows, class: Class, labels: Labels) -> Result<Rows, Refusal> {
    let element = element_of(&labels);
    let labels = Label(labels);
    lowering.step(Classified { class, labels }, scores, (element, smallvec![]))
}

/// Which class scores are for.
#[derive(Debug, Clone, Copy)]
enum Class {
    Largest,
    Above(f32),
}

/// The label of a row of scores, without a register for the index of its class.
struct Classified {
    class: Class,
    labels: Label,
}

impl Step for Classified {
    fn describe(&self) -> String {
        let class = match self.class {
            Class::Largest => "that of the largest score".into(),
            Class::Above(bound) => format!("the second where the score > {bound}"),
        };
        format!("{}, {class}", self.labels.describe())
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match (inputs, self.class) {
            ([form], Class::Largest) if form.kind == Kind::F32 && form.width > 0 => {}
            ([form], Class::Above(_)) if *form == Form::f32(1) => {}
            _ => return Err(format!("scores expected, got {inputs:?}")),
        }
        self.labels.form(&[Form::i64(1)])
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let scores = inputs.get(0)?.f32()?;
        let labels = &self.labels.0;
        match self.class {
            Class::Largest => {
                let largest = |row: &[f32]| {
                    let first = (0, row.first().copied().unwrap_or_default());
                    let ahead = |best: (usize, f32), (at, &score): (usize, &f32)| {
                        if score > best.1 { (at, score) } else { best }
                    };
                    row.iter().enumerate().fold(first, ahead).0
                };
                labels.pick(scores.rows, 1, scores.each_row().map(largest))
            }
            Class::Above(bound) => {
                let second = |score: &f32| usize::from(*score > bound);
                labels.pick(scores.rows, 1, scores.data.iter().map(second))
            }
        }
    }
}

fn element_of(labels: &Labels) -> Element {
    match labels {
        Labels::Text(_) => Element::Str,
        _ => Element::I64,
    }
}

/// The labels of class indices.
pub(super) fn label(lowering: &mut Lowering<'_>, index: &Rows, labels: Labels) -> Result<Rows, Refusal> {
    let element = element_of(&labels);
    lowering.step(Label(labels), index, (element, index.tail.clone()))
}

/// Pushes the forest.
fn sums<'m>(
    lowering: &mut Lowering<'m>,
    node: &Node<'m>,
    trees: Vec<Tree<f32>>,
    leaves: Leaves,
) -> Result<Rows, Refusal> {
    let rows = lowering.rows(node, 0)?;
    if rows.element == Element::F64 {
        refuse!("trees over float64 are not computed natively");
    }
    let rows = lowering.as_f32(rows)?;
    let outputs = leaves.every.len();
    let forest = Forest::<f32, f32>::new(ForestSpec {
        features: rows.columns()?,
        base: vec![0.0; outputs],
        trees,
        leaves: leaves.values,
        leaf_width: leaves.width,
        categories: CategoryRule::Xgboost,
    })?;
    lowering.step(Trees(Arc::new(forest)), &rows, (Element::F32, smallvec![outputs]))
}
