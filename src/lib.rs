//! modelsd: serves the models of an MLflow registry with low latency and without Python.
#![doc = include_str!("ARCHITECTURE.md")]
#![warn(missing_docs, unreachable_pub)]
// No panics in what ships; tests and benches, which share the manifest's lint table, may.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod app;
pub mod artifact;
pub mod batching;
pub mod bench;
pub mod client;
pub mod config;
pub mod deploy;
pub mod experiment;
pub mod flavor;
pub mod http;
pub mod model;
pub mod predlog;
pub mod protocol;
pub mod registry;
pub mod routing;
pub mod serve;
pub mod telemetry;
pub mod tracking;
