//! `GET /api/mlflow/health`, `info` and `version`: this server and the tracking server behind it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::ask::answer;
use crate::http::App;

/// Time that the tracking server has to say that it is there.
const LIMIT: Duration = Duration::from_secs(5);

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How things are.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`, `loading` while a model that was named is not there, or `degraded` while the tracking server is away.
    #[schema(example = "ok")]
    status: &'static str,
    /// Whether every model that was named at the start serves.
    ready: bool,
    /// How many models serve.
    serving: usize,
    /// The tracking server, if there is one.
    tracking_server: Option<Server>,
}

/// A tracking server.
#[derive(Serialize, ToSchema)]
pub(super) struct Server {
    /// Its address.
    url: String,
    /// Whether it answers.
    reachable: bool,
    /// Its version of MLflow.
    version: Option<String>,
    /// Why it does not answer.
    problem: Option<String>,
}

/// Who answers.
#[derive(Serialize, ToSchema)]
pub(super) struct Info {
    /// `modelsd`
    name: &'static str,
    /// Its version.
    version: &'static str,
    /// Where registered models come from.
    registry: String,
    /// The address of the tracking server, if there is one.
    tracking_server: Option<String>,
    /// Names of the slots that models serve in.
    models: Vec<String>,
    /// Names of the routes over them.
    routes: Vec<String>,
}

/// Versions.
#[derive(Serialize, ToSchema)]
pub(super) struct Versions {
    /// Of modelsd.
    modelsd: &'static str,
    /// Of MLflow on the tracking server; null without one, and while it does not answer.
    mlflow: Option<String>,
}

async fn server(app: &App) -> Option<Server> {
    let url = app.tracking.server_name()?.to_owned();
    let (version, problem) = match timeout(LIMIT, app.tracking.server_version()).await {
        Ok(Ok(version)) => (Some(version), None),
        Ok(Err(problem)) => (None, Some(problem.to_string())),
        Err(_) => (None, Some(format!("it did not answer within {LIMIT:?}"))),
    };
    Some(Server {
        url,
        reachable: problem.is_none(),
        version,
        problem,
    })
}

/// How this server and the tracking server behind it are. The answer is always 200; for probes there are `/health/live` and
/// `/health/ready`.
#[utoipa::path(get, path = "/api/mlflow/health", tag = "about", responses((status = 200, body = Health, description = "How things are")))]
pub(super) async fn health(State(app): State<Arc<App>>) -> Response<Body> {
    let tracking_server = server(&app).await;
    let ready = app.endpoint.fleet().ready();
    let away = tracking_server.as_ref().is_some_and(|server| !server.reachable);
    let table = app.endpoint.fleet().table();
    let health = Health {
        status: match (ready, away) {
            (false, _) => "loading",
            (true, true) => "degraded",
            (true, false) => "ok",
        },
        ready,
        serving: table.slots().filter(|slot| slot.current().is_some()).count(),
        tracking_server,
    };
    answer(StatusCode::OK, Ok(health))
}

/// What this server is, and what it serves.
#[utoipa::path(get, path = "/api/mlflow/info", tag = "about", responses((status = 200, body = Info, description = "Who answers")))]
pub(super) async fn info(State(app): State<Arc<App>>) -> Response<Body> {
    let (slots, routes) = (app.endpoint.fleet().table(), app.endpoint.routes().table());
    let info = Info {
        name: "modelsd",
        version: VERSION,
        registry: app.tracking.registry_name(),
        tracking_server: app.tracking.server_name().map(str::to_owned),
        models: slots.slots().map(|slot| slot.name().to_string()).collect(),
        routes: routes.routes().map(|route| route.name().to_string()).collect(),
    };
    answer(StatusCode::OK, Ok(info))
}

/// The versions of modelsd and of the tracking server.
#[utoipa::path(get, path = "/api/mlflow/version", tag = "about", responses((status = 200, body = Versions, description = "Versions")))]
pub(super) async fn version(State(app): State<Arc<App>>) -> Response<Body> {
    let mlflow = server(&app).await.and_then(|server| server.version);
    let versions = Versions {
        modelsd: VERSION,
        mlflow,
    };
    answer(StatusCode::OK, Ok(versions))
}
