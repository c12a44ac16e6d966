//! Runs a version before anybody else does: every predictor, on rows it must or should be able to answer.
//!
//! Engines set memory aside and choose kernels in their first calls; whoever made these first calls would wait for
//! them.

mod rows;
mod tune;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

pub use self::rows::Joins;
pub use self::tune::{Trial, tune};
use super::parity::{self, Parity};
use super::sample::Samples;
use crate::batching::pool::panic_text;
use crate::flavor::{PredictError, Predictor};
use crate::model::batch::Batch;

/// Calls of each sample on each predictor.
const CALLS: u32 = 5;
/// Once this long was spent on a predictor, each further sample is called once only.
const ENOUGH: Duration = Duration::from_millis(500);

/// Why a version is not fit to serve.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// It cannot answer the example it was logged with.
    #[error("it fails on its own input example")]
    Example(#[source] PredictError),
    /// It panicked.
    #[error("it panicked while it was tried: {0}")]
    Panicked(String),
    /// Its answers are not those of the library it was made with.
    #[error("its answers differ from the recorded ones by more than {tolerance:e}: {parity}")]
    Parity {
        /// How they compare.
        parity: Parity,
        /// What is tolerated.
        tolerance: f64,
    },
    /// Its recorded cases cannot be read.
    #[error("`{}` beside it: {_0}", parity::FILE)]
    Cases(String),
    /// Its example does not satisfy its signature.
    #[error("{0}")]
    Signature(String),
}

/// What the proof showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// Samples answered.
    pub answered: usize,
    /// Samples that failed, other than the example.
    pub failed: usize,
    /// Rows and shortest time of a call, for each sample answered.
    pub times: Vec<(usize, Duration)>,
    /// How calls may be put together.
    pub joins: Joins,
    /// How its answers compare with recorded ones, if any lie beside it.
    pub parity: Option<Parity>,
}

/// Proves and warms up. Blocking; runs the model.
///
/// # Errors
/// See [`ProofError`]; failures on samples other than the example are only counted.
pub fn prove(predictors: &mut [Box<dyn Predictor>], samples: &Samples) -> Result<Proof, ProofError> {
    let mut proof = Proof::nothing();
    for (at, predictor) in predictors.iter_mut().enumerate() {
        let began = Instant::now();
        let others = samples.others.iter().map(|batch| (batch, false));
        for (batch, is_example) in samples.example.iter().map(|batch| (batch, true)).chain(others) {
            let calls = if began.elapsed() < ENOUGH { CALLS } else { 1 };
            match run(predictor.as_mut(), batch, calls)? {
                Ok(_) if at > 0 => {}
                Ok((_, fastest)) => {
                    proof.answered += 1;
                    proof.times.push((batch.rows(), fastest));
                }
                Err(error) if is_example => return Err(ProofError::Example(error)),
                Err(_) if at > 0 => {}
                Err(_) => proof.failed += 1,
            }
        }
    }
    if let Some(predictor) = predictors.first_mut() {
        let (joins, times) = rows::joins(predictor.as_mut(), samples);
        proof.joins = joins;
        proof.times.extend(times);
    }
    Ok(proof)
}

impl Proof {
    /// That of a version that nothing was tried on.
    pub fn nothing() -> Proof {
        Proof {
            answered: 0,
            failed: 0,
            times: Vec::new(),
            joins: Joins::never("it was not tried"),
            parity: None,
        }
    }
}

/// The last answer and the shortest time of some calls: the first is slow, and others share the machine.
fn run(
    predictor: &mut dyn Predictor,
    batch: &Batch,
    calls: u32,
) -> Result<Result<(Batch, Duration), PredictError>, ProofError> {
    let mut fastest = Duration::MAX;
    let mut left = calls.max(1);
    loop {
        let began = Instant::now();
        let answer = catch_unwind(AssertUnwindSafe(|| predictor.predict(batch)));
        fastest = fastest.min(began.elapsed());
        match answer {
            Ok(Ok(output)) if left == 1 => return Ok(Ok((output, fastest))),
            Ok(Ok(_)) => left -= 1,
            Ok(Err(error)) => return Ok(Err(error)),
            Err(payload) => return Err(ProofError::Panicked(panic_text(payload.as_ref()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::batch::Body;
    use crate::model::tensor::{Elements, Tensor};

    /// Doubles; fails from 10 on, panics from 100 on.
    struct Doubler(u32);

    impl Predictor for Doubler {
        fn predict(&mut self, input: &Batch) -> Result<Batch, PredictError> {
            self.0 += 1;
            match input.rows() {
                rows if rows >= 100 => panic!("too many rows"),
                rows if rows >= 10 => Err(PredictError::Engine(format!("{rows} rows"))),
                _ => Ok(input.clone()),
            }
        }
    }

    fn rows(rows: usize) -> Batch {
        let elements = Elements::F32(vec![1.0; rows]);
        Batch::new(Body::Array(Tensor::new(&[rows][..], elements).unwrap()))
    }

    fn check(example: Option<usize>, others: &[usize]) -> Result<Proof, ProofError> {
        let mut predictors: Vec<Box<dyn Predictor>> = vec![Box::new(Doubler(0)), Box::new(Doubler(0))];
        let samples = Samples {
            example: example.map(rows),
            others: others.iter().copied().map(rows).collect(),
        };
        prove(&mut predictors, &samples)
    }

    #[test]
    fn only_the_example_must_work() {
        let proof = check(Some(1), &[2, 10]).unwrap();
        assert_eq!((proof.answered, proof.failed), (2, 1));
        let rows: Vec<usize> = proof.times.iter().map(|(rows, _)| *rows).collect();
        assert!(rows.starts_with(&[1, 2]), "{rows:?}");
        assert!(matches!(check(Some(10), &[1]), Err(ProofError::Example(_))));
        assert_eq!(check(None, &[]).unwrap().answered, 0);
    }

    #[test]
    fn a_panic_on_any_row_rejects() {
        let message = check(Some(1), &[100]).unwrap_err().to_string();
        assert!(message.contains("too many rows"), "{message}");
    }

    #[test]
    fn every_predictor_is_run() {
        struct Counted(std::sync::Arc<std::sync::atomic::AtomicU32>);
        impl Predictor for Counted {
            fn predict(&mut self, input: &Batch) -> Result<Batch, PredictError> {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok(input.clone())
            }
        }
        let counts = [(); 3].map(|()| std::sync::Arc::default());
        let mut predictors: Vec<Box<dyn Predictor>> = counts
            .iter()
            .map(|count| Box::new(Counted(std::sync::Arc::clone(count))) as Box<dyn Predictor>)
            .collect();
        let samples = Samples {
            example: None,
            others: vec![rows(1)],
        };
        prove(&mut predictors, &samples).unwrap();
        assert!(
            counts
                .iter()
                .all(|count: &std::sync::Arc<std::sync::atomic::AtomicU32>| {
                    count.load(std::sync::atomic::Ordering::Relaxed) >= CALLS
                })
        );
    }
}
