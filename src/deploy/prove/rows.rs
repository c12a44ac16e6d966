//! Whether calls of a model may be put together: the answer for several rows must be that for each of them alone, to the
//! last bit.
//!
//! A graph may take one row only, or as many as it was exported with; it may give one answer for all rows, or compare
//! them with each other. An engine may add up in another order when there are more rows. None of these is batched.
//! Linear models are a case between: engines compute one row in another way than several, so that only calls of two rows
//! or more can share, and long calls be split.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::run;
use crate::batching::{join, split};
use crate::deploy::sample::Samples;
use crate::flavor::Predictor;
use crate::model::batch::{Batch, Body, Columns, Frame};
use crate::model::identical::identical;
use crate::model::tensor::{Elements, Tensor};

/// Different rows that are tried.
const ROWS: usize = 4;
/// Calls that are put together: an even and an odd number, and enough for the engines' kernels for many rows.
const SIZES: [usize; 3] = [2, 7, 33];
/// Calls of the largest size, from which its cost is learnt.
const CALLS: u32 = 3;
const TWO: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// How calls may be put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joins {
    /// Calls of so many rows, or more, may.
    pub from_rows: Option<NonZeroUsize>,
    /// Why not those of fewer, or none.
    pub because: Option<String>,
}

impl Joins {
    /// Not at all.
    pub fn never(because: impl Into<String>) -> Joins {
        Joins {
            from_rows: None,
            because: Some(because.into()),
        }
    }
}

/// Why the answer for several calls at once is not that for each.
enum Apart {
    /// It has the right form, and other bits.
    Bits(String),
    /// It has not.
    Never(String),
}

/// Tries it, and says what the calls with the most rows took.
pub(super) fn joins(predictor: &mut dyn Predictor, samples: &Samples) -> (Joins, Vec<(usize, Duration)>) {
    let mut times = Vec::new();
    let rows = rows(samples, ROWS);
    let mut because = None;
    for from_rows in [NonZeroUsize::MIN, TWO] {
        match agree(predictor, &rows, from_rows.get(), &mut times) {
            Ok(()) => {
                let from_rows = Some(from_rows);
                return (Joins { from_rows, because }, times);
            }
            Err(Apart::Bits(reason)) => because = Some(reason),
            Err(Apart::Never(reason)) => return (Joins::never(reason), times),
        }
    }
    (Joins::never(because.unwrap_or_default()), times)
}

/// Compares calls of that many rows with several of them at once.
fn agree(
    predictor: &mut dyn Predictor,
    rows: &[Batch],
    from_rows: usize,
    times: &mut Vec<(usize, Duration)>,
) -> Result<(), Apart> {
    let never = |reason: &str| Apart::Never(reason.into());
    let mut calls = Vec::new();
    for at in 0..rows.len() {
        let batches: Vec<&Batch> = rows.iter().cycle().skip(at).take(from_rows).collect();
        let call = join(&batches).ok_or_else(|| never("its rows cannot be put together"))?;
        // A row that was made up may be none that the model knows.
        if let Ok(Ok((answer, _))) = run(predictor, &call, 1) {
            calls.push((call, answer));
        }
    }
    if calls.is_empty() {
        return Err(never("there are no rows to try it on"));
    }
    for size in SIZES {
        let cycle = || calls.iter().cycle().take(size);
        let batches: Vec<&Batch> = cycle().map(|(call, _)| call).collect();
        let whole = join(&batches).ok_or_else(|| never("its rows cannot be put together"))?;
        let all = size * from_rows;
        let repeat = if Some(&size) == SIZES.last() { CALLS } else { 1 };
        let (answer, took) = match run(predictor, &whole, repeat) {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => return Err(Apart::Never(format!("it fails on {all} rows at once: {error}"))),
            Err(error) => return Err(Apart::Never(format!("{all} rows at once: {error}"))),
        };
        let apart = split(&answer, &vec![from_rows; size])
            .ok_or_else(|| Apart::Never(format!("its answer for {all} rows has not {all} rows")))?;
        if !apart
            .iter()
            .zip(cycle())
            .all(|(together, (_, alone))| identical(together, alone))
        {
            return Err(Apart::Bits(match from_rows {
                1 => "its answer for one row is not the same when there are others".into(),
                _ => format!("its answers for {all} rows at once are not those for {from_rows} of them"),
            }));
        }
        if size > 2 {
            times.push((all, took));
        }
    }
    Ok(())
}

/// Some different rows: those of the samples, and so many variations of the first of them.
pub(super) fn rows(samples: &Samples, variations: usize) -> Vec<Batch> {
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
    rows.extend((1..=variations).map(|at| varied(&base, at as f64)));
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
        from_rows: Option<usize>,
        because: &str,
    ) {
        let samples = Samples {
            example: None,
            others: vec![array(vec![1.0]), array(vec![1.0; 8])],
        };
        let (joins, _) = joins(&mut Model(model), &samples);
        assert_eq!(joins.from_rows.map(NonZeroUsize::get), from_rows, "{joins:?}");
        assert!(
            joins.because.as_deref().unwrap_or_default().contains(because),
            "{joins:?}"
        );
        assert_eq!(joins.because.is_none(), because.is_empty(), "{joins:?}");
    }

    #[test]
    fn rows_that_are_computed_alone_join() {
        check(|rows| Ok(rows.iter().map(|x| x * 2.0).collect()), Some(1), "");
        check(
            |rows| Ok(rows.iter().map(|x| (x * 0.0) / 0.0).collect()),
            Some(1),
            "",
        );
    }

    #[test]
    fn one_row_may_be_computed_in_another_way_than_two() {
        let linear = |rows: &[f32]| match rows {
            [row] => Ok(vec![row.next_up()]),
            rows => Ok(rows.to_vec()),
        };
        check(
            linear,
            Some(2),
            "for one row is not the same when there are others",
        );
    }

    #[test]
    fn rows_that_look_at_each_other_do_not() {
        let centred = |rows: &[f32]| {
            let mean = rows.iter().sum::<f32>() / rows.len() as f32;
            Ok(rows.iter().map(|x| x - mean).collect())
        };
        check(centred, None, "rows at once are not those for 2 of them");
        // Another order of summation from so many rows on.
        let unlike = |rows: &[f32]| {
            let other = rows.len() > 16;
            Ok(rows
                .iter()
                .map(|x| if other { x.next_up() } else { *x })
                .collect())
        };
        check(unlike, None, "for 66 rows at once are not those");
    }

    #[test]
    fn graphs_of_one_row_or_one_answer_do_not() {
        let one = |rows: &[f32]| match rows {
            [row] => Ok(vec![*row]),
            _ => Err(PredictError::Input("one row".into())),
        };
        check(one, None, "fails on 2 rows at once: one row");
        check(
            |rows| Ok(vec![rows.iter().sum()]),
            None,
            "for 2 rows has not 2 rows",
        );
        check(|_| Err(PredictError::Engine("no".into())), None, "no rows to try");
    }
}
