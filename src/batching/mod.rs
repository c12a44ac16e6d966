//! How calls reach predictors: alone or in batches, here or on a thread, now or in line.

pub mod pool;

mod cost;
mod gather;
mod join;
mod plan;
mod run;
mod spare;
mod stretch;

use std::time::Duration;

pub(crate) use join::{join, split};

/// How calls are batched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Rows of one call of a model; longer requests are split. One turns batching off.
    pub max_rows: usize,
    /// Time a call waits for others to come, even when a predictor is idle.
    pub max_delay: Duration,
    /// Rows that may wait in line; further calls are refused.
    pub max_queue_rows: usize,
    /// Time one batch should take at most; fewer rows are taken of a slow model.
    pub max_time: Duration,
}

/// Metrics of one pool.
#[derive(Debug, Clone)]
pub struct Meters {
    /// Rows of each call of the model.
    pub batch_rows: metrics::Histogram,
    /// Rows that came into line.
    pub enqueued_rows: metrics::Counter,
    /// Rows that left it, run or not.
    pub dequeued_rows: metrics::Counter,
}

impl Default for Meters {
    /// Meters that nobody reads.
    fn default() -> Meters {
        Meters {
            batch_rows: metrics::Histogram::noop(),
            enqueued_rows: metrics::Counter::noop(),
            dequeued_rows: metrics::Counter::noop(),
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            max_rows: 1024,
            max_delay: Duration::ZERO,
            max_queue_rows: 16 * 1024,
            max_time: Duration::from_millis(10),
        }
    }
}
