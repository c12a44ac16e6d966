//! The queue between requests and sinks, and the thread that empties it.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_queue::ArrayQueue;
use metrics::{Counter, Gauge};

use super::Sink;
use super::bundle::Bundle;
use super::outlet::Outlet;
use super::privacy::Privacy;
use super::record::{Entry, Record};
use super::shelves::{Load, MOST, Offered, Shelves, Taken};
use crate::telemetry::names;

/// The niceness of the writer's thread: records must not cost requests their core.
const NICENESS: i32 = 10;
/// How long the writer sleeps when the queue is empty. It is not woken, since that would cost each request a system call.
const POLL: Duration = Duration::from_millis(25);
/// The same while entries come in numbers: what is freed soon is still in the caches when it is allocated again. Of what is
/// laid down flat nothing is freed, and each waking takes time from whoever is at work.
const BUSY_POLL: Duration = Duration::from_millis(3);
/// Entries of one sleep that make it busy.
const BUSY: usize = 64;
/// Between two ticks of the sinks.
const TICK: Duration = Duration::from_millis(250);
/// Entries that are taken at once, and about how many bytes of them.
const BULK: usize = 1024;
const BULK_BYTES: usize = 8 << 20;

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
    /// Beside the queue, where all sinks take bundles.
    shelves: Option<Shelves>,
    /// What is in the queue, and what of it is at the sinks.
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
        let bundles = config.privacy.is_nothing() && sinks.iter().all(|sink| sink.takes_bundles());
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(config.capacity.max(1)),
            shelves: bundles.then(Shelves::default),
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
        let entry = match (&shared.shelves, entry) {
            (Some(shelves), Entry::Prediction(record)) => match shared.lay(shelves, &record) {
                true => return,
                false => Entry::Prediction(record),
            },
            (_, entry) => entry,
        };
        let weight = entry.weight();
        if !shared.reserve(weight) || shared.queue.push(Queued { entry, weight }).is_err() {
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
    /// Counts an entry in, and says whether there is room for it.
    fn reserve(&self, weight: usize) -> bool {
        let bytes = self
            .bytes
            .fetch_add(weight, Ordering::Relaxed)
            .saturating_add(weight);
        let shelves = self.shelves.as_ref();
        let laid = shelves.map_or(0, Shelves::waiting);
        bytes.saturating_add(shelves.map_or(0, Shelves::bytes)) <= self.max_bytes
            && !self.closing.load(Ordering::Relaxed)
            && (laid == 0 || laid.saturating_add(self.queue.len()) < self.queue.capacity())
    }

    /// Whether there is room for so much on the shelves.
    fn has_room(&self, laid: Load) -> bool {
        let (bytes, count) = (self.bytes.load(Ordering::Relaxed), self.queue.len());
        bytes.saturating_add(laid.bytes) <= self.max_bytes.min(MOST.bytes)
            && !self.closing.load(Ordering::Relaxed)
            && laid.count.saturating_add(count) <= self.queue.capacity().min(MOST.count)
    }

    /// Copies a prediction to the shelf of this thread, or drops and counts it when too many wait. Says whether it did
    /// either; what is in the way of that is no reason to wait.
    fn lay(&self, shelves: &Shelves, record: &Record) -> bool {
        match shelves.offer(record, |laid| self.has_room(laid)) {
            Offered::NotPlain => return false,
            Offered::NoRoom => self.lose(1),
            Offered::Laid if self.over.load(Ordering::SeqCst) => self.drain(),
            Offered::Laid => {}
        }
        true
    }

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
        if let Some(shelves) = &self.shelves {
            self.lose(shelves.empty());
        }
    }

    /// Entries in the queue and on the shelves.
    fn waiting(&self) -> usize {
        self.queue.len() + self.shelves.as_ref().map_or(0, Shelves::waiting)
    }

    fn all_lost(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed) + self.lost_in_sinks.load(Ordering::Relaxed)
    }

    /// What was offered and is neither written nor counted as lost.
    fn unsettled(&self) -> u64 {
        let taken = self.at_hand.load(Ordering::Relaxed) + self.in_sinks.load(Ordering::Relaxed);
        taken + self.waiting() as u64
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queued = self.0.shared.waiting();
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
        let mut taken = Taken::default();
        let mut ticked = Instant::now();
        loop {
            // Read before the queue is emptied: what was offered before is written.
            let closing = self.shared.closing.load(Ordering::Acquire);
            let weight = self.take(&mut entries);
            // After the entries, but written before them: whoever told of a prediction did so after it was laid down.
            let laid = self.take_bundles(&mut taken);
            let count = entries.len() + taken.len();
            let poll = match entries.len() {
                0..BUSY => POLL,
                _ => BUSY_POLL,
            };
            if count > 0 {
                self.shared.at_hand.store(count as u64, Ordering::Relaxed);
                self.write_bundles(&taken);
                taken.clear();
                self.privacy.apply(&mut entries);
                self.write(&mut entries);
                entries.clear();
                self.look();
                self.shared.at_hand.store(0, Ordering::Relaxed);
                self.shared.bytes.fetch_sub(weight, Ordering::Relaxed);
                if let Some(shelves) = &self.shared.shelves {
                    shelves.release(laid);
                }
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
            let waiting = self.shared.waiting();
            if waiting < BULK / 4 {
                if closing && waiting == 0 {
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
        if entries.is_empty() {
            return;
        }
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

    /// Writes bundles, which no sink refuses where there are any.
    fn write_bundles(&mut self, taken: &Taken) {
        let bundles: Vec<&Bundle> = taken.bundles().collect();
        if !bundles.is_empty() {
            for outlet in &mut self.outlets {
                outlet.write_bundles(&bundles, &self.shared.dropped);
            }
        }
    }

    /// Takes what is on the shelves, and says what it weighs.
    fn take_bundles(&self, taken: &mut Taken) -> usize {
        match &self.shared.shelves {
            Some(shelves) if shelves.waiting() > 0 => shelves.take(taken),
            _ => 0,
        }
    }

    /// Takes a part of the queue, and says what it weighs.
    fn take(&self, entries: &mut Vec<Entry>) -> usize {
        self.depth.set(self.shared.waiting() as f64);
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

#[cfg(test)]
mod tests;
