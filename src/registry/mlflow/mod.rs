//! The registry of an MLflow server.
//!
//! One `registered-models/get` a name and poll tells the newest version of each stage and every alias; what it does not
//! tell (whether a version that is neither exists and is ready) is asked for once, and again when the model's own time
//! of change moves. Nothing is polled here.

mod follow;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt, stream};
use serde::de::IgnoredAny;

use super::pick::{listed, pick};
use super::{Registry, RegistryError, Resolved, Selector, Wanted};
use crate::client::{Client, ClientError, Config, Credentials};
use crate::model::uri::ModelUri;
use crate::model::version::VersionId;
use wire::READY;

/// Where the API of registered models lies.
const API: &str = "api/2.0/mlflow";

/// Names asked for at once.
const AT_ONCE: usize = 4;

/// Models a page, and pages at most.
const PAGE: &str = "200";
const MAX_PAGES: usize = 500;

/// URIs of one registered model, or none, with their positions in the question.
type Group = Vec<(usize, ModelUri)>;

/// A registry on an MLflow server.
pub(super) struct MlflowRegistry {
    registry: Client,
    tracking: Client,
    at_once: usize,
    /// Versions seen to be ready, by model.
    ready: Mutex<BTreeMap<String, Ready>>,
}

/// What is known of the versions of a model that are neither the newest of their stage nor told with their status.
#[derive(Default)]
struct Ready {
    /// When the model had changed last; what is known is of then.
    updated: Option<i64>,
    versions: BTreeSet<u64>,
}

impl MlflowRegistry {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// When the settings are not usable.
    pub(super) fn new(registry: &Config, tracking: &Config) -> Result<MlflowRegistry, RegistryError> {
        let client = Client::new(registry)?;
        // MLflow's basic-auth app hashes the password anew for every request, a third of a second of a core each.
        let dear = matches!(client.credentials(), Some(Credentials::Basic { .. }));
        Ok(MlflowRegistry {
            tracking: if tracking == registry {
                client.clone()
            } else {
                Client::new(tracking)?
            },
            registry: client,
            at_once: if dear { 1 } else { AT_ONCE },
            ready: Mutex::default(),
        })
    }
}

#[async_trait]
impl Registry for MlflowRegistry {
    fn name(&self) -> &str {
        self.registry.name()
    }

    async fn wanted(&self, uris: &[ModelUri]) -> Vec<Result<Wanted, RegistryError>> {
        let mut groups: BTreeMap<Option<&str>, Group> = BTreeMap::new();
        for (position, uri) in uris.iter().enumerate() {
            let group = groups.entry(uri.name()).or_default();
            group.push((position, uri.clone()));
        }
        let groups: Vec<Group> = groups.into_values().collect();
        // When the server is away, one wait for it is enough.
        let away = OnceLock::new();
        let asked: Vec<_> = groups
            .into_iter()
            .map(|group| self.answers(group, &away).boxed())
            .collect();
        let mut answers: Vec<_> = stream::iter(asked)
            .buffer_unordered(self.at_once)
            .map(stream::iter)
            .flatten()
            .collect()
            .await;
        answers.sort_by_key(|(position, _)| *position);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    async fn all(&self, selector: &Selector) -> Result<Vec<Wanted>, RegistryError> {
        let mut found = Vec::new();
        let mut token = String::new();
        for _ in 0..MAX_PAGES {
            let page = self.page(PAGE, &token).await?;
            for model in page.registered_models.iter().filter(|model| !model.is_prompt()) {
                match meant(model, &selector.of(&model.name)) {
                    Ok(version) if told_ready(model, version) != Some(false) => {
                        found.push(wanted(model, version));
                    }
                    // Most models have no version there; one that is not ready yet comes when it is.
                    Ok(_) | Err(_) => {}
                }
            }
            if page.next_page_token.is_empty() || page.next_page_token == token {
                found.sort_by(|one, two| one.id.name.cmp(&two.id.name));
                return Ok(found);
            }
            token = page.next_page_token;
        }
        Err(RegistryError::Unsupported(format!(
            "`{}` has more than {} models: too many to follow all",
            self.name(),
            found.len()
        )))
    }

    async fn locate(&self, uri: &ModelUri, wanted: &Wanted) -> Result<Resolved, RegistryError> {
        self.located(uri, wanted).await
    }

    async fn tag(&self, id: &VersionId, tags: &[(&str, &str)]) -> Result<(), RegistryError> {
        let path = format!("{API}/model-versions/set-tag");
        for &(key, value) in tags {
            let tag = wire::NewTag {
                name: &id.name,
                version: id.version_label(),
                key,
                value,
            };
            let _: IgnoredAny = self.registry.post(&path, &tag).await?;
        }
        Ok(())
    }

    fn folder(&self) -> Option<&Path> {
        None
    }
}

impl MlflowRegistry {
    /// What the URIs of one model, or URIs that name none, mean; with their positions.
    async fn answers(
        &self,
        group: Group,
        away: &OnceLock<Arc<ClientError>>,
    ) -> Vec<(usize, Result<Wanted, RegistryError>)> {
        let mut model = None;
        let mut answers = Vec::with_capacity(group.len());
        for (position, uri) in group {
            let answer = match uri.name() {
                None => unless(away, self.wanted_by_id(&uri)).await,
                Some(name) => {
                    // Asked for once a group, and again only where there was no answer to keep.
                    let model = match &mut model {
                        Some(model) => &*model,
                        none => match unless(away, self.model(name)).await {
                            Ok(found) => none.insert(found),
                            Err(error) => {
                                answers.push((position, Err(error)));
                                continue;
                            }
                        },
                    };
                    unless(away, self.wanted_version(model, &uri)).await
                }
            };
            answers.push((position, answer));
        }
        answers
    }

