//! What the handlers of this API share: what a request says, and how an answer is written.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error;
use crate::http::App;
use crate::http::admin::{json_answer, refusal};
use crate::http::body::{self, BodyError};
use crate::tracking::TrackingError;

/// Longest body of a question or a change, in bytes.
const MAX_BODY: usize = 1 << 20;
/// Longest message about a body, in characters.
const MAX_MESSAGE: usize = 500;
/// Entries of a page, where the client does not say, and at most.
const PAGE: u32 = 100;
const MAX_PAGE: u32 = 1_000;

/// An answer in place of a handler's own; in a box, for it is large and seldom.
pub(super) type Refused = Box<Response<Body>>;

/// What the path says.
pub(in crate::http) struct At<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<App>> for At<T> {
    type Rejection = Response<Body>;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<At<T>, Response<Body>> {
        match Path::<T>::from_request_parts(parts, app).await {
            Ok(Path(value)) => Ok(At(value)),
            Err(rejection) => Err(*bad(&format!(
                "The path cannot be read: {}.",
                rejection.body_text()
            ))),
        }
    }
}

/// A whole body, which is read within its bounds of size and time before anything is done.
pub(in crate::http) struct Said(pub(in crate::http) Bytes);

impl FromRequest<Arc<App>> for Said {
    type Rejection = Response<Body>;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Said, Response<Body>> {
        match bytes(app, request, MAX_BODY).await {
            Ok(bytes) => Ok(Said(bytes)),
            Err(refused) => Err(*refused),
        }
    }
}

/// 400 with this message.
pub(super) fn bad(message: &str) -> Refused {
    let message: String = message.chars().take(MAX_MESSAGE).collect();
    Box::new(refusal(
        StatusCode::BAD_REQUEST,
        "INVALID_PARAMETER_VALUE",
        &message,
    ))
}

/// Reads a body within its bounds.
pub(super) async fn bytes(app: &App, request: Request, limit: usize) -> Result<Bytes, Refused> {
    let mut body = request.into_body();
    let limit = limit.min(app.config.max_body_bytes);
    match body::read(&mut body, limit, app.config.client_timeout).await {
        Ok(bytes) => Ok(bytes),
        Err(BodyError::Refused(problem)) => {
            body::linger(&mut body).await;
            Err(Box::new(match limit < app.config.max_body_bytes {
                true => refusal(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "BAD_REQUEST",
                    &format!("The body is longer than the {limit} bytes that this path takes."),
                ),
                false => error::of_call(&problem),
            }))
        }
        Err(BodyError::Slow | BodyError::Broken) => Err(Box::new(error::slow())),
    }
}

/// Reads a JSON body; none at all is the default.
pub(super) async fn json<T: DeserializeOwned>(app: &App, request: Request) -> Result<T, Refused> {
    let kind = content_type(request.headers());
    let body = bytes(app, request, MAX_BODY).await?;
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Box::new(refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "BAD_REQUEST",
            "Send JSON with `Content-Type: application/json`.",
        )));
    }
    serde_json::from_slice(&body)
        .map_err(|problem| bad(&format!("The body is not what is asked for: {problem}.")))
}

/// The same where a request without a body says nothing special.
pub(super) async fn json_or_nothing<T: DeserializeOwned + Default>(
    app: &App,
    request: Request,
) -> Result<T, Refused> {
    use hyper::body::Body as _;
    match request.body().is_end_stream() {
        true => Ok(T::default()),
        false => json(app, request).await,
    }
}

/// The media type of a body, without its parameters.
pub(super) fn content_type(headers: &HeaderMap) -> String {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default();
    kind.trim().to_owned()
}

/// The parameters of a query, each of which must be one of these and come once.
pub(super) fn query(uri: &Uri, known: &[&'static str]) -> Result<BTreeMap<&'static str, String>, Refused> {
    let mut found = BTreeMap::new();
    for (key, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        let Some(name) = known.iter().find(|name| **name == key) else {
            let names = match known {
                [] => "there are none".to_owned(),
                known => format!("use {}", known.join(", ")),
            };
            let key: String = key.chars().take(100).collect();
            return Err(bad(&format!("There is no parameter `{key}`: {names}.")));
        };
        if found.insert(*name, value.into_owned()).is_some() {
            return Err(bad(&format!("The parameter `{name}` comes twice.")));
        }
    }
    Ok(found)
}

/// Which page of a list is asked for.
pub(super) struct Page {
    pub(super) most: u32,
    pub(super) token: Option<String>,
}

impl Page {
    /// Reads `max_results` and `page_token`.
    pub(super) fn of(uri: &Uri) -> Result<Page, Refused> {
        let mut asked = query(uri, &["max_results", "page_token"])?;
        let most = match asked.remove("max_results") {
            None => PAGE,
            Some(text) => text
                .parse()
                .ok()
                .filter(|most| (1..=MAX_PAGE).contains(most))
                .ok_or_else(|| {
                    let text: String = text.chars().take(100).collect();
                    bad(&format!(
                        "max_results is `{text}`: use a number from 1 to {MAX_PAGE}."
                    ))
                })?,
        };
        let token = asked.remove("page_token");
        Ok(Page {
            most,
            token: token.filter(|token| !token.is_empty()),
        })
    }
}

/// What was asked for, or why there is none.
pub(super) fn answer<T: Serialize>(status: StatusCode, found: Result<T, TrackingError>) -> Response<Body> {
    let found = match found {
        Ok(found) => found,
        Err(problem) => return failed(&problem),
    };
    match serde_json::to_value(&found) {
        Ok(json) => json_answer(status, &json),
        Err(problem) => {
            tracing::error!(%problem, "an answer cannot be written");
            refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "INTERNAL_ERROR",
                "The answer cannot be written.",
            )
        }
    }
}

/// Why a question about runs or models has no answer.
pub(super) fn failed(problem: &TrackingError) -> Response<Body> {
    let (status, code) = problem.status();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut text = problem.to_string();
    let mut cause = std::error::Error::source(problem);
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    let mut response = refusal(status, code, &text);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(1));
    }
    response
}

/// 405 with the methods that the path knows.
pub(super) fn only(methods: &'static str) -> Response<Body> {
    let message = format!("This path knows {methods} only; GET /openapi.json tells them all.");
    let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", &message);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(methods));
    response
}

/// 404 for a path below the API that is none of it.
pub(in crate::http) async fn nothing() -> Response<Body> {
    refusal(
        StatusCode::NOT_FOUND,
        "ENDPOINT_NOT_FOUND",
        "There is no such path; GET /openapi.json tells them all.",
    )
}
