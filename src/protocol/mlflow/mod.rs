//! MLflow's scoring protocol, `POST /invocations`, as `mlflow models serve` 3.17 and 3.18 speak it.

pub(crate) mod cast;
pub mod csv;
pub mod encode;
pub(crate) mod enforce;
pub mod error;
pub mod json;
pub(crate) mod params;
pub(crate) mod python;
