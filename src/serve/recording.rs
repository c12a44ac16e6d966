//! Recording of predictions: which requests are recorded or traced, and what is noted of each on its way.

use std::sync::Arc;
use std::time::Duration;

use super::endpoint::Head;
use super::wall;
use crate::deploy::deployment::{Deployment, RequestStage};
use crate::experiment::tallies::Tallies;
use crate::model::batch::Batch;
use crate::model::moment::Moment;
use crate::model::prediction_id::PredictionId;
use crate::model::sampler::Sampler;
use crate::model::trace_context::TraceContext;
use crate::model::trace_state::TraceState;
use crate::predlog::{Assignment, Entry, Failure, Record, Recorder, RequestId, Timing, Traced};

/// The last span of a request, so that those of its stages can be counted on from it.
const LAST_SPAN: u64 = u64::MAX - 0xff;

/// Starts records.
#[derive(Clone)]
pub struct Recording {
    recorder: Recorder,
    share: f64,
    tallies: Arc<Tallies>,
    /// Whether anything but traces is kept.
    keeps: bool,
    sampler: Option<Sampler>,
}

/// One prediction, as long as it is under way.
pub struct Draft {
    id: PredictionId,
    /// Whether its client is told the id.
    named: bool,
    /// `None` for one that is not in the sample: it has an id all the same, so that what comes of it can be told.
    kept: Option<Kept>,
}

/// What becomes of a draft.
struct Kept {
    record: Box<Record>,
    /// Whether it has what the model gives back; what it is handed, only where it is in the sample.
    values: bool,
}

impl Recording {
    /// Records this share of the requests whose route says nothing else; of variants, all are counted.
    pub fn new(recorder: Recorder, share: f64, tallies: Arc<Tallies>) -> Recording {
        Recording {
            recorder,
            share,
            tallies,
            keeps: true,
            sampler: None,
        }
    }

    /// The same with traces of the requests that this sampler takes.
    pub fn with_traces(self, sampler: Sampler) -> Recording {
        Recording {
            sampler: Some(sampler),
            ..self
        }
    }

    /// The same with nothing but traces.
    pub fn of_traces_alone(self) -> Recording {
        Recording { keeps: false, ..self }
    }

    /// Whether predictions are recorded, or at least counted.
    pub(super) fn keeps(&self) -> bool {
        self.keeps
    }

    /// What variants have answered.
    pub fn tallies(&self) -> &Arc<Tallies> {
        &self.tallies
    }

    /// The recorder.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// A draft for a request that this deployment answers; `share` is that of its route, if it has one of its own. `None`
    /// where nothing is recorded.
    pub(super) fn begin(
        &self,
        deployment: &Deployment,
        share: Option<f64>,
        assignment: Assignment,
        head: &Head<'_>,
    ) -> Option<Draft> {
        let share = if self.keeps {
            share.unwrap_or(self.share)
        } else {
            0.0
        };
        let varies = self.keeps && !deployment.place().variant.is_empty();
        let named = share > 0.0 || varies;
        let sampled = named && (share >= 1.0 || fastrand::f64() < share);
        // Not asked for where nobody is told.
        let caller = match sampled || self.sampler.is_some() {
            true => caller(head),
            false => None,
        };
        let traced = self
            .sampler
            .and_then(|sampler| traced(sampler, head, caller.as_ref()));
        if !named && traced.is_none() {
            return None;
        }
        let values = sampled || varies;
        let kept = values || traced.is_some();
        let mut draft = self.draft(deployment, wall::moment(head.now), assignment, sampled, kept);
        draft.named = named;
        if let Some(kept) = &mut draft.kept {
            kept.values = values;
            kept.record.trace = if sampled { caller } else { None };
            kept.record.traced = traced.map(|traced| {
                Box::new(Traced {
                    alone: !values,
                    ..traced
                })
            });
        }
        Some(draft)
    }

    /// A draft for a copy that a shadow ran at that time. `None` where nothing is recorded.
    pub(super) fn begin_shadow(&self, deployment: &Deployment, now: Moment) -> Option<Draft> {
        let sampled = self.share >= 1.0 || fastrand::f64() < self.share;
        sampled.then(|| self.draft(deployment, now, Assignment::None, true, true))
    }

    fn draft(
        &self,
        deployment: &Deployment,
        now: Moment,
        assignment: Assignment,
        sampled: bool,
        kept: bool,
    ) -> Draft {
        let origin = deployment.origin();
        let id = PredictionId::new(origin.tag, now, fastrand::u64(..));
        let kept = kept.then(|| {
            let record = Record {
                id: uuid::Uuid::from_u128(id.as_u128()),
                time: now,
                origin: Arc::clone(origin),
                rows: 0,
                inputs: None,
                outputs: None,
                error: None,
                timing: Timing::default(),
                request_id: None,
                trace: None,
                assignment,
                routing_key: None,
                sampled,
                traced: None,
            };
            Kept {
                record: Box::new(record),
                values: true,
            }
        });
        Draft {
            id,
            named: true,
            kept,
        }
    }
}

/// The trace that a request is a part of.
fn caller(head: &Head<'_>) -> Option<TraceContext> {
    TraceContext::parse(head.trace?.as_bytes())
}

