//! What is answered, as people see it, and what an MLflow server answers, read leniently.

use std::collections::BTreeMap;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use utoipa::ToSchema;

/// An experiment.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct Experiment {
    /// Its id: digits.
    pub experiment_id: String,
    /// Its name.
    pub name: String,
    /// Where the artifacts of its runs are.
    #[serde(default)]
    pub artifact_location: String,
    /// `active` or `deleted`.
    #[serde(default)]
    pub lifecycle_stage: String,
    /// In milliseconds since the epoch.
    #[serde(default, deserialize_with = "moment")]
    pub creation_time: Option<i64>,
    /// In milliseconds since the epoch.
    #[serde(default, deserialize_with = "moment")]
    pub last_update_time: Option<i64>,
    /// Its tags.
    #[serde(default, deserialize_with = "map")]
    pub tags: BTreeMap<String, String>,
}

/// A page of experiments.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct ExperimentPage {
    /// The experiments.
    #[serde(default)]
    pub experiments: Vec<Experiment>,
    /// What asks for the next page, if there is one.
    #[serde(default, deserialize_with = "token")]
    pub next_page_token: Option<String>,
}

/// An experiment that was made.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct CreatedExperiment {
    /// Its id.
    pub experiment_id: String,
}

/// A run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Run {
    /// Its id.
    pub run_id: String,
    /// Its experiment.
    pub experiment_id: String,
    /// Its name.
    pub run_name: String,
    /// `RUNNING`, `FINISHED`, `FAILED`, `KILLED` or `SCHEDULED`.
    pub status: String,
    /// In milliseconds since the epoch.
    pub start_time: Option<i64>,
    /// In milliseconds since the epoch.
    pub end_time: Option<i64>,
    /// Where its artifacts are.
    pub artifact_uri: String,
    /// `active` or `deleted`.
    pub lifecycle_stage: String,
    /// Its parameters.
    pub params: BTreeMap<String, String>,
    /// The last value of each of its metrics.
    pub metrics: BTreeMap<String, Metric>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// The last value of a metric.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Metric {
    /// The value; null when it is not a number or infinite.
    pub value: Option<f64>,
    /// The step of the run.
    pub step: i64,
    /// In milliseconds since the epoch.
    pub timestamp: Option<i64>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RunEnd {
    /// Well.
    #[default]
    Finished,
    /// With an error.
    Failed,
    /// It was stopped.
    Killed,
}

/// A page of what lies below a path of a run.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct ArtifactPage {
    /// Where the run's artifacts are.
    #[serde(default)]
    pub root_uri: String,
    /// Files and folders.
    #[serde(default)]
    pub files: Vec<ArtifactFile>,
    /// What asks for the next page, if there is one.
    #[serde(default, deserialize_with = "token")]
    pub next_page_token: Option<String>,
}

/// A file or folder of a run.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct ArtifactFile {
    /// Its path below the run's folder.
    pub path: String,
    /// Whether it is a folder.
    #[serde(default)]
    pub is_dir: bool,
    /// Bytes of a file.
    #[serde(default, deserialize_with = "moment")]
    pub file_size: Option<i64>,
}

/// A registered model.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct RegisteredModel {
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub description: String,
    /// In milliseconds since the epoch.
    #[serde(default, deserialize_with = "moment")]
    pub creation_timestamp: Option<i64>,
    /// In milliseconds since the epoch.
    #[serde(default, deserialize_with = "moment")]
    pub last_updated_timestamp: Option<i64>,
    /// Its tags.
    #[serde(default, deserialize_with = "map")]
    pub tags: BTreeMap<String, String>,
    /// Aliases and the versions that they point to.
    #[serde(default, deserialize_with = "aliases")]
    pub aliases: BTreeMap<String, String>,
    /// Versions: of an MLflow server the newest of each stage, of a folder all.
    #[serde(default, alias = "latest_versions")]
    pub versions: Vec<ModelVersion>,
}

/// A page of registered models.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct ModelPage {
    /// The models.
    #[serde(default)]
    pub registered_models: Vec<RegisteredModel>,
    /// What asks for the next page, if there is one.
    #[serde(default, deserialize_with = "token")]
    pub next_page_token: Option<String>,
}

/// A version of a registered model.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct ModelVersion {
    /// Name of the model.
    pub name: String,
    /// Its number.
    #[serde(deserialize_with = "text")]
    pub version: String,
    /// `None`, `Staging`, `Production` or `Archived`.
    #[serde(default)]
    pub current_stage: String,
    /// What it is.
    #[serde(default)]
    pub description: String,
    /// In milliseconds since the epoch.
    #[serde(default, deserialize_with = "moment")]
    pub creation_timestamp: Option<i64>,
    /// In milliseconds since the epoch.
    #[serde(default, deserialize_with = "moment")]
    pub last_updated_timestamp: Option<i64>,
    /// Where its files came from.
    #[serde(default, deserialize_with = "token")]
    pub source: Option<String>,
    /// The run that made it.
    #[serde(default, deserialize_with = "token")]
    pub run_id: Option<String>,
    /// `READY`, `PENDING_REGISTRATION` or `FAILED_REGISTRATION`.
    #[serde(default)]
    pub status: String,
    /// Its tags.
    #[serde(default, deserialize_with = "map")]
    pub tags: BTreeMap<String, String>,
    /// Aliases that point to it.
    #[serde(default)]
    pub aliases: Vec<String>,
}

