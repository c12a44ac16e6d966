//! A call: one request on its way through a deployment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admission::Permit;
use super::endpoint::reject;
use super::error::{Error, Kind, deadline};
use super::recording::Draft;
use super::shadow::Copies;
use crate::batching::pool::RunError;
use crate::deploy::deployment::{Deployment, RequestStage};
use crate::deploy::recent::small_copy;
use crate::model::batch::Batch;
use crate::model::prediction_id::PredictionId;

/// One request. Holds the snapshot that answers it; its drop records it once, also when the client left.
pub struct Call {
    deployment: Arc<Deployment>,
    /// Given back at the end, or as soon as there is nothing to work on any more.
    permit: Permit,
    began: Instant,
    deadline: Instant,
    /// When the last stage ended.
    stage_ended: Instant,
    /// The clock, where it was read so lately that the next stage begins with it.
    clock: Option<Instant>,
    /// From the request's head to its encoded answer, once there is one.
    took: Option<Duration>,
    stages: [Option<Duration>; RequestStage::ALL.len()],
    /// Bytes of the body, as it was sent.
    received: usize,
    rows: usize,
    outcome: Outcome,
    draft: Option<Draft>,
    /// In a box, for it is long and most requests have none.
    copies: Option<Box<Copies>>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Dropped before it ended: the client left.
    Abandoned,
    Ok,
    Failed(Kind),
}

/// Time spent, for the answer's headers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timing {
    /// Waiting for a predictor.
    pub queue: Duration,
    /// In the model.
    pub predict: Duration,
    /// From the request's head to its encoded answer, or to its failure.
    pub total: Duration,
}

impl Call {
    pub(super) fn new(
        deployment: Arc<Deployment>,
        permit: Permit,
        now: Instant,
        timeout: Duration,
        draft: Option<Draft>,
        copies: Option<Box<Copies>>,
    ) -> Call {
        Call {
            deployment,
            permit,
            began: now,
            deadline: now + timeout,
            stage_ended: now,
            clock: None,
            took: None,
            stages: [None; RequestStage::ALL.len()],
            received: 0,
            rows: 0,
            outcome: Outcome::Abandoned,
            draft,
            copies,
        }
    }

    /// When its answer would be late.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The deployment that answers.
    pub fn deployment(&self) -> &Arc<Deployment> {
        &self.deployment
    }

    /// The record of it, where predictions are recorded.
    pub fn draft(&mut self) -> Option<&mut Draft> {
        self.draft.as_mut()
    }

    /// The prediction's id, where predictions are recorded or compared.
    pub fn prediction_id(&self) -> Option<PredictionId> {
        self.draft.as_ref().and_then(Draft::id)
    }

    /// Takes the predictions once they are encoded: where they are recorded, nothing is copied.
    pub fn keep(&mut self, output: Batch) {
        if let Some(copies) = &mut self.copies {
            copies.note_answer(&output);
        }
        if let Some(draft) = &mut self.draft {
            draft.note_outputs(output);
        }
    }

