//! Shadows: models that get copies of requests once those are answered, and whose answers go to nobody.
//!
//! Each shadow has a line of its own (`deploy::copies`).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use metrics::{Counter, Histogram};
use tokio::runtime::Handle;

use super::recording::Recording;
use crate::deploy::copies::{self, Line, Waiting};
use crate::deploy::deployment::Deployment;
use crate::deploy::fleet::Fleet;
use crate::deploy::gate::Phase;
use crate::deploy::gate::trial::Trial;
use crate::experiment::difference::difference;
use crate::experiment::sketch::Sketch;
use crate::model::batch::Batch;
use crate::predlog::RequestId;
use crate::routing::route::{Route, Shadow};
use crate::telemetry::names;

/// Hands copies to shadows.
#[derive(Clone)]
pub struct Shadowing(Arc<Inner>);

struct Inner {
    fleet: Arc<Fleet>,
    runtime: Handle,
    recording: Option<Recording>,
    /// By slot.
    lanes: RwLock<HashMap<Arc<str>, Arc<Lane>>>,
}

/// The line before one shadow.
struct Lane {
    line: Line<About>,
    tally: Mutex<Tally>,
    meters: Meters,
}

/// What the record has of the request that a copy is of.
#[derive(Clone, Default)]
struct About {
    request_id: Option<RequestId>,
    routing_key: Option<Box<str>>,
}

/// A copy.
type Job = copies::Job<About>;

/// What a shadow has come to, since the server started.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Copies that it was run on.
    pub requests: u64,
    /// Their rows.
    pub rows: u64,
    /// Copies that it failed on, by kind of error.
    pub errors: BTreeMap<&'static str, u64>,
    /// Copies that were dropped, since too many waited.
    pub dropped: u64,
    /// Answers of another form than those they are compared with.
    pub incomparable: u64,
    /// Rows that were compared.
    pub compared_rows: u64,
    /// Rows in which a label differs.
    pub disagreements: u64,
    /// The largest difference of a number in each row.
    pub absolute: Sketch,
    /// The same over the size of the larger number.
    pub relative: Sketch,
    /// Milliseconds in the shadow.
    pub latency: Sketch,
    /// Milliseconds in the model that answered the same requests.
    pub answered_latency: Sketch,
}

struct Meters {
    ok: Counter,
    compared_rows: Counter,
    disagreements: Counter,
    dropped: Counter,
    difference: Histogram,
    seconds: Histogram,
    labels: Vec<metrics::Label>,
}

/// What is copied of a request on its way, for the shadows that are to get it, and for a version on trial.
#[derive(Default)]
pub struct Copies {
    lanes: Vec<Arc<Lane>>,
    /// Where the version that answers is compared or watched.
    phase: Option<Arc<Phase>>,
    /// Whether a version on trial is to get a copy.
    trial: bool,
    inputs: Option<Batch>,
    answer: Option<Batch>,
}

impl Shadowing {
    /// Runs shadows of this fleet on this runtime, whose threads should have a low priority.
    pub fn new(fleet: Arc<Fleet>, runtime: Handle, recording: Option<Recording>) -> Shadowing {
        Shadowing(Arc::new(Inner {
            fleet,
            runtime,
            recording,
            lanes: RwLock::default(),
        }))
    }

    /// What is to be copied of a request of that route; `None` when no shadow gets it.
    pub(super) fn begin(&self, route: &Route) -> Option<Box<Copies>> {
        let chosen = route
            .shadows()
            .iter()
            .filter(|shadow| fastrand::f64() < shadow.share);
        let lanes: Vec<Arc<Lane>> = chosen.map(|shadow| self.lane(route, shadow)).collect();
        (!lanes.is_empty()).then(|| {
            Box::new(Copies {
                lanes,
                ..Copies::default()
            })
        })
    }

    /// What a shadow has come to.
    pub fn tally(&self, slot: &str) -> Option<Tally> {
        let lanes = self.0.lanes.read().unwrap_or_else(PoisonError::into_inner);
        lanes.get(slot).map(|lane| lane.tally().clone())
    }

    fn lane(&self, route: &Route, shadow: &Shadow) -> Arc<Lane> {
        let inner = &self.0;
        let known = inner.lanes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = known.get(&shadow.slot) {
            return Arc::clone(lane);
        }
        drop(known);
        let mut lanes = inner.lanes.write().unwrap_or_else(PoisonError::into_inner);
        // Those whose shadow is gone end with the next that comes.
        let table = inner.fleet.table();
        lanes.retain(|slot, _| table.get(slot).is_some());
        let lane = lanes.entry(Arc::clone(&shadow.slot)).or_insert_with(|| {
            let (line, waiting) = copies::line();
            let lane = Arc::new(Lane {
                line,
                tally: Mutex::default(),
                meters: Meters::new(route.name(), &shadow.name),
            });
            let run = run(
                Arc::downgrade(&lane),
                waiting,
                Arc::clone(&shadow.slot),
                Arc::clone(&inner.fleet),
                inner.recording.clone(),
            );
            inner.runtime.spawn(run);
            lane
        });
        Arc::clone(lane)
    }
}

impl Copies {
    /// The same, with what goes on at the gate of the slot that answers.
    pub(super) fn with_phase(copies: Option<Box<Copies>>, phase: Arc<Phase>) -> Box<Copies> {
        let mut copies = copies.unwrap_or_default();
        copies.trial = phase.trial().is_some_and(Trial::wants_copy);
        copies.phase = Some(phase);
        copies
    }

    fn is_copied(&self) -> bool {
        self.trial || !self.lanes.is_empty()
    }

