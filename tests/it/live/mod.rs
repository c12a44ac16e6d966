//! Tests against a real `mlflow server`, started here.
//!
//! `scripts/test-python.sh` makes the Python environment they run in. A server takes five seconds of a core to start, so
//! that a test has many checks.

mod artifacts;
mod client;
mod clouds;
mod collector;
mod follow;
mod native;
mod proxy;
mod records;
mod registry;
pub mod server;
mod sinks;
mod stand_ins;
mod traces;
