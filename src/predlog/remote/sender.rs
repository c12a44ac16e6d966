//! The thread that sends what waits for a server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use metrics::Counter;
use tokio::sync::mpsc::Receiver;
use tokio::time::{timeout, timeout_at};

use super::{Destination, Label, Limits, Load, Queued, Undelivered};
use crate::telemetry::names;

/// The niceness of the thread, as of that of the writer.
const NICENESS: i32 = 10;
/// A batch is sent again until that long after it was sent first, and then dropped.
const GIVE_UP: Duration = Duration::from_secs(300);
/// As often the server may break on a batch while it answers other questions: it will not pass then.
const TRIES: u32 = 3;
/// The wait after a failure; it doubles up to the second one.
const BACK_OFF: Duration = Duration::from_millis(250);
const MAX_BACK_OFF: Duration = Duration::from_secs(10);
/// No wait that a server asks for is longer.
const MAX_ASKED: Duration = Duration::from_secs(120);
/// By how much of it, up and down, chance changes a wait: several replicas shall not come back at one moment.
const JITTER: f64 = 0.2;

/// Takes items out of the queue and sends them.
pub(super) struct Sender<D: Destination> {
    destination: D,
    label: Label,
    limits: Limits,
    queue: Receiver<Queued<D::Item>>,
    load: Arc<Load>,
    taken: Counter,
    failed: Counter,
    /// Since the last success: the next wait, and what was lost.
    failing: Option<(Duration, u64)>,
}

impl<D: Destination> Sender<D> {
    pub(super) fn new(
        destination: D,
        label: Label,
        limits: Limits,
        queue: Receiver<Queued<D::Item>>,
        load: Arc<Load>,
    ) -> Sender<D> {
        let sink = label.sink;
        Sender {
            destination,
            label,
            limits,
            queue,
            load,
            taken: metrics::counter!(names::RECORDS_TOTAL, names::SINK => sink),
            failed: metrics::counter!(
                names::RECORDS_DROPPED_TOTAL, names::REASON => "sink_failed", names::SINK => sink
            ),
            failing: None,
        }
    }

    /// Sends until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let sink = self.label.sink;
        if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
            tracing::debug!(sink, %error, "the thread that sends keeps its priority");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(async {
                let mut batch = Vec::new();
                while self.fill(&mut batch).await {
                    self.deliver(&batch).await;
                    let bytes = batch.iter().map(|queued| queued.bytes).sum();
                    self.load.leave(batch.len() as u64, count(&batch), bytes);
                    batch.clear();
                }
            }),
            Err(error) => tracing::error!(sink, %error, "nothing is sent"),
        }
    }

    /// Takes what is sent together; `false` at the end.
    async fn fill(&mut self, batch: &mut Vec<Queued<D::Item>>) -> bool {
        let limit = self.limits.together.max(1);
        if self.queue.recv_many(batch, limit).await == 0 {
            return false;
        }
        let until = tokio::time::Instant::now() + self.limits.linger;
        while batch.len() < limit {
            let room = limit - batch.len();
            if let Ok(0) | Err(_) = timeout_at(until, self.queue.recv_many(batch, room)).await {
                break;
            }
        }
        true
    }

    /// Sends a batch until the server has it, refuses it, or was away for too long.
    async fn deliver(&mut self, batch: &[Queued<D::Item>]) {
        let began = Instant::now();
        let all = count(batch) as u64;
        let items = batch.len() as u64;
        let (mut again, mut broke) = (false, 0);
        loop {
            let problem = match self.destination.send(batch, again).await {
                Ok(refused) => {
                    let refused = refused.min(all);
                    self.taken.increment(all - refused);
                    // Nobody says whose they are.
                    self.lose(refused.min(items), refused);
                    self.works();
                    return;
                }
                Err(problem) => problem,
            };
            broke += u32::from(problem.broke);
            again = problem.may_pass
                && !self.queue.is_closed()
                && began.elapsed() < GIVE_UP
                // Others must not wait for one that the server cannot take.
                && !(broke >= TRIES && self.destination.is_there().await);
            let lost = if again { 0 } else { all };
            let wait = self.fails(&problem, lost);
            if !again {
                self.lose(items, all);
            }
            if !self.queue.is_closed() {
                let _ = timeout(wait, self.load.closing.notified()).await;
            }
            if !again {
                return;
            }
        }
    }

    /// Counts lost items, and what they count as.
    fn lose(&self, items: u64, all: u64) {
        self.failed.increment(all);
        self.load.lost.fetch_add(items, Ordering::Relaxed);
    }

    /// Tells of a failure, the first of several in the log; says how long to wait.
    fn fails(&mut self, problem: &Undelivered, lost: u64) -> Duration {
        let (wait, before) = self.failing.unwrap_or((BACK_OFF, 0));
        if self.failing.is_none() {
            let Label {
                sink, place, fails, ..
            } = &self.label;
            let error = &problem.error;
            let cause = error.source().map(ToString::to_string);
            tracing::error!(sink, place, %error, cause, "{fails}");
        }
        self.failing = Some(((wait * 2).min(MAX_BACK_OFF), before + lost));
        let wait = wait.mul_f64(1.0 + JITTER * (2.0 * fastrand::f64() - 1.0));
        wait.max(problem.wait.unwrap_or_default().min(MAX_ASKED))
    }

    fn works(&mut self) {
        if let Some((_, lost)) = self.failing.take() {
            let Label {
                sink, place, works, ..
            } = &self.label;
            tracing::info!(sink, place, lost, "{works}");
        }
    }
}

/// As how many the items of a batch count.
fn count<T>(batch: &[Queued<T>]) -> usize {
    batch.iter().map(|queued| queued.count).sum()
}
