//! The OpenAPI document: every route of this server, whatever part of it answers.

mod described;

use axum::http::Method;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi, ToSchema};

use super::{about, docs, experiments, predict, registered, runs, serving};
use crate::http::access::role::{self, Role};

/// What went wrong.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `admin::refusal` writes")]
struct Error {
    /// One of MLflow's names of errors.
    #[schema(example = "INVALID_PARAMETER_VALUE")]
    error_code: String,
    /// What, where, and how to mend it.
    message: String,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "modelsd",
        description = "Serves the models of an MLflow registry, and manages them.\n\nErrors are `{\"error_code\": …, \
            \"message\": …}`. Where the server has tokens, what needs a role wants `Authorization: Bearer <token>` \
            with one of that role, or of the role `admin`; only probes and pages never do."
    ),
    paths(
        predict::default, predict::named, described::invocations, described::invocations_of,
        described::ping, described::health, described::ready, described::live, described::version, described::metrics,
        docs::document, docs::page,
        about::health, about::info, about::version,
        serving::list, serving::deploy, predict::managed, serving::undeploy,
        experiments::list, experiments::create, experiments::show, experiments::start, experiments::end,
        runs::show, runs::log_params, runs::log_metrics, runs::log_artifacts, runs::artifacts,
        registered::list, registered::register, registered::show, registered::versions, registered::stage,
        described::models, described::model, described::pin, described::unpin, described::reload,
        described::routes, described::route, described::set_weights, described::compare, described::shadow,
        described::promote, described::events, described::feedback, described::reload_config, described::webhook,
    ),
    components(schemas(Error)),
    modifiers(&Common),
    tags(
        (name = "predictions", description = "Ask a model"),
        (name = "serving", description = "Put registered models into service, and take them out of it"),
        (name = "experiments", description = "Experiments of the MLflow tracking server, and their runs"),
        (name = "runs", description = "Runs of the MLflow tracking server"),
        (name = "registry", description = "Registered models of the MLflow server, or of the embedded registry"),
        (name = "models", description = "What each slot wants, serves and loads"),
        (name = "routes", description = "Variants of models, their weights and what they have come to"),
        (name = "about", description = "This server"),
    )
)]
struct Description;

/// The document, as JSON.
pub(super) fn document() -> String {
    Description::openapi().to_json().unwrap_or_default()
}

/// What all operations have in common.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut Document) {
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token of --token-file, or that of --admin-token-file"))
            .build();
        if let Some(components) = &mut document.components {
            components.add_security_scheme("token", SecurityScheme::Http(token));
        }
        for (path, item) in &mut document.paths.paths {
            let operations = [
                (Method::GET, &mut item.get),
                (Method::POST, &mut item.post),
                (Method::PUT, &mut item.put),
                (Method::DELETE, &mut item.delete),
            ];
            for (method, operation) in operations {
                if let Some(operation) = operation {
                    operation.operation_id = Some(id(&method, path));
                    if let Some(role) = role::needed(&method, path) {
                        guard(operation, role);
                    }
                    complete(operation);
                }
            }
        }
    }
}

/// The name of an operation in programs: `get_api_models_name`.
fn id(method: &Method, path: &str) -> String {
    let method = method.as_str().to_ascii_lowercase();
    let words = path.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    format!("{method}_{}", words.join("_"))
}

/// Says who may ask for an operation.
fn guard(operation: &mut Operation, role: Role) {
    operation.security = Some(vec![SecurityRequirement::new("token", [role.label()])]);
    let says = format!("Where the server has tokens, this needs one of the role `{role}`.");
    operation.description = Some(match operation.description.take() {
        Some(text) if !text.is_empty() => format!("{text}\n\n{says}"),
        _ => says,
    });
}

/// Says how an operation fails, where it does not say it itself.
fn complete(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        if let RefOr::T(response) = response
            && status.starts_with('4')
            && response.content.is_empty()
        {
            response.content.insert("application/json".into(), error());
        }
    }
    let otherwise: Response = ResponseBuilder::new()
        .description("Anything else")
        .content("application/json", error())
        .build();
    responses
        .entry("default".into())
        .or_insert_with(|| RefOr::T(otherwise));
}

fn error() -> Content {
    Content::new(Some(RefOr::Ref(Ref::from_schema_name("Error"))))
}
