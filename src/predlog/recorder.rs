//! The queue between requests and sinks, and the thread that empties it.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_queue::ArrayQueue;
use metrics::{Counter, Gauge};

use super::privacy::Privacy;
use super::record::Entry;
use super::{Sink, SinkError};
use crate::telemetry::names;

/// The niceness of the writer's thread: records must not cost requests their core.
const NICENESS: i32 = 10;
/// How long the writer sleeps when the queue is empty. It is not woken, since that would cost each request a system call.
const POLL: Duration = Duration::from_millis(25);
/// The same while entries come in numbers: what is freed soon is still in the caches when it is allocated again.
const BUSY_POLL: Duration = Duration::from_millis(3);
/// Entries of one sleep that make it busy.
const BUSY: usize = 64;
/// Between two ticks of the sinks.
const TICK: Duration = Duration::from_millis(250);
/// Entries that are taken at once, and about how many bytes of them.
const BULK: usize = 1024;
const BULK_BYTES: usize = 8 << 20;
/// A sink that fails is left alone this long, then twice as long, up to the second.
const BACK_OFF: Duration = Duration::from_millis(100);
const MAX_BACK_OFF: Duration = Duration::from_secs(30);
/// A sink works again when it took entries this long after its last failure: what it keeps in memory is written by then.
const SURE: Duration = Duration::from_secs(10);

/// How much may wait, and what is recorded of it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Entries that may wait.
    pub capacity: usize,
    /// About how much memory they may take.
    pub max_bytes: usize,
    /// What the sinks do not see.
    pub privacy: Privacy,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            capacity: 65_536,
            max_bytes: 256 << 20,
            privacy: Privacy::default(),
        }
    }
}

/// Takes entries from requests. Its copies share one queue.
#[derive(Clone)]
pub struct Recorder(Arc<Handle>);

/// Ends the writer with its last owner.
struct Handle {
    shared: Arc<Shared>,
    writer: Thread,
}

/// What became of the record at the end of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Whether all sinks were closed in time.
    pub in_time: bool,
    /// Entries that were lost since the start, also by sinks that count that themselves.
    pub dropped: u64,
    /// Those of them that were lost at the end.
    pub at_the_end: u64,
}

struct Queued {
    entry: Entry,
    /// As it was counted: it may change on the way.
    weight: usize,
}

struct Shared {
    queue: ArrayQueue<Queued>,
    /// What is in the queue and at the sinks.
    bytes: AtomicUsize,
    max_bytes: usize,
    closing: AtomicBool,
    /// Nobody empties the queue any more.
    over: AtomicBool,
    /// What the writer has taken out of the queue, and no sink has seen or only some.
    at_hand: AtomicU64,
    /// What sinks have in memory only, and what they lost and counted themselves; as of the last look.
    in_sinks: AtomicU64,
    lost_in_sinks: AtomicU64,
    dropped: AtomicU64,
    queue_full: Counter,
    /// Whether the writer has ended.
    ended: Mutex<bool>,
    end: Condvar,
}

impl Recorder {
    /// Starts the writer over these sinks.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(sinks: Vec<Box<dyn Sink>>, config: Config) -> io::Result<Recorder> {
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(config.capacity.max(1)),
            bytes: AtomicUsize::new(0),
            max_bytes: config.max_bytes,
            closing: AtomicBool::new(false),
            over: AtomicBool::new(false),
            at_hand: AtomicU64::new(0),
            in_sinks: AtomicU64::new(0),
            lost_in_sinks: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            queue_full: metrics::counter!(names::RECORDS_DROPPED_TOTAL, names::REASON => "queue_full"),
            ended: Mutex::new(false),
            end: Condvar::new(),
        });
        let (spans, sinks) = sinks.into_iter().partition(|sink| sink.is_of_spans());
        let outlets = |sinks: Vec<Box<dyn Sink>>| sinks.into_iter().map(Outlet::new).collect();
        let writer = Writer {
            outlets: outlets(sinks),
            spans: outlets(spans),
            privacy: config.privacy,
            depth: metrics::gauge!(names::RECORD_QUEUE),
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new()
            .name("modelsd-record".into())
            .spawn(move || writer.run())?;
        let writer = thread.thread().clone();
        Ok(Recorder(Arc::new(Handle { shared, writer })))
    }

    /// Gives an entry to the writer, or drops and counts it when too many wait. Neither blocks nor wakes anybody.
    pub fn offer(&self, entry: Entry) {
        let shared = &*self.0.shared;
        let weight = entry.weight();
        let before = shared.bytes.fetch_add(weight, Ordering::Relaxed);
        let fits =
            before.saturating_add(weight) <= shared.max_bytes && !shared.closing.load(Ordering::Relaxed);
        if !fits || shared.queue.push(Queued { entry, weight }).is_err() {
            shared.bytes.fetch_sub(weight, Ordering::Relaxed);
            shared.lose(1);
        } else if shared.over.load(Ordering::SeqCst) {
            // The writer has not seen it, or the end has counted it already.
            shared.drain();
        }
    }

    /// Entries that were dropped: the queue was full or closed, or a sink failed. An entry counts once for each sink that
    /// lost it.
    pub fn dropped(&self) -> u64 {
        self.0.shared.dropped.load(Ordering::Relaxed)
    }

    /// Writes what waits, closes the files, and ends the writer; waits so long for that, and says what was lost. What is
    /// not written by then counts as lost.
    pub fn close(&self, within: Duration) -> Ending {
        let shared = &*self.0.shared;
        let before = shared.all_lost();
        shared.closing.store(true, Ordering::Release);
        self.0.writer.unpark();
        let ended = shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = shared.end.wait_timeout_while(ended, within, |ended| !*ended);
        let (ended, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let late = if *ended { 0 } else { shared.unsettled() };
        let dropped = shared.all_lost() + late;
        Ending {
            in_time: *ended,
            dropped,
            at_the_end: dropped.saturating_sub(before),
        }
    }
}

