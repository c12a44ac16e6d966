//! A sink as the writer sees it: what it took and lost is counted, and one that fails is left alone for a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use metrics::Counter;

use super::bundle::Bundle;
use super::record::Entry;
use super::{Sink, SinkError};
use crate::telemetry::names;

/// A sink that fails is left alone this long, then twice as long, up to the second.
const BACK_OFF: Duration = Duration::from_millis(100);
const MAX_BACK_OFF: Duration = Duration::from_secs(30);
/// A sink works again when it took entries this long after its last failure: what it keeps in memory is written by then.
const SURE: Duration = Duration::from_secs(10);

/// A sink, and how it does.
pub(super) struct Outlet {
    pub(super) sink: Box<dyn Sink>,
    taken: Counter,
    failed: Counter,
    /// Since it fails: until when it is left alone, and for how long the next time.
    failing: Option<(Instant, Duration)>,
}

impl Outlet {
    pub(super) fn new(sink: Box<dyn Sink>) -> Outlet {
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

    pub(super) fn write(&mut self, entries: &[Entry], dropped: &AtomicU64) {
        let count = entries.iter().filter(|entry| self.sink.takes(entry)).count() as u64;
        self.give(count, dropped, |sink| sink.write(entries));
    }

    /// The same for a sink that takes bundles.
    pub(super) fn write_bundles(&mut self, bundles: &[&Bundle], dropped: &AtomicU64) {
        let count = bundles.iter().map(|bundle| bundle.len() as u64).sum();
        self.give(count, dropped, |sink| sink.write_bundles(bundles));
    }

    fn give(
        &mut self,
        count: u64,
        dropped: &AtomicU64,
        write: impl FnOnce(&mut dyn Sink) -> Result<(), SinkError>,
    ) {
        if self.is_left_alone() {
            self.lose(count, dropped);
            return;
        }
        match write(&mut *self.sink) {
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

    pub(super) fn tick(&mut self, now: SystemTime, dropped: &AtomicU64) {
        if self.is_left_alone() {
            return;
        }
        if let Err(error) = self.sink.tick(now) {
            self.fails(&error, dropped);
        }
    }

    pub(super) fn close(&mut self, dropped: &AtomicU64) {
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
