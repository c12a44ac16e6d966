//! modelsd: serves the models of an MLflow registry with low latency and without Python.

pub mod batching;
pub mod flavor;
pub mod model;
pub mod protocol;
pub mod serve;
