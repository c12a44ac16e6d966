//! Why a request was not answered with predictions.

use std::time::Duration;

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

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message for the client.
    pub fn message(&self) -> &str {
        &self.message
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
