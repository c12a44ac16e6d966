//! `GET /openapi.json` and `GET /docs`: every route, for programs and for people. The page needs nothing but this server.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use bytes::Bytes;

use super::openapi;
use crate::http::answer::JSON;

/// One file, with its style and its script.
const PAGE: &str = include_str!("docs.html");

/// The page may load nothing from elsewhere, and speak to this server only.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(openapi::document()));

/// Every route, as OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "about", responses((status = 200, body = Object, description = "This document")))]
pub(super) async fn document() -> Response<Body> {
    let mut response = Response::new(Body::from(DOCUMENT.clone()));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Every route, for people.
#[utoipa::path(get, path = "/docs", tag = "about", responses((status = 200, body = String, content_type = "text/html", description = "The page")))]
pub(super) async fn page() -> Response<Body> {
    let mut response = Response::new(Body::from(PAGE));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    response
}
