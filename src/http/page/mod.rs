//! `GET /`: the page that shows what is served, and its parts, all of them within the program.
//!
//! Its scripts ask the same API that everybody else does. Nothing is fetched from elsewhere, which the content security
//! policy makes sure of.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::routing::get;
use sha2::{Digest, Sha256};

use super::compression::{Coded, Wish};
use super::{App, unrouted};

/// Scripts and styles come from this server only, and none stands in the page itself; no other site may show it in a frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
);

/// A part of the page.
struct Part {
    path: &'static str,
    media: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const fn part(path: &'static str, media: &'static str, text: &'static str) -> Part {
    Part { path, media, text }
}

/// Every part, by its path.
const PARTS: &[Part] = &[
    part("/", HTML, include_str!("index.html")),
    part("/assets/style.css", CSS, include_str!("style.css")),
    part("/assets/icon.svg", SVG, include_str!("icon.svg")),
    part("/assets/script.js", SCRIPT, include_str!("script.js")),
    part("/assets/api.js", SCRIPT, include_str!("api.js")),
    part("/assets/dom.js", SCRIPT, include_str!("dom.js")),
    part("/assets/form.js", SCRIPT, include_str!("form.js")),
    part("/assets/metrics.js", SCRIPT, include_str!("metrics.js")),
    part("/assets/plot.js", SCRIPT, include_str!("plot.js")),
];

/// One tag of all parts: scripts of one version go with the page of that version.
static TAG: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let texts = PARTS
        .iter()
        .fold(Sha256::new(), |hash, part| hash.chain_update(part.text));
    let hex: String = texts
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    // Weak, since it is that of the compressed form too.
    HeaderValue::try_from(format!("W/\"{hex}\"")).ok()
});

/// The routes of all parts; GET and HEAD.
pub(super) fn router() -> Router<Arc<App>> {
    let only_get = || std::future::ready(unrouted::method_not_allowed("GET, HEAD"));
    PARTS.iter().fold(Router::new(), |router, part| {
        let answer = move |headers: HeaderMap| std::future::ready(answer(part, &headers));
        router.route(part.path, get(answer).fallback(only_get))
    })
}

fn answer(part: &Part, asked: &HeaderMap) -> Response<Body> {
    let mut headers = HeaderMap::new();
    // Asked again each time, so that a new modelsd has its own page at once; mostly the answer is 304.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Some(tag) = &*TAG {
        headers.insert(ETAG, tag.clone());
        if known(asked, tag) {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.headers_mut() = headers;
            return response;
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(part.media));
    let text = part.text.as_bytes().to_vec();
    let coded = match Wish::of(asked) {
        Some(wish) => wish.grant(text),
        None => Coded::plain(text),
    };
    coded.into_response(headers)
}

/// Whether the client has what this tag is of.
fn known(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let tag = tag.to_str().unwrap_or_default();
    let opaque = |text: &str| text.trim().trim_start_matches("W/") == tag.trim_start_matches("W/");
    let is_known = |sent: &HeaderValue| {
        let sent = sent.to_str().unwrap_or_default();
        sent.trim() == "*" || sent.split(',').any(opaque)
    };
    asked.get_all(IF_NONE_MATCH).iter().any(is_known)
}

#[cfg(test)]
mod tests;
