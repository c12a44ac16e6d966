//! The trace of a request to the management API, which the questions to MLflow's server are a part of too.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::model::trace_context::TraceContext;
use crate::model::trace_state::TraceState;
use crate::tracking::within_trace;

/// Answers a request; what it asks of servers carries its trace.
pub(super) async fn hand_on(request: Request, next: Next) -> Response {
    match of(request.headers()) {
        Some(trace) => within_trace(trace, next.run(request)).await,
        None => next.run(request).await,
    }
}

/// The headers that name the trace, as they came: no span of ours is between.
fn of(headers: &HeaderMap) -> Option<HeaderMap> {
    let parent = headers.get("traceparent")?;
    TraceContext::parse(parent.as_bytes())?;
    let mut trace = HeaderMap::new();
    trace.insert("traceparent", parent.clone());
    let states = headers.get_all("tracestate").into_iter();
    let state = TraceState::parse(states.map(HeaderValue::as_bytes));
    if let Some(state) = state.and_then(|state| HeaderValue::from_str(state.as_str()).ok()) {
        trace.insert("tracestate", state);
    }
    Some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_trace_is_not_handed_on() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for (parent, state, kept) in [(parent, "a=1", 2), (parent, "A=1", 1), ("00-0-0-01", "a=1", 0)] {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", HeaderValue::from_static("Bearer hidden"));
            headers.insert("traceparent", HeaderValue::from_str(parent).unwrap());
            headers.insert("tracestate", HeaderValue::from_str(state).unwrap());
            assert_eq!(
                of(&headers).map_or(0, |trace| trace.len()),
                kept,
                "{parent} {state}"
            );
        }
        assert_eq!(of(&HeaderMap::new()), None);
    }
}
