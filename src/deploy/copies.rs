//! Copies of requests for a version whose answers go to nobody: one on trial, or a shadow.
//!
//! A copy is handed over without waiting, and dropped when too many wait; copies are run one at a time by a thread of low
//! priority. A version that is slow, fails or hangs costs nobody an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::batching::pool::RunError;
use crate::deploy::deployment::Deployment;
use crate::model::batch::Batch;

/// Copies that wait for one version.
const MAX_COPIES: usize = 256;
/// Their rows, and about how much memory they take with their answers; both with the copy that is run.
const MAX_ROWS: usize = 100_000;
const MAX_BYTES: usize = 64 << 20;
/// Time that a version has for one copy.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// A copy of a request, with its answer.
pub struct Job<T> {
    /// What the model was handed.
    pub inputs: Batch,
    /// What it gave back.
    pub answer: Batch,
    /// Time in the model.
    pub answered_in: Duration,
    /// What else is known of the request.
    pub about: T,
}

/// Where copies are handed over.
pub struct Line<T> {
    jobs: mpsc::Sender<(Job<T>, Place)>,
    load: Arc<Load>,
}

/// Copies that are yet to be run.
pub struct Waiting<T>(mpsc::Receiver<(Job<T>, Place)>);

/// What waits, with the copy that is run.
#[derive(Default)]
struct Load {
    copies: AtomicU64,
    rows: AtomicUsize,
    bytes: AtomicUsize,
}

/// What a copy takes of the line, until it is dropped.
pub struct Place {
    load: Arc<Load>,
    rows: usize,
    bytes: usize,
}

/// A line before one version.
pub fn line<T>() -> (Line<T>, Waiting<T>) {
    let (jobs, waiting) = mpsc::channel(MAX_COPIES);
    let load = Arc::default();
    (Line { jobs, load }, Waiting(waiting))
}

impl<T> Line<T> {
    /// Takes a copy, unless too many wait; whether it did.
    pub fn offer(&self, job: Job<T>) -> bool {
        let load = Arc::clone(&self.load);
        let (rows, bytes) = (job.inputs.rows(), job.inputs.weight() + job.answer.weight());
        load.copies.fetch_add(1, Ordering::Relaxed);
        // One that is longer than all that may wait is run when nobody else is there.
        let fits = |before: usize, more, most| before == 0 || before.saturating_add(more) <= most;
        let fits_rows = fits(load.rows.fetch_add(rows, Ordering::Relaxed), rows, MAX_ROWS);
        let fits_bytes = fits(load.bytes.fetch_add(bytes, Ordering::Relaxed), bytes, MAX_BYTES);
        let place = Place { load, rows, bytes };
        fits_rows && fits_bytes && self.jobs.try_send((job, place)).is_ok()
    }

    /// Copies that wait, with the one that is run.
    pub fn waiting(&self) -> u64 {
        self.load.copies.load(Ordering::Relaxed)
    }
}

impl<T> Waiting<T> {
    /// The next copy, once there is one, and its place, which is to be kept until it was run; `None` once the line has
    /// gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<(Job<T>, Place)> {
        self.0.recv().await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.copies.fetch_sub(1, Ordering::Relaxed);
        self.load.rows.fetch_sub(self.rows, Ordering::Relaxed);
        self.load.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Runs a copy: the answer and the time in the model, or the kind of the failure and the time until it.
pub async fn run(deployment: &Deployment, inputs: Batch) -> (Result<Batch, &'static str>, Duration) {
    let began = Instant::now();
    match deployment.pool().run(inputs, began + TIME_LIMIT).await {
        Ok(run) => (Ok(run.output), run.predict),
        Err(error) => (Err(kind(&error)), began.elapsed()),
    }
}

/// The kind of a failure, in the words of metrics.
pub fn kind(error: &RunError) -> &'static str {
    match error {
        RunError::Deadline => "deadline",
        RunError::Overloaded { .. } => "overloaded",
        RunError::Predict(_) => "model_failed",
        RunError::Panicked(_) | RunError::Stopped => "internal",
    }
}

#[cfg(test)]
mod tests;
