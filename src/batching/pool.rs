//! The predictors of a deployment, and the line of calls before them.
//!
//! A call that finds a predictor idle and nobody in line runs at once: where it is when it should be cheap, since handing
//! it to a thread costs more than the call itself, else on the predictor's thread, so that the runtime goes on with other
//! requests and the caller can give up waiting. A call that finds all of them busy waits in line, and whoever gives a
//! predictor back first takes what waits, as one batch. No predictor is idle while somebody waits.

mod admit;
mod lead;
mod lease;
mod parts;
mod turns;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout_at;

use crate::flavor::{PredictError, Predictor};
use crate::model::batch::Batch;

use super::gather::Gather;
use super::plan::{Taken, take};
use super::run::{Job, Runner};
pub use super::run::{Run, panic_text};
use super::spare::Spare;
use super::{Config, Meters};
use lease::{Lease, Work, spawn};

/// Calls expected to take less run on the calling task. A hop to a thread and back takes 10 to 30 µs; a runtime's
/// worker that is busy for half a millisecond still answers `/ping` in time.
const INLINE_BELOW: Duration = Duration::from_micros(500);

/// A batch may take this part of the time that its calls wait: so one that comes while another is being run can be in the
/// next.
const BATCHES: u32 = 2;

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The deadline passed, in line or while the model ran.
    #[error("the time limit has passed")]
    Deadline,
    /// Too much waits already, or the answer would come after the deadline.
    #[error("{reason}")]
    Overloaded {
        /// Which of the two.
        reason: &'static str,
        /// When what waits now should be done.
        after: Duration,
    },
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

/// How a pool is made.
#[derive(Debug, Clone, Default)]
pub struct Setup<'a> {
    /// Names the threads.
    pub name: &'a str,
    /// How calls are batched.
    pub config: Config,
    /// Calls of so many rows, or more, may be put together and taken apart.
    pub join_from: Option<NonZeroUsize>,
    /// Rows and durations of calls made before, so that the first call is handled as the thousandth.
    pub times: &'a [(usize, Duration)],
    /// What is counted.
    pub meters: Meters,
}

/// Predictors of one deployment, and their threads. Dropping it ends the threads once they have finished what they run.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    /// The thread of each predictor; none when the system refused one, its calls then run inline.
    lanes: Vec<Option<SyncSender<Work>>>,
    /// The runtime of the requests, where it may run calls in line as well: see [`turns`].
    host: OnceLock<Option<Handle>>,
    runner: Runner,
    spare: Spare,
    state: Mutex<State>,
    /// Told when a full batch waits for the end of its delay.
    full: Notify,
}

struct State {
    idle: Vec<Slot>,
    line: VecDeque<Job>,
    /// Rows in line.
    rows: usize,
    /// Calls refused since the last batch was taken.
    refused: usize,
    /// And since the one before it, until that was taken.
    refused_before: usize,
    /// The number of the task that is about to take what is in line, so that others need not.
    led: Option<u64>,
    /// How many there were.
    leads: u64,
    gather: Gather,
}

/// A predictor and the number of its thread.
struct Slot {
    predictor: Box<dyn Predictor>,
    lane: usize,
}

/// What becomes of a call at first.
enum Entry {
    /// It has a predictor, and its batch still.
    Now(Lease),
    /// It waits in line; with a number in `leads`, the caller takes the line after others had time to join it.
    Waits {
        answer: oneshot::Receiver<Result<Run, RunError>>,
        leads: Option<u64>,
        /// How long it should, where that was asked before it was let in.
        wait: Option<Duration>,
    },
}

impl Pool {
    /// A pool of these predictors.
    pub fn new(predictors: Vec<Box<dyn Predictor>>, setup: Setup<'_>) -> Pool {
        let join_from = setup.join_from.filter(|_| setup.config.max_rows > 1);
        let runner = Runner::new(join_from, setup.meters);
        for (rows, took) in setup.times {
            runner.cost.learn(*rows, *took);
        }
        let lanes = 0..predictors.len();
        let idle = predictors
            .into_iter()
            .enumerate()
            .map(|(lane, predictor)| Slot { predictor, lane })
            .collect();
        Pool {
            shared: Arc::new(Shared {
                config: setup.config,
                lanes: lanes.map(|lane| spawn(setup.name, lane)).collect(),
                host: OnceLock::new(),
                runner,
                spare: Spare::new(),
                state: Mutex::new(State {
                    idle,
                    line: VecDeque::new(),
                    rows: 0,
                    refused: 0,
                    refused_before: 0,
                    led: None,
                    leads: 0,
                    gather: Gather::new(),
                }),
                full: Notify::new(),
            }),
        }
    }

