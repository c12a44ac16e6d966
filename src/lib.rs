//! modelsd: serves the models of an MLflow registry with low latency and without Python.

pub mod model;