/// A page of versions.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct VersionPage {
    /// The versions.
    #[serde(default)]
    pub model_versions: Vec<ModelVersion>,
    /// What asks for the next page, if there is one.
    #[serde(default, deserialize_with = "token")]
    pub next_page_token: Option<String>,
}

// === what a server answers ===

/// `experiments/get`
#[derive(Debug, Deserialize)]
pub(super) struct OneExperiment {
    pub(super) experiment: Experiment,
}

/// `runs/get` and `runs/create`
#[derive(Debug, Deserialize)]
pub(super) struct OneRun {
    pub(super) run: ServerRun,
}

/// An answer that says nothing.
#[derive(Debug, Deserialize)]
pub(super) struct Empty {}

#[derive(Debug, Deserialize)]
pub(super) struct ServerRun {
    info: RunInfo,
    #[serde(default)]
    data: RunData,
}

#[derive(Debug, Deserialize)]
struct RunInfo {
    run_id: String,
    experiment_id: String,
    #[serde(default)]
    run_name: String,
    #[serde(default)]
    status: String,
    #[serde(default, deserialize_with = "moment")]
    start_time: Option<i64>,
    #[serde(default, deserialize_with = "moment")]
    end_time: Option<i64>,
    #[serde(default)]
    artifact_uri: String,
    #[serde(default)]
    lifecycle_stage: String,
}

#[derive(Debug, Default, Deserialize)]
struct RunData {
    #[serde(default, deserialize_with = "map")]
    params: BTreeMap<String, String>,
    #[serde(default)]
    metrics: Vec<ServerMetric>,
    #[serde(default, deserialize_with = "map")]
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct ServerMetric {
    key: String,
    /// `"NaN"` and its like are texts.
    #[serde(default)]
    value: Json,
    #[serde(default, deserialize_with = "moment")]
    step: Option<i64>,
    #[serde(default, deserialize_with = "moment")]
    timestamp: Option<i64>,
}

impl From<ServerRun> for Run {
    fn from(ServerRun { info, data }: ServerRun) -> Run {
        let metric = |metric: ServerMetric| {
            let last = Metric {
                value: metric.value.as_f64(),
                step: metric.step.unwrap_or_default(),
                timestamp: metric.timestamp,
            };
            (metric.key, last)
        };
        Run {
            run_id: info.run_id,
            experiment_id: info.experiment_id,
            run_name: info.run_name,
            status: info.status,
            start_time: info.start_time,
            end_time: info.end_time,
            artifact_uri: info.artifact_uri,
            lifecycle_stage: info.lifecycle_stage,
            params: data.params,
            metrics: data.metrics.into_iter().map(metric).collect(),
            tags: data.tags,
        }
    }
}

/// `registered-models/get` and `registered-models/create`
#[derive(Debug, Deserialize)]
pub(super) struct OneModel {
    pub(super) registered_model: RegisteredModel,
}

/// `model-versions/create` and `model-versions/transition-stage`
#[derive(Debug, Deserialize)]
pub(super) struct OneVersion {
    pub(super) model_version: ModelVersion,
}

/// What a question or a change says: members without a value are left out, as MLflow's own client does.
pub(super) fn said(mut members: Json) -> Json {
    if let Json::Object(members) = &mut members {
        members.retain(|_, value| !value.is_null());
    }
    members
}

/// Pairs as MLflow writes them.
pub(super) fn pairs(map: &BTreeMap<String, String>) -> Vec<Json> {
    map.iter()
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect()
}

/// A number that some servers write as a text.
fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    Ok(match Json::deserialize(from)? {
        Json::Number(number) => number.as_i64(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    })
}

/// A text that some servers write as a number.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(match Json::deserialize(from)? {
        Json::String(text) => text,
        other => other.to_string(),
    })
}

/// A text that is empty where there is none.
fn token<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.filter(|token| !token.is_empty()))
}

/// A list of pairs as a map.
fn map<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    #[derive(Deserialize)]
    struct Pair {
        key: String,
        #[serde(default)]
        value: String,
    }
    let pairs = Option::<Vec<Pair>>::deserialize(from)?.unwrap_or_default();
    Ok(pairs.into_iter().map(|pair| (pair.key, pair.value)).collect())
}

/// Aliases as MLflow lists them.
fn aliases<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    #[derive(Deserialize)]
    struct Alias {
        alias: String,
        #[serde(deserialize_with = "text")]
        version: String,
    }
    let aliases = Vec::<Alias>::deserialize(from)?;
    Ok(aliases
        .into_iter()
        .map(|alias| (alias.alias, alias.version))
        .collect())
}
