//! The record of predictions: what was asked, what was answered, and what came of it, written beside serving.
//!
//! A request gives its [`Entry`] to a [`Recorder`] and goes on: the queue is bounded, and what does not fit is dropped and
//! counted. One thread of low priority empties it into the sinks. A kind of sink is one file or folder here, named in
//! [`SinkSpec`]; `files` is the ground of those that write files: names, rotation, recovery, retention. A sink of an MLflow
//! server has a queue and a thread of its own, so that none of the others waits for the network.

#[cfg(any(feature = "parquet", test))]
mod alike;
mod bundle;
mod files;
mod json;
mod jsonl;
mod mlflow;
mod otlp;
mod outlet;
#[cfg(feature = "parquet")]
mod parquet;
mod privacy;
mod read;
mod record;
mod recorder;
mod remote;
mod shelves;
mod spans;
mod spec;

use std::io;
use std::path::Path;
use std::time::SystemTime;

use read::Form;
use spec::SinkKind;

pub use bundle::Bundle;
pub use otlp::Config as OtlpConfig;
pub use privacy::{Privacy, Salt};
pub use read::{Filter, ReadError, Reader, Row, Tail};
pub use record::{Assignment, Entry, Failure, Feedback, Record, RequestId, Timing, Traced};
pub use recorder::{Config, Ending, Recorder};
pub use spec::{SinkSpec, SpecError};

/// A place that entries are written to.
pub trait Sink: Send {
    /// Its name in metrics and the log, one of few.
    fn name(&self) -> &str;

    /// Whether the sink counts what it took and lost itself, apart from what [`Sink::close`] loses: one that takes a sample,
    /// or hands entries on.
    fn counts(&self) -> bool {
        false
    }

    /// Whether the sink is for spans: it alone also gets predictions that are there for their spans only.
    fn is_of_spans(&self) -> bool {
        false
    }

    /// Whether [`Sink::write`] does anything with this entry: others it neither has nor loses.
    fn takes(&self, entry: &Entry) -> bool {
        entry.is_for_files()
    }

    /// What became of entries that is not known from the answers of the other calls.
    fn standing(&self) -> Standing {
        Standing::default()
    }

    /// Takes entries, which may stay in memory for a while, and leaves out those that it does not take.
    ///
    /// # Errors
    /// When entries were lost, with their number.
    fn write(&mut self, entries: &[Entry]) -> Result<(), SinkError>;

    /// Whether the sink takes bundles too. Where all do, predictions come as such as far as they can.
    fn takes_bundles(&self) -> bool {
        false
    }

    /// The same as [`Sink::write`] for predictions that were laid down flat.
    ///
    /// # Errors
    /// When entries were lost, with their number.
    fn write_bundles(&mut self, bundles: &[&Bundle]) -> Result<(), SinkError> {
        let entries: Vec<Entry> = bundles.iter().flat_map(|bundle| bundle.unpack()).collect();
        self.write(&entries)
    }

    /// What is due by the clock: flushing, closing files by age, retention. Called several times a second.
    ///
    /// # Errors
    /// When entries were lost, or when nothing can be written at the moment.
    fn tick(&mut self, now: SystemTime) -> Result<(), SinkError>;

    /// Says that nothing more comes. It waits for nothing: all sinks are told before the first of them is closed.
    fn end(&mut self) {}

    /// Writes what is in memory and closes files.
    ///
    /// # Errors
    /// When entries were lost.
    fn close(&mut self) -> Result<(), SinkError>;
}

/// What became of entries that a sink was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Those that are in memory only.
    pub waiting: u64,
    /// Those that are lost, of a sink which counts that itself.
    pub lost: u64,
}

/// A sink could not do its work. It will be asked again.
#[derive(Debug, thiserror::Error)]
#[error("cannot {attempt}")]
pub struct SinkError {
    /// What was attempted, on which file.
    pub attempt: String,
    /// Entries that are lost by it: of the call that failed, or of earlier ones that were in memory.
    pub lost: u64,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl SinkError {
    /// A failed attempt by which nothing was lost yet.
    pub fn new(
        attempt: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> SinkError {
        SinkError {
            attempt: attempt.into(),
            lost: 0,
            source: source.into(),
        }
    }

    /// The same with this many entries lost.
    pub fn losing(self, lost: u64) -> SinkError {
        SinkError { lost, ..self }
    }
}

impl SinkSpec {
    /// Opens the sink: makes its folder, finishes the files of a process that died, removes what is kept no longer. That of
    /// an MLflow server starts a thread, and asks the server nothing yet.
    ///
    /// # Errors
    /// When the folder cannot be made, read or written, or there is no way to the server.
    pub fn open(&self) -> io::Result<Box<dyn Sink>> {
        let now = SystemTime::now();
        Ok(match &self.0 {
            SinkKind::Jsonl(files) => Box::new(jsonl::Jsonl::open(files.clone(), now)?),
            #[cfg(feature = "parquet")]
            SinkKind::Parquet(files) => Box::new(parquet::Parquet::open(files.clone(), now)?),
            SinkKind::Mlflow(spec) => Box::new(mlflow::Mlflow::start(spec)?),
        })
    }
}

impl Reader {
    /// The records in this folder, in whatever form they are.
    pub fn new(dir: &Path) -> Reader {
        let forms = vec![
            Form {
                kind: jsonl::KIND,
                partitioned: false,
                grows: true,
                read: read::read_lines,
            },
            #[cfg(feature = "parquet")]
            Form {
                kind: parquet::KIND,
                partitioned: true,
                grows: false,
                read: parquet::read::read,
            },
        ];
        Reader::of(dir, forms)
    }
}
