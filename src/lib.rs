//! modelsd: serves the models of an MLflow registry with low latency and without Python.

pub mod app;
pub mod artifact;
pub mod flavor;
pub mod model;
pub mod protocol;
pub mod registry;
pub mod serve;
