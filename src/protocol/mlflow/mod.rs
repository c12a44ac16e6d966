//! MLflow's scoring protocol, `POST /invocations`, as `mlflow models serve` 3.17 and 3.18 speak it.

pub mod media;
pub mod json;
pub mod csv;
mod cast;
mod params;
mod enforce;
mod python;
pub mod encode;
pub mod error;
mod number;
pub mod parquet;