    async fn wanted_version(&self, model: &wire::Model, uri: &ModelUri) -> Result<Wanted, RegistryError> {
        if model.is_prompt() {
            return Err(RegistryError::Unsupported(format!(
                "`{}` is a prompt, not a model",
                model.name
            )));
        }
        let version = match uri {
            ModelUri::Version { version, .. } => *version,
            _ => meant(model, uri)?,
        };
        match told_ready(model, version) {
            Some(true) => {}
            None if self.known_ready(model, version) => {}
            _ => {
                self.version(&model.name, version)
                    .await
                    .map_err(|error| match error {
                        // Named from what was asked for, and with what there is instead.
                        RegistryError::NoVersion { name, wanted, .. } => RegistryError::NoVersion {
                            name,
                            wanted,
                            known: known(model),
                        },
                        error => error,
                    })?;
                self.learn_ready(model, version);
            }
        }
        Ok(wanted(model, version))
    }

    fn known_ready(&self, model: &wire::Model, version: u64) -> bool {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.get(&model.name).is_some_and(|known| {
            known.updated.is_some()
                && known.updated == model.last_updated_timestamp
                && known.versions.contains(&version)
        })
    }

    fn learn_ready(&self, model: &wire::Model, version: u64) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let known = ready.entry(model.name.clone()).or_default();
        if known.updated != model.last_updated_timestamp {
            known.updated = model.last_updated_timestamp;
            known.versions.clear();
        }
        known.versions.insert(version);
    }

