//! JSON bodies against what MLflow's server handed its models (the `py_echo` pairs).
