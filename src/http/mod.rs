//! The HTTP edge: sockets, limits, headers, the routes of `mlflow models serve`, `/metrics`, the admin API, and the page.

pub mod access;
pub mod encoding;
pub mod listener;
pub mod lookout;
pub mod reread;
pub mod routes;
pub mod tls;
pub mod unix;
pub mod webhook;

mod activity;
mod admin;
mod answer;
mod api;
mod asked;
mod bell;
mod body;
mod compression;
mod connection;
mod events;
mod experiment_api;
mod gate_api;
mod health;
pub mod intake;
mod invocations;
mod models;
mod page;
mod patience;
mod request_id;
mod route_api;
mod signature;
mod small_writes;
mod unrouted;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post, put};

use crate::deploy::reconcile::Control;
use crate::protocol::Codecs;
use crate::protocol::Limits;
use crate::serve::endpoint::Endpoint;
use crate::serve::routes::RouteKeeper;
use crate::telemetry::recorder::Metrics;
use crate::tracking::Tracking;
use crate::tracking::classes::ClassNames;

/// Bounds on what one client may take.
#[derive(Debug, Clone)]
pub struct Config {
    /// Bytes of a request body.
    pub max_body_bytes: usize,
    /// Bytes of a request's head.
    pub max_header_bytes: usize,
    /// Connections open at once; further ones wait in the system's backlog.
    pub max_connections: usize,
    /// Time a client has to send a head, to send a body, and to take each piece of an answer.
    pub client_timeout: Duration,
    /// Time that requests in flight have to end after a signal to stop.
    pub shutdown_grace: Duration,
    /// Bounds on what a body may make us build.
    pub limits: Limits,
}

/// What the routes share.
pub struct App {
    /// Where requests begin.
    pub endpoint: Endpoint,
    /// How bodies are read.
    pub codecs: Codecs,
    /// Bounds.
    pub config: Config,
    /// Lets large bodies in.
    pub intake: intake::Intake,
    /// Renders the metrics.
    pub metrics: Metrics,
    /// Speaks to the reconciler.
    pub control: Control,
    /// Changes routes.
    pub routes: Arc<RouteKeeper>,
    /// Who may do what.
    pub guard: Arc<access::Guard>,
    /// Whether the port speaks TLS.
    pub encrypted: bool,
    /// Who may say that the registry changed.
    pub webhooks: webhook::Verifier,
    /// Whether requests are traced.
    pub traced: bool,
    /// Knows runs and registered models.
    pub tracking: Tracking,
    /// Knows what classes are called.
    pub classes: ClassNames,
}

/// The routes in the form of axum.
fn router(app: Arc<App>) -> Router {
    let traced = app.traced;
    let only_get = || std::future::ready(unrouted::method_not_allowed("GET"));
    let only_post = || std::future::ready(unrouted::method_not_allowed("POST"));
    let only_put = || std::future::ready(unrouted::method_not_allowed("PUT"));
    let pin_methods = || std::future::ready(unrouted::method_not_allowed("PUT, DELETE"));
    // axum answers HEAD with a GET handler; MLflow's server answers 405, so HEAD is routed by hand.
    let ping = || get(health::ping).head(only_get).fallback(only_get);
    Router::new()
        .merge(page::router())
        .route("/ping", ping())
        .route("/health", ping())
        .route("/version", get(health::version).head(only_get).fallback(only_get))
        .route("/metrics", get(health::metrics).head(only_get).fallback(only_get))
        .route(
            "/health/live",
            get(health::live).head(only_get).fallback(only_get),
        )
        .route("/health/ready", ping())
        .route("/invocations", post(invocations::invocations).fallback(only_post))
        .route(
            "/models/{name}/invocations",
            post(invocations::named).fallback(only_post),
        )
        .route("/api/events", get(events::list).head(only_get).fallback(only_get))
        .route("/api/models", get(models::list).head(only_get).fallback(only_get))
        .route(
            "/api/models/{name}",
            get(models::show).head(only_get).fallback(only_get),
        )
        .route(
            "/api/models/{name}/pin",
            put(admin::pin).delete(admin::unpin).fallback(pin_methods),
        )
        .route(
            "/api/routes",
            get(route_api::list).head(only_get).fallback(only_get),
        )
        .route(
            "/api/routes/{route}",
            get(route_api::show).head(only_get).fallback(only_get),
        )
        .route(
            "/api/routes/{route}/weights",
            put(route_api::set_weights).fallback(only_put),
        )
        .route(
            "/api/routes/{route}/promote",
            post(gate_api::promote).fallback(only_post),
        )
        .route(
            "/api/routes/{route}/compare",
            get(experiment_api::comparison).head(only_get).fallback(only_get),
        )
        .route(
            "/api/routes/{route}/shadow",
            get(experiment_api::shadow).head(only_get).fallback(only_get),
        )
        .route(
            "/api/feedback",
            post(experiment_api::feedback).fallback(only_post),
        )
        .route("/api/config/reload", post(route_api::reload).fallback(only_post))
        .route("/api/reload", post(admin::reload).fallback(only_post))
        .route(
            "/api/registry/webhook",
            post(webhook::receive).fallback(only_post),
        )
        .merge(api::routes(traced))
        .fallback(unrouted::not_found)
        .with_state(app)
}
