//! Recording of predictions: which requests are recorded, and what is noted of each on its way.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::deploy::deployment::{Deployment, RequestStage};
use crate::model::batch::Batch;
use crate::model::prediction_id::PredictionId;
use crate::predlog::{Entry, Failure, Record, Recorder, Timing};

/// Starts records.
#[derive(Clone)]
pub struct Recording {
    recorder: Recorder,
    share: f64,
}

/// One prediction, as long as it is under way.
pub struct Draft {
    id: PredictionId,
    /// `None` for one that is not in the sample: it has an id all the same, so that what comes of it can be told.
    kept: Option<(Recorder, Box<Record>)>,
}

impl Recording {
    /// Records this share of the requests whose route says nothing else.
    pub fn new(recorder: Recorder, share: f64) -> Recording {
        Recording { recorder, share }
    }

    /// The recorder.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// A draft for a request that this deployment answers; `share` is that of its route, if it has one of its own. `None`
    /// where nothing is recorded.
    pub(super) fn begin(&self, deployment: &Deployment, share: Option<f64>) -> Option<Draft> {
        let share = share.unwrap_or(self.share);
        if share <= 0.0 {
            return None;
        }
        let (now, dice) = (SystemTime::now(), fastrand::u64(..));
        let origin = deployment.origin();
        let id = PredictionId::new(origin.tag, now, dice);
        // Not by the dice of the id, whose bits would then be fewer among those recorded.
        let kept = share >= 1.0 || fastrand::f64() < share;
        let kept = kept.then(|| {
            let record = Record {
                id: uuid::Uuid::from_u128(id.as_u128()),
                time: now,
                route: Arc::clone(&deployment.place().route),
                variant: Arc::clone(&deployment.place().variant),
                shadow: false,
                model: Arc::clone(&deployment.id().name),
                version: Arc::clone(&origin.version),
                digest: Arc::clone(&origin.digest),
                rows: 0,
                inputs: None,
                outputs: None,
                error: None,
                timing: Timing::default(),
                request_id: None,
                routing_key: None,
                schema: Some(Arc::clone(&origin.signature)),
            };
            (self.recorder.clone(), Box::new(record))
        });
        Some(Draft { id, kept })
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
        id: impl FnOnce() -> Option<Bytes>,
        key: impl FnOnce() -> Option<Box<str>>,
    ) {
        if let Some((_, record)) = &mut self.kept {
            record.request_id = id();
            record.routing_key = key();
        }
    }

    /// Notes what the model is handed.
    pub(super) fn note_inputs(&mut self, batch: &Batch) {
        if let Some((_, record)) = &mut self.kept {
            record.inputs = Some(batch.clone());
        }
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
        stages: &[Option<std::time::Duration>; RequestStage::ALL.len()],
        total: std::time::Duration,
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
