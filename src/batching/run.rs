//! Running a batch: several calls as one, each with its own answer, or its own failure.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Meters;
use super::cost::Cost;
use super::join::{fit, has_rows, join, split};
use super::plan::Waiting;
use super::pool::RunError;
use super::stretch::Stretch;
use crate::flavor::Predictor;
use crate::model::batch::Batch;

/// A finished call.
#[derive(Debug)]
pub struct Run {
    /// What the model answered.
    pub output: Batch,
    /// From the call to the start of the prediction.
    pub queue: Duration,
    /// The prediction, that of the whole batch when the call shared one.
    pub predict: Duration,
    /// When it ended, if it ran on the task that asked: who goes on there need not look at the clock again.
    pub ended: Option<Instant>,
}

/// A call that waits for its answer.
pub(super) struct Job {
    pub(super) batch: Batch,
    pub(super) rows: usize,
    /// Whether it may share a call of the model.
    pub(super) joins: bool,
    pub(super) deadline: Instant,
    pub(super) queued: Instant,
    pub(super) reply: oneshot::Sender<Result<Run, RunError>>,
}

impl Waiting for Job {
    fn rows(&self) -> usize {
        self.rows
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn fits(&self, other: &Job) -> bool {
        self.joins && other.joins && fit(&other.batch, &self.batch)
    }
}

/// What predictors are at work on. Its parts are read one after the other, so it may be off by a call that begins or ends
/// meanwhile.
#[derive(Debug)]
struct Underway {
    /// Rows, and how many calls they are in, in one number: see [`counted`].
    size: AtomicU64,
    /// The sum of when they began, in nanoseconds since `zero`; it may wrap.
    begun: AtomicU64,
    zero: Instant,
}

/// Bits of a size that count calls, of which there are no more than predictors; those above count rows.
const CALLS_BITS: u32 = 16;
const MAX_CALLS: u64 = (1 << CALLS_BITS) - 1;

/// One call of so many rows, as a size. More rows than a number of 48 bits holds fit in no memory.
fn counted(rows: usize) -> u64 {
    ((rows as u64) << CALLS_BITS) | 1
}

/// A call that is at work.
struct Begun {
    rows: usize,
    /// Since `zero`.
    nanos: u64,
}

impl Underway {
    fn new() -> Underway {
        Underway {
            size: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            zero: Instant::now(),
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.zero).as_nanos() as u64
    }

    /// Gives what [`Underway::end`] is to be told.
    fn begin(&self, rows: usize, at: Instant) -> Begun {
        let nanos = self.nanos(at);
        self.size.fetch_add(counted(rows), Ordering::Relaxed);
        self.begun.fetch_add(nanos, Ordering::Relaxed);
        Begun { rows, nanos }
    }

    fn end(&self, begun: Begun) {
        self.size.fetch_sub(counted(begun.rows), Ordering::Relaxed);
        self.begun.fetch_sub(begun.nanos, Ordering::Relaxed);
    }

    /// Rows, and for how long they have been worked on, all calls together.
    fn look(&self, now: Instant) -> (usize, Duration) {
        let size = self.size.load(Ordering::Relaxed);
        let (rows, calls) = ((size >> CALLS_BITS) as usize, size & MAX_CALLS);
        let all = calls.wrapping_mul(self.nanos(now));
        let nanos = all.wrapping_sub(self.begun.load(Ordering::Relaxed));
        (rows, Duration::from_nanos(nanos))
    }
}

/// What running needs besides a predictor.
#[derive(Debug)]
pub(super) struct Runner {
    /// What a call of the model takes.
    pub(super) cost: Cost,
    /// How much longer a call takes the line.
    stretch: Stretch,
    underway: Underway,
    /// Calls of so many rows, or more, may be put together and taken apart; 0 for none, also once an answer had not the
    /// rows of its batch.
    join_from: AtomicUsize,
    pub(super) meters: Meters,
}

impl Runner {
    pub(super) fn new(join_from: Option<NonZeroUsize>, meters: Meters) -> Runner {
        Runner {
            cost: Cost::new(),
            stretch: Stretch::new(),
            underway: Underway::new(),
            join_from: AtomicUsize::new(join_from.map_or(0, NonZeroUsize::get)),
            meters,
        }
    }

    /// Learns what a batch out of the line took, until the next could be taken.
    pub(super) fn drained(&self, rows: usize, took: Duration) {
        if let Some(work) = self.cost.expect(rows, 1) {
            self.stretch.learn(work, took);
        }
    }

    /// How long it should take until so many rows, in so many calls, and those being run are done by one predictor.
    pub(super) fn wait(&self, rows: usize, calls: usize, now: Instant) -> Duration {
        let (running, done) = self.underway.look(now);
        let all = self.cost.expect(rows.saturating_add(running), calls);
        let under_way = self.cost.expect(running, 1).unwrap_or_default();
        let whole = self.stretch.whole(all.unwrap_or_default());
        whole.saturating_sub(done.min(self.stretch.whole(under_way)))
    }

    /// Rows of a batch in which the model should be at work no longer than `predict`, and after which the next should begin
    /// within `whole`.
    pub(super) fn rows_within(&self, predict: Duration, whole: Duration) -> usize {
        self.cost.rows_within(predict.min(self.stretch.work(whole)))
    }

    /// Whether this call may be put together with others, or taken apart.
    pub(super) fn joins(&self, batch: &Batch, rows: usize) -> bool {
        self.joins_any() && rows >= self.join_from() && has_rows(batch)
    }

    /// Whether any may.
    pub(super) fn joins_any(&self) -> bool {
        self.join_from.load(Ordering::Relaxed) > 0
    }

    /// Rows of the shortest call that may; at least one.
    pub(super) fn join_from(&self) -> usize {
        self.join_from.load(Ordering::Relaxed).max(1)
    }

