//! How calls reach predictors.

pub mod pool;

mod cost;
