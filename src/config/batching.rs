//! How requests share calls of a model.

use clap::Args;

use super::{Check, units};
use crate::batching::Config;

/// Flags of batching.
#[derive(Debug, Clone, Args)]
pub struct BatchingArgs {
    /// Rows of one call of the model: requests that come together share a call, longer ones are split; 1 turns batching
    /// off [default: 1024]
    #[arg(long, env = "MODELSD_MAX_BATCH_ROWS", value_name = "N")]
    pub max_batch_rows: Option<String>,
    /// Milliseconds that a request waits for others to share its call, even when the model is idle; 0 waits for nobody
    /// [default: 0]
    #[arg(long, env = "MODELSD_MAX_BATCH_DELAY", value_name = "MILLISECONDS")]
    pub max_batch_delay: Option<String>,
    /// Milliseconds that one call should take at most: a slow model gets fewer rows at once [default: 10]
    #[arg(long, env = "MODELSD_MAX_BATCH_TIME", value_name = "MILLISECONDS")]
    pub max_batch_time: Option<String>,
    /// Rows that may wait for a busy model; further requests are answered 503 with Retry-After [default: 16384]
    #[arg(long, env = "MODELSD_MAX_QUEUE_ROWS", value_name = "N")]
    pub max_queue_rows: Option<String>,
}

impl Check<'_> {
    pub(super) fn batching(&mut self, args: &BatchingArgs) -> Config {
        Config {
            max_rows: self
                .parsed(
                    "--max-batch-rows",
                    &args.max_batch_rows,
                    &[],
                    "1024",
                    units::count,
                )
                .get(),
            max_delay: self.parsed(
                "--max-batch-delay",
                &args.max_batch_delay,
                &[],
                "0",
                units::millis,
            ),
            max_time: self.parsed("--max-batch-time", &args.max_batch_time, &[], "10", units::millis),
            max_queue_rows: self
                .parsed(
                    "--max-queue-rows",
                    &args.max_queue_rows,
                    &[],
                    "16384",
                    units::count,
                )
                .get(),
        }
    }
}
