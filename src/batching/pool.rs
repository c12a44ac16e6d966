//! The pool of a deployment's predictors.
//!
//! A call waits in line for a predictor, first come first served. A call that is expected to be cheap then runs where
//! it is, since handing it to a thread costs more than the call itself. A dear one runs on a thread of the pool, so
//! that the runtime goes on with other requests and the caller can give up waiting.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout_at;

use crate::flavor::{PredictError, Predictor};
use crate::model::batch::Batch;

use super::cost::Cost;

/// Calls expected to take less run on the calling task. A hop to a thread and back takes 10 to 30 µs; a runtime's
/// worker that is busy for half a millisecond still answers `/ping` in time.
const INLINE_BELOW: Duration = Duration::from_micros(500);

/// A finished call.
#[derive(Debug)]
pub struct Run {
    /// What the model answered.
    pub output: Batch,
    /// From the call to the start of the prediction.
    pub queue: Duration,
    /// The prediction alone.
    pub predict: Duration,
}

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The deadline passed, in line or while the model ran.
    #[error("the time limit has passed")]
    Deadline,
    /// The model panicked.
    #[error("the model panicked: {0}")]
    Panicked(String),
    /// The model refused or failed.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The pool has no predictors, or is going away.
    #[error("the model has no predictor to run on")]
    Stopped,
}

/// Predictors of one deployment, and their threads. Dropping it ends the threads once they have finished what they run.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    /// The thread of each predictor; none when the system refused one, its calls then run inline.
    lanes: Vec<Option<SyncSender<Job>>>,
}

struct Shared {
    permits: Arc<Semaphore>,
    idle: ArrayQueue<Slot>,
    cost: Cost,
}

/// A predictor and the number of its thread.
struct Slot {
    predictor: Box<dyn Predictor>,
    lane: usize,
}

/// A predictor in use. Goes back to the pool when dropped, before the next in line is let in.
struct Lease {
    slot: Option<Slot>,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

/// A call on its way to a thread.
struct Job {
    lease: Lease,
    batch: Batch,
    queued: Instant,
    reply: oneshot::Sender<Result<Run, RunError>>,
}

impl Pool {
    /// A pool of these predictors; `name` names the threads. `times` are rows and durations of calls made before, so
    /// that the first call is handled as the thousandth.
    pub fn new(predictors: Vec<Box<dyn Predictor>>, name: &str, times: &[(usize, Duration)]) -> Pool {
        let count = predictors.len();
        let cost = Cost::new();
        times.iter().for_each(|(rows, took)| cost.learn(*rows, *took));
        let shared = Arc::new(Shared {
            permits: Arc::new(Semaphore::new(count)),
            idle: ArrayQueue::new(count.max(1)),
            cost,
        });
        for (lane, predictor) in predictors.into_iter().enumerate() {
            shared.give_back(Slot { predictor, lane });
        }
        Pool {
            shared,
            lanes: (0..count).map(|lane| spawn(name, lane)).collect(),
        }
    }

    /// Number of predictors, which is the number of calls that run at once.
    pub fn size(&self) -> usize {
        self.lanes.len()
    }

    /// Runs one call, waiting for a predictor and for the answer until the deadline.
    ///
    /// Cancel-safe: a call dropped in line never runs; one dropped while it runs on a thread is finished there and its
    /// answer discarded.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn run(&self, batch: Batch, deadline: Instant) -> Result<Run, RunError> {
        let queued = Instant::now();
        if deadline <= queued {
            return Err(RunError::Deadline);
        }
        let lease = self.lease(deadline).await?;
        let cheap = self
            .shared
            .cost
            .expect(batch.rows())
            .is_some_and(|cost| cost < INLINE_BELOW);
        let lane = lease
            .slot
            .as_ref()
            .and_then(|slot| self.lanes.get(slot.lane))
            .and_then(Option::as_ref);
        let lane = match lane {
            Some(lane) if !cheap => lane,
            _ => return lease.predict(&batch, queued),
        };
        let (reply, answer) = oneshot::channel();
        // Never full: whoever holds the predictor is the only one to send to its thread.
        lane.try_send(Job {
            lease,
            batch,
            queued,
            reply,
        })
        .map_err(|_| RunError::Stopped)?;
        match timeout_at(deadline.into(), answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(RunError::Stopped),
            Err(_) => Err(RunError::Deadline),
        }
    }

    async fn lease(&self, deadline: Instant) -> Result<Lease, RunError> {
        // Permits that are given back go to those in line first, so this does not jump the queue.
        let permit = match Arc::clone(&self.shared.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => timeout_at(deadline.into(), Arc::clone(&self.shared.permits).acquire_owned())
                .await
                .map_err(|_| RunError::Deadline)?
                .map_err(|_| RunError::Stopped)?,
        };
        let slot = self.shared.idle.pop();
        debug_assert!(slot.is_some(), "a permit without a predictor");
        match slot {
            Some(slot) => Ok(Lease {
                slot: Some(slot),
                shared: Arc::clone(&self.shared),
                _permit: permit,
            }),
            None => Err(RunError::Stopped),
        }
    }
}

impl Shared {
    fn give_back(&self, slot: Slot) {
        let full = self.idle.push(slot).is_err();
        debug_assert!(!full, "more predictors than there is room for");
    }
}

impl Lease {
    /// Runs the call here and now, and gives the predictor back.
    fn predict(mut self, batch: &Batch, queued: Instant) -> Result<Run, RunError> {
        let Some(slot) = self.slot.as_mut() else {
            return Err(RunError::Stopped);
        };
        let started = Instant::now();
        // Predictors keep no state between calls, so one that panicked is as good as before.
        let answer = catch_unwind(AssertUnwindSafe(|| slot.predictor.predict(batch)));
        let predict = started.elapsed();
        self.shared.cost.learn(batch.rows(), predict);
        match answer {
            Ok(output) => Ok(Run {
                output: output?,
                queue: started.duration_since(queued),
                predict,
            }),
            Err(payload) => Err(RunError::Panicked(panic_text(payload.as_ref()))),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.shared.give_back(slot);
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Shared")
            .field("idle", &self.idle.len())
            .field("cost", &self.cost)
            .finish()
    }
}

fn spawn(name: &str, lane: usize) -> Option<SyncSender<Job>> {
    let (sender, jobs) = sync_channel(1);
    match std::thread::Builder::new()
        .name(format!("{name}-{lane}"))
        .spawn(move || serve(&jobs))
    {
        Ok(_) => Some(sender),
        Err(error) => {
            tracing::warn!(%error, "no thread for a predictor; its calls run on the runtime's threads");
            None
        }
    }
}

/// The life of a thread: until the pool is gone.
fn serve(jobs: &Receiver<Job>) {
    for Job {
        lease,
        batch,
        queued,
        reply,
    } in jobs
    {
        if reply.is_closed() {
            continue;
        }
        let result = lease.predict(&batch, queued);
        // The caller may have left; its answer is of no use to anybody else.
        let _ = reply.send(result);
    }
}

/// What a panic said.
pub fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or(payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests;
