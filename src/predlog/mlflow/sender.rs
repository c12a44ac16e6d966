//! The thread that sends predictions to an MLflow server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use metrics::Counter;
use tokio::sync::mpsc::Receiver;
use tokio::time::{timeout, timeout_at};

use super::super::spec::mlflow::{MlflowSpec, Mode};
use super::{Load, Queued, runs, traces};
use crate::client::{Client, ClientError};
use crate::telemetry::names;

/// The niceness of the thread, as of that of the writer.
const NICENESS: i32 = 10;
/// Traces of one request, and how long the first of them waits for others: one alone costs the server as much as eight do.
const TRACES: usize = 100;
const LINGER: Duration = Duration::from_secs(1);
/// A prediction is sent again until that long after it was sent first, and then dropped.
const GIVE_UP: Duration = Duration::from_secs(300);
/// As often the server may fail on a prediction while it answers other questions: it will not pass then.
const TRIES: u32 = 3;
/// The wait after a failure; it doubles up to the second one.
const BACK_OFF: Duration = Duration::from_millis(250);
const MAX_BACK_OFF: Duration = Duration::from_secs(10);

/// Takes predictions out of the queue and sends them.
pub(super) struct Sender {
    client: Client,
    name: String,
    mode: Mode,
    queue: Receiver<Queued>,
    load: Arc<Load>,
    /// Id of the experiment, once the server has told it.
    experiment: Option<String>,
    taken: Counter,
    failed: Counter,
    /// Since the last success: the next wait, and what was lost.
    failing: Option<(Duration, u64)>,
}

impl Sender {
    pub(super) fn new(client: Client, spec: &MlflowSpec, queue: Receiver<Queued>, load: Arc<Load>) -> Sender {
        let sink = spec.mode.sink();
        Sender {
            client,
            name: spec.experiment.clone(),
            mode: spec.mode,
            queue,
            load,
            experiment: None,
            taken: metrics::counter!(names::RECORDS_TOTAL, names::SINK => sink),
            failed: metrics::counter!(
                names::RECORDS_DROPPED_TOTAL, names::REASON => "sink_failed", names::SINK => sink
            ),
            failing: None,
        }
    }

    /// Sends until the queue is closed and empty.
    pub(super) fn run(mut self) {
        if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
            tracing::debug!(%error, "the thread of MLflow's records keeps its priority");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(async {
                let mut batch = Vec::new();
                while self.fill(&mut batch).await {
                    self.deliver(&batch).await;
                    let weight = batch.iter().map(|queued| queued.weight).sum();
                    self.load.leave(batch.len() as u64, weight);
                    batch.clear();
                }
            }),
            Err(error) => tracing::error!(%error, "no predictions are sent to MLflow"),
        }
    }

    /// Takes what is sent together; `false` at the end.
    async fn fill(&mut self, batch: &mut Vec<Queued>) -> bool {
        let limit = match self.mode {
            // The server knows no request for several.
            Mode::Runs => 1,
            Mode::Traces => TRACES,
        };
        if self.queue.recv_many(batch, limit).await == 0 {
            return false;
        }
        let until = tokio::time::Instant::now() + LINGER;
        while batch.len() < limit {
            let room = limit - batch.len();
            if let Ok(0) | Err(_) = timeout_at(until, self.queue.recv_many(batch, room)).await {
                break;
            }
        }
        true
    }

    /// Sends a batch until the server has it, refuses it, or was away for too long.
    async fn deliver(&mut self, batch: &[Queued]) {
        let began = Instant::now();
        let (mut run, mut broke) = (None, 0);
        loop {
            let Err(error) = self.attempt(batch, &mut run).await else {
                self.taken.increment(batch.len() as u64);
                self.works();
                return;
            };
            broke += u32::from(error.status() == Some(500));
            let again = error.is_transient()
                && !self.queue.is_closed()
                && began.elapsed() < GIVE_UP
                // Others must not wait for one that the server cannot take.
                && !(broke >= TRIES && self.is_there().await);
            let lost = if again { 0 } else { batch.len() as u64 };
            let wait = self.fails(&error, lost);
            if !error.is_transient() {
                // It may have been deleted.
                self.experiment = None;
            }
            if !self.queue.is_closed() {
                let _ = timeout(wait, self.load.closing.notified()).await;
            }
            if !again {
                return;
            }
        }
    }

    /// Whether the server, and its database, answer another question.
    async fn is_there(&self) -> bool {
        self.client.experiment(&self.name).await.is_ok()
    }

    /// Sends once. `run` is what a run was begun as, so that it is not begun again.
    async fn attempt(&mut self, batch: &[Queued], run: &mut Option<String>) -> Result<(), ClientError> {
        let experiment = match &self.experiment {
            Some(experiment) => experiment,
            None => {
                let found = self.client.experiment(&self.name).await?;
                self.experiment.insert(found)
            }
        };
        match self.mode {
            Mode::Runs => {
                for queued in batch {
                    runs::send(&self.client, experiment, &queued.record, run).await?;
                }
                Ok(())
            }
            Mode::Traces => {
                let records = batch.iter().map(|queued| &*queued.record);
                self.client
                    .send_traces(experiment, traces::request(records))
                    .await
            }
        }
    }

    /// Counts and tells of a failure, the first of several in the log; says how long to wait.
    fn fails(&mut self, error: &ClientError, lost: u64) -> Duration {
        self.failed.increment(lost);
        self.load.lost.fetch_add(lost, Ordering::Relaxed);
        let (wait, before) = self.failing.unwrap_or((BACK_OFF, 0));
        if self.failing.is_none() {
            let (sink, experiment) = (self.mode.sink(), self.name.as_str());
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(sink, experiment, %error, cause, "predictions do not get to MLflow");
        }
        self.failing = Some(((wait * 2).min(MAX_BACK_OFF), before + lost));
        wait
    }

    fn works(&mut self) {
        if let Some((_, lost)) = self.failing.take() {
            let (sink, experiment) = (self.mode.sink(), self.name.as_str());
            tracing::info!(sink, experiment, lost, "predictions get to MLflow again");
        }
    }
}

#[cfg(test)]
mod tests;
