//! `/api/mlflow/experiments`: experiments of the tracking server, and their runs' beginnings and ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, Uri};
use serde::Deserialize;
use utoipa::ToSchema;

use super::ask::{At, Page, answer, json, json_or_nothing};
use crate::http::App;
use crate::tracking::wire::{CreatedExperiment, Experiment, ExperimentPage, Run, RunEnd};

/// An experiment to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewExperiment {
    /// Its name, which no other experiment has.
    #[schema(min_length = 1, max_length = 250, example = "abalone")]
    name: String,
    /// Where the artifacts of its runs go; as the tracking server decides, where it is left out.
    #[serde(default)]
    #[schema(max_length = 1000)]
    artifact_location: Option<String>,
    /// Its tags.
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// A run to be begun.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRun {
    /// Its name; the tracking server makes one up, where it is left out.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 250)]
    run_name: Option<String>,
    /// Its tags.
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// How a run ended.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EndOfRun {
    /// `FINISHED`, where it is left out.
    #[serde(default)]
    status: RunEnd,
}

/// Experiments that are not deleted, by pages.
#[utoipa::path(
    get, path = "/api/mlflow/experiments", tag = "experiments",
    params(("max_results" = Option<u32>, Query, minimum = 1, maximum = 1000), ("page_token" = Option<String>, Query)),
    responses((status = 200, body = ExperimentPage, description = "A page"))
)]
pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Response<Body> {
    match Page::of(&uri) {
        Ok(page) => answer(
            StatusCode::OK,
            app.tracking.experiments(page.most, page.token.as_deref()).await,
        ),
        Err(refused) => *refused,
    }
}

/// Makes an experiment.
#[utoipa::path(
    post, path = "/api/mlflow/experiments/create", tag = "experiments",
    request_body = NewExperiment,
    responses((status = 201, body = CreatedExperiment, description = "It is made"), (status = 409, description = "There is one of that name"))
)]
pub(super) async fn create(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    let new: NewExperiment = match json(&app, request).await {
        Ok(new) => new,
        Err(refused) => return *refused,
    };
    let location = new.artifact_location.as_deref();
    let made = app
        .tracking
        .create_experiment(&new.name, location, &new.tags)
        .await;
    answer(StatusCode::CREATED, made)
}

/// One experiment.
#[utoipa::path(
    get, path = "/api/mlflow/experiments/{id}", tag = "experiments",
    params(("id" = String, Path, pattern = "^[0-9]{1,18}$")),
    responses((status = 200, body = Experiment, description = "The experiment"), (status = 404, description = "There is none"))
)]
pub(super) async fn show(At(id): At<String>, State(app): State<Arc<App>>) -> Response<Body> {
    answer(StatusCode::OK, app.tracking.experiment(&id).await)
}

/// Begins a run.
#[utoipa::path(
    post, path = "/api/mlflow/experiments/{id}/runs/start", tag = "experiments",
    params(("id" = String, Path, pattern = "^[0-9]{1,18}$")),
    request_body = Option<NewRun>,
    responses((status = 201, body = Run, description = "It has begun"), (status = 404, description = "There is no such experiment"))
)]
pub(super) async fn start(
    At(id): At<String>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Response<Body> {
    let new: NewRun = match json_or_nothing(&app, request).await {
        Ok(new) => new,
        Err(refused) => return *refused,
    };
    let run = app
        .tracking
        .start_run(&id, new.run_name.as_deref(), &new.tags)
        .await;
    answer(StatusCode::CREATED, run)
}

/// Ends a run.
#[utoipa::path(
    post, path = "/api/mlflow/experiments/{id}/runs/{run}/end", tag = "experiments",
    params(("id" = String, Path, pattern = "^[0-9]{1,18}$"), ("run" = String, Path, pattern = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,255}$")),
    request_body = Option<EndOfRun>,
    responses((status = 200, body = Run, description = "It has ended"), (status = 404, description = "The experiment has no such run"))
)]
pub(super) async fn end(
    At((id, run)): At<(String, String)>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Response<Body> {
    let end: EndOfRun = match json_or_nothing(&app, request).await {
        Ok(end) => end,
        Err(refused) => return *refused,
    };
    answer(StatusCode::OK, app.tracking.end_run(&id, &run, end.status).await)
}
