//! `/api/mlflow/runs`: runs of the tracking server, their parameters, metrics and artifacts.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::{Response, StatusCode, Uri};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::ask::{self, At, Refused, answer, bad, content_type, json, query};
use crate::http::admin::refusal;
use crate::http::{App, body};
use crate::tracking::File;
use crate::tracking::wire::{ArtifactPage, Run};

/// Files of one request.
const MAX_FILES: usize = 1_000;

/// Parameters to be noted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// Their names and values.
    params: BTreeMap<String, Scalar>,
}

/// A text, a number or a truth value, which is noted as a text.
#[derive(Deserialize)]
pub(super) struct Scalar(Json);

impl PartialSchema for Scalar {
    fn schema() -> RefOr<Schema> {
        let kinds = SchemaType::Array(vec![Type::String, Type::Number, Type::Boolean]);
        ObjectBuilder::new().schema_type(kinds).into()
    }
}

impl ToSchema for Scalar {}

/// Values of metrics to be noted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Metrics {
    /// Their names and values.
    metrics: BTreeMap<String, f64>,
    /// The step of the run; 0 where it is left out.
    #[serde(default)]
    step: i64,
    /// In milliseconds since the epoch; now, where it is left out.
    #[serde(default)]
    #[schema(minimum = 0)]
    timestamp: Option<i64>,
}

/// How much was noted.
#[derive(Serialize, ToSchema)]
pub(super) struct Logged {
    /// The run.
    run_id: String,
    /// How many.
    logged: usize,
}

/// Files to be kept with a run.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a form that is read piece by piece")]
pub(super) struct Upload {
    /// A file; there may be several. It keeps its name.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// The folder of the run that the files after it go to, such as `model`.
    path: Option<String>,
}

/// What was kept.
#[derive(Serialize, ToSchema)]
pub(super) struct Kept {
    /// The run.
    run_id: String,
    /// The paths of the files below the run's folder.
    files: Vec<String>,
}

/// One run, with its parameters, the last values of its metrics, and its tags.
#[utoipa::path(
    get, path = "/api/mlflow/runs/{id}", tag = "runs",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,255}$")),
    responses((status = 200, body = Run, description = "The run"), (status = 404, description = "There is none"))
)]
pub(super) async fn show(At(id): At<String>, State(app): State<Arc<App>>) -> Response<Body> {
    answer(StatusCode::OK, app.tracking.run(&id).await)
}

