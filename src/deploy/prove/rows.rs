//! Whether calls of a model may be put together: the answer for several rows must be that for each of them alone, to the
//! last bit.
//!
//! A graph may take one row only, or as many as it was exported with; it may give one answer for all rows, or compare
//! them with each other. An engine may add up in another order when there are more rows. None of these is batched.

use std::time::Duration;

use super::run;
use crate::batching::{identical, join, split};
use crate::deploy::sample::Samples;
use crate::flavor::Predictor;
use crate::model::batch::{Batch, Body, Columns, Frame};
use crate::model::tensor::{Elements, Tensor};

/// Different rows that are tried.
const ROWS: usize = 4;
/// Rows of the calls that are compared with calls of one: an even and an odd number, and enough for the engines'
/// kernels for many.
const SIZES: [usize; 3] = [2, 7, 33];
/// Calls of the largest size, from which its cost is learnt.
const CALLS: u32 = 3;

/// Rows and duration of the largest call tried, or why calls of this model run one by one.
pub(super) fn joins(predictor: &mut dyn Predictor, samples: &Samples) -> Result<(usize, Duration), String> {
    let mut tried = Vec::new();
    for row in rows(samples) {
        if let Ok(Ok((answer, _))) = run(predictor, &row, 1) {
            tried.push((row, answer));
        }
    }
    if tried.is_empty() {
        return Err("there are no rows to try it on".into());
    }
    let mut largest = Err(String::new());
    for size in SIZES {
        let cycle = || tried.iter().cycle().take(size);
        let batches: Vec<&Batch> = cycle().map(|(row, _)| row).collect();
        let whole = join(&batches).ok_or("its rows cannot be put together")?;
        let calls = if Some(&size) == SIZES.last() { CALLS } else { 1 };
        let (answer, took) = match run(predictor, &whole, calls) {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => return Err(format!("it fails on {size} rows at once: {error}")),
            Err(error) => return Err(format!("{size} rows at once: {error}")),
        };
        let apart = split(&answer, &vec![1; size])
            .ok_or_else(|| format!("its answer for {size} rows has not {size} rows"))?;
        if !apart
            .iter()
            .zip(cycle())
            .all(|(together, (_, alone))| identical(together, alone))
        {
            return Err(format!(
                "its answers for {size} rows at once are not those for each row alone"
            ));
        }
        largest = Ok((size, took));
    }
    largest
}

/// Some different rows: those of the samples, and variations of the last of them.
fn rows(samples: &Samples) -> Vec<Batch> {
    let mut rows: Vec<Batch> = Vec::new();
    // Recent requests and the example first: made-up rows are all alike.
    let all = samples.example.iter().chain(&samples.others);
    for sample in all.filter(|sample| (1..=1024).contains(&sample.rows())) {
        let alone = split(sample, &vec![1; sample.rows()]).unwrap_or_default();
        rows.extend(alone.into_iter().take(ROWS));
        if rows.len() >= ROWS {
            break;
        }
    }
    let Some(base) = rows.first().cloned() else {
        return rows;
    };
    // Of another schema than the first, they cannot be put together.
    rows.retain(|row| join(&[&base, row]).is_some());
    rows.truncate(ROWS);
    rows.extend((1..=ROWS).map(|at| varied(&base, at as f64)));
    rows
}

/// The same row with other numbers; whole numbers and text may be keys of something, so they stay.
fn varied(row: &Batch, at: f64) -> Batch {
    let tensor = |tensor: &Tensor| {
        let vary = |x: f64| x * (1.0 + 0.37 * at) + 0.11 * at;
        let elements = match tensor.elements() {
            Elements::F32(values) => Elements::F32(values.iter().map(|&x| vary(x.into()) as f32).collect()),
            Elements::F64(values) => Elements::F64(values.iter().map(|&x| vary(x)).collect()),
            Elements::F16(values) => Elements::F16(
                values
                    .iter()
                    .map(|x| half::f16::from_f64(vary(x.to_f64())))
                    .collect(),
            ),
            other => other.clone(),
        };
        Tensor::new(tensor.shape(), elements).unwrap_or_else(|_| tensor.clone())
    };
    let body = match &row.body {
        Body::Frame(frame) => {
            let columns = match frame.columns() {
                Columns::Matrix(matrix) => Columns::Matrix(tensor(matrix)),
                Columns::Separate(separate) => Columns::Separate(separate.iter().map(tensor).collect()),
            };
            let varied = Frame::new(frame.rows(), frame.names().clone(), columns);
            Body::Frame(varied.unwrap_or_else(|_| frame.clone()))
        }
        Body::Array(array) => Body::Array(tensor(array)),
        Body::Named(members) => Body::Named(
            members
                .iter()
                .map(|(name, member)| (name.clone(), tensor(member)))
                .collect(),
        ),
        Body::Value(value) => Body::Value(value.clone()),
    };
    Batch {
        body,
        params: row.params.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flavor::PredictError;

    /// Answers as the closure does, of the numbers of a batch.
    struct Model<F>(F);

    impl<F: FnMut(&[f32]) -> Result<Vec<f32>, PredictError> + Send> Predictor for Model<F> {
        fn predict(&mut self, input: &Batch) -> Result<Batch, PredictError> {
            match &input.body {
                Body::Array(tensor) => match tensor.elements() {
                    Elements::F32(values) => Ok(array((self.0)(values)?)),
                    _ => Err(PredictError::Input("not float32".into())),
                },
                _ => Err(PredictError::Input("no array".into())),
            }
        }
    }

    fn array(values: Vec<f32>) -> Batch {
        Batch::new(Body::Array(Tensor::vector(Elements::F32(values))))
    }

    fn check(
        model: impl FnMut(&[f32]) -> Result<Vec<f32>, PredictError> + Send,
        expected: Result<usize, &str>,
    ) {
        let samples = Samples {
            example: None,
            others: vec![array(vec![1.0]), array(vec![1.0; 8])],
        };
        let joined = joins(&mut Model(model), &samples).map(|(rows, _)| rows);
        match expected {
            Ok(rows) => assert_eq!(joined, Ok(rows)),
            Err(why) => assert!(
                joined.as_ref().is_err_and(|reason| reason.contains(why)),
                "{joined:?}"
            ),
        }
    }

    #[test]
    fn rows_that_are_computed_alone_join() {
        check(|rows| Ok(rows.iter().map(|x| x * 2.0).collect()), Ok(33));
        check(|rows| Ok(rows.iter().map(|x| (x * 0.0) / 0.0).collect()), Ok(33));
    }

    #[test]
    fn rows_that_look_at_each_other_do_not() {
        let centred = |rows: &[f32]| {
            let mean = rows.iter().sum::<f32>() / rows.len() as f32;
            Ok(rows.iter().map(|x| x - mean).collect())
        };
        check(centred, Err("rows at once are not those"));
        // Another order of summation from so many rows on.
        let unlike = |rows: &[f32]| {
            Ok(rows
                .iter()
                .map(|x| if rows.len() > 16 { x.next_up() } else { *x })
                .collect())
        };
        check(unlike, Err("for 33 rows at once are not those"));
    }

    #[test]
    fn graphs_of_one_row_or_one_answer_do_not() {
        let one = |rows: &[f32]| match rows {
            [row] => Ok(vec![*row]),
            _ => Err(PredictError::Input("one row".into())),
        };
        check(one, Err("fails on 2 rows at once: one row"));
        check(
            |rows| Ok(vec![rows.iter().sum()]),
            Err("for 2 rows has not 2 rows"),
        );
        check(|_| Err(PredictError::Engine("no".into())), Err("no rows to try"));
    }
}
