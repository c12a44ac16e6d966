//! `/ping`, `/health`, `/health/live`, `/health/ready`, `/version`, `/metrics`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::App;
use super::answer::JSON;
use super::compression::{Coded, Wish};

/// Answers 200 when a request would find a model, else 503.
pub(super) async fn ping(State(app): State<Arc<App>>) -> Response<Body> {
    let mut response = Response::new(Body::from("\n"));
    if !app.endpoint.fleet().ready() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Answers 200 as long as the process can answer at all.
pub(super) async fn live() -> Response<Body> {
    let mut response = Response::new(Body::from("\n"));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Answers modelsd's own version, bare, as MLflow's server answers its.
pub(super) async fn version() -> Response<Body> {
    let mut response = Response::new(Body::from(env!("CARGO_PKG_VERSION")));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Answers every metric as Prometheus text; Prometheus asks for it compressed.
pub(super) async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response<Body> {
    let text = app.metrics.render().into_bytes();
    let text = match Wish::of(&headers) {
        Some(wish) => wish.grant(text),
        None => Coded::plain(text),
    };
    let mut response = text.into_response(HeaderMap::new());
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}
