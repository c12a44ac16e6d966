//! Predictions in MLflow: a run of each, or a trace.
//!
//! The writer of records only draws the sample and hands copies over; a thread with a queue of its own talks to the server.
//! Both are bounded: what comes while the server is slow or away is dropped and counted, and no other sink waits.

mod fields;
mod runs;
mod sender;
mod traces;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use metrics::Counter;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Sender as Queue, channel};
use uuid::Uuid;

use super::record::{Entry, Record};
use super::spec::mlflow::{MlflowSpec, Mode};
use super::{Sink, SinkError, Standing};
use crate::client::{Client, Config};
use crate::model::prediction_id::PredictionId;
use crate::telemetry::names;
use sender::Sender;

/// Predictions that may wait for the server, and about how much memory they may take.
const QUEUE: usize = 4096;
const QUEUE_BYTES: usize = 64 << 20;
/// The end of the process waits so long for what is in the queue.
const LAST: Duration = Duration::from_secs(5);
/// No answer is waited for longer, whatever MLFLOW_HTTP_REQUEST_TIMEOUT allows.
const PATIENCE: Duration = Duration::from_secs(30);

/// The sink of an experiment.
pub(super) struct Mlflow {
    mode: Mode,
    sample: f64,
    /// `None` once nothing more comes.
    queue: Option<Queue<Queued>>,
    /// Since nothing more comes: until when what waits may be sent.
    until: Option<Instant>,
    closed: bool,
    load: Arc<Load>,
    queue_full: Counter,
    /// Ends when the sender does.
    ended: Receiver<()>,
}

/// A prediction on its way.
struct Queued {
    record: Box<Record>,
    weight: usize,
}

/// What waits, and what was decided meanwhile.
#[derive(Default)]
struct Load {
    entries: AtomicU64,
    bytes: AtomicUsize,
    /// Entries that did not fit, or were not sent.
    lost: AtomicU64,
    /// Told when the sink is closed.
    closing: Notify,
}

impl Mlflow {
    /// Starts the thread that talks to the server; nothing is sent yet.
    ///
    /// # Errors
    /// When no server is named, a file that its settings name cannot be read, or the system gives no thread.
    pub(super) fn start(spec: &MlflowSpec) -> io::Result<Mlflow> {
        let server = spec.server.as_ref();
        let server = server.ok_or_else(|| io::Error::other("no MLflow server is named"))?;
        let client = Client::new(&Config {
            timeout: server.timeout.min(PATIENCE),
            // The sender asks again itself.
            retries: 0,
            ..server.clone()
        });
        let client = client.map_err(io::Error::other)?;
        let (queue, queued) = channel(QUEUE);
        let load = Arc::new(Load::default());
        let (end, ended) = sync_channel(0);
        let sender = Sender::new(client, spec, queued, Arc::clone(&load));
        std::thread::Builder::new()
            .name("modelsd-mlflow".into())
            .spawn(move || {
                let _end = end;
                sender.run();
            })?;
        let sink = spec.mode.sink();
        Ok(Mlflow {
            mode: spec.mode,
            sample: spec.sample,
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

    /// Whether a prediction is in the sample. Replicas and sinks with the same share take the same predictions.
    fn takes(&self, id: Uuid) -> bool {
        let id = PredictionId::from_u128(id.as_u128());
        id.map_or_else(|_| fastrand::f64(), PredictionId::lot) < self.sample
    }

    fn offer(&self, entry: &Entry, record: &Record) {
        let Some(queue) = &self.queue else { return };
        let weight = entry.weight();
        let load = &self.load;
        let before = load.bytes.fetch_add(weight, Ordering::Relaxed);
        load.entries.fetch_add(1, Ordering::Relaxed);
        let fits = before.saturating_add(weight) <= QUEUE_BYTES;
        let place = if fits { queue.try_reserve().ok() } else { None };
        match place {
            Some(place) => place.send(Queued {
                record: Box::new(record.clone()),
                weight,
            }),
            None => {
                load.leave(1, weight);
                load.lost.fetch_add(1, Ordering::Relaxed);
                self.queue_full.increment(1);
            }
        }
    }
}

impl Load {
    fn leave(&self, entries: u64, weight: usize) {
        self.entries.fetch_sub(entries, Ordering::Relaxed);
        self.bytes.fetch_sub(weight, Ordering::Relaxed);
    }
}

impl Sink for Mlflow {
    fn name(&self) -> &str {
        self.mode.sink()
    }

    fn counts(&self) -> bool {
        true
    }

    fn standing(&self) -> Standing {
        let waiting = self.load.entries.load(Ordering::Relaxed);
        Standing {
            // What waited when it was closed, that has told.
            waiting: if self.closed { 0 } else { waiting },
            lost: self.load.lost.load(Ordering::Relaxed),
        }
    }

    fn write(&mut self, entries: &[Entry]) -> Result<(), SinkError> {
        for entry in entries {
            if let Entry::Prediction(record) = entry
                && record.sampled
                && self.takes(record.id)
            {
                self.offer(entry, record);
            }
        }
        Ok(())
    }

    fn tick(&mut self, _: SystemTime) -> Result<(), SinkError> {
        Ok(())
    }

    fn end(&mut self) {
        if self.queue.take().is_some() {
            self.load.closing.notify_one();
            self.until = Some(Instant::now() + LAST);
        }
    }

    fn close(&mut self) -> Result<(), SinkError> {
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
        match self.load.entries.load(Ordering::Relaxed) {
            0 => Ok(()),
            lost => Err(SinkError::new("send the last predictions to MLflow", reason).losing(lost)),
        }
    }
}

#[cfg(test)]
mod tests;
