//! A trial: a version that gets copies of the requests another one answers, and whose answers go to nobody.
//!
//! A copy is handed over without waiting, and dropped when too many wait; copies are run one at a time by a thread of low
//! priority. A version on trial that is slow, fails or hangs costs nobody an answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use metrics::Counter;
use tokio::sync::mpsc;

use super::Phase;
use super::verdict::Counts;
use crate::batching::pool::RunError;
use crate::deploy::deployment::Deployment;
use crate::experiment::difference::difference;
use crate::model::batch::Batch;
use crate::registry::Wanted;
use crate::routing::gate::GateSpec;
use crate::telemetry::names;

/// Copies that wait.
const WAITING: usize = 256;
/// Rows that wait.
const MAX_ROWS: usize = 100_000;
/// Time that the version has for one copy.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The trial of one version.
pub struct Trial {
    candidate: Arc<Deployment>,
    spec: GateSpec,
    jobs: mpsc::Sender<Job>,
    state: Mutex<State>,
    meters: Meters,
}

/// Copies of a trial that are yet to be run.
pub(in crate::deploy) struct Line(mpsc::Receiver<Job>);

#[derive(Default)]
struct State {
    rows_waiting: usize,
    waiting: u64,
    counts: Counts,
}

/// A copy of a request, with its answer and the time that took.
struct Job {
    inputs: Batch,
    answer: Batch,
    answered_in: Duration,
}

struct Meters {
    slot: Arc<str>,
    ok: Counter,
    dropped: Counter,
    compared_rows: Counter,
    disagreements: Counter,
}

impl Trial {
    /// A trial of this version in a slot of that name, and its line, for [`run`].
    pub(in crate::deploy) fn new(
        slot: &Arc<str>,
        candidate: Arc<Deployment>,
        spec: GateSpec,
    ) -> (Trial, Line) {
        let (jobs, line) = mpsc::channel(WAITING);
        let trial = Trial {
            candidate,
            spec,
            jobs,
            state: Mutex::default(),
            meters: Meters::new(slot),
        };
        (trial, Line(line))
    }

    /// The version on trial.
    pub fn wanted(&self) -> &Wanted {
        self.candidate.wanted()
    }

    /// Whether the next request should be copied: one of the share, as long as more are needed.
    pub fn wants_copy(&self) -> bool {
        if self.spec.share < 1.0 && fastrand::f64() >= self.spec.share {
            return false;
        }
        let state = self.state();
        state.counts.requests + state.waiting < self.spec.requests
    }

    /// Takes a copy of a request that was answered, unless too many wait.
    pub fn offer(&self, inputs: Batch, answer: Batch, answered_in: Duration) {
        let rows = inputs.rows();
        let mut state = self.state();
        // One that is longer than all that may wait is run when nobody else is there.
        let fits = state.rows_waiting == 0 || state.rows_waiting.saturating_add(rows) <= MAX_ROWS;
        let job = Job {
            inputs,
            answer,
            answered_in,
        };
        if fits && self.jobs.try_send(job).is_ok() {
            state.rows_waiting += rows;
            state.waiting += 1;
        } else {
            state.counts.dropped += 1;
            self.meters.dropped.increment(1);
        }
    }

    /// What the copies have come to.
    pub fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, job: &Job, result: Result<(Batch, Duration), &'static str>) {
        let rows = job.inputs.rows();
        // Before the lock, for long answers take their time.
        let compared = result.map(|(output, took)| {
            let found = difference(&job.answer, &output);
            // An answer of another form is another answer, whatever it says.
            let apart = found.map_or(rows, |found| found.rows_apart(self.spec.number_tolerance));
            (apart as u64, took)
        });
        let mut state = self.state();
        state.rows_waiting = state.rows_waiting.saturating_sub(rows);
        state.waiting = state.waiting.saturating_sub(1);
        let counts = &mut state.counts;
        counts.requests += 1;
        counts.rows += rows as u64;
        match compared {
            Ok((apart, took)) => {
                counts.compared_rows += rows as u64;
                counts.disagreements += apart;
                counts.latency.add(took.as_secs_f64() * 1e3);
                counts.old_latency.add(job.answered_in.as_secs_f64() * 1e3);
                self.meters.ok.increment(1);
                self.meters.compared_rows.increment(rows as u64);
                self.meters.disagreements.increment(apart);
            }
            Err(kind) => {
                *counts.errors.entry(kind).or_default() += 1;
                self.meters.copy(kind).increment(1);
            }
        }
    }
}

/// Runs the copies of a trial until it is over. Cancel-safe.
pub(in crate::deploy) async fn run(phase: Weak<Phase>, mut line: Line) {
    while let Some(job) = line.0.recv().await {
        let Some(phase) = phase.upgrade() else { return };
        let Some(trial) = phase.trial() else { return };
        let deadline = Instant::now() + TIME_LIMIT;
        let ran = trial.candidate.pool().run(job.inputs.clone(), deadline).await;
        let result = ran.map(|run| (run.output, run.predict));
        trial.note(&job, result.map_err(|error| kind(&error)));
    }
}

/// The kind of a failure, in the words of metrics.
fn kind(error: &RunError) -> &'static str {
    match error {
        RunError::Deadline => "deadline",
        RunError::Overloaded { .. } => "overloaded",
        RunError::Predict(_) => "model_failed",
        RunError::Panicked(_) | RunError::Stopped => "internal",
    }
}

impl Meters {
    fn new(slot: &Arc<str>) -> Meters {
        let of_slot = || vec![metrics::Label::new(names::SLOT, slot.to_string())];
        let meters = |outcome| copies(slot, outcome);
        Meters {
            ok: meters("ok"),
            dropped: meters("dropped"),
            compared_rows: metrics::counter!(names::GATE_COMPARED_ROWS_TOTAL, of_slot()),
            disagreements: metrics::counter!(names::GATE_DISAGREEMENTS_TOTAL, of_slot()),
            slot: Arc::clone(slot),
        }
    }

    /// Failures are rare enough to look their handle up.
    fn copy(&self, outcome: &'static str) -> Counter {
        copies(&self.slot, outcome)
    }
}

fn copies(slot: &Arc<str>, outcome: &'static str) -> Counter {
    metrics::counter!(names::GATE_COPIES_TOTAL, names::SLOT => slot.to_string(), names::OUTCOME => outcome)
}
