//! `/api/mlflow/models`: registered models of the MLflow server, or of the embedded registry.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, Uri};
use serde::Deserialize;
use utoipa::ToSchema;

use super::ask::{At, Page, answer, bad, json};
use crate::http::App;
use crate::model::stage::Stage;
use crate::tracking::wire::{ModelPage, ModelVersion, RegisteredModel, VersionPage};
use crate::tracking::{Made, NewModel};

/// A model to be registered, or, with a source, a version of one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    /// The model's name.
    #[schema(min_length = 1, max_length = 250, pattern = "^[^/:]+$", example = "abalone")]
    name: String,
    /// What it is; of the version where there is a source.
    #[serde(default)]
    #[schema(max_length = 5000)]
    description: Option<String>,
    /// Tags; of the version where there is a source.
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// Where the files of a version are, such as `runs:/ID/model`, `models:/m-ID` or the artifact URI of a model.
    #[serde(default)]
    #[schema(max_length = 1000)]
    source: Option<String>,
    /// The run that made the version.
    #[serde(default)]
    #[schema(pattern = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,255}$")]
    run_id: Option<String>,
}

/// The stage that a version is to be in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Transition {
    /// `None`, `Staging`, `Production` or `Archived`.
    #[schema(pattern = "^(None|Staging|Production|Archived)$", example = "Production")]
    stage: String,
    /// Whether versions that are there now go to `Archived`; only for `Staging` and `Production`.
    #[serde(default)]
    archive_existing_versions: bool,
}

/// Registered models, by pages.
#[utoipa::path(
    get, path = "/api/mlflow/models", tag = "registry",
    params(("max_results" = Option<u32>, Query, minimum = 1, maximum = 1000), ("page_token" = Option<String>, Query)),
    responses((status = 200, body = ModelPage, description = "A page"))
)]
pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Response<Body> {
    match Page::of(&uri) {
        Ok(page) => answer(
            StatusCode::OK,
            app.tracking.models(page.most, page.token.as_deref()).await,
        ),
        Err(refused) => *refused,
    }
}

/// Registers a model; with a source a version of it, whose model is made where there is none. An embedded registry answers
/// 501: `modelsd registry register` adds models to it.
#[utoipa::path(
    post, path = "/api/mlflow/models/register", tag = "registry",
    request_body = Registration,
    responses(
        (status = 201, body = inline(Registered), description = "The model, or the version"),
        (status = 409, description = "There is a model of that name")
    )
)]
pub(super) async fn register(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    let Registration {
        name,
        description,
        tags,
        source,
        run_id,
    } = match json(&app, request).await {
        Ok(sent) => sent,
        Err(refused) => return *refused,
    };
    if run_id.is_some() && source.is_none() {
        return *bad("run_id is of a version: give the version's source as well.");
    }
    let new = NewModel {
        name,
        description,
        tags,
        source,
        run_id,
    };
    match app.tracking.register(&new).await {
        Ok(Made::Model(model)) => answer(StatusCode::CREATED, Ok(model)),
        Ok(Made::Version(version)) => answer(StatusCode::CREATED, Ok(version)),
        Err(problem) => super::ask::failed(&problem),
    }
}

/// What was registered.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes two kinds of answers")]
#[serde(untagged)]
pub(super) enum Registered {
    /// A model.
    Model(RegisteredModel),
    /// A version.
    Version(ModelVersion),
}

/// One registered model.
#[utoipa::path(
    get, path = "/api/mlflow/models/{name}", tag = "registry",
    params(("name" = String, Path, pattern = "^[^/:]+$", max_length = 250)),
    responses((status = 200, body = RegisteredModel, description = "The model"), (status = 404, description = "There is none"))
)]
pub(super) async fn show(At(name): At<String>, State(app): State<Arc<App>>) -> Response<Body> {
    answer(StatusCode::OK, app.tracking.model(&name).await)
}

/// Versions of a model, the latest first.
#[utoipa::path(
    get, path = "/api/mlflow/models/{name}/versions", tag = "registry",
    params(
        ("name" = String, Path, pattern = "^[^/:]+$", max_length = 250),
        ("max_results" = Option<u32>, Query, minimum = 1, maximum = 1000),
        ("page_token" = Option<String>, Query)
    ),
    responses((status = 200, body = VersionPage, description = "A page"), (status = 404, description = "There is no such model"))
)]
pub(super) async fn versions(At(name): At<String>, State(app): State<Arc<App>>, uri: Uri) -> Response<Body> {
    match Page::of(&uri) {
        Ok(page) => answer(
            StatusCode::OK,
            app.tracking
                .versions(&name, page.most, page.token.as_deref())
                .await,
        ),
        Err(refused) => *refused,
    }
}

/// Moves a version to a stage. What follows that stage is swapped at once.
#[utoipa::path(
    post, path = "/api/mlflow/models/{name}/versions/{version}/stage", tag = "registry",
    params(
        ("name" = String, Path, pattern = "^[^/:]+$", max_length = 250),
        ("version" = u64, Path, minimum = 1, maximum = 2147483647)
    ),
    request_body = Transition,
    responses((status = 200, body = ModelVersion, description = "The version"), (status = 404, description = "There is no such version"))
)]
pub(super) async fn stage(
    At((name, version)): At<(String, String)>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Response<Body> {
    let sent: Transition = match json(&app, request).await {
        Ok(sent) => sent,
        Err(refused) => return *refused,
    };
    // More is beyond what the databases of MLflow count to.
    let Some(version) = version.parse::<i32>().ok().filter(|version| *version > 0) else {
        return *bad("The version in the path is no number of a version.");
    };
    let Ok(stage) = sent.stage.parse::<Stage>() else {
        return *bad("stage must be None, Staging, Production or Archived.");
    };
    let moved = app
        .tracking
        .set_stage(
            &name,
            version.unsigned_abs().into(),
            stage,
            sent.archive_existing_versions,
        )
        .await;
    if moved.is_ok() {
        app.control.poll_now();
    }
    answer(StatusCode::OK, moved)
}
