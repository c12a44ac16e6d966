//! Predictions in MLflow: a run of each, or a trace.
//!
//! The writer of records only draws the sample and hands copies over; a thread with a queue of its own talks to the server.

mod fields;
mod runs;
mod traces;

use std::io;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::record::{Entry, Record};
use super::remote::{Destination, Label, Limits, Queued, Remote, Undelivered};
use super::spec::mlflow::{MlflowSpec, Mode};
use super::{Sink, SinkError, Standing};
use crate::client::{Client, ClientError, Config};
use crate::model::prediction_id::PredictionId;

/// Predictions that may wait for the server, and about how much memory they may take.
const QUEUE: usize = 4096;
const QUEUE_BYTES: usize = 64 << 20;
/// Traces of one request, and how long the first of them waits for others: one alone costs the server as much as eight do.
const TRACES: usize = 100;
const LINGER: Duration = Duration::from_secs(1);
/// No answer is waited for longer, whatever MLFLOW_HTTP_REQUEST_TIMEOUT allows.
const PATIENCE: Duration = Duration::from_secs(30);

/// The sink of an experiment.
pub(super) struct Mlflow {
    sample: f64,
    remote: Remote<Box<Record>>,
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
        let label = Label {
            sink: spec.mode.sink(),
            thread: "modelsd-mlflow",
            place: spec.experiment.clone(),
            fails: "predictions do not get to MLflow",
            works: "predictions get to MLflow again",
        };
        let limits = Limits {
            count: QUEUE,
            bytes: QUEUE_BYTES,
            together: match spec.mode {
                // The server knows no request for several.
                Mode::Runs => 1,
                Mode::Traces => TRACES,
            },
            linger: LINGER,
        };
        let experiment = Experiment {
            client: client.map_err(io::Error::other)?,
            name: spec.experiment.clone(),
            mode: spec.mode,
            id: None,
            run: None,
        };
        Ok(Mlflow {
            sample: spec.sample,
            remote: Remote::start(label, limits, experiment)?,
        })
    }

    /// Whether a prediction is in the sample. Replicas and sinks with the same share take the same predictions.
    fn takes(&self, id: Uuid) -> bool {
        let id = PredictionId::from_u128(id.as_u128());
        id.map_or_else(|_| fastrand::f64(), PredictionId::lot) < self.sample
    }
}

impl Sink for Mlflow {
    fn name(&self) -> &str {
        self.remote.sink()
    }

    fn counts(&self) -> bool {
        true
    }

    fn standing(&self) -> Standing {
        self.remote.standing()
    }

    fn write(&mut self, entries: &[Entry]) -> Result<(), SinkError> {
        for entry in entries {
            if let Entry::Prediction(record) = entry
                && record.sampled
                && self.takes(record.id)
            {
                self.remote.offer(1, entry.weight(), || record.clone());
            }
        }
        Ok(())
    }

    fn tick(&mut self, _: SystemTime) -> Result<(), SinkError> {
        Ok(())
    }

    fn end(&mut self) {
        self.remote.end();
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.remote.close()
    }
}

/// An experiment of a server.
struct Experiment {
    client: Client,
    name: String,
    mode: Mode,
    /// Its id, once the server has told it.
    id: Option<String>,
    /// What the run of a prediction was begun as, so that it is not begun again.
    run: Option<String>,
}

impl Experiment {
    async fn send_once(&mut self, batch: &[Queued<Box<Record>>]) -> Result<(), ClientError> {
        let experiment = match &self.id {
            Some(id) => id,
            None => {
                let found = self.client.experiment(&self.name).await?;
                self.id.insert(found)
            }
        };
        match self.mode {
            Mode::Runs => {
                for queued in batch {
                    runs::send(&self.client, experiment, &queued.item, &mut self.run).await?;
                }
                Ok(())
            }
            Mode::Traces => {
                let records = batch.iter().map(|queued| &*queued.item);
                self.client
                    .send_traces(experiment, traces::request(records))
                    .await
            }
        }
    }
}

impl Destination for Experiment {
    type Item = Box<Record>;

    async fn send(&mut self, batch: &[Queued<Box<Record>>], again: bool) -> Result<u64, Undelivered> {
        if !again {
            self.run = None;
        }
        match self.send_once(batch).await {
            Ok(()) => Ok(0),
            Err(error) => {
                let may_pass = error.is_transient();
                let broke = error.status() == Some(500);
                if !may_pass {
                    // It may have been deleted.
                    self.id = None;
                }
                Err(Undelivered {
                    error: error.into(),
                    may_pass,
                    broke,
                    wait: None,
                })
            }
        }
    }

    /// Asks for what its database knows too.
    async fn is_there(&self) -> bool {
        self.client.experiment(&self.name).await.is_ok()
    }
}

#[cfg(test)]
mod tests;
