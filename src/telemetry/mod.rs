//! Telemetry: metric names, their buckets, and the process-wide recorder, log and last events.

pub mod events;
mod histogram;
pub mod log;
pub mod names;
pub mod recorder;
