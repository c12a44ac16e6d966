//! Errors as MLflow answers them: status, media type and body for each kind.
