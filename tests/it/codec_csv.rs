//! CSV (and Parquet) bodies against what MLflow's server handed its models.
