//! Why a question about runs or models has no answer.

use crate::client::ClientError;
use crate::registry::RegistryError;

/// Why there is no answer, or no change.
#[derive(Debug, thiserror::Error)]
pub enum TrackingError {
    /// The registry is a folder, which knows no experiments and runs.
    #[error(
        "this server has no MLflow tracking server: start modelsd with --registry http://HOST:PORT, or set \
         MLFLOW_TRACKING_URI to that address"
    )]
    NoServer,
    /// What is asked for cannot be done here.
    #[error("{0}")]
    Unsupported(String),
    /// What was sent makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The server understood, and refuses.
    #[error("{message}")]
    Refused {
        /// Its status, from 400 to 499.
        status: u16,
        /// MLflow's name of the error.
        code: String,
        /// What it said.
        message: String,
    },
    /// Too many questions are under way.
    #[error("too many requests to the MLflow server are under way; try again later")]
    Busy,
    /// The server gives no answer that helps.
    #[error(transparent)]
    Server(ClientError),
    /// The embedded registry refuses, or cannot be read or written.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl From<ClientError> for TrackingError {
    fn from(error: ClientError) -> TrackingError {
        match error {
            ClientError::Status {
                status: status @ 400..=499,
                code: Some(code),
                message,
                ..
            } if !matches!(status, 401 | 408 | 429) => TrackingError::Refused {
                status,
                code,
                message,
            },
            other => TrackingError::Server(other),
        }
    }
}

impl TrackingError {
    /// HTTP status and MLflow's name of the error, for an answer.
    pub fn status(&self) -> (u16, &str) {
        match self {
            TrackingError::NoServer | TrackingError::Unsupported(_) => (501, "NOT_IMPLEMENTED"),
            TrackingError::Invalid(_) => (400, "INVALID_PARAMETER_VALUE"),
            TrackingError::Refused { code, .. } if code == "RESOURCE_ALREADY_EXISTS" => (409, code),
            TrackingError::Refused { status, code, .. } => (*status, code),
            TrackingError::Busy => (503, "TEMPORARILY_UNAVAILABLE"),
            TrackingError::Server(error) if error.is_transient() => (503, "TEMPORARILY_UNAVAILABLE"),
            TrackingError::Server(_) => (502, "INTERNAL_ERROR"),
            TrackingError::Registry(error) => match error {
                RegistryError::NoModel { .. } | RegistryError::NoVersion { .. } => {
                    (404, "RESOURCE_DOES_NOT_EXIST")
                }
                RegistryError::Refused(_) | RegistryError::Stage(_) | RegistryError::Files { .. } => {
                    (400, "INVALID_PARAMETER_VALUE")
                }
                RegistryError::Unsupported(_) => (501, "NOT_IMPLEMENTED"),
                _ => (500, "INTERNAL_ERROR"),
            },
        }
    }
}
