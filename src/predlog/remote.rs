//! What sinks of servers have in common: a bounded queue, and a thread of its own that sends what is in it.
//!
//! The writer of records only hands items over. What comes while the server is slow or away is dropped and counted, and no
//! other sink waits.

mod sender;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use metrics::Counter;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Sender as Queue, channel};

use super::{SinkError, Standing};
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

    /// Whether it answers another question: what it broke on several times is then given up.
    fn is_there(&self) -> impl Future<Output = bool> {
        async { false }
    }
}

/// A batch did not get to the server.
#[derive(Debug)]
pub(super) struct Undelivered {
    /// Why.
    pub(super) error: Box<dyn std::error::Error + Send + Sync>,
    /// Whether it may get there later with nobody's help.
    pub(super) may_pass: bool,
    /// Whether the server took it and broke on it.
    pub(super) broke: bool,
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
    /// `None` once nothing more comes.
    queue: Option<Queue<Queued<T>>>,
    /// Since nothing more comes: until when what waits may be sent.
    until: Option<Instant>,
    closed: bool,
    load: Arc<Load>,
    queue_full: Counter,
    /// Ends when the sender does.
    ended: Receiver<()>,
}

/// What waits, and what was decided meanwhile.
#[derive(Default)]
struct Load {
    items: AtomicU64,
    count: AtomicUsize,
    bytes: AtomicUsize,
    /// Items that did not fit, or were not sent.
    lost: AtomicU64,
    /// Told when the sink is closed.
    closing: Notify,
}

impl Load {
    fn leave(&self, items: u64, count: usize, bytes: usize) {
        self.items.fetch_sub(items, Ordering::Relaxed);
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
            until: None,
            closed: false,
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
        load.items.fetch_add(1, Ordering::Relaxed);
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
                load.leave(1, count, bytes);
                load.lost.fetch_add(1, Ordering::Relaxed);
                self.queue_full.increment(count as u64);
            }
        }
    }

    /// What became of the items. Unlike the metrics, which count as [`Queued::count`] does, this is of whole ones, as that of
    /// other sinks is.
    pub(super) fn standing(&self) -> Standing {
        let waiting = self.load.items.load(Ordering::Relaxed);
        Standing {
            // What waited when it was closed, that has told.
            waiting: if self.closed { 0 } else { waiting },
            lost: self.load.lost.load(Ordering::Relaxed),
        }
    }

    /// Says that nothing more comes: what waits may be sent for a while from now on.
    pub(super) fn end(&mut self) {
        if self.queue.take().is_some() {
            self.load.closing.notify_one();
            self.until = Some(Instant::now() + LAST);
        }
    }

    /// Lets the thread send what waits, until that while is over.
    ///
    /// # Errors
    /// When the server is too slow for that, or the thread has ended before.
    pub(super) fn close(&mut self) -> Result<(), SinkError> {
        self.end();
        let now = Instant::now();
        let left = self
            .until
            .map_or(LAST, |until| until.saturating_duration_since(now));
        let reason = match self.ended.recv_timeout(left) {
            Err(RecvTimeoutError::Timeout) => "the server is too slow",
            _ => "their thread has ended before",
        };
        self.closed = true;
        match self.load.items.load(Ordering::Relaxed) {
            0 => Ok(()),
            lost => {
                let attempt = format!("send the last of `{}` to {}", self.label.sink, self.label.place);
                Err(SinkError::new(attempt, reason).losing(lost))
            }
        }
    }
}

#[cfg(test)]
mod tests;
