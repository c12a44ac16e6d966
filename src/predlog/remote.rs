//! What sinks of servers have in common: a bounded queue, and a thread of its own that sends what is in it.
//!
//! The writer of records only hands items over. What comes while the server is slow or away is dropped and counted, and no
//! other sink waits.

mod sender;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use metrics::Counter;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Sender as Queue, channel};

use super::SinkError;
use crate::telemetry::names;
use sender::Sender;

/// The end of the process waits so long for what is in the queue.
const LAST: Duration = Duration::from_secs(5);

/// How much waits for a server, and how much is sent together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// What may wait, in the unit of [`Queued::count`].
    pub(super) count: usize,
    /// About how much memory it may take.
    pub(super) bytes: usize,
    /// Items of one request, and how long the first of them waits for others.
    pub(super) together: usize,
    /// The wait.
    pub(super) linger: Duration,
}

/// What a sink is called, and what the log says of it.
#[derive(Debug, Clone)]
pub(super) struct Label {
    /// The sink in metrics and the log, one of few.
    pub(super) sink: &'static str,
    /// Name of the thread.
    pub(super) thread: &'static str,
    /// Where the server is, or what of it is written to; without secrets.
    pub(super) place: String,
    /// What the log says when nothing gets there, and when it does again.
    pub(super) fails: &'static str,
    /// The latter.
    pub(super) works: &'static str,
}

/// A server that items are sent to.
pub(super) trait Destination: Send + 'static {
    /// What is sent.
    type Item: Send + 'static;

    /// Sends a batch once; `again` where the same was sent before. Says how many of it the server refused.
    fn send(
        &mut self,
        batch: &[Queued<Self::Item>],
        again: bool,
    ) -> impl Future<Output = Result<u64, Undelivered>>;
}

/// A batch did not get to the server.
#[derive(Debug)]
pub(super) struct Undelivered {
    /// Why.
    pub(super) error: Box<dyn std::error::Error + Send + Sync>,
    /// Whether it may get there later with nobody's help.
    pub(super) may_pass: bool,
    /// The wait that the server asks for.
    pub(super) wait: Option<Duration>,
}

/// An item on its way.
#[derive(Debug)]
pub(super) struct Queued<T> {
    pub(super) item: T,
    /// As how many it counts: a request is one prediction, but several spans.
    pub(super) count: usize,
    bytes: usize,
}

/// The queue before a server.
pub(super) struct Remote<T> {
    label: Label,
    limits: Limits,
    /// `None` once it is closed.
    queue: Option<Queue<Queued<T>>>,
    load: Arc<Load>,
    queue_full: Counter,
    /// Ends when the sender does.
    ended: Receiver<()>,
}

/// What waits, and what was decided meanwhile.
#[derive(Default)]
struct Load {
    count: AtomicUsize,
    bytes: AtomicUsize,
    /// Told when the sink is closed.
    closing: Notify,
}

impl Load {
    fn leave(&self, count: usize, bytes: usize) {
        self.count.fetch_sub(count, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl<T: Send + 'static> Remote<T> {
    /// Starts the thread that talks to the server; nothing is sent yet.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start<D: Destination<Item = T>>(
        label: Label,
        limits: Limits,
        destination: D,
    ) -> io::Result<Remote<T>> {
        let (queue, queued) = channel(limits.count.max(1));
        let load = Arc::new(Load::default());
        let (end, ended) = sync_channel(0);
        let sender = Sender::new(destination, label.clone(), limits, queued, Arc::clone(&load));
        std::thread::Builder::new()
            .name(label.thread.into())
            .spawn(move || {
                let _end = end;
                sender.run();
            })?;
        let sink = label.sink;
        Ok(Remote {
            label,
            limits,
            queue: Some(queue),
            load,
            queue_full: metrics::counter!(
                names::RECORDS_DROPPED_TOTAL, names::REASON => "queue_full", names::SINK => sink
            ),
            ended,
        })
    }

    /// Name of the sink.
    pub(super) fn sink(&self) -> &'static str {
        self.label.sink
    }

    /// Hands an item over, which is made where it fits, or drops and counts it.
    pub(super) fn offer(&self, count: usize, bytes: usize, item: impl FnOnce() -> T) {
        let Some(queue) = &self.queue else { return };
        let load = &self.load;
        let counted = load.count.fetch_add(count, Ordering::Relaxed);
        let weighed = load.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = counted.saturating_add(count) <= self.limits.count
            && weighed.saturating_add(bytes) <= self.limits.bytes;
        let place = if fits { queue.try_reserve().ok() } else { None };
        match place {
            Some(place) => place.send(Queued {
                item: item(),
                count,
                bytes,
            }),
            None => {
                load.leave(count, bytes);
                self.queue_full.increment(count as u64);
            }
        }
    }

    /// Lets the thread send what waits, for a while.
    ///
    /// # Errors
    /// When the server is too slow for that.
    pub(super) fn close(&mut self) -> Result<(), SinkError> {
        self.queue = None;
        self.load.closing.notify_one();
        match self.ended.recv_timeout(LAST) {
            Err(RecvTimeoutError::Timeout) => {
                let lost = self.load.count.load(Ordering::Relaxed) as u64;
                let attempt = format!("send the last of `{}` to {}", self.label.sink, self.label.place);
                Err(SinkError::new(attempt, "the server is too slow").losing(lost))
            }
            _ => Ok(()),
        }
    }
}