    /// One registered model.
    async fn model(&self, name: &str) -> Result<wire::Model, RegistryError> {
        let path = format!("{API}/registered-models/get");
        match self
            .registry
            .get::<wire::OneModel>(&path, &[("name", name)])
            .await
        {
            // The name that was asked for, whatever the answer says: it is a key of what is remembered.
            Ok(answer) => Ok(wire::Model {
                name: name.to_owned(),
                ..answer.registered_model
            }),
            Err(error) if missing(&error) => Err(RegistryError::NoModel {
                registry: self.name().to_owned(),
                name: name.to_owned(),
                known: self.known_models().await,
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// One version that is ready.
    async fn version(&self, name: &str, version: u64) -> Result<wire::Version, RegistryError> {
        let path = format!("{API}/model-versions/get");
        let number = version.to_string();
        let query = [("name", name), ("version", &number)];
        let answer = self.registry.get::<wire::OneVersion>(&path, &query).await;
        let found = answer
            .map_err(|error| no_version(error, name, version))?
            .model_version;
        if found.status == READY {
            return Ok(found);
        }
        Err(RegistryError::NotReady {
            name: name.to_owned(),
            version,
            hint: match found.status.as_str() {
                "FAILED_REGISTRATION" => "; register it again",
                _ => "",
            },
            status: found.status,
        })
    }

    async fn page(&self, size: &str, token: &str) -> Result<wire::ModelPage, RegistryError> {
        let path = format!("{API}/registered-models/search");
        let mut query = vec![("max_results", size)];
        if !token.is_empty() {
            query.push(("page_token", token));
        }
        Ok(self.registry.get(&path, &query).await?)
    }

    /// The models there are, in words.
    async fn known_models(&self) -> String {
        match self.page("21", "").await {
            Ok(page) => {
                let models = page.registered_models.iter().filter(|model| !model.is_prompt());
                let names: Vec<&str> = models.map(|model| model.name.as_str()).collect();
                if names.is_empty() {
                    "it has no models that we may see".into()
                } else {
                    format!("it has {}", listed(&names, false))
                }
            }
            Err(_) => "its models cannot be listed".into(),
        }
    }
}

/// Asks, unless the server turned out to be away meanwhile.
async fn unless<T>(
    away: &OnceLock<Arc<ClientError>>,
    ask: impl Future<Output = Result<T, RegistryError>>,
) -> Result<T, RegistryError> {
    if let Some(error) = away.get() {
        return Err(RegistryError::Client(Arc::clone(error)));
    }
    let answer = ask.await;
    if let Err(RegistryError::Client(error)) = &answer
        && matches!(**error, ClientError::Unreachable { .. })
    {
        let _ = away.set(Arc::clone(error));
    }
    answer
}

/// The version that a URI means, by what the model's own answer tells.
fn meant(model: &wire::Model, uri: &ModelUri) -> Result<u64, RegistryError> {
    let entry = model.entry();
    if let ModelUri::Alias { alias, .. } = uri
        && !alias.eq_ignore_ascii_case("latest")
        && let Some((_, version)) = entry.aliases.iter().find(|(name, _)| **name == **alias)
    {
        return Ok(*version);
    }
    pick(&entry, uri).map_err(|error| match error {
        RegistryError::NoVersion { name, wanted, .. } => RegistryError::NoVersion {
            name,
            wanted,
            known: known(model),
        },
        error => error,
    })
}

/// Whether a version is ready, when the model's own answer tells.
fn told_ready(model: &wire::Model, version: u64) -> Option<bool> {
    let told = model
        .latest_versions
        .iter()
        .find(|told| told.version == version)?;
    Some(told.status == READY)
}

fn wanted(model: &wire::Model, version: u64) -> Wanted {
    Wanted {
        id: VersionId::registered(&model.name, &version.to_string()),
        // Of a registered model the files of a version never change; a model of the same name made anew has others.
        revision: model.creation_timestamp.unwrap_or(0).to_string().into(),
    }
}

/// What a model has, in words, and how to give it what it lacks.
fn known(model: &wire::Model) -> String {
    let mut versions: Vec<_> = model.latest_versions.iter().collect();
    versions.sort_by_key(|version| version.version);
    let versions: Vec<String> = versions
        .iter()
        .map(|version| format!("{} ({})", version.version, version.stage()))
        .collect();
    let aliases = model.aliases.iter();
    let aliases: Vec<String> = aliases
        .map(|alias| format!("{} (version {})", alias.alias, alias.version))
        .collect();
    let versions = match versions.as_slice() {
        [] => return "no versions at all".into(),
        versions => format!("as the newest of each stage {}", listed(versions, false)),
    };
    let aliases = match aliases.as_slice() {
        [] => "no aliases".into(),
        aliases => format!("the aliases {}", listed(aliases, false)),
    };
    format!(
        "{versions}; {aliases}. MlflowClient's transition_model_version_stage moves a version to a stage, \
         set_registered_model_alias points an alias to one"
    )
}

/// Whether the server says that there is no such thing.
fn missing(error: &ClientError) -> bool {
    error.code() == Some("RESOURCE_DOES_NOT_EXIST")
}

fn no_version(error: ClientError, name: &str, version: u64) -> RegistryError {
    if !missing(&error) {
        return error.into();
    }
    RegistryError::NoVersion {
        name: name.to_owned(),
        wanted: format!("version {version}"),
        known: "others, or was deleted".into(),
    }
}

#[cfg(test)]
mod tests;