/// The spans of a request, if the sampler takes them: below that of its caller, or in a trace of their own.
fn traced(sampler: Sampler, head: &Head<'_>, caller: Option<&TraceContext>) -> Option<Traced> {
    let trace = match caller {
        Some(caller) => u128::from_be_bytes(caller.trace),
        None => fastrand::u128(1..),
    };
    if !sampler.takes(trace, caller) {
        return None;
    }
    let states = || head.headers.get_all("tracestate").into_iter();
    Some(Traced {
        alone: true,
        trace,
        span: fastrand::u64(1..LAST_SPAN),
        parent: caller.map(|caller| u64::from_be_bytes(caller.span)),
        // Without a trace it means nothing.
        state: caller.and_then(|_| TraceState::parse(states().map(|state| state.as_bytes()))),
        path: head.path,
        status: None,
        received: None,
        sent: None,
    })
}

impl Draft {
    /// The prediction's id, where its client is told.
    pub fn id(&self) -> Option<PredictionId> {
        self.named.then_some(self.id)
    }

    /// Notes the request's own id, where it does not go by the prediction's, and what its variant was chosen by; neither is
    /// asked for where nothing is kept.
    pub fn note_request(
        &mut self,
        id: impl FnOnce() -> Option<RequestId>,
        key: impl FnOnce() -> Option<Box<str>>,
    ) {
        if let Some(Kept { record, .. }) = &mut self.kept {
            record.request_id = id();
            record.routing_key = key();
        }
    }

    /// Notes the bytes of the body, as it was sent.
    pub fn note_received(&mut self, bytes: usize) {
        if let Some(traced) = self.traced() {
            traced.received = Some(bytes);
        }
    }

    /// Notes the bytes of the predictions, as they are sent.
    pub fn note_sent(&mut self, bytes: usize) {
        if let Some(traced) = self.traced() {
            traced.sent = Some(bytes);
        }
    }

    /// Notes the status of an answer that is no success.
    pub fn note_status(&mut self, status: u16) {
        if let Some(traced) = self.traced() {
            traced.status = Some(status);
        }
    }

    fn traced(&mut self) -> Option<&mut Traced> {
        self.kept.as_mut()?.record.traced.as_deref_mut()
    }

    /// The id that the request goes by and what its variant was chosen by, as far as they are kept.
    pub(super) fn request(&self) -> (Option<RequestId>, Option<Box<str>>) {
        match &self.kept {
            Some(Kept { record, .. }) => {
                let id = || RequestId::from_slice(self.id.to_string().as_bytes());
                let id = record.request_id.clone().or_else(|| self.named.then(id));
                (id, record.routing_key.clone())
            }
            None => (None, None),
        }
    }

    /// Hands over the record of a copy that a shadow was run on.
    pub(super) fn end_shadow(
        mut self,
        recorder: &Recorder,
        inputs: Batch,
        result: Result<Batch, &'static str>,
        took: Duration,
    ) {
        let rows = inputs.rows();
        if let Some(Kept { record, .. }) = &mut self.kept {
            record.inputs = Some(inputs);
            match result {
                Ok(output) => record.outputs = Some(output),
                Err(kind) => {
                    record.error = Some(Failure {
                        kind,
                        message: String::new(),
                    });
                }
            }
        }
        let mut stages = [None; RequestStage::ALL.len()];
        stages[RequestStage::Predict as usize] = Some(took);
        self.end(recorder, rows, &stages, took, false);
    }

    /// Where to note what the model is handed. `None` where nobody asks for it: what is counted of variants, or shown of
    /// spans, has no inputs.
    pub(super) fn inputs(&mut self) -> Option<&mut Option<Batch>> {
        let record = &mut self.kept.as_mut()?.record;
        record.sampled.then_some(&mut record.inputs)
    }

    /// Notes what it gave back.
    pub(super) fn note_outputs(&mut self, batch: Batch) {
        if let Some(kept) = self.kept.as_mut().filter(|kept| kept.values) {
            kept.record.outputs = Some(batch);
        }
    }

    /// Notes why there is no answer.
    pub(super) fn note_failure(&mut self, kind: &'static str, message: &str) {
        if let Some(Kept { record, values, .. }) = &mut self.kept {
            record.error = Some(Failure {
                kind,
                // Spans do not show it.
                message: if *values {
                    message.to_owned()
                } else {
                    String::new()
                },
            });
        }
    }

    /// Hands the record over.
    pub(super) fn end(
        self,
        recorder: &Recorder,
        rows: usize,
        stages: &[Option<Duration>; RequestStage::ALL.len()],
        total: Duration,
        abandoned: bool,
    ) {
        let Some(Kept { mut record, .. }) = self.kept else {
            return;
        };
        let stage = |stage: RequestStage| stages[stage as usize].unwrap_or_default();
        record.rows = rows;
        record.timing = Timing {
            decode: stage(RequestStage::Decode),
            queue: stage(RequestStage::Queue),
            predict: stage(RequestStage::Predict),
            encode: stage(RequestStage::Encode),
            total,
        };
        if abandoned {
            record.error = Some(Failure {
                kind: "abandoned",
                message: "The client left before the answer was there.".into(),
            });
        }
        recorder.offer(Entry::Prediction(record));
    }
}
