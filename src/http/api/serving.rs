//! `/api/mlflow/serving`: models that are put into service and taken out of it while the server runs.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::time::{Instant, sleep};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::ask::{self, At, Refused, Said, bad};
use crate::deploy::slot::Slot;
use crate::http::App;
use crate::http::admin::{failed, json_answer, refusal};
use crate::http::models::describe;
use crate::model::uri::ModelUri;

/// How long a deployment is waited for before it is answered that it is on its way.
const WAIT: Duration = Duration::from_secs(30);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(20);
/// Longest name, in characters.
const MAX_NAME: usize = 250;

/// What is to be served.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Deployment {
    /// The registered model.
    #[schema(min_length = 1, max_length = 250, pattern = "^[^/:]+$", example = "abalone")]
    name: String,
    /// One version of it, for good. Give at most one of version, stage and alias; without any, the latest version is
    /// followed.
    #[serde(default)]
    version: Option<VersionNumber>,
    /// The stage that is followed.
    #[serde(default)]
    #[schema(pattern = "^(None|Staging|Production|Archived)$", example = "Production")]
    stage: Option<String>,
    /// The alias that is followed.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 250)]
    alias: Option<String>,
    /// The name it is served as; the model's, where it is left out.
    #[serde(default)]
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
    slot: Option<String>,
}

/// A version: a number, or a text of one.
#[derive(Deserialize)]
struct VersionNumber(Json);

impl PartialSchema for VersionNumber {
    fn schema() -> RefOr<Schema> {
        let kinds = SchemaType::Array(vec![Type::String, Type::Integer]);
        ObjectBuilder::new()
            .schema_type(kinds)
            .pattern(Some("^[1-9][0-9]{0,8}$"))
            .minimum(Some(1))
            .maximum(Some(999_999_999))
            .into()
    }
}

impl ToSchema for VersionNumber {}

impl VersionNumber {
    fn number(&self) -> Option<u64> {
        let number = match &self.0 {
            Json::Number(number) => number.as_u64(),
            Json::String(text) if !text.starts_with(['0', '+']) => text.parse().ok(),
            _ => None,
        };
        number.filter(|number| (1..=999_999_999).contains(number))
    }
}

impl Deployment {
    /// The slot and what it serves.
    fn read(&self) -> Result<(&str, ModelUri), Refused> {
        let name: Arc<str> = self.name.as_str().into();
        let odd = |text: &str| {
            text.trim().is_empty() || text.chars().count() > MAX_NAME || text.contains(char::is_control)
        };
        if odd(&name) || name.contains(['/', ':']) {
            return Err(bad(
                "name must be that of a registered model, without `/` and `:`.",
            ));
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let slot = match &self.slot {
            Some(slot)
                if slot.len() > 100
                    || !slot.chars().all(fits)
                    || !slot.starts_with(|c: char| c.is_ascii_alphanumeric()) =>
            {
                return Err(bad(
                    "slot must be letters, digits, `_`, `.` and `-`, at most 100.",
                ));
            }
            Some(slot) => slot,
            None => &self.name,
        };
        let uri = match (&self.version, &self.stage, &self.alias) {
            (Some(version), None, None) => ModelUri::Version {
                name,
                version: version
                    .number()
                    .ok_or_else(|| bad("version must be the number of a version, such as 3."))?,
            },
            (None, Some(stage), None) => ModelUri::Stage {
                name,
                stage: stage
                    .parse()
                    .map_err(|_| bad("stage must be None, Staging, Production or Archived."))?,
            },
            (None, None, Some(alias)) if !odd(alias) => ModelUri::Alias {
                name,
                alias: alias.as_str().into(),
            },
            (None, None, Some(_)) => return Err(bad("alias must be the name of an alias.")),
            (None, None, None) => ModelUri::Latest { name },
            _ => return Err(bad("Give at most one of version, stage and alias.")),
        };
        // A restart reads it again.
        match uri.to_string().parse() == Ok(uri.clone()) {
            true => Ok((slot, uri)),
            false => Err(bad(
                "name and alias must be such that models:/NAME/VERSION and models:/NAME@ALIAS mean them.",
            )),
        }
    }
}

/// Every model that is served, wherever it came from.
#[utoipa::path(get, path = "/api/mlflow/serving/models", tag = "serving", responses((status = 200, body = Object, description = "The models")))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Response<Body> {
    crate::http::models::list(State(app)).await
}

