//! A trial: a version that gets copies of the requests another one answers, and whose answers go to nobody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use metrics::Counter;

use super::Phase;
use super::verdict::Counts;
use crate::deploy::copies::{self, Job, Line, Waiting};
use crate::deploy::deployment::Deployment;
use crate::experiment::difference::difference;
use crate::model::batch::Batch;
use crate::registry::Wanted;
use crate::routing::gate::GateSpec;
use crate::telemetry::names;

/// The trial of one version.
pub struct Trial {
    candidate: Arc<Deployment>,
    spec: GateSpec,
    line: Line<()>,
    /// Copies that were run, as in `counts`: requests ask for it, and shall not wait for each other.
    done: AtomicU64,
    counts: Mutex<Counts>,
    meters: Meters,
}

struct Meters {
    slot: Arc<str>,
    ok: Counter,
    dropped: Counter,
    compared_rows: Counter,
    disagreements: Counter,
}

impl Trial {
    /// A trial of this version in a slot of that name, and its copies, for [`run`].
    pub(in crate::deploy) fn new(
        slot: &Arc<str>,
        candidate: Arc<Deployment>,
        spec: GateSpec,
    ) -> (Trial, Waiting<()>) {
        let (line, waiting) = copies::line();
        let trial = Trial {
            candidate,
            spec,
            line,
            done: AtomicU64::new(0),
            counts: Mutex::default(),
            meters: Meters::new(slot),
        };
        (trial, waiting)
    }

    /// The version on trial.
    pub fn wanted(&self) -> &Wanted {
        self.candidate.wanted()
    }

    /// Whether the next request should be copied: one of the share, as long as more are needed.
    pub fn wants_copy(&self) -> bool {
        let share = self.spec.share;
        self.done
            .load(Ordering::Relaxed)
            .saturating_add(self.line.waiting())
            < self.spec.requests
            && (share >= 1.0 || fastrand::f64() < share)
    }

    /// Takes a copy of a request that was answered, unless too many wait.
    pub fn offer(&self, inputs: Batch, answer: Batch, answered_in: Duration) {
        let job = Job {
            inputs,
            answer,
            answered_in,
            about: (),
        };
        if !self.line.offer(job) {
            self.lock().dropped += 1;
            self.meters.dropped.increment(1);
        }
    }

    /// What the copies have come to.
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a copy and counts what came of it.
    async fn run(&self, job: Job<()>) {
        let rows = job.inputs.rows();
        let (result, took) = copies::run(&self.candidate, job.inputs).await;
        // Before the lock, for long answers take their time.
        let compared = result.map(|output| {
            let found = difference(&job.answer, &output);
            // An answer of another form is another answer, whatever it says.
            found.map_or(rows, |found| found.rows_apart(self.spec.number_tolerance)) as u64
        });
        let mut counts = self.lock();
        counts.requests += 1;
        counts.rows += rows as u64;
        match compared {
            Ok(apart) => {
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
        self.done.store(counts.requests, Ordering::Relaxed);
    }
}

/// Runs the copies of a trial until it is over. Cancel-safe.
pub(in crate::deploy) async fn run(phase: Weak<Phase>, mut waiting: Waiting<()>) {
    while let Some((job, _place)) = waiting.next().await {
        let Some(phase) = phase.upgrade() else { return };
        let Some(trial) = phase.trial() else { return };
        trial.run(job).await;
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
