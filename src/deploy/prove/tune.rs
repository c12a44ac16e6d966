//! Which of several engines runs a model: the faster one, if both say the same.
//!
//! An engine is taken in place of the first only if its answers are the same to the last bit, it is faster on one row, and it
//! takes at most a quarter longer for a full batch: what a model answers must not depend on which engine was the faster on
//! the day.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::rows::rows;
use super::run;
use crate::batching::join;
use crate::deploy::sample::Samples;
use crate::flavor::{Loaded, Predictor};
use crate::model::batch::Batch;
use crate::model::identical::identical;

/// Calls of one row, and of a batch.
const CALLS: [u32; 2] = [5, 2];
/// How much longer an engine that is faster on one row may take for a batch: two that are as fast there are told apart by
/// noise alone.
const BATCH_MARGIN: f64 = 1.25;
/// Rows whose answers are compared. Two engines that add up in another order agree on a few by chance, not on all.
const VARIATIONS: usize = 128;

/// How an engine did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Engine and version.
    pub engine: String,
    /// Rows and shortest time of a call: of one row, and of a batch when that was tried.
    pub times: Vec<(usize, Duration)>,
    /// Whether it runs the model.
    pub used: bool,
    /// Why, or why not.
    pub because: String,
}

/// Tries the other engine of a model, if there is one, and puts it in place of the first when it is better. With `all`,
/// also an engine that is slower on one row is tried on a batch.
pub fn tune(loaded: &mut Loaded, samples: &Samples, max_rows: usize, all: bool) -> Vec<Trial> {
    let mut first = Trial {
        engine: loaded.report.engine.clone(),
        times: Vec::new(),
        used: true,
        because: "the only engine that was tried".into(),
    };
    let tried = rows(samples, VARIATIONS);
    let batches: Vec<&Batch> = tried.iter().cycle().take(max_rows.max(1)).collect();
    let cases: Vec<Batch> = tried.first().cloned().into_iter().chain(join(&batches)).collect();
    let predictors = NonZeroUsize::new(loaded.predictors.len());
    let (Some(rival), Some(predictors)) = (loaded.rival.take(), predictors) else {
        first.because = "no other engine may run it".into();
        if let Some(predictor) = loaded.predictors.first_mut().filter(|_| all) {
            first.times = answers(predictor.as_mut(), &cases, |_, _| true).1;
        }
        return vec![first];
    };
    let Some(own) = loaded.predictors.first_mut() else {
        return vec![first];
    };
    let (own_answers, own_times) = answers(own.as_mut(), &cases, |_, took| all || took >= rival.worth);
    first.times = own_times;
    if !all && first.times.first().is_none_or(|(_, took)| *took < rival.worth) {
        first.because = "another engine could not save enough".into();
        return vec![first];
    }
    let mut second = Trial {
        engine: rival.engine.into(),
        times: Vec::new(),
        used: false,
        because: String::new(),
    };
    match (rival.load)(NonZeroUsize::MIN) {
        Err(error) => second.because = format!("it cannot run the model: {error}"),
        Ok(mut other) => {
            second.engine = other.report.engine.clone();
            let slower = |at: usize, took: Duration| {
                let own = first.times.get(at).map(|(_, own)| *own);
                own.is_none_or(|own| match at {
                    0 => took >= own,
                    _ => took > own.mul_f64(BATCH_MARGIN),
                })
            };
            if let Some(predictor) = other.predictors.first_mut() {
                let go_on = |at: usize, took: Duration| all || !slower(at, took);
                let (other_answers, times) = answers(predictor.as_mut(), &cases, go_on);
                second.times = times;
                let same = own_answers
                    .iter()
                    .zip(&other_answers)
                    .all(|(own, other)| identical(own, other))
                    && (other_answers.len() < cases.len() || agree(own.as_mut(), predictor.as_mut(), &tried));
                second.because = if other_answers.is_empty() {
                    "it fails on the rows that were tried".into()
                } else if !same {
                    "its answers are not the same to the last bit".into()
                } else if second
                    .times
                    .iter()
                    .enumerate()
                    .any(|(at, (_, took))| slower(at, *took))
                {
                    "it is slower".into()
                } else if other_answers.len() < cases.len() {
                    "it fails on a batch".into()
                } else {
                    second.used = true;
                    "the same answers, and faster".into()
                };
            }
            if second.used {
                match (rival.load)(predictors) {
                    Ok(other) => {
                        *loaded = other;
                        first.used = false;
                    }
                    Err(error) => {
                        second.used = false;
                        second.because = format!("it could not be loaded again: {error}");
                    }
                }
            }
        }
    }
    first.because = match first.used {
        true => format!("{}: {}", second.engine, second.because),
        false => format!("{} gives the same answers faster", second.engine),
    };
    vec![first, second]
}

/// Whether two engines say the same of each row.
fn agree(one: &mut dyn Predictor, other: &mut dyn Predictor, rows: &[Batch]) -> bool {
    rows.iter()
        .all(|row| match (run(one, row, 1), run(other, row, 1)) {
            (Ok(Ok((one, _))), Ok(Ok((other, _)))) => identical(&one, &other),
            (Ok(Err(_)), Ok(Err(_))) => true,
            _ => false,
        })
}

