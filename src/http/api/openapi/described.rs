//! The routes whose handlers lie elsewhere: those of `mlflow models serve`, of probes, and of the admin API.
#![expect(dead_code, reason = "each function stands for the path that it describes")]

use serde_json::Value as Json;
use utoipa::ToSchema;

/// A body of MLflow's scoring protocol: one of its four forms.
#[derive(ToSchema)]
struct Invocation {
    /// `{"columns": […], "data": [[…]]}`
    dataframe_split: Option<Json>,
    /// `[{"column": value}]`
    dataframe_records: Option<Json>,
    /// Rows, as TensorFlow Serving has it.
    instances: Option<Json>,
    /// Arrays, or an object of them.
    inputs: Option<Json>,
    /// Parameters of the model.
    params: Option<Json>,
}

/// Predictions.
#[derive(ToSchema)]
struct Predictions {
    /// One a row.
    predictions: Json,
}

/// A version.
#[derive(ToSchema)]
struct Pin {
    /// Its number.
    #[schema(pattern = "^[0-9]{1,18}$", example = "3")]
    version: String,
}

/// What came of a prediction.
#[derive(ToSchema)]
struct Feedback {
    /// The header `x-prediction-id` of its answer.
    prediction_id: String,
    /// A number, a boolean or a text.
    value: Json,
    /// What it is of; `reward` where it is left out.
    kind: Option<String>,
}

/// Predicts with the only model, or the default one, as `mlflow models serve` does.
#[utoipa::path(
    post, path = "/invocations", tag = "predictions",
    request_body(content((Invocation = "application/json"), (String = "text/csv"), (String = "application/vnd.apache.parquet"))),
    responses(
        (status = 200, body = Predictions, description = "Predictions"),
        (status = 415, body = String, content_type = "text/plain", description = "Another content type")
    )
)]
pub(super) fn invocations() {}

/// Predicts with one of several models.
#[utoipa::path(
    post, path = "/models/{name}/invocations", tag = "predictions",
    params(("name" = String, Path, description = "A route, or a slot")),
    request_body(content((Invocation = "application/json"), (String = "text/csv"), (String = "application/vnd.apache.parquet"))),
    responses(
        (status = 200, body = Predictions, description = "Predictions"),
        (status = 404, description = "There is no such model"),
        (status = 415, body = String, content_type = "text/plain", description = "Another content type")
    )
)]
pub(super) fn invocations_of() {}

/// Whether every model named at the start is loaded.
#[utoipa::path(
    get, path = "/ping", tag = "about",
    responses((status = 200, content_type = "application/json", description = "Ready"), (status = 503, description = "Not yet"))
)]
pub(super) fn ping() {}

/// The same.
#[utoipa::path(
    get, path = "/health", tag = "about",
    responses((status = 200, content_type = "application/json", description = "Ready"), (status = 503, description = "Not yet"))
)]
pub(super) fn health() {}

/// The same.
#[utoipa::path(
    get, path = "/health/ready", tag = "about",
    responses((status = 200, content_type = "application/json", description = "Ready"), (status = 503, description = "Not yet"))
)]
pub(super) fn ready() {}

/// Whether the process answers.
#[utoipa::path(get, path = "/health/live", tag = "about", responses((status = 200, description = "It does")))]
pub(super) fn live() {}

/// The version of modelsd, bare.
#[utoipa::path(get, path = "/version", tag = "about", responses((status = 200, description = "The version, without quotes")))]
pub(super) fn version() {}

/// Metrics for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "about",
    responses((status = 200, body = String, content_type = "text/plain", description = "Prometheus text"))
)]
pub(super) fn metrics() {}

/// Every slot: what it wants, serves and loads, its last error and its swaps.
#[utoipa::path(get, path = "/api/models", tag = "models", responses((status = 200, body = Object, description = "The slots")))]
pub(super) fn models() {}

/// One slot.
#[utoipa::path(
    get, path = "/api/models/{name}", tag = "models", params(("name" = String, Path)),
    responses((status = 200, body = Object, description = "The slot"), (status = 404, description = "There is none"))
)]
pub(super) fn model() {}

/// Pins a slot to a version, through restarts.
#[utoipa::path(
    put, path = "/api/models/{name}/pin", tag = "models", params(("name" = String, Path)),
    request_body = Pin,
    responses((status = 200, body = Object, description = "It is pinned"), (status = 404, description = "There is no such slot or version"))
)]
pub(super) fn pin() {}