/// Notes parameters. One that has another value already is refused.
#[utoipa::path(
    post, path = "/api/mlflow/runs/{id}/log-params", tag = "runs",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,255}$")),
    request_body = Params,
    responses((status = 200, body = Logged, description = "They are noted"), (status = 404, description = "There is no such run"))
)]
pub(super) async fn log_params(
    At(id): At<String>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Response<Body> {
    let params = match json::<Params>(&app, request)
        .await
        .and_then(|sent| texts(sent.params))
    {
        Ok(params) => params,
        Err(refused) => return *refused,
    };
    let logged = app.tracking.log_params(&id, &params).await.map(|()| Logged {
        run_id: id,
        logged: params.len(),
    });
    answer(StatusCode::OK, logged)
}

/// As MLflow's own client writes values.
fn texts(params: BTreeMap<String, Scalar>) -> Result<BTreeMap<String, String>, Refused> {
    let text = |(name, Scalar(value)): (String, Scalar)| {
        let text = match value {
            Json::String(text) => text,
            Json::Bool(true) => "True".to_owned(),
            Json::Bool(false) => "False".to_owned(),
            Json::Number(number) => number.to_string(),
            _ => {
                let name: String = name.chars().take(100).collect();
                return Err(bad(&format!(
                    "The parameter `{name}` must be a text, a number or a boolean."
                )));
            }
        };
        Ok((name, text))
    };
    params.into_iter().map(text).collect()
}

/// Notes values of metrics at a step.
#[utoipa::path(
    post, path = "/api/mlflow/runs/{id}/log-metrics", tag = "runs",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,255}$")),
    request_body = Metrics,
    responses((status = 200, body = Logged, description = "They are noted"), (status = 404, description = "There is no such run"))
)]
pub(super) async fn log_metrics(
    At(id): At<String>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Response<Body> {
    let sent: Metrics = match json(&app, request).await {
        Ok(sent) => sent,
        Err(refused) => return *refused,
    };
    if sent.timestamp.is_some_and(|time| time < 0) {
        return *bad("timestamp must not be negative.");
    }
    let noted = app
        .tracking
        .log_metrics(&id, &sent.metrics, sent.step, sent.timestamp)
        .await;
    let logged = noted.map(|()| Logged {
        run_id: id,
        logged: sent.metrics.len(),
    });
    answer(StatusCode::OK, logged)
}

/// Keeps files with a run: `curl -F path=model -F file=@weights.bin`. They are bounded by --max-body-bytes together. A
/// tracking server that does not serve its artifacts itself cannot take them: 501.
#[utoipa::path(
    post, path = "/api/mlflow/runs/{id}/log-artifacts", tag = "runs",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,255}$")),
    request_body(content = Upload, content_type = "multipart/form-data"),
    responses((status = 200, body = Kept, description = "They are kept"), (status = 404, description = "There is no such run"))
)]
pub(super) async fn log_artifacts(
    At(id): At<String>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Response<Body> {
    let upload = match app.tracking.upload() {
        Ok(upload) => upload,
        Err(problem) => {
            // An answer to a client that is still sending may never be heard.
            body::linger(&mut request.into_body()).await;
            return ask::failed(&problem);
        }
    };
    let files = match files(&app, request).await {
        Ok(files) => files,
        Err(refused) => return *refused,
    };
    let kept = upload.keep(&id, files).await;
    answer(StatusCode::OK, kept.map(|files| Kept { run_id: id, files }))
}

async fn files(app: &App, request: Request) -> Result<Vec<File>, Refused> {
    let (head, body) = request.into_parts();
    let body = ask::bytes(app, Request::new(body), app.config.max_body_bytes).await?;
    if !content_type(&head.headers).eq_ignore_ascii_case("multipart/form-data") {
        return Err(Box::new(refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "BAD_REQUEST",
            "Send the files as multipart/form-data, as `curl -F file=@NAME` does.",
        )));
    }
    let unread = |problem: &dyn std::fmt::Display| bad(&format!("The form cannot be read: {problem}."));
    // Whole: of a body in pieces the parser has no bound for heads, and looks through all that it holds with each piece.
    let form = Multipart::from_request(Request::from_parts(head, Body::from(body)), &()).await;
    let mut form = form.map_err(|problem| unread(&problem.body_text()))?;
    let (mut folder, mut files) = (String::new(), Vec::new());
    while let Some(field) = form
        .next_field()
        .await
        .map_err(|problem| unread(&problem.body_text()))?
    {
        let (name, file) = (
            field.name().unwrap_or_default().to_owned(),
            field.file_name().map(str::to_owned),
        );
        let bytes = field
            .bytes()
            .await
            .map_err(|problem| unread(&problem.body_text()))?;
        match (name.as_str(), file) {
            ("path", None) => folder = text(&bytes)?,
            ("file", Some(file)) if files.len() < MAX_FILES => {
                let path = match folder.is_empty() {
                    true => file,
                    false => format!("{}/{file}", folder.trim_end_matches('/')),
                };
                files.push(File { path, bytes });
            }
            ("file", Some(_)) => return Err(bad(&format!("There are more than {MAX_FILES} files."))),
            ("file", None) => return Err(bad("The field `file` has no file name.")),
            (other, _) => {
                let other: String = other.chars().take(100).collect();
                return Err(bad(&format!(
                    "There is no field `{other}`: send `file`, and `path` before it for a folder."
                )));
            }
        }
    }
    match files.is_empty() {
        true => Err(bad("The form has no field `file`.")),
        false => Ok(files),
    }
}

fn text(bytes: &Bytes) -> Result<String, Refused> {
    let text = std::str::from_utf8(bytes).map_err(|_| bad("The field `path` is not UTF-8."))?;
    Ok(text.to_owned())
}

/// Files and folders of a run.
#[utoipa::path(
    get, path = "/api/mlflow/runs/{id}/artifacts", tag = "runs",
    params(
        ("id" = String, Path, pattern = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,255}$"),
        ("path" = Option<String>, Query, description = "The folder; the run's own where it is left out"),
        ("page_token" = Option<String>, Query)
    ),
    responses((status = 200, body = ArtifactPage, description = "A page"), (status = 404, description = "There is no such run"))
)]
pub(super) async fn artifacts(At(id): At<String>, State(app): State<Arc<App>>, uri: Uri) -> Response<Body> {
    let asked = match query(&uri, &["path", "page_token"]) {
        Ok(asked) => asked,
        Err(refused) => return *refused,
    };
    let said = |name| {
        asked
            .get(name)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    };
    let found = app
        .tracking
        .artifacts(&id, said("path"), said("page_token"))
        .await;
    answer(StatusCode::OK, found)
}
