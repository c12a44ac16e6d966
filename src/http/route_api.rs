//! `GET /api/routes`, `GET /api/routes/{route}`, `PUT /api/routes/{route}/weights`, `POST /api/config/reload`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use serde_json::{Map, Value as Json, json};

use super::App;
use super::admin::{json_answer, refusal};
use super::api::ask::Said;
use super::gate_api::gate_json;
use crate::routing::route::Route;
use crate::routing::weights::{MAX_WEIGHT, Weight};
use crate::serve::routes::{ChangeError, no_route};

/// Every route.
pub(super) async fn list(State(app): State<Arc<App>>) -> Response<Body> {
    let table = app.endpoint.routes().table();
    let routes: Vec<Json> = table.routes().map(|route| describe(&app, route)).collect();
    json_answer(StatusCode::OK, &json!({ "routes": routes }))
}

/// One route.
pub(super) async fn show(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response<Body> {
    let table = app.endpoint.routes().table();
    match table.get(Some(&name)) {
        Some(route) => json_answer(StatusCode::OK, &describe(&app, route)),
        None => failed(&no_route(&name, &table)),
    }
}

fn describe(app: &App, route: &Route) -> Json {
    let fleet = app.endpoint.fleet().table();
    let sum: u32 = route.variants().iter().map(|variant| variant.weight).sum();
    let variant = |variant: &crate::routing::route::Variant| {
        let slot = fleet.get(&variant.slot);
        let serving = slot.and_then(|slot| slot.current());
        json!({
            "name": &*variant.name,
            "weight": variant.weight,
            "share": f64::from(variant.weight) / f64::from(sum.max(1)),
            "uri": slot.map(|slot| slot.uri().to_string()),
            "slot": &*variant.slot,
            "model": serving.as_ref().map(|serving| serving.id().name.to_string()),
            "version": serving.as_ref().and_then(|serving| serving.id().version.as_deref().map(str::to_owned)),
            "gate": slot.and_then(|slot| slot.status().gate.clone()).as_ref().map(gate_json),
        })
    };
    json!({
        "name": &**route.name(),
        "header": route.header().as_str(),
        "allow_version": route.allowed().version,
        "allow_stage": route.allowed().stage,
        "variants": route.variants().iter().map(variant).collect::<Vec<_>>(),
        "shadows": route.shadows().iter().map(|shadow| &*shadow.name).collect::<Vec<_>>(),
    })
}

/// `{"champion": 90, "challenger": 10}`; variants that are not named keep theirs.
pub(super) async fn set_weights(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Said(body): Said,
) -> Response<Body> {
    let Some(weights) = weights(&body) else {
        return refusal(
            StatusCode::BAD_REQUEST,
            "INVALID_PARAMETER_VALUE",
            &format!(
                "The body must be {{\"champion\": 90, \"challenger\": 10}}: a whole number from 0 to {MAX_WEIGHT} for each \
                 variant that shall have another weight."
            ),
        );
    };
    match app.routes.set_weights(&name, &weights).await {
        Ok(route) => json_answer(StatusCode::OK, &describe(&app, &route)),
        Err(error) => failed(&error),
    }
}

fn weights(body: &[u8]) -> Option<Vec<Weight>> {
    let members: Map<String, Json> = serde_json::from_slice(body).ok()?;
    let weight = |(variant, weight): (String, Json)| {
        let weight = weight.as_u64().and_then(|weight| u32::try_from(weight).ok());
        Some(Weight {
            variant,
            weight: weight.filter(|weight| *weight <= MAX_WEIGHT)?,
        })
    };
    let weights: Option<Vec<Weight>> = members.into_iter().map(weight).collect();
    weights.filter(|weights| !weights.is_empty())
}

/// Reads the configuration file again.
pub(super) async fn reload(State(app): State<Arc<App>>, _: Said) -> Response<Body> {
    match app.routes.reload().await {
        Ok(names) => {
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            json_answer(StatusCode::OK, &json!({ "routes": names }))
        }
        Err(error) => failed(&error),
    }
}

pub(super) fn failed(error: &ChangeError) -> Response<Body> {
    let (status, code) = match error {
        ChangeError::NoRoute { .. } => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
        ChangeError::Weights(_)
        | ChangeError::NoConfig
        | ChangeError::BadConfig(_)
        | ChangeError::Spec(_) => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
        ChangeError::NotKept(_) => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
        ChangeError::Slots(_) => (StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE"),
    };
    refusal(status, code, &error.to_string())
}