/// Lets a slot follow its URI again.
#[utoipa::path(
    delete, path = "/api/models/{name}/pin", tag = "models", params(("name" = String, Path)),
    responses((status = 200, body = Object, description = "It follows"), (status = 404, description = "There is no such slot"))
)]
pub(super) fn unpin() {}

/// Asks the registry now, and tries rejected versions again.
#[utoipa::path(
    post, path = "/api/reload", tag = "models",
    params(("model" = Option<String>, Query, description = "Of one slot only")),
    responses((status = 202, body = Object, description = "It is asked"), (status = 404, description = "There is no such slot"))
)]
pub(super) fn reload() {}

/// Variants of every route, their weights, and the version that each serves.
#[utoipa::path(get, path = "/api/routes", tag = "routes", responses((status = 200, body = Object, description = "The routes")))]
pub(super) fn routes() {}

/// One route.
#[utoipa::path(
    get, path = "/api/routes/{route}", tag = "routes", params(("route" = String, Path)),
    responses((status = 200, body = Object, description = "The route"), (status = 404, description = "There is none"))
)]
pub(super) fn route() {}

/// Gives variants other weights; those that are not named keep theirs.
#[utoipa::path(
    put, path = "/api/routes/{route}/weights", tag = "routes", params(("route" = String, Path)),
    request_body = BTreeMap<String, u32>,
    responses((status = 200, body = Object, description = "The route"), (status = 404, description = "There is none"))
)]
pub(super) fn set_weights() {}

/// What the variants have come to, and which is better.
#[utoipa::path(
    get, path = "/api/routes/{route}/compare", tag = "routes",
    params(
        ("route" = String, Path),
        ("metric" = Option<String>, Query),
        ("lower_is_better" = Option<bool>, Query),
        ("alpha" = Option<f64>, Query, minimum = 0.000001, maximum = 0.5)
    ),
    responses((status = 200, body = Object, description = "The comparison"), (status = 404, description = "There is no such route"))
)]
pub(super) fn compare() {}

/// How the answers of shadows differ from those that were given.
#[utoipa::path(
    get, path = "/api/routes/{route}/shadow", tag = "routes", params(("route" = String, Path)),
    responses((status = 200, body = Object, description = "The shadows"), (status = 404, description = "There is no such route"))
)]
pub(super) fn shadow() {}

/// Whether the version that waits at the gate serves whatever it has shown.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `gate_api` reads")]
pub(super) struct Promotion {
    /// Also one that has not shown enough, or was held.
    #[schema(default = false)]
    force: Option<bool>,
}

/// Serves the version that waits at the gate of a route or a model.
#[utoipa::path(
    post, path = "/api/routes/{route}/promote", tag = "routes", params(("route" = String, Path)),
    request_body = Option<Promotion>,
    responses(
        (status = 200, body = Object, description = "What serves now"),
        (status = 404, description = "There is none of that name"),
        (status = 409, description = "Nothing waits, or what waits has not shown enough")
    )
)]
pub(super) fn promote() {}

/// What happened lately: swaps, rejected versions, outages, failed requests.
#[utoipa::path(
    get, path = "/api/events", tag = "about",
    params(("after" = Option<u64>, Query, description = "Only those after this one")),
    responses((status = 200, body = Object, description = "The events, the newest last"))
)]
pub(super) fn events() {}

/// Tells what came of a prediction.
#[utoipa::path(
    post, path = "/api/feedback", tag = "routes", request_body = Feedback,
    responses((status = 200, body = Object, description = "It is counted"))
)]
pub(super) fn feedback() {}

/// Reads the file of --config again.
#[utoipa::path(
    post, path = "/api/config/reload", tag = "routes",
    responses((status = 200, body = Object, description = "It is read"))
)]
pub(super) fn reload_config() {}

/// Takes a webhook of MLflow: the registry is asked now. Its body counts for its signature only.
#[utoipa::path(
    post, path = "/api/registry/webhook", tag = "models",
    params(
        ("x-mlflow-signature" = Option<String>, Header),
        ("x-mlflow-timestamp" = Option<String>, Header),
        ("x-mlflow-delivery-id" = Option<String>, Header)
    ),
    responses((status = 200, body = Object, description = "The registry is asked"), (status = 403, description = "It is not signed"))
)]
pub(super) fn webhook() {}