    /// Gives joining up: an answer was not one of rows.
    pub(super) fn no_more_joins(&self) {
        if self.join_from.swap(0, Ordering::Relaxed) > 0 {
            tracing::warn!(
                "an answer does not have the rows of its batch, so the model's calls run one by one from now on"
            );
        }
    }

    /// One call, which has been in line.
    pub(super) fn alone(
        &self,
        predictor: &mut dyn Predictor,
        batch: &Batch,
        rows: usize,
        queued: Instant,
    ) -> Result<Run, RunError> {
        let started = Instant::now();
        let run = self.now(predictor, batch, rows, started)?;
        Ok(Run {
            queue: started.duration_since(queued),
            ended: None,
            ..run
        })
    }

    /// One call, which nobody keeps from starting.
    pub(super) fn now(
        &self,
        predictor: &mut dyn Predictor,
        batch: &Batch,
        rows: usize,
        started: Instant,
    ) -> Result<Run, RunError> {
        let begun = self.underway.begin(rows, started);
        // Predictors keep no state between calls, so one that panicked is as good as before.
        let answer = catch_unwind(AssertUnwindSafe(|| predictor.predict(batch)));
        let ended = Instant::now();
        let predict = ended - started;
        self.underway.end(begun);
        match answer {
            Ok(Ok(output)) => {
                self.cost.learn(rows, predict);
                self.meters.batch_rows.record(rows as f64);
                Ok(Run {
                    output,
                    queue: Duration::ZERO,
                    predict,
                    ended: Some(ended),
                })
            }
            Ok(Err(error)) => Err(RunError::Predict(error)),
            Err(payload) => Err(RunError::Panicked(panic_text(payload.as_ref()))),
        }
    }

    /// Calls that fit together, as one; when that fails, by halves, so that one bad row costs its own call alone.
    pub(super) fn together(&self, predictor: &mut dyn Predictor, mut jobs: Vec<Job>) {
        if jobs.len() > 1 && self.joins_any() {
            match self.joined(predictor, &jobs) {
                Ok(runs) => {
                    for (job, run) in jobs.into_iter().zip(runs) {
                        // The caller may have left; its answer is of no use to anybody else.
                        let _ = job.reply.send(Ok(run));
                    }
                }
                Err(Apart::Halves) => {
                    let second = jobs.split_off(jobs.len() / 2);
                    self.together(predictor, jobs);
                    self.together(predictor, second);
                }
                Err(Apart::Each) => self.each(predictor, jobs),
            }
        } else {
            self.each(predictor, jobs);
        }
    }

    fn each(&self, predictor: &mut dyn Predictor, jobs: Vec<Job>) {
        for job in jobs {
            if !job.reply.is_closed() {
                let result = self.alone(predictor, &job.batch, job.rows, job.queued);
                let _ = job.reply.send(result);
            }
        }
    }

    fn joined(&self, predictor: &mut dyn Predictor, jobs: &[Job]) -> Result<Vec<Run>, Apart> {
        let batches: Vec<&Batch> = jobs.iter().map(|job| &job.batch).collect();
        let rows: Vec<usize> = jobs.iter().map(|job| job.rows).collect();
        let all = join(&batches).ok_or(Apart::Each)?;
        let total = rows.iter().sum();
        let Ok(run) = self.alone(predictor, &all, total, Instant::now()) else {
            return Err(Apart::Halves);
        };
        let started = Instant::now()
            .checked_sub(run.predict)
            .unwrap_or_else(Instant::now);
        let Some(outputs) = split(&run.output, &rows) else {
            self.no_more_joins();
            return Err(Apart::Each);
        };
        let runs = jobs.iter().zip(outputs).map(|(job, output)| Run {
            output,
            queue: started.saturating_duration_since(job.queued),
            predict: run.predict,
            ended: None,
        });
        Ok(runs.collect())
    }
}

/// Why calls that were to run as one have to run apart.
enum Apart {
    /// The batch failed: some of its calls may be good.
    Halves,
    /// They are not of one kind, or the answer is not one of rows.
    Each,
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
mod tests {
    use super::*;

    #[test]
    fn what_a_batch_takes_the_line_beyond_the_model_is_waited_for() {
        let milli = Duration::from_millis(1);
        let runner = Runner::new(None, Meters::default());
        (0..50).for_each(|_| runner.cost.learn(1, 10 * milli));
        let now = Instant::now();
        let rows = || runner.rows_within(1_000 * milli, 100 * milli);
        assert_eq!((runner.wait(2, 1, now).as_millis(), rows()), (20, 10));
        // Requests have half of the core.
        (0..100).for_each(|_| runner.drained(1, 20 * milli));
        assert!((39..=40).contains(&runner.wait(2, 1, now).as_millis()));
        assert_eq!(rows(), 5);
    }

    #[test]
    fn what_is_done_of_a_call_is_not_waited_for() {
        let runner = Runner::new(None, Meters::default());
        for rows in [1, 10] {
            for _ in 0..50 {
                runner.cost.learn(rows, Duration::from_millis(10) * rows as u32);
            }
        }
        let started = Instant::now();
        let wait = |after| {
            runner
                .wait(1, 1, started + Duration::from_millis(after))
                .as_millis()
        };
        assert_eq!(wait(0), 10);
        let first = runner.underway.begin(2, started);
        assert_eq!([wait(0), wait(5), wait(19)], [30, 25, 11]);
        // A call that takes longer than expected may end at any time.
        assert_eq!(wait(500), 10);
        let _second = runner.underway.begin(1, started + Duration::from_millis(10));
        assert_eq!(wait(15), 20);
        runner.underway.end(first);
        assert_eq!(wait(15), 15);
    }
}
