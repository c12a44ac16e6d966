//! What is answered where no route is: 404, 405, and the redirect of a trailing slash.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, HOST, LOCATION};
use axum::http::{HeaderValue, Response, StatusCode};

use super::App;
use super::admin::Local;
use super::answer::JSON;

/// Paths that answer without a trailing slash.
const ROUTES: &[&str] = &[
    "/ping",
    "/health",
    "/health/live",
    "/health/ready",
    "/version",
    "/metrics",
    "/invocations",
    "/predict",
    "/docs",
    "/openapi.json",
    "/api/events",
    "/api/feedback",
    "/api/models",
    "/api/routes",
    "/api/reload",
    "/api/config/reload",
    "/api/registry/webhook",
];

/// 405 with the one method that the path knows.
pub(super) fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = detail(
        StatusCode::METHOD_NOT_ALLOWED,
        r#"{"detail":"Method Not Allowed"}"#,
    );
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// 404, or 307 to the same path without its trailing slash where that is a route.
pub(super) async fn not_found(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    let path = request.uri().path();
    if let Some(route) = path.strip_suffix('/').filter(|path| ROUTES.contains(path)) {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let query = request
            .uri()
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        let local = request.extensions().get::<Local>().is_some();
        let scheme = if app.encrypted && !local { "https" } else { "http" };
        let location = match host {
            Some(host) => format!("{scheme}://{host}{route}{query}"),
            None => format!("{route}{query}"),
        };
        if let Ok(location) = HeaderValue::try_from(location) {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            response.headers_mut().insert(LOCATION, location);
            return response;
        }
    }
    detail(StatusCode::NOT_FOUND, r#"{"detail":"Not Found"}"#)
}

/// 408: the body did not arrive in time.
pub(super) fn request_timeout() -> Response<Body> {
    detail(StatusCode::REQUEST_TIMEOUT, r#"{"detail":"Request Timeout"}"#)
}

fn detail(status: StatusCode, body: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}
