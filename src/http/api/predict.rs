//! `POST /predict` and `POST /models/{name}/predict`: one flat record in, one prediction out.
//!
//! The way of a request is that of `/invocations`: the same slots and routes, limits, batches and records of predictions.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::json;

use super::error;
use crate::deploy::deployment::RequestStage;
use crate::http::admin::json_answer;
use crate::http::asked::Asked;
use crate::http::body::{self, BodyError};
use crate::http::invocations::{LARGE_BODY, aside, explain};
use crate::http::request_id::{REQUEST_ID, request_id};
use crate::http::{App, answer, encoding, patience};
use crate::model::classes::Classes;
use crate::protocol;
use crate::routing::route::KEY_HEADER;
use crate::serve::call::Call;
use crate::serve::endpoint::{Head, reject};
use crate::serve::error::Error;

/// `POST /predict`: the only model, or the default one.
pub(in crate::http) async fn default(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    answer_to(&app, None, request).await
}

/// `POST /models/{name}/predict`.
pub(in crate::http) async fn named(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer_to(&app, Some(&name), request).await
}

async fn answer_to(app: &App, slot: Option<&str>, request: Request) -> Response<Body> {
    let began = Instant::now();
    let (head, mut body) = request.into_parts();
    let headers = &head.headers;
    let asked = Asked::of(headers);
    let id = request_id(asked.id);
    let begun = patience::patience(asked.patience)
        .inspect_err(reject)
        .and_then(|patience| {
            app.endpoint.begin(Head {
                name: slot,
                now: began,
                patience,
                headers,
                asks_for_variant: asked.variant,
            })
        });
    let mut response = match begun {
        Ok(mut call) => {
            note(&mut call, headers, &id);
            if let Some(draft) = call.draft() {
                draft.note_trace(|| asked.trace());
            }
            let mut response = match predict(app, &mut call, headers, &asked, &mut body).await {
                Ok(response) => response,
                Err(Failure::Answered(error)) => {
                    explain(&error, &call, &id, &asked);
                    error::of_call(&error)
                }
                Err(Failure::Slow) => error::slow(),
            };
            answer::sign(&mut response, &call);
            response
        }
        Err(error) => {
            // An answer to a client that is still sending may never be heard.
            body::linger(&mut body).await;
            error::of_call(&error)
        }
    };
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Notes who asks, where predictions are recorded.
fn note(call: &mut Call, headers: &HeaderMap, id: &HeaderValue) {
    if let Some(draft) = call.draft() {
        let key = || {
            headers
                .get(KEY_HEADER)
                .map(|key| String::from_utf8_lossy(key.as_bytes()).into())
        };
        draft.note_request(|| Some(id.as_bytes().into()), key);
    }
}

/// How a request ends without a prediction.
enum Failure {
    Answered(Error),
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
    call.refuse_early()?;
    let codings = match asked.coded {
        false => encoding::Codings::new(),
        true => encoding::applied(headers).map_err(|error| call.fail(body::not_expanded(&error)))?,
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
    let classes = classes(call);
    let prediction = call.stage(RequestStage::Encode, |_| {
        protocol::prediction(&output, classes.as_ref())
    })?;
    call.keep(output);
    call.finish();
    let id = call.deployment().id();
    let answer = json!({
        "prediction": prediction,
        "model": &*id.name,
        "version": id.version.as_deref(),
        "latency_ms": call.timing().total.as_secs_f64() * 1e3,
    });
    Ok(json_answer(StatusCode::OK, &answer))
}

/// What the model's classes are called.
fn classes(call: &Call) -> Option<Classes> {
    call.deployment().artifact().dir.mlmodel().classes.clone()
}
