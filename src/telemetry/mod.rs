//! Telemetry: metric names, their buckets, and the process-wide recorder and log.

pub mod log;
pub mod names;
pub mod recorder;
