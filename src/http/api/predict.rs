//! `POST /predict` and `POST /models/{name}/predict`: one flat record in, one prediction out.
//!
//! The way of a request is that of `/invocations`: the same slots and routes, limits, batches and records of predictions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value as Json, json};
use tokio::time::timeout_at;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::ask::{self, At};
use super::error;
use crate::deploy::deployment::RequestStage;
use crate::http::asked::Asked;
use crate::http::body::{self, BodyError};
use crate::http::events::{Failed, note_failure};
use crate::http::invocations::{LARGE_BODY, aside, begin, explain, identify, note_status};
use crate::http::request_id::REQUEST_ID;
use crate::http::{App, answer, encoding};
use crate::model::classes::Classes;
use crate::protocol;
use crate::serve::call::Call;
use crate::serve::error::Error;

/// Predicts one flat record with the only model, or the default one.
#[utoipa::path(
    post, path = "/predict", tag = "predictions",
    request_body(content((Record = "application/json"), (Record = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Prediction, description = "The prediction"))
)]
pub(in crate::http) async fn default(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    answer_to(&app, None, "/predict", request).await
}

/// Predicts one flat record with one of several models.
#[utoipa::path(
    post, path = "/models/{name}/predict", tag = "predictions",
    params(("name" = String, Path, description = "A route, or a slot")),
    request_body(content((Record = "application/json"), (Record = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Prediction, description = "The prediction"), (status = 404, description = "There is no such model"))
)]
pub(in crate::http) async fn named(
    State(app): State<Arc<App>>,
    At(name): At<String>,
    request: Request,
) -> Response<Body> {
    answer_to(&app, Some(&name), "/models/{name}/predict", request).await
}

/// Predicts one flat record, as `/models/{name}/predict` does.
#[utoipa::path(
    post, path = "/api/mlflow/serving/models/{name}/predict", tag = "serving",
    params(("name" = String, Path, description = "A route, or a slot")),
    request_body(content((Record = "application/json"), (Record = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Prediction, description = "The prediction"), (status = 404, description = "There is no such model"))
)]
pub(in crate::http) async fn managed(
    State(app): State<Arc<App>>,
    At(name): At<String>,
    request: Request,
) -> Response<Body> {
    let path = "/api/mlflow/serving/models/{name}/predict";
    answer_to(&app, Some(&name), path, request).await
}

/// One row: the model's columns and their values. Texts become what the model's signature says.
pub(super) struct Record;

impl PartialSchema for Record {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("One row: the model's columns and their values"))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .examples([json!({ "sex": "M", "length": 0.455 })])
            .into()
    }
}

impl ToSchema for Record {}

/// One prediction.
#[derive(Serialize, ToSchema)]
pub(super) struct Prediction {
    /// What `/invocations` answers for the row, without the list around it; classes by name where names are known.
    prediction: Json,
    /// The model.
    model: String,
    /// Its version; null outside a registry.
    version: Option<String>,
    /// From the request's head to its answer, in milliseconds.
    latency_ms: f64,
}

async fn answer_to(app: &App, slot: Option<&str>, path: &'static str, request: Request) -> Response<Body> {
    let began = Instant::now();
    let (head, mut body) = request.into_parts();
    let headers = &head.headers;
    let asked = Asked::of(headers);
    let mut begun = begin(app, slot, path, began, headers, &asked);
    let id = identify(&mut begun, &asked);
    let mut response = match begun {
        Ok(mut call) => {
            let mut response = match predict(app, &mut call, headers, &asked, &mut body).await {
                Ok(response) => response,
                Err(Failure::Answered(error)) => {
                    explain(&error, &call, &id, &asked);
                    error::of_call(&error)
                }
                Err(Failure::UnreadCoding(error)) => {
                    explain(&error, &call, &id, &asked);
                    let mut response = error::of_call(&error);
                    response
                        .headers_mut()
                        .insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding::READ));
                    response
                }
                Err(Failure::Slow) => error::slow(),
            };
            answer::sign(&mut response, &call);
            note_status(&mut call, &response);
            response
        }
        Err(error) => {
            note_failure(&error, Failed::Before(slot), &id);
            // An answer to a client that is still sending may never be heard.
            body::linger(&mut body).await;
            error::of_call(&error)
        }
    };
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// How a request ends without a prediction.
enum Failure {
    Answered(Error),
    /// The body has a content coding that is not read.
    UnreadCoding(Error),
    Slow,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Answered(error)
    }
}

async fn predict(
    app: &App,
    call: &mut Call,
    headers: &HeaderMap,
    asked: &Asked<'_>,
    body: &mut Body,
) -> Result<Response<Body>, Failure> {
    let config = &app.config;
    let bytes = match body::read(body, config.max_body_bytes, config.client_timeout).await {
        Ok(bytes) => bytes,
        Err(BodyError::Refused(error)) => {
            let error = call.fail(error);
            body::linger(body).await;
            return Err(error.into());
        }
        Err(BodyError::Slow | BodyError::Broken) => return Err(Failure::Slow),
    };
    call.note_received(bytes.len());
    call.refuse_early(Duration::ZERO, 0)?;
    let codings = match asked.coded {
        false => encoding::Codings::new(),
        true => encoding::applied(headers)
            .map_err(|error| Failure::UnreadCoding(call.fail(body::not_expanded(&error))))?,
    };
    let form = protocol::form(headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes))
        .map_err(|error| call.fail(error))?;
    let decoded = call.stage(RequestStage::Decode, |deployment| {
        let bytes = encoding::expand(bytes, &codings, config.max_body_bytes, LARGE_BODY, |work| {
            aside(true, work)
        })
        .map_err(|error| body::not_expanded(&error))?;
        aside(bytes.len() >= LARGE_BODY, || {
            app.codecs
                .record(&bytes, form, deployment.signature(), config.limits)
        })
    })?;
    let output = call.predict(decoded.batch).await?;
    let classes = classes(app, call).await;
    let prediction = call.stage(RequestStage::Encode, |_| {
        protocol::prediction(&output, classes.as_deref())
    })?;
    call.keep(output);
    call.finish();
    let id = call.deployment().id();
    let answer = Prediction {
        prediction,
        model: id.name.to_string(),
        version: id.version.as_deref().map(str::to_owned),
        latency_ms: call.timing().total.as_secs_f64() * 1e3,
    };
    Ok(ask::answer(StatusCode::OK, Ok(answer)))
}

/// What the model's classes are called: by the tag of its version, else by its own metadata.
async fn classes(app: &App, call: &Call) -> Option<Arc<Classes>> {
    let deployment = call.deployment();
    let own = || deployment.artifact().dir.mlmodel().classes.clone().map(Arc::new);
    let named = timeout_at(call.deadline().into(), app.classes.of(deployment.wanted()));
    named.await.ok().flatten().or_else(own)
}
