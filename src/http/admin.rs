//! The routes that change something: `PUT` and `DELETE /api/models/{name}/pin`, `POST /api/reload`; and who may use
//! them.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::App;
use super::answer::JSON;
use crate::deploy::reconcile::ControlError;

/// Marks requests that came through the Unix domain socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local;

/// Who may change things: whoever knows the token, or, where none is set, whoever reaches a loopback address or the Unix
/// domain socket.
#[derive(Clone)]
pub struct Guard {
    /// SHA-256 of the token: comparing digests takes the same time wherever two tokens differ, and the token itself is
    /// not kept.
    token: Option<[u8; 32]>,
    loopback: bool,
}

impl Guard {
    /// A guard for a server that listens on these addresses, and perhaps on a Unix domain socket.
    pub fn new(token: Option<&str>, listening: &[IpAddr]) -> Guard {
        Guard {
            token: token.map(digest),
            loopback: listening.iter().all(IpAddr::is_loopback),
        }
    }

    /// Whether anybody who reaches the port may change things.
    pub fn is_open(&self) -> bool {
        self.token.is_none() && self.loopback
    }

    pub(super) fn check(&self, headers: &HeaderMap, local: bool) -> Result<(), Box<Response<Body>>> {
        // Browsers say from which page a request comes; no page of another site may change anything here.
        let host = headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let foreign = |origin: &HeaderValue| {
            let origin = origin.to_str().unwrap_or_default();
            origin
                .split_once("://")
                .is_none_or(|(_, authority)| authority != host)
        };
        if headers.get(ORIGIN).is_some_and(foreign) {
            return Err(Box::new(denied(
                "Requests from pages of another site are refused.",
            )));
        }
        match (&self.token, self.loopback || local) {
            (None, true) => Ok(()),
            (None, false) => Err(Box::new(denied(
                "Changes over the network need a token: start the server with --admin-token-file or \
                 MODELSD_ADMIN_TOKEN, and send `Authorization: Bearer <token>`.",
            ))),
            (Some(wanted), _) => {
                let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
                let sent = sent
                    .and_then(|value| value.strip_prefix("Bearer "))
                    .map(str::trim);
                if sent.map(digest).as_ref() == Some(wanted) {
                    return Ok(());
                }
                let mut response = refusal(
                    StatusCode::UNAUTHORIZED,
                    "UNAUTHENTICATED",
                    "Send `Authorization: Bearer <token>` with the server's admin token.",
                );
                response.headers_mut().insert(
                    WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"modelsd\""),
                );
                Err(Box::new(response))
            }
        }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// `{"version": "3"}`; a number will do.
#[derive(Deserialize)]
struct Pin {
    version: Json,
}

/// `PUT /api/models/{name}/pin`
pub(super) async fn pin(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    local: Option<Extension<Local>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if let Err(refused) = app.guard.check(&headers, local.is_some()) {
        return *refused;
    }
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
pub(super) async fn unpin(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    local: Option<Extension<Local>>,
    headers: HeaderMap,
) -> Response<Body> {
    if let Err(refused) = app.guard.check(&headers, local.is_some()) {
        return *refused;
    }
    match app.control.unpin(&name).await {
        Ok(()) => json_answer(StatusCode::OK, &json!({ "name": name, "pinned": null })),
        Err(error) => failed(&error),
    }
}

/// `POST /api/reload`, or `POST /api/reload?model=name`: asks the registry now, and tries versions that were rejected
/// again.
pub(super) async fn reload(
    State(app): State<Arc<App>>,
    uri: Uri,
    local: Option<Extension<Local>>,
    headers: HeaderMap,
) -> Response<Body> {
    if let Err(refused) = app.guard.check(&headers, local.is_some()) {
        return *refused;
    }
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

pub(super) fn failed(error: &ControlError) -> Response<Body> {
    let mut text = error.to_string();
    if let Some(cause) = error.source() {
        text = format!("{text}: {cause}");
    }
    let (status, code) = match error {
        ControlError::NoSlot { .. } | ControlError::NoVersion { .. } => {
            (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST")
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
    refusal(status, code, &text)
}

fn denied(message: &str) -> Response<Body> {
    refusal(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn status(guard: &Guard, headers: &[(&'static str, &'static str)]) -> Option<u16> {
        status_from(guard, headers, false)
    }

    fn status_from(guard: &Guard, headers: &[(&'static str, &'static str)], local: bool) -> Option<u16> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect();
        guard
            .check(&headers, local)
            .err()
            .map(|response| response.status().as_u16())
    }

    #[test]
    fn the_token_or_loopback_opens() {
        let (local, public): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [10, 0, 0, 1].into());
        let token = Guard::new(Some("t"), &[public]);
        assert_eq!(status(&token, &[("authorization", "Bearer t")]), None);
        assert_eq!(status(&token, &[("authorization", "Bearer u")]), Some(401));
        assert_eq!(status(&token, &[("authorization", "Basic t")]), Some(401));
        assert_eq!(status(&token, &[]), Some(401));
        assert_eq!(status(&Guard::new(None, &[public]), &[]), Some(403));
        assert_eq!(status(&Guard::new(None, &[local, public]), &[]), Some(403));
        assert_eq!(status(&Guard::new(None, &[local]), &[]), None);
        assert_eq!(status(&Guard::new(Some("t"), &[local]), &[]), Some(401));
    }

    #[test]
    fn the_unix_socket_is_as_good_as_loopback() {
        let public: IpAddr = [10, 0, 0, 1].into();
        let open = Guard::new(None, &[public]);
        assert_eq!(status_from(&open, &[], true), None);
        assert_eq!(status_from(&open, &[], false), Some(403));
        assert_eq!(
            status_from(&Guard::new(Some("t"), &[public]), &[], true),
            Some(401)
        );
        assert_eq!(
            status_from(&open, &[("origin", "http://evil.example")], true),
            Some(403)
        );
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let open = Guard::new(None, &[[127, 0, 0, 1].into()]);
        let host = ("host", "localhost:5001");
        assert_eq!(status(&open, &[host, ("origin", "http://localhost:5001")]), None);
        assert_eq!(
            status(&open, &[host, ("origin", "http://evil.example")]),
            Some(403)
        );
        assert_eq!(status(&open, &[host, ("origin", "null")]), Some(403));
    }
}
