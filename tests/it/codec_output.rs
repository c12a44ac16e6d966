//! Answers against what MLflow's server wrote (the `py_outputs` pairs).