    /// Runs one synchronous stage and notes its time and, on failure, its outcome.
    ///
    /// # Errors
    /// Those of `work`; [`Kind::Deadline`] when the time limit has passed before, or meanwhile.
    pub fn stage<T>(
        &mut self,
        stage: RequestStage,
        work: impl FnOnce(&Deployment) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let start = self.clock.take().unwrap_or_else(Instant::now);
        if start > self.deadline {
            return Err(self.fail(deadline()));
        }
        let result = work(&self.deployment);
        let end = Instant::now();
        self.note(stage, end - start);
        self.stage_ended = end;
        self.clock = Some(end);
        match result {
            Ok(_) if end > self.deadline => Err(self.fail(deadline())),
            Ok(value) => Ok(value),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Refuses the request when its time limit has passed.
    ///
    /// # Errors
    /// [`Kind::Deadline`].
    pub fn refuse_late(&mut self) -> Result<(), Error> {
        match Instant::now() > self.deadline {
            true => Err(self.fail(deadline())),
            false => Ok(()),
        }
    }

    /// Notes the bytes of the body, as it was sent.
    pub fn note_received(&mut self, bytes: usize) {
        self.received = bytes;
        if let Some(draft) = &mut self.draft {
            draft.note_received(bytes);
        }
    }

    /// Refuses the request before its body is decoded, when the model has so much to do that it would be refused after:
    /// under overload most are, and what they cost is taken from those that are served. Its rows are expected by the bytes
    /// of the body, those that were received or else announced. `wait` is what it has to wait for before that.
    ///
    /// # Errors
    /// [`Kind::Overloaded`].
    pub fn refuse_early(&mut self, wait: Duration, announced: usize) -> Result<(), Error> {
        let rows = self.deployment.row_size().expect(self.received.max(announced));
        let refused = if wait.is_zero() {
            self.deployment.pool().refuses(rows, self.deadline)
        } else {
            let left = self.deadline.saturating_duration_since(Instant::now());
            // What is expected is an estimate.
            match left.checked_sub(wait.saturating_add(wait / 2)) {
                Some(_) => self.deployment.pool().refuses(rows, self.deadline - wait),
                None => Some(RunError::Overloaded {
                    reason: "the answer would come after the time limit",
                    after: wait,
                }),
            }
        };
        match refused {
            Some(error) => Err(self.fail(Error::of_run(&error))),
            None => Ok(()),
        }
    }

    /// Predicts. Cancel-safe: a dropped future abandons the job, and a predictor that runs it goes back to the pool.
    ///
    /// # Errors
    /// [`Kind::Deadline`], [`Kind::ModelFailed`], or [`Kind::Internal`] when the model panicked.
    pub async fn predict(&mut self, batch: Batch) -> Result<Batch, Error> {
        self.rows = batch.rows();
        self.deployment.row_size().learn(self.received, self.rows);
        if let Some(copies) = &mut self.copies {
            copies.note_inputs(&batch);
        }
        let deployment = Arc::clone(&self.deployment);
        // Copied before, since the batch is gone afterwards; one request in a tenth of a second.
        let copy = deployment
            .recent()
            .wants(self.began)
            .then(|| small_copy(&batch))
            .flatten();
        let queued = self.clock.take().unwrap_or_else(Instant::now);
        let mut batch = Some(batch);
        let kept = self.draft.as_mut().and_then(Draft::inputs);
        let result = deployment
            .pool()
            .run_from(&mut batch, self.deadline, queued, kept)
            .await;
        if let Some(kept @ None) = self.draft.as_mut().and_then(Draft::inputs) {
            *kept = batch;
        }
        match result {
            Ok(run) => {
                self.clock = run.ended;
                self.note(RequestStage::Queue, run.queue);
                self.note(RequestStage::Predict, run.predict);
                if let Some(copy) = copy {
                    deployment
                        .recent()
                        .keep(deployment.signature().inputs.as_ref(), copy);
                }
                Ok(run.output)
            }
            Err(error) => {
                if let RunError::Panicked(_) | RunError::Stopped = error {
                    tracing::error!(version = %deployment.id(), %error, "the model panicked");
                }
                Err(self.fail(Error::of_run(&error)))
            }
        }
    }

    /// Marks the call as failed and gives its permit back: what is left is to say so.
    pub fn fail(&mut self, error: Error) -> Error {
        self.permit.give_back();
        self.outcome = Outcome::Failed(error.kind());
        if let Some(draft) = &mut self.draft {
            draft.note_failure(error.kind().label(), error.message());
        }
        error
    }

    /// Marks the call as answered by its last stage.
    pub fn finish(&mut self) {
        self.outcome = Outcome::Ok;
        self.took = Some(self.stage_ended - self.began);
    }

    /// Where the time went until now.
    pub fn timing(&self) -> Timing {
        Timing {
            queue: self.stages[RequestStage::Queue as usize].unwrap_or_default(),
            predict: self.stages[RequestStage::Predict as usize].unwrap_or_default(),
            total: self.total(),
        }
    }

    fn total(&self) -> Duration {
        self.took.unwrap_or_else(|| self.began.elapsed())
    }

    fn note(&mut self, stage: RequestStage, time: Duration) {
        self.stages[stage as usize] = Some(time);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let label = match self.outcome {
            Outcome::Ok => None,
            Outcome::Failed(kind) => {
                reject(&Error::new(kind, String::new()));
                Some(kind.label())
            }
            Outcome::Abandoned => Some("abandoned"),
        };
        let total = self.total();
        self.deployment
            .meters()
            .record(label, self.rows, total, &self.stages);
        if let Some(copies) = self.copies.take() {
            match self.outcome {
                Outcome::Ok => {
                    let (id, key) = self.draft.as_ref().map(Draft::request).unwrap_or_default();
                    let took = self.timing().predict;
                    copies.note_outcome(Ok(took));
                    copies.send(took, id, key);
                }
                Outcome::Failed(kind) if kind.depends_on_version() => copies.note_outcome(Err(kind.label())),
                Outcome::Failed(_) | Outcome::Abandoned => {}
            }
        }
        if let (Some(draft), Some(recorder)) = (self.draft.take(), self.permit.recorder()) {
            draft.end(
                recorder,
                self.rows,
                &self.stages,
                total,
                self.outcome == Outcome::Abandoned,
            );
        }
    }
}
