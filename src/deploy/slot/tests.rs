//! Swaps under load: whoever asks the slot once sees one version, and whoever asks twice does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::artifact::{Artifact, ArtifactDir};
use crate::deploy::prove::Proof;
use crate::deploy::retire::Retirement;
use crate::flavor::{Loaded, PredictError, Predictor, Report};
use crate::model::batch::{Batch, Body};
use crate::model::tensor::{Elements, Tensor};
use crate::model::version::VersionId;
use crate::registry::Wanted;

/// Answers with its version, whatever it is asked.
struct Version {
    number: f32,
    dropped_on: Arc<Mutex<Vec<String>>>,
}

impl Predictor for Version {
    fn predict(&mut self, _: &Batch) -> Result<Batch, PredictError> {
        Ok(row(self.number))
    }
}

impl Drop for Version {
    fn drop(&mut self) {
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        self.dropped_on.lock().unwrap().push(thread);
    }
}

fn row(value: f32) -> Batch {
    Batch::new(Body::Array(
        Tensor::new(&[1usize][..], Elements::F32(vec![value])).unwrap(),
    ))
}

fn deployment(
    folder: &std::path::Path,
    number: u32,
    dropped_on: &Arc<Mutex<Vec<String>>>,
) -> Arc<Deployment> {
    let artifact = Artifact::in_place(ArtifactDir::open(folder).unwrap());
    let predictors: Vec<Box<dyn Predictor>> = vec![Box::new(Version {
        number: number as f32,
        dropped_on: Arc::clone(dropped_on),
    })];
    let loaded = Loaded {
        predictors,
        report: Report {
            flavor: "test".into(),
            engine: "test".into(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            steps: Vec::new(),
            notes: Vec::new(),
        },
        rival: None,
    };
    let wanted = Wanted {
        id: VersionId::registered("m", &number.to_string()),
        revision: "".into(),
    };
    // A call that was cheap before runs on the task that asks.
    let proof = Proof {
        times: vec![(1, Duration::from_micros(1))],
        ..Proof::nothing()
    };
    Arc::new(Deployment::new(
        wanted,
        artifact,
        loaded,
        &proof,
        Default::default(),
        0,
        Place::default(),
    ))
}

/// Answers during swaps, and those whose version was not the one that was asked for.
fn swap_under_load(ask_twice: bool) -> (usize, usize, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("MLmodel"), "flavors: {test: {}}\n").unwrap();
    let dropped_on = Arc::default();
    let slot = Slot::new("m", "models:/m/latest".parse().unwrap());
    slot.publish(Some(deployment(folder.path(), 1, &dropped_on)));
    let stop = AtomicBool::new(false);
    let (answers, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let retirement = Retirement::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let asked = slot.current().unwrap();
                    let answering = if ask_twice {
                        // What happens between, in a request that has a body to wait for.
                        std::thread::yield_now();
                        slot.current().unwrap()
                    } else {
                        Arc::clone(&asked)
                    };
                    let deadline = Instant::now() + Duration::from_secs(10);
                    let run = runtime
                        .handle()
                        .block_on(answering.pool().run(row(0.0), deadline))
                        .unwrap();
                    let number: f32 = asked.id().version_label().parse().unwrap();
                    wrong.fetch_add(usize::from(run.output != row(number)), Ordering::Relaxed);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let began = Instant::now();
        let mut number = 1;
        while began.elapsed() < Duration::from_millis(400) {
            number += 1;
            let old = slot
                .publish(Some(deployment(folder.path(), number, &dropped_on)))
                .unwrap();
            retirement.take(old);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let published = slot.publish(None).unwrap();
    let last: usize = published.id().version_label().parse().unwrap();
    retirement.take(published);
    let began = Instant::now();
    while dropped_on.lock().unwrap().len() < last && began.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let threads = dropped_on.lock().unwrap().clone();
    assert_eq!(threads.len(), last, "every version is dropped");
    assert!(last > 20, "{last} versions are no load");
    (answers.into_inner(), wrong.into_inner(), threads)
}

#[test]
fn one_question_one_version_and_no_request_drops_a_model() {
    let (answers, wrong, threads) = swap_under_load(false);
    assert!(answers > 1000, "{answers} answers are no load");
    assert_eq!(wrong, 0);
    // A predictor that has just run on its own thread may go there.
    let others = |thread: &&String| !["modelsd-retire", "m-0"].contains(&thread.as_str());
    assert_eq!(threads.iter().find(others), None);
}

/// The control: the same load tells a request that asks twice from one that asks once.
#[test]
fn two_questions_mix_versions() {
    let (_, wrong, _) = swap_under_load(true);
    assert!(wrong > 0);
}
