//! `GET /api/models` and `GET /api/models/{name}`: what each slot wants, serves, loads, and what went wrong.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::admin::{json_answer, refusal};
use super::gate_api::gate_json;
use super::{App, signature};
use crate::deploy::deployment::Deployment;
use crate::deploy::sample::example_body;
use crate::deploy::slot::Slot;
use crate::deploy::status::{Loading, Rejected, Serving, Status, Swap, Unknown};
use crate::model::version::VersionId;

/// Input examples up to this size are shown: they are there to fill a form.
const MAX_EXAMPLE_BYTES: u64 = 16 << 10;

/// Every slot.
pub(super) async fn list(State(app): State<Arc<App>>) -> Response<Body> {
    let table = app.endpoint.fleet().table();
    let default = table.default().map(|slot| Arc::clone(slot.name()));
    let models: Vec<Json> = table
        .slots()
        .map(|slot| describe(slot, default.as_deref()))
        .collect();
    json_answer(StatusCode::OK, &json!({ "models": models }))
}

/// One slot.
pub(super) async fn show(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response<Body> {
    let table = app.endpoint.fleet().table();
    let default = table.default().map(|slot| Arc::clone(slot.name()));
    match table.get(&name) {
        Some(slot) => {
            let mut json = describe(slot, default.as_deref());
            let serving = json.get_mut("serving").and_then(Json::as_object_mut);
            if let (Some(serving), Some(deployment)) = (serving, slot.current()) {
                serving.insert("signature".into(), signature::json(deployment.signature()));
                // Reads a small file.
                let example = tokio::task::spawn_blocking(move || example(&deployment)).await;
                serving.insert("input_example".into(), example.unwrap_or_default());
            }
            json_answer(StatusCode::OK, &json)
        }
        None => refusal(
            StatusCode::NOT_FOUND,
            "RESOURCE_DOES_NOT_EXIST",
            &format!("No model `{name}` is served here; GET /api/models lists those that are."),
        ),
    }
}

/// The input example as a body of `/invocations`, if there is a small one.
fn example(deployment: &Deployment) -> Json {
    let body = example_body(&deployment.artifact().dir, MAX_EXAMPLE_BYTES);
    body.and_then(|(_, body)| serde_json::from_slice(&body).ok())
        .unwrap_or_default()
}

pub(super) fn describe(slot: &Slot, default: Option<&str>) -> Json {
    let status = slot.status().clone();
    let state = status.word();
    let Status {
        wanted,
        serving,
        loading,
        rejected,
        unknown,
        confirmed,
        pinned,
        gate,
        swaps,
    } = status;
    let age = confirmed.and_then(|confirmed| SystemTime::now().duration_since(confirmed).ok());
    json!({
        "name": &**slot.name(),
        "uri": slot.uri().to_string(),
        "deployed": slot.is_deployed(),
        "default": default == Some(&**slot.name()),
        "state": state,
        "pinned": pinned.as_deref(),
        "wanted": wanted.as_ref().map(|wanted| version(&wanted.id)),
        "serving": serving.as_ref().map(serving_json),
        "loading": loading.as_ref().map(loading_json),
        "last_error": rejected.as_ref().map(rejected_json),
        "registry": {
            "confirmed_at": confirmed.and_then(time),
            "confirmed_seconds_ago": age.map(|age| age.as_secs()),
            "problem": unknown.as_ref().map(unknown_json),
        },
        "gate": gate.as_ref().map(gate_json),
        "swaps": swaps.iter().map(swap_json).collect::<Vec<_>>(),
    })
}

fn serving_json(serving: &Serving) -> Json {
    let mut json = version(&serving.wanted.id);
    if let Json::Object(members) = &mut json {
        members.insert("since".into(), json!(time(serving.since)));
        members.insert("digest".into(), json!(serving.digest));
        members.insert("fetched_at".into(), json!(serving.fetched.and_then(time)));
        members.insert("file_bytes".into(), json!(serving.file_bytes));
        members.insert("resident_bytes".into(), json!(serving.resident_bytes));
        members.insert("engine".into(), json!(serving.engine));
        members.insert("batched_from_rows".into(), json!(serving.joins.from_rows));
        members.insert(
            "parity".into(),
            match &serving.parity {
                Some(parity) => json!({
                    "cases": parity.cases,
                    "equal": parity.equal,
                    "refused_otherwise": parity.refused_otherwise,
                    "largest_difference": parity.largest_difference,
                }),
                None => Json::Null,
            },
        );
        members.insert("not_batched_because".into(), json!(serving.joins.because));
    }
    json
}

fn loading_json(loading: &Loading) -> Json {
    let counts = loading.progress.counts();
    let mut json = version(&loading.wanted.id);
    if let Json::Object(members) = &mut json {
        members.insert("since".into(), json!(time(loading.since)));
        members.insert("step".into(), json!(loading.step.label()));
        members.insert(
            "files".into(),
            json!({ "done": counts.files, "of": counts.of_files }),
        );
        members.insert(
            "bytes".into(),
            json!({ "done": counts.bytes, "of": counts.of_bytes }),
        );
    }
    json
}

fn rejected_json(rejected: &Rejected) -> Json {
    let mut json = version(&rejected.wanted.id);
    if let Json::Object(members) = &mut json {
        members.insert("step".into(), json!(rejected.step.label()));
        members.insert("reason".into(), json!(rejected.reason));
        members.insert("at".into(), json!(time(rejected.at)));
        members.insert("attempts".into(), json!(rejected.attempts));
        members.insert("retry_at".into(), json!(time(rejected.retry_at)));
    }
    json
}

fn unknown_json(unknown: &Unknown) -> Json {
    json!({ "since": time(unknown.since), "reason": unknown.reason, "outage": unknown.outage })
}

fn swap_json(swap: &Swap) -> Json {
    json!({
        "at": time(swap.at),
        "from": swap.from.as_ref().map(version),
        "to": version(&swap.to),
        "took_seconds": swap.took.as_secs_f64(),
    })
}

pub(super) fn version(id: &VersionId) -> Json {
    json!({ "name": &*id.name, "version": id.version.as_deref() })
}

/// A time as RFC 3339 has it, in UTC; `None` for one that calendars do not reach.
pub(super) fn time(time: SystemTime) -> Option<String> {
    Timestamp::try_from(time).ok().map(|time| time.to_string())
}
