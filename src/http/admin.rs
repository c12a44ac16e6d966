//! The routes that change something: `PUT` and `DELETE /api/models/{name}/pin`, `POST /api/reload`.

use std::error::Error;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Response, StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::App;
use super::answer::JSON;
use super::api::ask::Said;
use crate::deploy::reconcile::ControlError;

/// Marks requests that came through the Unix domain socket, which has no TLS.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local;

/// `{"version": "3"}`; a number will do.
#[derive(Deserialize)]
struct Pin {
    version: Json,
}

/// `PUT /api/models/{name}/pin`
pub(super) async fn pin(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Said(body): Said,
) -> Response<Body> {
    let version = match serde_json::from_slice(&body) {
        Ok(Pin {
            version: Json::String(text),
        }) => text.parse::<u64>().ok(),
        Ok(Pin {
            version: Json::Number(number),
        }) => number.as_u64(),
        _ => None,
    };
    let Some(version) = version else {
        return refusal(
            StatusCode::BAD_REQUEST,
            "INVALID_PARAMETER_VALUE",
            "The body must be {\"version\": \"3\"} with the number of a version.",
        );
    };
    match app.control.pin(&name, version).await {
        Ok(()) => json_answer(
            StatusCode::OK,
            &json!({ "name": name, "pinned": version.to_string() }),
        ),
        Err(error) => failed(&error),
    }
}

/// `DELETE /api/models/{name}/pin`
pub(super) async fn unpin(State(app): State<Arc<App>>, Path(name): Path<String>, _: Said) -> Response<Body> {
    match app.control.unpin(&name).await {
        Ok(()) => json_answer(StatusCode::OK, &json!({ "name": name, "pinned": null })),
        Err(error) => failed(&error),
    }
}

/// `POST /api/reload`, or `POST /api/reload?model=name`: asks the registry now, and tries versions that were rejected
/// again.
pub(super) async fn reload(State(app): State<Arc<App>>, uri: Uri, _: Said) -> Response<Body> {
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let model = query
        .filter(|(key, _)| key == "model")
        .map(|(_, value)| value)
        .next();
    match app.control.retry(model.as_deref()).await {
        Ok(names) => {
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            json_answer(StatusCode::ACCEPTED, &json!({ "models": names }))
        }
        Err(error) => failed(&error),
    }
}

/// An error with its cause.
pub(super) fn told(error: &ControlError) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

pub(super) fn failed(error: &ControlError) -> Response<Body> {
    let (status, code) = match error {
        ControlError::NoSlot { .. } | ControlError::NoVersion { .. } => {
            (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST")
        }
        ControlError::NothingToPromote { .. } | ControlError::NotPromoted { .. } => {
            (StatusCode::CONFLICT, "INVALID_STATE")
        }
        ControlError::NoModel { source } if source.is_refusal() => {
            (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE")
        }
        ControlError::NoModel { .. } => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
        ControlError::Deploy(_) => (StatusCode::CONFLICT, "RESOURCE_CONFLICT"),
        ControlError::NoVersions { .. } => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
        ControlError::NotKept => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
        ControlError::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE"),
    };
    refusal(status, code, &told(error))
}

/// A refusal in the shape of MLflow's REST errors.
pub(super) fn refusal(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    json_answer(status, &json!({ "error_code": code, "message": message }))
}

pub(super) fn json_answer(status: StatusCode, body: &Json) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}