    /// Number of predictors, which is the number of batches that run at once.
    pub fn size(&self) -> usize {
        self.shared.lanes.len()
    }

    /// Runs one call, alone or with others, waiting for a predictor and for the answer until the deadline.
    ///
    /// Cancel-safe: a call dropped in line never runs; one dropped while it runs on a thread is finished there and its
    /// answer discarded.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn run(&self, batch: Batch, deadline: Instant) -> Result<Run, RunError> {
        self.run_from(&mut Some(batch), deadline, Instant::now(), None)
            .await
    }

    /// The same for who has just looked at the clock. The batch is taken only where it is run by somebody else, once `kept`
    /// has a copy of it.
    ///
    /// # Errors
    /// See [`RunError`]; [`RunError::Stopped`] without a batch.
    pub async fn run_from(
        &self,
        batch: &mut Option<Batch>,
        deadline: Instant,
        queued: Instant,
        mut kept: Option<&mut Option<Batch>>,
    ) -> Result<Run, RunError> {
        if deadline <= queued {
            return Err(RunError::Deadline);
        }
        let whole = batch.as_ref().ok_or(RunError::Stopped)?;
        let rows = whole.rows();
        let parts = self.parts(whole, rows);
        if parts > 1 {
            return self.run_parts(whole, rows, parts, deadline, queued).await;
        }
        match self.enter(batch, rows, deadline, queued, kept.as_deref_mut())? {
            Entry::Now(lease) => match batch {
                Some(batch) if self.runs_here(&lease, rows) => self.run_here(lease, batch, rows, queued),
                _ => {
                    copy(batch, kept);
                    let batch = batch.take().ok_or(RunError::Stopped)?;
                    self.run_there(lease, batch, rows, deadline, queued).await
                }
            },
            Entry::Waits { answer, leads, wait } => {
                if let Some(number) = leads {
                    self.lead(number).await;
                }
                let mut result = end(answer, deadline).await;
                let ended = self.learn(wait, queued, &result);
                if let Ok(run) = &mut result {
                    run.ended = ended;
                }
                result
            }
        }
    }

    /// A predictor, or a place in line.
    fn enter(
        &self,
        batch: &mut Option<Batch>,
        rows: usize,
        deadline: Instant,
        queued: Instant,
        kept: Option<&mut Option<Batch>>,
    ) -> Result<Entry, RunError> {
        let shared = &self.shared;
        let joins = batch
            .as_ref()
            .is_some_and(|batch| shared.runner.joins(batch, rows));
        let mut state = shared.lock();
        let mut leads = false;
        if state.led.is_none() && !state.idle.is_empty() {
            leads = !state.line.is_empty() || (joins && shared.gathers(&mut state));
            if !leads && let Some(slot) = state.idle.pop() {
                drop(state);
                return Ok(Entry::Now(shared.lease(slot)));
            }
        }
        if shared.lanes.is_empty() {
            return Err(RunError::Stopped);
        }
        let wait = self.admit(&mut state, rows, deadline, queued)?;
        if kept.is_some() {
            // Others need not wait for the copy; the line may be another after it.
            drop(state);
            copy(batch, kept);
            return self.enter(batch, rows, deadline, queued, None);
        }
        let batch = batch.take().ok_or(RunError::Stopped)?;
        let (reply, answer) = oneshot::channel();
        state.rows = state.rows.saturating_add(rows);
        shared.runner.meters.enqueued_rows.increment(rows as u64);
        let leads = leads.then_some(state.leads + 1);
        if let Some(number) = leads {
            (state.led, state.leads) = (leads, number);
        }
        state.line.push_back(Job {
            batch,
            rows,
            joins,
            deadline,
            queued,
            reply,
        });
        if state.led.is_some() && joins && shared.is_full(&state) {
            // A full batch waits for nobody: whoever leads may be behind all the requests of an overload.
            shared.full.notify_one();
            if let Some(slot) = state.idle.pop() {
                state.led = None;
                drop(state);
                shared.lease(slot).hand_on(Vec::new());
            }
        }
        Ok(Entry::Waits { answer, leads, wait })
    }

    /// Whether a call is for the task that asks.
    fn runs_here(&self, lease: &Lease, rows: usize) -> bool {
        self.shared.runner.cost.is_below(rows, INLINE_BELOW) || lease.thread().is_none()
    }

    /// Runs a call on a predictor that was idle.
    fn run_here(
        &self,
        mut lease: Lease,
        batch: &Batch,
        rows: usize,
        queued: Instant,
    ) -> Result<Run, RunError> {
        let (slot, runner) = (lease.slot.as_mut().ok_or(RunError::Stopped)?, &self.shared.runner);
        let result = runner.now(slot.predictor.as_mut(), batch, rows, queued);
        self.give_back(lease);
        result
    }

    /// Runs a call on the thread of a predictor that was idle.
    async fn run_there(
        &self,
        lease: Lease,
        batch: Batch,
        rows: usize,
        deadline: Instant,
        queued: Instant,
    ) -> Result<Run, RunError> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            batch,
            rows,
            joins: false,
            deadline,
            queued,
            reply,
        };
        lease.hand_on(vec![job]);
        end(answer, deadline).await
    }

    /// Gives back a predictor that was used here; what came meanwhile is for its thread.
    fn give_back(&self, mut lease: Lease) {
        let mut state = self.shared.lock();
        if state.line.is_empty() || state.led.is_some() {
            // Under the same lock that showed nobody in line, lest somebody come in between.
            state.idle.extend(lease.slot.take());
            return;
        }
        drop(state);
        lease.hand_on(Vec::new());
    }
}

