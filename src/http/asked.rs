//! What the head of a request for predictions says, found in one pass: to look each header up takes a hash of its name.

use axum::http::{HeaderMap, HeaderValue};

use super::{answer, patience, request_id};
use crate::model::trace_context::TraceContext;
use crate::routing::route::KEY;

/// The headers that count, the first of each name.
#[derive(Debug, Default)]
pub(super) struct Asked<'h> {
    /// `x-request-id`
    pub(super) id: Option<&'h HeaderValue>,
    /// `x-request-timeout-ms`
    pub(super) patience: Option<&'h HeaderValue>,
    /// `content-type`
    pub(super) content_type: Option<&'h HeaderValue>,
    /// `x-routing-key`
    pub(super) key: Option<&'h HeaderValue>,
    /// `traceparent`
    pub(super) trace: Option<&'h HeaderValue>,
    /// Whether there is a `content-encoding`.
    pub(super) coded: bool,
    /// Whether there is an `accept-encoding`.
    pub(super) wishes: bool,
    /// Whether there is an `x-model-variant`.
    pub(super) variant: bool,
}

impl<'h> Asked<'h> {
    /// Reads a head.
    pub(super) fn of(headers: &'h HeaderMap) -> Asked<'h> {
        let mut asked = Asked::default();
        for (name, value) in headers {
            let place = match name.as_str() {
                "content-type" => &mut asked.content_type,
                request_id::NAME => &mut asked.id,
                patience::NAME => &mut asked.patience,
                KEY => &mut asked.key,
                "traceparent" => &mut asked.trace,
                "content-encoding" => {
                    asked.coded = true;
                    continue;
                }
                "accept-encoding" => {
                    asked.wishes = true;
                    continue;
                }
                answer::VARIANT => {
                    asked.variant = true;
                    continue;
                }
                _ => continue,
            };
            place.get_or_insert(value);
        }
        asked
    }

    /// The trace that the request is a part of.
    pub(super) fn trace(&self) -> Option<TraceContext> {
        TraceContext::parse(self.trace?.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    #[test]
    fn the_first_of_each_name_counts_and_other_names_do_not() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "a"),
            ("content-type", "text/csv"),
            ("x-request-id", "1"),
            ("x-request-id", "2"),
            ("content-type", "b"),
            ("x-request-timeout-ms", "250"),
            ("x-request", "c"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let asked = Asked::of(&headers);
        let text = |value: Option<&HeaderValue>| value.map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(text(asked.content_type).as_deref(), Some("text/csv"));
        assert_eq!(text(asked.id).as_deref(), Some("1"));
        assert_eq!(text(asked.patience).as_deref(), Some("250"));
        assert!(!asked.coded && !asked.wishes && asked.key.is_none());
        assert!(asked.trace().is_none());
        headers.insert("X-Routing-Key", HeaderValue::from_static("ann"));
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert("traceparent", HeaderValue::from_static(trace));
        let found = Asked::of(&headers).trace().unwrap().to_string();
        assert_eq!(found, "4bf92f3577b34da6a3ce929d0e0e4736");
        headers.insert("Accept-Encoding", HeaderValue::from_static("gzip"));
        headers.insert("Content-Encoding", HeaderValue::from_static("gzip"));
        let asked = Asked::of(&headers);
        assert!(asked.coded && asked.wishes);
        assert_eq!(text(asked.key).as_deref(), Some("ann"));
    }
}