impl Shared {
    /// Counts entries that no sink was given.
    fn lose(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
        self.queue_full.increment(count);
    }

    /// Drops and counts what nobody will take out of the queue.
    fn drain(&self) {
        while let Some(queued) = self.queue.pop() {
            self.bytes.fetch_sub(queued.weight, Ordering::Relaxed);
            self.lose(1);
        }
    }

    fn all_lost(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed) + self.lost_in_sinks.load(Ordering::Relaxed)
    }

    /// What was offered and is neither written nor counted as lost.
    fn unsettled(&self) -> u64 {
        let taken = self.at_hand.load(Ordering::Relaxed) + self.in_sinks.load(Ordering::Relaxed);
        taken + self.queue.len() as u64
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queued = self.0.shared.queue.len();
        out.debug_struct("Recorder")
            .field("queued", &queued)
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        self.writer.unpark();
    }
}

/// What the thread works on.
struct Writer {
    shared: Arc<Shared>,
    outlets: Vec<Outlet>,
    /// Those of spans.
    spans: Vec<Outlet>,
    privacy: Privacy,
    depth: Gauge,
}

impl Writer {
    fn run(mut self) {
        if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
            tracing::debug!(%error, "the thread of records keeps its priority");
        }
        let _end = End(Arc::clone(&self.shared));
        let mut entries = Vec::with_capacity(BULK);
        let mut ticked = Instant::now();
        loop {
            // Read before the queue is emptied: what was offered before is written.
            let closing = self.shared.closing.load(Ordering::Acquire);
            let weight = self.take(&mut entries);
            let poll = if entries.len() < BUSY { POLL } else { BUSY_POLL };
            if !entries.is_empty() {
                self.shared.at_hand.store(entries.len() as u64, Ordering::Relaxed);
                self.privacy.apply(&mut entries);
                self.write(&mut entries);
                entries.clear();
                self.look();
                self.shared.at_hand.store(0, Ordering::Relaxed);
                self.shared.bytes.fetch_sub(weight, Ordering::Relaxed);
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                let now = SystemTime::now();
                for outlet in self.outlets.iter_mut().chain(&mut self.spans) {
                    outlet.tick(now, &self.shared.dropped);
                }
                self.look();
            }
            // A few entries are no reason to stay awake: they come one by one.
            if self.shared.queue.len() < BULK / 4 {
                if closing && self.shared.queue.is_empty() {
                    break;
                }
                if !closing {
                    std::thread::park_timeout(poll);
                }
            }
        }
        self.depth.set(0.0);
        for outlet in self.outlets.iter_mut().chain(&mut self.spans) {
            outlet.sink.end();
        }
        for at in 0..self.outlets.len() + self.spans.len() {
            if let Some(outlet) = self.outlets.iter_mut().chain(&mut self.spans).nth(at) {
                outlet.close(&self.shared.dropped);
            }
            self.look();
        }
    }

    /// Notes what sinks have in memory and have lost, for an end that does not wait for them.
    fn look(&self) {
        let (mut waiting, mut lost) = (0, 0);
        for outlet in self.outlets.iter().chain(&self.spans) {
            let standing = outlet.sink.standing();
            waiting += standing.waiting;
            lost += standing.lost;
        }
        self.shared.in_sinks.store(waiting, Ordering::Relaxed);
        self.shared.lost_in_sinks.store(lost, Ordering::Relaxed);
    }

    /// Writes entries; those that are there for their spans alone are taken out on the way.
    fn write(&mut self, entries: &mut Vec<Entry>) {
        if !self.spans.is_empty() {
            for outlet in &mut self.spans {
                outlet.write(entries, &self.shared.dropped);
            }
            entries.retain(|entry| !entry.is_for_spans_alone());
            if entries.is_empty() {
                return;
            }
        }
        for outlet in &mut self.outlets {
            outlet.write(entries, &self.shared.dropped);
        }
    }

    /// Takes a part of the queue, and says what it weighs.
    fn take(&self, entries: &mut Vec<Entry>) -> usize {
        self.depth.set(self.shared.queue.len() as f64);
        let mut weight: usize = 0;
        while entries.len() < BULK && weight < BULK_BYTES {
            let Some(queued) = self.shared.queue.pop() else {
                break;
            };
            weight = weight.saturating_add(queued.weight);
            entries.push(queued.entry);
        }
        weight
    }
}