/// Serves a registered model from now on, also after a restart. A slot that was deployed serves something else then, and goes
/// on with what it has until that is there.
#[utoipa::path(
    post, path = "/api/mlflow/serving/models/deploy", tag = "serving",
    request_body = Deployment,
    responses(
        (status = 201, body = Object, description = "It serves"),
        (status = 202, body = Object, description = "It is on its way, or waits for the registry"),
        (status = 404, description = "There is no such version"),
        (status = 409, description = "The version cannot be served, the name is taken, or there are too many")
    )
)]
pub(super) async fn deploy(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    let sent: Deployment = match ask::json(&app, request).await {
        Ok(sent) => sent,
        Err(refused) => return *refused,
    };
    let (slot, uri) = match sent.read() {
        Ok(read) => read,
        Err(refused) => return *refused,
    };
    let of_route = |route: &str| {
        slot.strip_prefix(route)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let taken = app
        .endpoint
        .routes()
        .table()
        .routes()
        .any(|route| of_route(route.name()));
    if taken {
        let message = format!("`{slot}` is a route, or a variant of one; choose another slot.");
        return refusal(StatusCode::CONFLICT, "RESOURCE_CONFLICT", &message);
    }
    if let Err(error) = app.control.deploy(slot, uri.clone()).await {
        return failed(&error);
    }
    outcome(&app, slot, &uri).await
}

/// What has become of a deployment, once that is known.
async fn outcome(app: &App, name: &str, uri: &ModelUri) -> Response<Body> {
    let end = Instant::now() + WAIT;
    loop {
        let slot = app.endpoint.fleet().table().get(name).cloned();
        let Some(slot) = slot.filter(|slot| slot.uri() == uri) else {
            let message = format!("`{name}` was taken away, or given something else to serve, meanwhile.");
            return refusal(StatusCode::CONFLICT, "RESOURCE_CONFLICT", &message);
        };
        match state(&slot) {
            Progress::Serves => return json_answer(StatusCode::CREATED, &describe(&slot, None)),
            Progress::Failed(reason) => {
                let message = format!(
                    "`{uri}` cannot be served: {reason}. It is tried again now and then; DELETE \
                     /api/mlflow/serving/models/{name} gives it up."
                );
                return refusal(StatusCode::CONFLICT, "INVALID_STATE", &message);
            }
            Progress::Waits => return json_answer(StatusCode::ACCEPTED, &describe(&slot, None)),
            Progress::Loads if Instant::now() >= end => {
                return json_answer(StatusCode::ACCEPTED, &describe(&slot, None));
            }
            Progress::Loads => sleep(LOOK).await,
        }
    }
}

/// How far a deployment is.
enum Progress {
    Serves,
    Loads,
    /// For the registry.
    Waits,
    Failed(String),
}

fn state(slot: &Slot) -> Progress {
    let status = slot.status();
    if let Some(rejected) = &status.rejected {
        return Progress::Failed(rejected.reason.clone());
    }
    if status.unknown.is_some() {
        return Progress::Waits;
    }
    let serving = status.serving.as_ref().map(|serving| &serving.wanted);
    match status.wanted.is_some() && serving == status.wanted.as_ref() {
        true => Progress::Serves,
        false => Progress::Loads,
    }
}

/// Takes a deployed model out of service. Requests under way end as they began.
#[utoipa::path(
    delete, path = "/api/mlflow/serving/models/{name}", tag = "serving",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = Object, description = "It is gone"),
        (status = 404, description = "There is no such slot"),
        (status = 409, description = "It was not deployed here: it came with the start of the server")
    )
)]
pub(super) async fn undeploy(At(name): At<String>, State(app): State<Arc<App>>, _: Said) -> Response<Body> {
    match app.control.undeploy(&name).await {
        Ok(()) => json_answer(StatusCode::OK, &json!({ "name": name, "deployed": false })),
        Err(error) => failed(&error),
    }
}
