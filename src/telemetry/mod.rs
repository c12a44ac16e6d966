//! Telemetry: metric names, their buckets, and the process-wide recorder and log.

mod histogram;
pub mod log;
pub mod names;
pub mod recorder;
