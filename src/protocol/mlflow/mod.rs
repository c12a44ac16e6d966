//! MLflow's scoring protocol, `POST /invocations`, as `mlflow models serve` 3.17 and 3.18 speak it.

pub mod csv;
pub mod encode;
pub mod error;
pub mod json;
pub mod media;
mod number;
