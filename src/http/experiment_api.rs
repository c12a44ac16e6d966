//! What came of predictions, and which variant is better: `POST /api/feedback`, `GET /api/routes/{route}/compare`,
//! `GET /api/routes/{route}/shadow`.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::App;
use super::admin::{json_answer, refusal};
use super::api::ask::Said;
use super::route_api::failed;
use crate::experiment::compare::{Question, compare};
use crate::experiment::feedback::FeedbackError;
use crate::experiment::series::Arm;
use crate::experiment::sketch::Sketch;
use crate::model::prediction_id::PredictionId;
use crate::model::value::Value;
use crate::predlog::{Entry, Feedback};
use crate::routing::route::{Route, Shadow};
use crate::serve::recording::Recording;
use crate::serve::routes::no_route;
use crate::serve::shadow::Tally;

/// What came of a prediction.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeedbackText {
    prediction_id: String,
    value: Json,
    #[serde(default = "default_kind")]
    kind: String,
}

fn default_kind() -> String {
    "reward".to_owned()
}

fn bad(message: &str) -> Response<Body> {
    refusal(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)
}

/// The recording, or why there is none.
fn recording(app: &App) -> Result<&Recording, Box<Response<Body>>> {
    app.endpoint.recording().ok_or_else(|| {
        Box::new(bad(
            "This server records nothing: start it with --record, --route or --config.",
        ))
    })
}

/// `{"prediction_id": "…", "value": 1, "kind": "clicked"}`
pub(super) async fn feedback(State(app): State<Arc<App>>, Said(body): Said) -> Response<Body> {
    let recording = match recording(&app) {
        Ok(recording) => recording,
        Err(refused) => return *refused,
    };
    let text: FeedbackText = match serde_json::from_slice(&body) {
        Ok(text) => text,
        Err(error) => {
            return bad(&format!(
                "The body must be {{\"prediction_id\": \"…\", \"value\": 1, \"kind\": \"reward\"}}: {error}."
            ));
        }
    };
    let id = match text.prediction_id.parse::<PredictionId>() {
        Ok(id) => id,
        Err(error) => {
            return bad(&format!(
                "prediction_id is `{}`: {error}.",
                short(&text.prediction_id)
            ));
        }
    };
    let value = match text.value {
        Json::Bool(value) => Value::Bool(value),
        Json::String(text) => Value::Str(text.into()),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::Int(whole),
            (None, Some(float)) => Value::Float(float),
            (None, None) => return bad("value is a number that no double can hold."),
        },
        _ => return bad("value must be a number, a boolean or a text."),
    };
    expect_variants(&app, recording);
    match recording.tallies().feedback(id, &text.kind, &value) {
        Ok(joined) => {
            let arm = joined.arm;
            let answer = json!({
                "prediction_id": id.to_string(),
                "route": &*arm.route,
                "variant": &*arm.variant,
                "model": &*arm.model,
                "version": &*arm.version,
                "counted": joined.counted,
            });
            recording.recorder().offer(Entry::Feedback(Box::new(Feedback {
                prediction_id: uuid::Uuid::from_u128(id.as_u128()),
                time: SystemTime::now().into(),
                kind: text.kind,
                value,
                route: arm.route,
                variant: arm.variant,
                model: arm.model,
                version: arm.version,
            })));
            json_answer(StatusCode::OK, &answer)
        }
        Err(error) => {
            let message = error.to_string();
            match error {
                FeedbackError::Unknown(_) => {
                    refusal(StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", &message)
                }
                FeedbackError::Duplicate { .. } => {
                    refusal(StatusCode::CONFLICT, "RESOURCE_ALREADY_EXISTS", &message)
                }
                _ => bad(&message),
            }
        }
    }
}