/// Keeps a copy where one is wanted and not kept yet.
fn copy(batch: &Option<Batch>, kept: Option<&mut Option<Batch>>) {
    if let Some(kept @ None) = kept {
        kept.clone_from(batch);
    }
}

/// The answer of a call in line, until its deadline.
async fn end(answer: oneshot::Receiver<Result<Run, RunError>>, deadline: Instant) -> Result<Run, RunError> {
    match timeout_at(deadline.into(), answer).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(RunError::Stopped),
        Err(_) => Err(RunError::Deadline),
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lease(self: &Arc<Self>, slot: Slot) -> Lease {
        Lease {
            slot: Some(slot),
            shared: Arc::clone(self),
        }
    }

    fn gathers(&self, state: &mut State) -> bool {
        !self.config.max_delay.is_zero() || state.gather.wanted(self.runner.cost.fixed())
    }

    /// Rows of one batch of calls that wait so long for their answers.
    fn batch_rows(&self, patience: Duration) -> usize {
        let rows = self.runner.rows_within(self.config.max_time, patience / BATCHES);
        self.config.max_rows.min(rows)
    }

    /// Whether the next batch has all the rows that it may have.
    fn is_full(&self, state: &State) -> bool {
        let full = |first| state.rows >= self.rows_of(first);
        state.line.front().is_some_and(full)
    }

    /// Rows of a batch by its first call: by what that was ready to wait and not by what is left of it, for else each batch
    /// would be shorter than the one before, and a model that works on many rows as fast as on one could do less the more
    /// it has to do.
    fn rows_of(&self, first: &Job) -> usize {
        match self.runner.joins_any() {
            true => self.batch_rows(first.deadline.saturating_duration_since(first.queued)),
            false => 1,
        }
    }
}

impl State {
    /// Takes the next batch out of the line; empty when nobody waits.
    fn next(&mut self, max_rows: impl Fn(&Job) -> usize, now: Instant, meters: &Meters) -> Vec<Job> {
        let Taken { batch, dropped } = take(&mut self.line, max_rows, now);
        let gone = batch.iter().chain(&dropped).map(|job| job.rows).sum::<usize>();
        self.rows = self.rows.saturating_sub(gone);
        meters.dequeued_rows.increment(gone as u64);
        for job in dropped {
            let _ = job.reply.send(Err(RunError::Deadline));
        }
        self.refused_before = std::mem::take(&mut self.refused);
        batch
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        out.debug_struct("Shared")
            .field("idle", &state.idle.len())
            .field("line", &state.line.len())
            .field("runner", &self.runner)
            .finish()
    }
}

#[cfg(test)]
mod tests;
