//! Recording of predictions: which requests are recorded, and what is noted of each on its way.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::deploy::deployment::{Deployment, RequestStage};
use crate::experiment::tallies::Tallies;
use crate::model::batch::Batch;
use crate::model::prediction_id::PredictionId;
use crate::model::trace_context::TraceContext;
use crate::predlog::{Assignment, Entry, Failure, Record, Recorder, RequestId, Timing};

/// Starts records.
#[derive(Clone)]
pub struct Recording {
    recorder: Recorder,
    share: f64,
    tallies: Arc<Tallies>,
}

/// One prediction, as long as it is under way.
pub struct Draft {
    id: PredictionId,
    /// `None` for one that is not in the sample: it has an id all the same, so that what comes of it can be told.
    kept: Option<(Recorder, Box<Record>)>,
}

impl Recording {
    /// Records this share of the requests whose route says nothing else; of variants, all are counted.
    pub fn new(recorder: Recorder, share: f64, tallies: Arc<Tallies>) -> Recording {
        Recording {
            recorder,
            share,
            tallies,
        }
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
    ) -> Option<Draft> {
        let share = share.unwrap_or(self.share);
        let varies = !deployment.place().variant.is_empty();
        if share <= 0.0 && !varies {
            return None;
        }
        let sampled = share >= 1.0 || fastrand::f64() < share;
        Some(self.draft(
            deployment,
            SystemTime::now(),
            assignment,
            sampled,
            sampled || varies,
        ))
    }

    /// A draft for a copy that a shadow ran at that time. `None` where nothing is recorded.
    pub(super) fn begin_shadow(&self, deployment: &Deployment, now: SystemTime) -> Option<Draft> {
        let sampled = self.share >= 1.0 || fastrand::f64() < self.share;
        sampled.then(|| self.draft(deployment, now, Assignment::None, true, true))
    }

    fn draft(
        &self,
        deployment: &Deployment,
        now: SystemTime,
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
            };
            (self.recorder.clone(), Box::new(record))
        });
        Draft { id, kept }
    }
}

impl Draft {
    /// The prediction's id.
    pub fn id(&self) -> PredictionId {
        self.id
    }

    /// Notes the request's own id and what its variant was chosen by; neither is asked for where nothing is kept.
    pub fn note_request(
        &mut self,
        id: impl FnOnce() -> Option<RequestId>,
        key: impl FnOnce() -> Option<Box<str>>,
    ) {
        if let Some((_, record)) = &mut self.kept {
            record.request_id = id();
            record.routing_key = key();
        }
    }

    /// Notes the trace that the request is a part of; it is not asked for where no sink is told.
    pub fn note_trace(&mut self, trace: impl FnOnce() -> Option<TraceContext>) {
        if let Some((_, record)) = &mut self.kept
            && record.sampled
        {
            record.trace = trace();
        }
    }

    /// The request's own id and what its variant was chosen by, as far as they are kept.
    pub(super) fn request(&self) -> (Option<RequestId>, Option<Box<str>>) {
        match &self.kept {
            Some((_, record)) => (record.request_id.clone(), record.routing_key.clone()),
            None => (None, None),
        }
    }

    /// Hands over the record of a copy that a shadow was run on.
    pub(super) fn end_shadow(mut self, inputs: Batch, result: Result<Batch, &'static str>, took: Duration) {
        let rows = inputs.rows();
        if let Some((_, record)) = &mut self.kept {
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
        self.end(rows, &stages, took, false);
    }

    /// Where to note what the model is handed. `None` where nobody asks for it: what is counted of variants has no inputs.
    pub(super) fn inputs(&mut self) -> Option<&mut Option<Batch>> {
        let (_, record) = self.kept.as_mut()?;
        record.sampled.then_some(&mut record.inputs)
    }

    /// Notes what it gave back.
    pub(super) fn note_outputs(&mut self, batch: Batch) {
        if let Some((_, record)) = &mut self.kept {
            record.outputs = Some(batch);
        }
    }

    /// Notes why there is no answer.
    pub(super) fn note_failure(&mut self, kind: &'static str, message: &str) {
        if let Some((_, record)) = &mut self.kept {
            record.error = Some(Failure {
                kind,
                message: message.to_owned(),
            });
        }
    }

    /// Hands the record over.
    pub(super) fn end(
        self,
        rows: usize,
        stages: &[Option<Duration>; RequestStage::ALL.len()],
        total: Duration,
        abandoned: bool,
    ) {
        let Some((recorder, mut record)) = self.kept else {
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