/// The answers and times of each case, up to the first that fails or after which there is no reason to go on.
fn answers(
    predictor: &mut dyn Predictor,
    cases: &[Batch],
    go_on: impl Fn(usize, Duration) -> bool,
) -> (Vec<Batch>, Vec<(usize, Duration)>) {
    let (mut answers, mut times) = (Vec::new(), Vec::new());
    for (at, (case, calls)) in cases.iter().zip(CALLS).enumerate() {
        let Ok(Ok((answer, took))) = run(predictor, case, calls) else {
            break;
        };
        answers.push(answer);
        times.push((case.rows(), took));
        if !go_on(at, took) {
            break;
        }
    }
    (answers, times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flavor::{LoadError, PredictError, Report, Rival};
    use crate::model::batch::Body;
    use crate::model::tensor::{Elements, Tensor};

    /// Adds a number to every row, and takes its time.
    struct Adder(f32, Duration);

    impl Predictor for Adder {
        fn predict(&mut self, input: &Batch) -> Result<Batch, PredictError> {
            std::thread::sleep(self.1);
            match &input.body {
                Body::Array(tensor) => match tensor.elements() {
                    Elements::F32(values) => Ok(array(values.iter().map(|x| x + self.0).collect())),
                    _ => Err(PredictError::Input("not float32".into())),
                },
                _ => Err(PredictError::Input("no array".into())),
            }
        }
    }

    fn array(values: Vec<f32>) -> Batch {
        Batch::new(Body::Array(Tensor::vector(Elements::F32(values))))
    }

    fn loaded(engine: &str, plus: f32, took: Duration, predictors: usize) -> Loaded {
        Loaded {
            predictors: (0..predictors)
                .map(|_| Box::new(Adder(plus, took)) as Box<dyn Predictor>)
                .collect(),
            report: Report {
                flavor: "test".into(),
                engine: engine.into(),
                inputs: Vec::new(),
                outputs: Vec::new(),
                steps: Vec::new(),
                notes: Vec::new(),
            },
            rival: None,
        }
    }

    const NOTHING: Duration = Duration::ZERO;
    const FAST: Duration = Duration::from_millis(1);
    const SLOW: Duration = Duration::from_millis(10);

    /// The engine that runs in the end, and why the rival does or does not.
    fn check(
        own: Duration,
        rival: impl Fn(NonZeroUsize) -> Result<Loaded, LoadError> + Send + 'static,
    ) -> (String, String) {
        let mut both = loaded("own", 1.0, own, 3);
        both.rival = Some(Rival {
            engine: "rival",
            worth: Duration::from_micros(20),
            load: Box::new(rival),
        });
        let samples = Samples {
            example: None,
            others: vec![array(vec![1.0, 2.0])],
        };
        let trials = tune(&mut both, &samples, 16, false);
        let used: Vec<&str> = trials
            .iter()
            .filter(|trial| trial.used)
            .map(|trial| &*trial.engine)
            .collect();
        assert_eq!(used, [both.report.engine.as_str()]);
        assert_eq!(both.predictors.len(), 3);
        (both.report.engine, trials[1].because.clone())
    }

    #[test]
    fn the_faster_of_two_that_say_the_same_is_taken() {
        let (engine, because) = check(SLOW, |n| Ok(loaded("rival", 1.0, FAST, n.get())));
        assert_eq!((&*engine, &*because), ("rival", "the same answers, and faster"));
        let (engine, because) = check(FAST, |n| Ok(loaded("rival", 1.0, SLOW, n.get())));
        assert_eq!((&*engine, &*because), ("own", "it is slower"));
    }

    #[test]
    fn a_faster_engine_with_other_answers_is_not() {
        let (engine, because) = check(SLOW, |n| Ok(loaded("rival", 1.5, FAST, n.get())));
        assert_eq!(&*engine, "own");
        assert!(because.contains("not the same to the last bit"), "{because}");
        let (engine, because) = check(SLOW, |_| Err(LoadError::Refused("no operator".into())));
        assert_eq!(&*engine, "own");
        assert!(because.contains("no operator"), "{because}");
    }

    #[test]
    fn a_model_that_takes_next_to_nothing_is_not_loaded_twice() {
        let mut one = loaded("own", 1.0, NOTHING, 1);
        one.rival = Some(Rival {
            engine: "rival",
            worth: Duration::from_micros(20),
            load: Box::new(|_| Err(LoadError::Refused("it was loaded".into()))),
        });
        let samples = Samples {
            example: None,
            others: vec![array(vec![1.0])],
        };
        let trials = tune(&mut one, &samples, 16, false);
        assert_eq!(trials.len(), 1);
        assert_eq!(trials[0].because, "another engine could not save enough");
    }

    #[test]
    fn without_a_rival_there_is_nothing_to_choose() {
        let mut one = loaded("own", 1.0, FAST, 1);
        let trials = tune(&mut one, &Samples::default(), 16, true);
        assert!(trials.len() == 1 && trials[0].used);
    }
}
