//! Errors as MLflow answers them: status, media type and body for each kind.

use std::time::Duration;

use crate::protocol::mlflow::encode::text::write_str;
use crate::serve::error::{Error, Kind};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// MLflow's words for whatever goes wrong within a model; what did is in the stack trace.
const MODEL_FAILED: &str = "Encountered an unexpected error while evaluating the model. Verify that the serialized \
    input Dataframe is compatible with the model for inference.";

/// The answer to a request that was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorAnswer {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type` of the body.
    pub content_type: &'static str,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
}

/// Status, error code, SQL state and error class of a failure that is answered in JSON.
struct Class(u16, &'static str, &'static str, &'static str);

/// The answer to `error`. Kinds that MLflow does not have wear its clothes: its JSON, with error codes of its own list.
pub fn answer(error: &Error) -> ErrorAnswer {
    let class = match error.kind() {
        Kind::InvalidInput | Kind::ModelFailed => {
            Class(400, "BAD_REQUEST", "KAM00", "INVALID_PARAMETER_VALUE")
        }
        Kind::SchemaViolation => Class(
            400,
            "INVALID_PARAMETER_VALUE",
            "KAM01",
            "SCHEMA_ENFORCEMENT_FAILED",
        ),
        Kind::InvalidParams | Kind::UnknownVariant => {
            Class(400, "INVALID_PARAMETER_VALUE", "KAM00", "INVALID_PARAMETER_VALUE")
        }
        Kind::UnknownSlot => Class(404, "RESOURCE_DOES_NOT_EXIST", "KAM00", "RESOURCE_NOT_FOUND"),
        Kind::TooLarge => Class(413, "BAD_REQUEST", "KAM00", "INVALID_PARAMETER_VALUE"),
        Kind::Overloaded | Kind::NotReady => {
            Class(503, "TEMPORARILY_UNAVAILABLE", "XXM00", "CLIENT_INTERNAL_ERROR")
        }
        // The body says JSON and is none: so does MLflow.
        Kind::Deadline => return plain(504, JSON, "Request processing time exceeded limit", error),
        Kind::UnsupportedMedia => return plain(415, TEXT, error.message(), error),
        // What went wrong inside goes to the log, not to the client.
        Kind::Internal => return plain(500, TEXT, "Internal Server Error", error),
    };
    let (message, stack_trace) = match error.kind() {
        Kind::ModelFailed => (MODEL_FAILED, Some(error.detail().unwrap_or(error.message()))),
        Kind::InvalidInput => (error.message(), error.detail()),
        _ => (error.message(), None),
    };
    let Class(status, code, state, name) = class;
    let mut body = Vec::with_capacity(128 + message.len() + stack_trace.map_or(0, str::len));
    let members = [
        ("error_code", code),
        ("message", message),
        ("sqlstate", state),
        ("error_class", name),
    ];
    let members = members
        .into_iter()
        .chain(stack_trace.map(|trace| ("stack_trace", trace)));
    for (position, (key, value)) in members.enumerate() {
        body.extend_from_slice(if position == 0 { b"{" } else { b", " });
        write_str(&mut body, key);
        body.extend_from_slice(b": ");
        write_str(&mut body, value);
    }
    body.push(b'}');
    ErrorAnswer {
        status,
        content_type: JSON,
        retry_after: error.retry_after(),
        body,
    }
}

fn plain(status: u16, content_type: &'static str, text: &str, error: &Error) -> ErrorAnswer {
    ErrorAnswer {
        status,
        content_type,
        retry_after: error.retry_after(),
        body: text.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: Error, status: u16, content_type: &str, body: &str) {
        let answer = answer(&error);
        assert_eq!((answer.status, answer.content_type), (status, content_type));
        assert_eq!(String::from_utf8(answer.body).unwrap(), body);
    }

    #[test]
    fn a_bad_body_is_a_bad_request() {
        let error = Error::new(Kind::InvalidInput, "Invalid input. 'é'\n");
        let body = r#"{"error_code": "BAD_REQUEST", "message": "Invalid input. '\u00e9'\n", "sqlstate": "KAM00", "error_class": "INVALID_PARAMETER_VALUE"}"#;
        check(error, 400, JSON, body);
    }

    #[test]
    fn a_body_that_pandas_refuses_shows_the_last_line_of_its_trace() {
        let error = Error::new(Kind::InvalidInput, "m").with_detail("ValueError: v");
        let body = r#"{"error_code": "BAD_REQUEST", "message": "m", "sqlstate": "KAM00", "error_class": "INVALID_PARAMETER_VALUE", "stack_trace": "ValueError: v"}"#;
        check(error, 400, JSON, body);
    }

    #[test]
    fn the_model_s_own_words_are_in_the_stack_trace() {
        let error = Error::new(Kind::ModelFailed, "unexpected input data type");
        let body = r#"{"error_code": "BAD_REQUEST", "message": "Encountered an unexpected error while evaluating the model. Verify that the serialized input Dataframe is compatible with the model for inference.", "sqlstate": "KAM00", "error_class": "INVALID_PARAMETER_VALUE", "stack_trace": "unexpected input data type"}"#;
        check(error, 400, JSON, body);
    }

    #[test]
    fn a_violated_schema_has_a_class_of_its_own() {
        let body = r#"{"error_code": "INVALID_PARAMETER_VALUE", "message": "m", "sqlstate": "KAM01", "error_class": "SCHEMA_ENFORCEMENT_FAILED"}"#;
        check(Error::new(Kind::SchemaViolation, "m"), 400, JSON, body);
    }

    #[test]
    fn what_is_not_json_is_bare_text() {
        check(
            Error::new(Kind::Deadline, "m"),
            504,
            JSON,
            "Request processing time exceeded limit",
        );
        check(Error::new(Kind::UnsupportedMedia, "m"), 415, TEXT, "m");
        check(
            Error::new(Kind::Internal, "secret"),
            500,
            TEXT,
            "Internal Server Error",
        );
    }

    #[test]
    fn an_overloaded_server_says_when_to_come_again() {
        let error = Error::new(Kind::Overloaded, "busy").with_retry_after(Duration::from_secs(1));
        assert_eq!(answer(&error).retry_after, Some(Duration::from_secs(1)));
        assert_eq!(answer(&error).status, 503);
    }
}