/// Says that the writer has ended, also when it panicked.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        let shared = &*self.0;
        shared.closing.store(true, Ordering::Release);
        // Before the queue is looked at for the last time: whoever has pushed what is not there then sees this. The queue's
        // own operations are as strictly ordered.
        shared.over.store(true, Ordering::SeqCst);
        shared.drain();
        // Only a panic leaves anything here.
        let lost = shared.at_hand.swap(0, Ordering::Relaxed) + shared.in_sinks.swap(0, Ordering::Relaxed);
        if std::thread::panicking() {
            shared.lose(lost);
            tracing::error!(
                lost,
                "the writer of records panicked: nothing is recorded until the server is started again"
            );
        }
        *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.end.notify_all();
    }
}

/// A sink, and how it does.
struct Outlet {
    sink: Box<dyn Sink>,
    taken: Counter,
    failed: Counter,
    /// Since it fails: until when it is left alone, and for how long the next time.
    failing: Option<(Instant, Duration)>,
}

impl Outlet {
    fn new(sink: Box<dyn Sink>) -> Outlet {
        let name = sink.name().to_owned();
        let failed = metrics::counter!(names::RECORDS_DROPPED_TOTAL, names::REASON => "sink_failed", names::SINK => name.clone());
        let taken = match sink.counts() {
            true => Counter::noop(),
            false => metrics::counter!(names::RECORDS_TOTAL, names::SINK => name),
        };
        Outlet {
            sink,
            taken,
            failed,
            failing: None,
        }
    }

    fn write(&mut self, entries: &[Entry], dropped: &AtomicU64) {
        let count = entries.iter().filter(|entry| self.sink.takes(entry)).count() as u64;
        if self.is_left_alone() {
            self.lose(count, dropped);
            return;
        }
        match self.sink.write(entries) {
            Ok(()) => {
                self.taken.increment(count);
                self.works();
            }
            Err(error) => {
                self.taken.increment(count.saturating_sub(error.lost));
                self.fails(&error, dropped);
            }
        }
    }

    fn tick(&mut self, now: SystemTime, dropped: &AtomicU64) {
        if self.is_left_alone() {
            return;
        }
        if let Err(error) = self.sink.tick(now) {
            self.fails(&error, dropped);
        }
    }

    fn close(&mut self, dropped: &AtomicU64) {
        if let Err(error) = self.sink.close() {
            self.fails(&error, dropped);
        }
    }

    fn is_left_alone(&self) -> bool {
        self.failing.is_some_and(|(until, _)| Instant::now() < until)
    }

    fn lose(&self, count: u64, dropped: &AtomicU64) {
        self.failed.increment(count);
        dropped.fetch_add(count, Ordering::Relaxed);
    }

    fn fails(&mut self, error: &SinkError, dropped: &AtomicU64) {
        self.lose(error.lost, dropped);
        let delay = match self.failing {
            Some((_, delay)) => delay,
            None => {
                let (sink, lost) = (self.sink.name(), error.lost);
                tracing::error!(sink, lost, %error, cause = %error.source, "records are lost");
                BACK_OFF
            }
        };
        self.failing = Some((Instant::now() + delay, (delay * 2).min(MAX_BACK_OFF)));
    }

    fn works(&mut self) {
        let sure = |&(until, _): &(Instant, Duration)| until.elapsed() >= SURE;
        if self.failing.take_if(|failing| sure(failing)).is_some() {
            tracing::info!(sink = self.sink.name(), "records are written again");
        }
    }
}

#[cfg(test)]
mod tests;