/// Says who answers now, so that the outcomes of predictions find their variant which another process made.
fn expect_variants(app: &App, recording: &Recording) {
    for slot in app.endpoint.fleet().table().slots() {
        let Some(serving) = slot.current() else { continue };
        let place = serving.place();
        let arm = Arm {
            route: Arc::clone(&place.route),
            variant: Arc::clone(&place.variant),
            model: Arc::clone(&serving.id().name),
            version: Arc::clone(&serving.origin().version),
        };
        if let Err(error) = recording.tallies().expect(&arm, SystemTime::now()) {
            tracing::warn!(%error, "outcomes of its predictions cannot be told");
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

/// What the variants of a route have come to; `?metric=`, `?lower_is_better=true`, `?alpha=0.05`.
pub(super) async fn comparison(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Response<Body> {
    let recording = match recording(&app) {
        Ok(recording) => recording,
        Err(refused) => return *refused,
    };
    let table = app.endpoint.routes().table();
    let Some(route) = table.get(Some(&name)) else {
        return failed(&no_route(&name, &table));
    };
    let question = match question(&uri) {
        Ok(question) => question,
        Err(problem) => return bad(&problem),
    };
    let weights: Vec<(Arc<str>, f64)> = route
        .variants()
        .iter()
        .map(|variant| (Arc::clone(&variant.name), f64::from(variant.weight)))
        .collect();
    let found = compare(
        route.name(),
        recording.tallies(),
        &weights,
        &question,
        SystemTime::now(),
    );
    match serde_json::to_value(&found) {
        Ok(Json::Object(mut members)) => {
            let dropped = recording.recorder().dropped();
            members.insert("records_dropped".into(), dropped.into());
            json_answer(StatusCode::OK, &Json::Object(members))
        }
        _ => refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "INTERNAL_ERROR",
            "The comparison cannot be written.",
        ),
    }
}

fn question(uri: &Uri) -> Result<Question, String> {
    let mut question = Question::default();
    for (key, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        match &*key {
            "metric" => question.metric = Some(value.into_owned()),
            "lower_is_better" => {
                question.lower_is_better = value
                    .parse()
                    .map_err(|_| format!("lower_is_better is `{}`: use true or false.", short(&value)))?;
            }
            "alpha" => {
                let alpha = value.parse().ok().filter(|alpha| (1e-6..=0.5).contains(alpha));
                question.alpha = alpha.ok_or_else(|| {
                    format!("alpha is `{}`: use a number from 0.000001 to 0.5.", short(&value))
                })?;
            }
            other => {
                return Err(format!(
                    "There is no `{}`: use metric, lower_is_better or alpha.",
                    short(other)
                ));
            }
        }
    }
    Ok(question)
}

/// What the shadows of a route have come to since the server started.
pub(super) async fn shadow(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response<Body> {
    let table = app.endpoint.routes().table();
    let Some(route) = table.get(Some(&name)) else {
        return failed(&no_route(&name, &table));
    };
    let shadows: Vec<Json> = route
        .shadows()
        .iter()
        .map(|shadow| describe(&app, route, shadow))
        .collect();
    json_answer(
        StatusCode::OK,
        &json!({ "route": &**route.name(), "shadows": shadows }),
    )
}

fn describe(app: &App, route: &Route, shadow: &Shadow) -> Json {
    let serving = app
        .endpoint
        .fleet()
        .table()
        .get(&shadow.slot)
        .and_then(|slot| slot.current());
    let tally = app
        .endpoint
        .shadowing()
        .and_then(|shadowing| shadowing.tally(&shadow.slot));
    let Tally {
        requests,
        rows,
        errors,
        dropped,
        incomparable,
        compared_rows,
        disagreements,
        absolute,
        relative,
        latency,
        answered_latency,
    } = tally.unwrap_or_default();
    let failed: u64 = errors.values().sum();
    let errors: Map<String, Json> = errors
        .into_iter()
        .map(|(kind, count)| (kind.to_owned(), count.into()))
        .collect();
    let rate = |part: u64, all: u64| (all > 0).then(|| part as f64 / all as f64);
    json!({
        "route": &**route.name(),
        "name": &*shadow.name,
        "share": shadow.share,
        "model": serving.as_ref().map(|serving| serving.id().name.to_string()),
        "version": serving.as_ref().and_then(|serving| serving.id().version.as_deref().map(str::to_owned)),
        "requests": requests,
        "rows": rows,
        "errors": errors,
        "error_rate": rate(failed, requests),
        "dropped": dropped,
        "incomparable": incomparable,
        "compared_rows": compared_rows,
        "disagreements": disagreements,
        "disagreement_rate": rate(disagreements, compared_rows),
        "absolute_difference": quantiles(&absolute),
        "relative_difference": quantiles(&relative),
        "latency_ms": quantiles(&latency),
        "answered_latency_ms": quantiles(&answered_latency),
    })
}

fn quantiles(sketch: &Sketch) -> Json {
    if sketch.count() == 0 {
        return Json::Null;
    }
    let at = |part| sketch.quantile(part);
    json!({ "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0) })
}
