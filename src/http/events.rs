//! `GET /api/events`: what happened lately, and the last requests that failed.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, Uri};
use serde_json::{Value as Json, json};

use super::admin::{json_answer, refusal};
use super::models::time;
use crate::deploy::deployment::Deployment;
use crate::serve::error::{Error, Kind as Failure};
use crate::telemetry::events::{Event, Kind, events};

/// Where a request failed.
pub(super) enum Failed<'a> {
    /// Before it had a deployment; the name that it asked for, if any.
    Before(Option<&'a str>),
    /// In this one.
    Within(&'a Deployment),
}

/// Notes a request that was refused or failed, without a word of what was in it.
pub(super) fn note_failure(error: &Error, at: Failed<'_>, id: &HeaderValue) {
    let events = events();
    if error.kind() == Failure::Overloaded && !events.wants_refusal() {
        return;
    }
    let event = match at {
        Failed::Before(name) => Event::new(Kind::Request, name.unwrap_or_default(), error.for_others()),
        Failed::Within(deployment) => {
            let (id, place) = (deployment.id(), deployment.place());
            let slot = match &*place.variant {
                "" => place.route.to_string(),
                variant => format!("{}.{variant}", place.route),
            };
            Event::new(Kind::Request, &slot, error.for_others()).of(&id.name, id.version.as_deref())
        }
    };
    events.note(Event {
        failure: Some(error.kind().label()),
        request_id: id.to_str().ok().map(str::to_owned),
        ..event
    });
}

/// The events after that of `?after=`, or all that are kept; newest last.
pub(super) async fn list(uri: Uri) -> Response<Body> {
    let mut after = 0;
    for (key, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        let number = match &*key {
            // What JSON readers hold as a whole number.
            "after" => value.parse().ok().filter(|after| *after <= i64::MAX as u64),
            _ => None,
        };
        match number {
            Some(number) => after = number,
            None => {
                return refusal(
                    StatusCode::BAD_REQUEST,
                    "INVALID_PARAMETER_VALUE",
                    "The query may have `after` alone, with the whole number of an event, as in /api/events?after=17.",
                );
            }
        }
    }
    let news = events().after(after);
    let list: Vec<Json> = news.events.iter().map(describe).collect();
    json_answer(
        StatusCode::OK,
        &json!({ "began": time(news.began), "last": news.last, "events": list }),
    )
}

fn describe(event: &Event) -> Json {
    json!({
        "id": event.id,
        "at": time(event.at),
        "kind": event.kind.label(),
        "slot": event.slot,
        "model": event.model,
        "version": event.version,
        "previous": event.previous,
        "message": event.message,
        "failure": event.failure,
        "request_id": event.request_id,
    })
}
