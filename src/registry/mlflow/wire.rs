//! What an MLflow server answers, as far as we ask: mirrors of its JSON, read leniently.
//!
//! Fields that a server leaves out when they are empty default; fields we do not need are passed over.

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use crate::model::stage::Stage;
use crate::registry::{ModelEntry, VersionEntry};

/// `registered-models/get`
#[derive(Debug, Deserialize)]
pub(super) struct OneModel {
    pub(super) registered_model: Model,
}

/// `registered-models/search`
#[derive(Debug, Deserialize)]
pub(super) struct ModelPage {
    #[serde(default)]
    pub(super) registered_models: Vec<Model>,
    #[serde(default)]
    pub(super) next_page_token: String,
}

/// `model-versions/get`
#[derive(Debug, Deserialize)]
pub(super) struct OneVersion {
    pub(super) model_version: Version,
}

/// `model-versions/set-tag`
#[derive(Debug, Serialize)]
pub(super) struct NewTag<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) key: &'a str,
    pub(super) value: &'a str,
}

/// `model-versions/get-download-uri`
#[derive(Debug, Deserialize)]
pub(super) struct Download {
    pub(super) artifact_uri: String,
}

/// `logged-models/<id>`
#[derive(Debug, Deserialize)]
pub(super) struct OneLogged {
    pub(super) model: Logged,
}

/// `logged-models/search`
#[derive(Debug, Deserialize)]
pub(super) struct LoggedPage {
    #[serde(default)]
    pub(super) models: Vec<Logged>,
    #[serde(default)]
    pub(super) next_page_token: String,
}

/// `runs/get`
#[derive(Debug, Deserialize)]
pub(super) struct OneRun {
    pub(super) run: Run,
}

#[derive(Debug, Deserialize)]
pub(super) struct Model {
    pub(super) name: String,
    #[serde(default, deserialize_with = "moment")]
    pub(super) creation_timestamp: Option<i64>,
    #[serde(default, deserialize_with = "moment")]
    pub(super) last_updated_timestamp: Option<i64>,
    /// The newest version of each stage.
    #[serde(default)]
    pub(super) latest_versions: Vec<Version>,
    #[serde(default)]
    pub(super) aliases: Vec<Alias>,
    #[serde(default)]
    pub(super) tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Version {
    #[serde(deserialize_with = "number")]
    pub(super) version: u64,
    #[serde(default)]
    pub(super) current_stage: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default = "ready")]
    pub(super) status: String,
    #[serde(default)]
    pub(super) tags: Vec<Tag>,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Alias {
    pub(super) alias: String,
    #[serde(deserialize_with = "number")]
    pub(super) version: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tag {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Logged {
    pub(super) info: LoggedInfo,
}

#[derive(Debug, Deserialize)]
pub(super) struct LoggedInfo {
    pub(super) model_id: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) artifact_uri: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) source_run_id: String,
    #[serde(default)]
    pub(super) tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Run {
    pub(super) info: RunInfo,
}

#[derive(Debug, Deserialize)]
pub(super) struct RunInfo {
    pub(super) experiment_id: String,
    #[serde(default)]
    pub(super) artifact_uri: String,
}

/// Status of a version that can be used; what servers that do not say it mean.
pub(super) const READY: &str = "READY";

fn ready() -> String {
    READY.into()
}

impl Version {
    /// Its stage; a stage of a later MLflow is none that can be asked for.
    pub(super) fn stage(&self) -> Stage {
        self.current_stage.parse().unwrap_or_default()
    }
}

impl Model {
    /// Whether it is a prompt, which MLflow keeps among the models.
    pub(super) fn is_prompt(&self) -> bool {
        let says_so =
            |tag: &Tag| tag.key == "mlflow.prompt.is_prompt" && tag.value.eq_ignore_ascii_case("true");
        self.tags.iter().any(says_so)
    }

    /// As an entry that knows the newest version of each stage, and no others.
    pub(super) fn entry(&self) -> ModelEntry {
        let versions = self.latest_versions.iter().map(|version| {
            let entry = VersionEntry {
                stage: version.stage(),
                ..VersionEntry::default()
            };
            (version.version, entry)
        });
        let aliases = self
            .aliases
            .iter()
            .map(|alias| (alias.alias.clone(), alias.version));
        ModelEntry {
            name: self.name.clone(),
            versions: versions.collect(),
            aliases: aliases.collect(),
            ..ModelEntry::default()
        }
    }
}

/// Pairs of texts.
pub(super) fn pairs(tags: Vec<Tag>) -> Vec<(String, String)> {
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

/// Numbers are texts or numbers, by the version of the server.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(i64),
    Text(String),
}

impl Number {
    fn value(&self) -> Option<i64> {
        match self {
            Number::Number(number) => Some(*number),
            Number::Text(text) => text.parse().ok(),
        }
    }
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let value = Number::deserialize(from)?.value();
    value
        .and_then(|value| u64::try_from(value).ok())
        .ok_or_else(|| de::Error::custom("a version is no number"))
}

fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    Ok(Option::<Number>::deserialize(from)?.and_then(|number| number.value()))
}
