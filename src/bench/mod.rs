//! The load generator of `modelsd bench`: sends one request over and over, and measures the answers.
//!
//! Each thread has a runtime of its own and keeps its connections for itself, so that nothing is shared while a
//! measurement runs. The request is one block of bytes that is written as it is, and answers are counted, not kept.
//!
//! Latencies are free of coordinated omission where requests have a time at which they are due: see `schedule`.

pub mod address;
pub mod report;
pub mod rows;
pub mod run;
pub mod tls;

mod answer;
mod connection;
mod load;
mod schedule;
mod stream;
mod tally;

pub use tally::{Cause, Latencies, Tally};
