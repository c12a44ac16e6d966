//! Pages of other sites: which may read answers, and what their browsers are told.

use std::str::FromStr;

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

use super::role::Role;

/// Methods that any route has.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE");
/// Headers of answers that a page may read, besides those that it always may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-model-name, x-model-version, x-model-variant, x-prediction-id, x-request-id, server-timing, retry-after",
);
/// Seconds that a browser need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
/// What an answer to a preflight depends on.
const PREFLIGHT_VARY: HeaderValue =
    HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// An origin whose pages may read answers, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `*`
    Any,
    /// As browsers write it: `https://app.example:8443`.
    One(HeaderValue),
}

/// A text that is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use scheme and host, such as https://app.example.com or http://localhost:3000, or * for all")]
pub struct NoOrigin;

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Origin, NoOrigin> {
        if text == "*" {
            return Ok(Origin::Any);
        }
        let url = Url::parse(text).map_err(|_| NoOrigin)?;
        let written = url.origin().ascii_serialization();
        // A path, a user or a port that browsers leave out would never be the same as what they send.
        if written != text.trim_end_matches('/') || !url.has_host() {
            return Err(NoOrigin);
        }
        Ok(Origin::One(HeaderValue::try_from(written).map_err(|_| NoOrigin)?))
    }
}

/// The origins whose pages may read answers.
#[derive(Debug, Clone)]
pub(super) struct Cors(Vec<Origin>);

impl Cors {
    /// Of these origins; `None` of none.
    pub(super) fn new(origins: &[Origin]) -> Option<Cors> {
        (!origins.is_empty()).then(|| Cors(origins.to_vec()))
    }

    /// What the page of a request is told about its origin, if its pages may read the answer.
    pub(super) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        let one = |allowed: &Origin| match allowed {
            Origin::Any => Some(ANY),
            Origin::One(allowed) => (allowed == origin).then(|| allowed.clone()),
        };
        self.0.iter().find_map(one)
    }

    /// Whether the server behind this `host` is one whose pages are allowed: what any page may do, any name may lead to.
    pub(super) fn trusts(&self, host: &str, needed: Role) -> bool {
        self.0.iter().any(|allowed| match allowed {
            Origin::Any => needed != Role::Admin,
            Origin::One(allowed) => allowed
                .to_str()
                .is_ok_and(|origin| origin.split_once("://").is_some_and(|(_, own)| own == host)),
        })
    }

    /// The head of the answer to a preflight: to one that asks whether an allowed page may send something.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<(StatusCode, HeaderMap)> {
        if method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut answer = HeaderMap::new();
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.allowed(headers)?);
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        // Which header chooses a variant is for the configuration to say; what a header may do, for its handler.
        if let Some(wished) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, wished.clone());
        }
        answer.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        answer.insert(VARY, PREFLIGHT_VARY);
        Some((StatusCode::NO_CONTENT, answer))
    }

    /// Says in an answer who may read it.
    pub(super) fn sign(&self, allowed: Option<HeaderValue>, answer: &mut HeaderMap) {
        // Also without an origin, as caches keep one answer for all.
        if !self.0.contains(&Origin::Any) {
            answer.append(VARY, HeaderValue::from_static("origin"));
        }
        if let Some(allowed) = allowed {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        for good in [
            "https://app.example.com",
            "http://localhost:3000",
            "http://[::1]:80a",
        ] {
            let wanted = (good != "http://[::1]:80a").then(|| Origin::One(good.parse().unwrap()));
            assert_eq!(good.parse::<Origin>().ok(), wanted, "{good}");
        }
        assert_eq!(
            "https://a.b/".parse(),
            Ok(Origin::One("https://a.b".parse().unwrap()))
        );
        assert_eq!("*".parse(), Ok(Origin::Any));
        for bad in [
            "",
            "a.b",
            "https://a.b/c",
            "https://a.b:443",
            "https://me@a.b",
            "HTTPS://A.b",
            "file:///x",
            "null",
            "*.a.b",
            "https://a.b?c",
        ] {
            assert_eq!(bad.parse::<Origin>(), Err(NoOrigin), "{bad}");
        }
    }
}
