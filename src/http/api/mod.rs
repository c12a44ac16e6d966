//! What is for people and their tools, in plain JSON and with one shape of errors: predictions of one flat record, the
//! management API below `/api/mlflow`, and the description of every route.

mod about;
pub(super) mod ask;
mod docs;
mod error;
mod experiments;
mod openapi;
mod predict;
mod registered;
mod runs;
mod serving;
mod trace;

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Response;
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, any, delete, get, post};

use super::App;

fn only_get() -> Ready<Response<Body>> {
    ready(ask::only("GET"))
}

fn only_post() -> Ready<Response<Body>> {
    ready(ask::only("POST"))
}

fn only_delete() -> Ready<Response<Body>> {
    ready(ask::only("DELETE"))
}

/// A path that is read.
fn read<H: Handler<T, Arc<App>>, T: 'static>(handler: H) -> MethodRouter<Arc<App>> {
    get(handler).head(only_get).fallback(only_get)
}

/// A path that is written to.
fn write<H: Handler<T, Arc<App>>, T: 'static>(handler: H) -> MethodRouter<Arc<App>> {
    post(handler).fallback(only_post)
}

/// The routes of this API; where requests are `traced`, what they ask of servers carries their trace.
pub(super) fn routes(traced: bool) -> Router<Arc<App>> {
    let management = match traced {
        true => management().layer(from_fn(trace::hand_on)),
        false => management(),
    };
    Router::new()
        .route("/predict", write(predict::default))
        .route("/models/{name}/predict", write(predict::named))
        .route("/openapi.json", read(docs::document))
        .route("/docs", read(docs::page))
        .merge(management)
}

/// Those that speak of MLflow's server.
fn management() -> Router<Arc<App>> {
    Router::new()
        .route("/api/mlflow/health", read(about::health))
        .route("/api/mlflow/info", read(about::info))
        .route("/api/mlflow/version", read(about::version))
        .route("/api/mlflow/serving/models", read(serving::list))
        .route("/api/mlflow/serving/models/deploy", write(serving::deploy))
        .route(
            "/api/mlflow/serving/models/{name}",
            delete(serving::undeploy).fallback(only_delete),
        )
        .route(
            "/api/mlflow/serving/models/{name}/predict",
            write(predict::managed),
        )
        .route("/api/mlflow/experiments", read(experiments::list))
        .route("/api/mlflow/experiments/create", write(experiments::create))
        .route("/api/mlflow/experiments/{id}", read(experiments::show))
        .route(
            "/api/mlflow/experiments/{id}/runs/start",
            write(experiments::start),
        )
        .route(
            "/api/mlflow/experiments/{id}/runs/{run}/end",
            write(experiments::end),
        )
        .route("/api/mlflow/runs/{id}", read(runs::show))
        .route("/api/mlflow/runs/{id}/log-params", write(runs::log_params))
        .route("/api/mlflow/runs/{id}/log-metrics", write(runs::log_metrics))
        .route(
            "/api/mlflow/runs/{id}/log-artifacts",
            // It bounds its body itself.
            write(runs::log_artifacts).layer(DefaultBodyLimit::disable()),
        )
        .route("/api/mlflow/runs/{id}/artifacts", read(runs::artifacts))
        .route("/api/mlflow/models", read(registered::list))
        .route("/api/mlflow/models/register", write(registered::register))
        .route("/api/mlflow/models/{name}", read(registered::show))
        .route("/api/mlflow/models/{name}/versions", read(registered::versions))
        .route(
            "/api/mlflow/models/{name}/versions/{version}/stage",
            write(registered::stage),
        )
        .route("/api/mlflow/{*rest}", any(ask::nothing))
}
