//! `POST /api/routes/{route}/promote`, and what is said of versions at a gate.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::App;
use super::admin::{failed, json_answer, refusal, told};
use super::api::ask::Said;
use super::models::{time, version};
use crate::deploy::gate::trial::Trial;
use crate::deploy::gate::verdict::{Answers, Counts};
use crate::deploy::reconcile::ControlError;
use crate::deploy::status::Gate;
use crate::experiment::sketch::Sketch;

/// `{"force": true}`, or nothing at all.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Promotion {
    #[serde(default)]
    force: bool,
}

/// Has the versions served that wait at the gates of a route's variants; the name may also be that of a model.
pub(super) async fn promote(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Said(body): Said,
) -> Response<Body> {
    let asked = match body.is_empty() {
        true => Ok(Promotion::default()),
        false => serde_json::from_slice(&body),
    };
    let Ok(Promotion { force }) = asked else {
        return refusal(
            StatusCode::BAD_REQUEST,
            "INVALID_PARAMETER_VALUE",
            "The body must be {\"force\": true}, {\"force\": false}, or empty.",
        );
    };
    let (mut promoted, mut refused) = (Vec::new(), Vec::new());
    let mut problem = None;
    for slot in slots(&app, &name) {
        match app.control.promote(&slot, force).await {
            Ok(done) => promoted.push(json!({
                "slot": &*slot,
                "model": &*done.id.name,
                "version": done.id.version.as_deref(),
                "serves": done.serves,
            })),
            Err(error) => {
                if !matches!(error, ControlError::NothingToPromote { .. }) {
                    refused.push(json!({ "slot": &*slot, "message": told(&error) }));
                }
                // That nothing waits at one of several variants says less than why another is refused.
                if matches!(problem, None | Some(ControlError::NothingToPromote { .. })) {
                    problem = Some(error);
                }
            }
        }
    }
    match problem {
        Some(error) if promoted.is_empty() => failed(&error),
        _ => json_answer(
            StatusCode::OK,
            &json!({ "name": name, "promoted": promoted, "refused": refused }),
        ),
    }
}

/// The slots of a route, or the one of that name, be it there or not.
fn slots(app: &App, name: &str) -> Vec<Arc<str>> {
    let routes = app.endpoint.routes().table();
    match routes.get(Some(name)) {
        Some(route) => route
            .variants()
            .iter()
            .map(|variant| Arc::clone(&variant.slot))
            .collect(),
        None => vec![name.into()],
    }
}

/// Where a version stands at a gate.
pub(super) fn gate_json(gate: &Gate) -> Json {
    let phase = gate.phase.as_ref();
    let counts = phase.and_then(|phase| phase.trial()).map(Trial::counts);
    let spec = &gate.spec;
    let mut json = version(&gate.wanted.id);
    if let Json::Object(members) = &mut json {
        members.insert("state".into(), json!(gate.state.label()));
        members.insert("old".into(), json!(gate.old.as_ref().map(version)));
        members.insert("since".into(), json!(time(gate.since)));
        members.insert("reason".into(), json!(gate.reason));
        members.insert(
            "bounds".into(),
            json!({
                "requests": spec.requests,
                "min_requests": spec.min_requests,
                "max_time_seconds": spec.max_time.as_secs_f64(),
                "share": spec.share,
                "max_error_rate": spec.max_error_rate,
                "max_disagreement": spec.max_disagreement,
                "number_tolerance": spec.number_tolerance,
                "max_latency_ratio": spec.max_latency_ratio,
                "on_timeout": spec.on_timeout.label(),
                "watch_seconds": spec.watch.as_secs_f64(),
            }),
        );
        members.insert("trial".into(), json!(counts.as_ref().map(counts_json)));
        members.insert(
            "answers".into(),
            json!(phase.map(|phase| answers_json(&phase.answers()))),
        );
    }
    json
}

fn counts_json(counts: &Counts) -> Json {
    json!({
        "requests": counts.requests,
        "rows": counts.rows,
        "errors": errors_json(&counts.errors),
        "error_rate": counts.error_rate(),
        "dropped": counts.dropped,
        "compared_rows": counts.compared_rows,
        "disagreements": counts.disagreements,
        "disagreement": counts.disagreement(),
        "latency_ms": latency_json(&counts.latency),
        "old_latency_ms": latency_json(&counts.old_latency),
        "latency_ratio": counts.latency_ratio(),
    })
}

fn answers_json(answers: &Answers) -> Json {
    json!({
        "requests": answers.requests,
        "errors": errors_json(&answers.errors),
        "error_rate": answers.error_rate(),
        "latency_ms": latency_json(&answers.latency),
    })
}

fn errors_json(errors: &BTreeMap<&'static str, u64>) -> Map<String, Json> {
    let member = |(kind, count): (&&str, &u64)| ((*kind).to_owned(), json!(count));
    errors.iter().map(member).collect()
}

fn latency_json(sketch: &Sketch) -> Json {
    json!({ "p50": sketch.quantile(0.5), "p99": sketch.quantile(0.99) })
}
