//! Why a request was not answered with predictions.

use std::time::Duration;

use crate::batching::pool::RunError;

/// What went wrong, by what the caller can do about it. Protocols map each kind to a status and a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The body cannot be read, or its values cannot be cast.
    InvalidInput,
    /// The body was read, but does not satisfy the signature.
    SchemaViolation,
    /// The parameters do not satisfy their schema.
    InvalidParams,
    /// The content type is missing, or not one we read.
    UnsupportedMedia,
    /// The body is longer than the limit.
    TooLarge,
    /// Nothing is served under that name.
    UnknownSlot,
    /// The request asks for a variant that is not there.
    UnknownVariant,
    /// The model is not loaded yet.
    NotReady,
    /// Too many requests are in flight.
    Overloaded,
    /// The time limit has passed.
    Deadline,
    /// The model failed on this input.
    ModelFailed,
    /// A defect of ours, or a panic in a model.
    Internal,
}

impl Kind {
    /// Label in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Kind::InvalidInput => "invalid_input",
            Kind::SchemaViolation => "schema_violation",
            Kind::InvalidParams => "invalid_params",
            Kind::UnsupportedMedia => "unsupported_media",
            Kind::TooLarge => "too_large",
            Kind::UnknownSlot => "unknown_slot",
            Kind::UnknownVariant => "unknown_variant",
            Kind::NotReady => "not_ready",
            Kind::Overloaded => "overloaded",
            Kind::Deadline => "deadline",
            Kind::ModelFailed => "model_failed",
            Kind::Internal => "internal",
        }
    }
}

impl Kind {
    /// Whether another version of the model might have answered the same request: else nothing is known of the version.
    /// That too much is asked says little of it either: whether it is slow is seen by its latency.
    pub fn depends_on_version(self) -> bool {
        match self {
            Kind::SchemaViolation
            | Kind::InvalidParams
            | Kind::Deadline
            | Kind::ModelFailed
            | Kind::Internal => true,
            Kind::InvalidInput
            | Kind::UnsupportedMedia
            | Kind::TooLarge
            | Kind::UnknownSlot
            | Kind::UnknownVariant
            | Kind::NotReady
            | Kind::Overloaded => false,
        }
    }
}

/// A request that was refused or failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    /// What MLflow shows as the last line of `stack_trace`, for the failures that carry one.
    detail: Option<String>,
    retry_after: Option<Duration>,
}

impl Error {
    /// An error with the message the client sees.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            detail: None,
            retry_after: None,
        }
    }

    /// The same with the technical cause, shown as `stack_trace`.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Error {
        self.detail = Some(detail.into());
        self
    }

    /// The same with advice when to come again.
    pub fn with_retry_after(mut self, after: Duration) -> Error {
        self.retry_after = Some(after);
        self
    }

    /// Why a call of a model gave nothing, in the words for its client.
    pub fn of_run(error: &RunError) -> Error {
        match error {
            RunError::Predict(error) => model_failed(&error.to_string()),
            RunError::Deadline => deadline(),
            RunError::Overloaded { reason, after } => overloaded(reason, *after),
            RunError::Panicked(_) | RunError::Stopped => Error::new(Kind::Internal, "Internal Server Error"),
        }
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message for the client.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What may be shown to others than its client: messages on a body, and of the model, may have values of it.
    pub fn for_others(&self) -> &str {
        match self.kind {
            Kind::InvalidInput => {
                "The body cannot be read, or its values cannot be cast; the client was told why."
            }
            Kind::SchemaViolation => "The body does not satisfy the signature; the client was told why.",
            Kind::InvalidParams => "The parameters do not satisfy their schema; the client was told why.",
            Kind::ModelFailed => "The model failed on this input; the client was told why.",
            _ => &self.message,
        }
    }

    /// The technical cause, if it may be shown.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// When to come again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// The time limit has passed.
pub(super) fn deadline() -> Error {
    Error::new(Kind::Deadline, "Request processing time exceeded limit")
}

fn overloaded(reason: &str, after: Duration) -> Error {
    Error::new(
        Kind::Overloaded,
        format!("The model has too much to do: {reason}. Try again later."),
    )
    .with_retry_after(after)
}

/// MLflow's words for any failure inside a model; the cause follows as the last line of a stack trace would.
fn model_failed(cause: &str) -> Error {
    Error::new(
        Kind::ModelFailed,
        "Encountered an unexpected error while evaluating the model. Verify that the serialized input Dataframe is \
         compatible with the model for inference.",
    )
    .with_detail(cause)
}