    /// Copies what the model is handed.
    pub(super) fn note_inputs(&mut self, batch: &Batch) {
        self.inputs = self.is_copied().then(|| batch.clone());
    }

    /// Copies what it gave back.
    pub(super) fn note_answer(&mut self, batch: &Batch) {
        self.answer = self.is_copied().then(|| batch.clone());
    }

    /// Has a request that reached the model counted at the gate of its slot: by the time in the model, or by why it failed.
    pub(super) fn note_outcome(&self, outcome: Result<Duration, &'static str>) {
        if let Some(phase) = &self.phase {
            phase.note(outcome);
        }
    }

    /// Hands the copies over, now that the request is answered.
    pub(super) fn send(
        self,
        answered_in: Duration,
        request_id: Option<RequestId>,
        routing_key: Option<Box<str>>,
    ) {
        let (Some(inputs), Some(answer)) = (self.inputs, self.answer) else {
            return;
        };
        let (trial, mut lanes) = (self.trial, self.lanes);
        if let Some(trial) = self
            .phase
            .as_ref()
            .filter(|_| trial)
            .and_then(|phase| phase.trial())
        {
            if lanes.is_empty() {
                trial.offer(inputs, answer, answered_in);
                return;
            }
            trial.offer(inputs.clone(), answer.clone(), answered_in);
        }
        let Some(last) = lanes.pop() else { return };
        let about = About {
            request_id,
            routing_key,
        };
        for lane in lanes {
            lane.offer(Job {
                inputs: inputs.clone(),
                answer: answer.clone(),
                answered_in,
                about: about.clone(),
            });
        }
        last.offer(Job {
            inputs,
            answer,
            answered_in,
            about,
        });
    }
}

impl Lane {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offer(&self, job: Job) {
        if !self.line.offer(job) {
            self.tally().dropped += 1;
            self.meters.dropped.increment(1);
        }
    }

    fn note(&self, job: &Job, result: &Result<Batch, &'static str>, took: Duration) {
        let found = result.as_ref().ok().map(|output| difference(&job.answer, output));
        let mut tally = self.tally();
        tally.requests += 1;
        tally.rows += job.inputs.rows() as u64;
        self.meters.seconds.record(took.as_secs_f64());
        if let Err(kind) = result {
            *tally.errors.entry(kind).or_default() += 1;
            self.meters.failed(kind);
            return;
        }
        self.meters.ok.increment(1);
        tally.latency.add(took.as_secs_f64() * 1e3);
        tally.answered_latency.add(job.answered_in.as_secs_f64() * 1e3);
        let Some(Some(found)) = found else {
            tally.incomparable += 1;
            return;
        };
        tally.compared_rows += found.rows as u64;
        tally.disagreements += found.disagreements as u64;
        self.meters.compared_rows.increment(found.rows as u64);
        self.meters.disagreements.increment(found.disagreements as u64);
        for (absolute, relative) in found.absolute.iter().zip(&found.relative) {
            tally.absolute.add(*absolute);
            tally.relative.add(*relative);
            self.meters.difference.record(*relative);
        }
    }
}

/// The life of a lane: until its shadow is gone.
async fn run(
    lane: std::sync::Weak<Lane>,
    mut waiting: Waiting<About>,
    slot: Arc<str>,
    fleet: Arc<Fleet>,
    recording: Option<Recording>,
) {
    while let Some((job, _place)) = waiting.next().await {
        let Some(lane) = lane.upgrade() else { return };
        let deployment = fleet.table().get(&slot).and_then(|slot| slot.current());
        let Some(deployment) = deployment else {
            lane.note(&job, &Err("not_ready"), Duration::ZERO);
            continue;
        };
        let (result, took) = copies::run(&deployment, job.inputs.clone()).await;
        lane.note(&job, &result, took);
        if let Some(recording) = &recording {
            record(recording, &deployment, job, result, took);
        }
    }
}

fn record(
    recording: &Recording,
    deployment: &Deployment,
    job: Job,
    result: Result<Batch, &'static str>,
    took: Duration,
) {
    let draft = recording.begin_shadow(deployment, SystemTime::now().into());
    if let Some(mut draft) = draft {
        let About {
            request_id,
            routing_key,
        } = job.about;
        draft.note_request(|| request_id, || routing_key);
        draft.end_shadow(recording.recorder(), job.inputs, result, took);
    }
}

impl Meters {
    fn new(route: &str, shadow: &str) -> Meters {
        let labels = vec![
            metrics::Label::new(names::ROUTE, route.to_owned()),
            metrics::Label::new(names::VARIANT, shadow.to_owned()),
        ];
        let ok = [labels.clone(), vec![metrics::Label::new(names::OUTCOME, "ok")]].concat();
        Meters {
            ok: metrics::counter!(names::SHADOW_PREDICTIONS_TOTAL, ok),
            compared_rows: metrics::counter!(names::SHADOW_COMPARED_ROWS_TOTAL, labels.clone()),
            disagreements: metrics::counter!(names::SHADOW_DISAGREEMENTS_TOTAL, labels.clone()),
            dropped: metrics::counter!(names::SHADOW_DROPPED_TOTAL, labels.clone()),
            difference: metrics::histogram!(names::SHADOW_DIFFERENCE, labels.clone()),
            seconds: metrics::histogram!(names::SHADOW_SECONDS, labels.clone()),
            labels,
        }
    }

    fn failed(&self, kind: &'static str) {
        let labels = [
            self.labels.clone(),
            vec![metrics::Label::new(names::OUTCOME, kind)],
        ]
        .concat();
        metrics::counter!(names::SHADOW_PREDICTIONS_TOTAL, labels).increment(1);
    }
}

#[cfg(test)]
mod tests;
