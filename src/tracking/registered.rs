//! Registered models, of an MLflow server or of the embedded registry.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::task::spawn_blocking;

use super::wire::{ModelPage, ModelVersion, OneModel, OneVersion, RegisteredModel, VersionPage, pairs, said};
use super::{API, Registered, Tracking, TrackingError, check};
use crate::client::Client;
use crate::model::stage::Stage;
use crate::registry::{DirRegistry, ModelEntry, RegistryError};

/// A model, or a version of one, to be registered.
#[derive(Debug, Clone, Default)]
pub struct NewModel {
    /// Its name.
    pub name: String,
    /// What it is, of the version where there is one.
    pub description: Option<String>,
    /// Tags, of the version where there is one.
    pub tags: BTreeMap<String, String>,
    /// Where the files of a version are.
    pub source: Option<String>,
    /// The run that made the version.
    pub run_id: Option<String>,
}

/// What was registered.
pub enum Made {
    /// A model without versions.
    Model(RegisteredModel),
    /// A version.
    Version(ModelVersion),
}

impl Tracking {
    /// A page of the registered models, by name.
    ///
    /// # Errors
    /// [`TrackingError`].
    pub async fn models(&self, most: u32, token: Option<&str>) -> Result<ModelPage, TrackingError> {
        check::token(token)?;
        let _turn = self.turn()?;
        match &self.0.registered {
            Registered::Server(client) => {
                let most = most.to_string();
                let mut query = vec![("max_results", most.as_str())];
                query.extend(token.map(|token| ("page_token", token)));
                let path = format!("{API}/registered-models/search");
                Ok(client.with_retries(1).get(&path, &query).await?)
            }
            Registered::Folder(folder) => {
                let models = in_folder(folder, DirRegistry::list).await?;
                let (page, next_page_token) = page(models, most, token)?;
                Ok(ModelPage {
                    registered_models: page.into_iter().map(described).collect(),
                    next_page_token,
                })
            }
        }
    }

    /// One registered model.
    ///
    /// # Errors
    /// [`TrackingError`].
    pub async fn model(&self, name: &str) -> Result<RegisteredModel, TrackingError> {
        check::model_name(name)?;
        let _turn = self.turn()?;
        match &self.0.registered {
            Registered::Server(client) => {
                let path = format!("{API}/registered-models/get");
                let answer: OneModel = client.with_retries(1).get(&path, &[("name", name)]).await?;
                Ok(answer.registered_model)
            }
            Registered::Folder(folder) => Ok(described(entry(folder, name).await?)),
        }
    }

    /// A page of the versions of a model, the latest first.
    ///
    /// # Errors
    /// [`TrackingError`].
    pub async fn versions(
        &self,
        name: &str,
        most: u32,
        token: Option<&str>,
    ) -> Result<VersionPage, TrackingError> {
        check::token(token)?;
        // A model that is not there has no versions for MLflow; here it is an error.
        let model = self.model(name).await?;
        let _turn = self.turn()?;
        match &self.0.registered {
            Registered::Server(client) => {
                let quote = if name.contains('\'') { '"' } else { '\'' };
                let filter = format!("name={quote}{name}{quote}");
                let most = most.to_string();
                let mut query = vec![
                    ("filter", filter.as_str()),
                    ("max_results", most.as_str()),
                    ("order_by", "version_number DESC"),
                ];
                query.extend(token.map(|token| ("page_token", token)));
                let path = format!("{API}/model-versions/search");
                Ok(client.with_retries(1).get(&path, &query).await?)
            }
            Registered::Folder(_) => {
                let (page, next_page_token) = page(model.versions, most, token)?;
                Ok(VersionPage {
                    model_versions: page,
                    next_page_token,
                })
            }
        }
    }

    /// Registers a model, or with a source a version of it, whose model is made where there is none.
    ///
    /// # Errors
    /// [`TrackingError`], also when there is such a model and no source is given.
    pub async fn register(&self, new: &NewModel) -> Result<Made, TrackingError> {
        check::model_name(&new.name)?;
        check::long("The description", new.description.as_deref().unwrap_or_default())?;
        check::long("The source", new.source.as_deref().unwrap_or_default())?;
        check::tags(&new.tags)?;
        new.run_id.as_deref().map_or(Ok(()), check::run_id)?;
        let _turn = self.turn()?;
        let Registered::Server(client) = &self.0.registered else {
            return Err(TrackingError::Unsupported(
                "The registry is a folder: `modelsd registry register NAME DIR` adds models to it.".into(),
            ));
        };
        let client = client.with_retries(0);
        match &new.source {
            None => Ok(Made::Model(create(&client, new).await?)),
            Some(source) => {
                let bare = NewModel {
                    name: new.name.clone(),
                    ..NewModel::default()
                };
                match create(&client, &bare).await {
                    Ok(_) => {}
                    Err(TrackingError::Refused { code, .. }) if code == "RESOURCE_ALREADY_EXISTS" => {}
                    Err(error) => return Err(error),
                }
                let change = said(json!({
                    "name": new.name,
                    "source": source,
                    "run_id": new.run_id,
                    "description": new.description,
                    "tags": pairs(&new.tags),
                }));
                let path = format!("{API}/model-versions/create");
                let answer: OneVersion = client.post(&path, &change).await?;
                Ok(Made::Version(answer.model_version))
            }
        }
    }

    /// Moves a version to a stage; `archive` moves those that are there to `Archived`.
    ///
    /// # Errors
    /// [`TrackingError`].
    pub async fn set_stage(
        &self,
        name: &str,
        version: u64,
        stage: Stage,
        archive: bool,
    ) -> Result<ModelVersion, TrackingError> {
        check::model_name(name)?;
        // MLflow answers 500 to that.
        if archive && !stage.is_active() {
            let help = "versions are archived only where one moves to Staging or Production";
            return Err(check::invalid("The stage", stage.name(), help));
        }
        let _turn = self.turn()?;
        match &self.0.registered {
            Registered::Server(client) => {
                let path = format!("{API}/model-versions/transition-stage");
                let change = said(json!({
                    "name": name,
                    "version": version.to_string(),
                    "stage": stage.name(),
                    "archive_existing_versions": archive,
                }));
                let answer: OneVersion = client.with_retries(0).post(&path, &change).await?;
                Ok(answer.model_version)
            }
            Registered::Folder(folder) => {
                let model = name.to_owned();
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let now_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
                let change =
                    move |folder: &DirRegistry| folder.transition(&model, version, stage, archive, now_ms);
                in_folder(folder, change).await?;
                let number = version.to_string();
                let versions = described(entry(folder, name).await?).versions;
                let found = versions.into_iter().find(|found| found.version == number);
                found.ok_or_else(|| {
                    TrackingError::Registry(RegistryError::NoVersion {
                        name: name.to_owned(),
                        wanted: format!("version {version}"),
                        known: "others: it went meanwhile".into(),
                    })
                })
            }
        }
    }
}

async fn create(client: &Client, new: &NewModel) -> Result<RegisteredModel, TrackingError> {
    let change = said(json!({ "name": new.name, "description": new.description, "tags": pairs(&new.tags) }));
    let path = format!("{API}/registered-models/create");
    let answer: OneModel = client.post(&path, &change).await?;
    Ok(answer.registered_model)
}

async fn entry(folder: &DirRegistry, name: &str) -> Result<ModelEntry, TrackingError> {
    let name = name.to_owned();
    in_folder(folder, move |folder| folder.show(&name)).await
}

/// Works on the folder on a thread that may wait for the disk.
async fn in_folder<T: Send + 'static>(
    folder: &DirRegistry,
    work: impl FnOnce(&DirRegistry) -> Result<T, RegistryError> + Send + 'static,
) -> Result<T, TrackingError> {
    let folder = folder.clone();
    let done = spawn_blocking(move || work(&folder)).await;
    done.map_err(|_| TrackingError::Unsupported("The server is stopping.".into()))?
        .map_err(TrackingError::Registry)
}

/// A page of a list that is at hand; its token is the position of the next.
fn page<T>(all: Vec<T>, most: u32, token: Option<&str>) -> Result<(Vec<T>, Option<String>), TrackingError> {
    let start = match token {
        None => 0,
        Some(token) => token
            .parse::<usize>()
            .map_err(|_| check::invalid("The page token", token, "use the one of the page before"))?,
    };
    let end = start.saturating_add(most as usize);
    let next = (end < all.len()).then(|| end.to_string());
    Ok((all.into_iter().skip(start).take(most as usize).collect(), next))
}

/// A model of the folder as an MLflow server describes one.
fn described(entry: ModelEntry) -> RegisteredModel {
    let version = |(number, version): (&u64, &crate::registry::VersionEntry)| ModelVersion {
        name: entry.name.clone(),
        version: number.to_string(),
        current_stage: version.stage.name().to_owned(),
        description: version.description.clone(),
        creation_timestamp: version.created_ms,
        last_updated_timestamp: version.updated_ms,
        source: None,
        run_id: None,
        status: "READY".to_owned(),
        tags: version.tags.iter().cloned().collect(),
        aliases: entry.aliases_of(*number),
    };
    RegisteredModel {
        versions: entry.versions.iter().rev().map(version).collect(),
        description: entry.description.clone(),
        creation_timestamp: entry.created_ms,
        last_updated_timestamp: entry.updated_ms,
        tags: entry.tags.iter().cloned().collect(),
        aliases: entry
            .aliases
            .iter()
            .map(|(alias, version)| (alias.clone(), version.to_string()))
            .collect(),
        name: entry.name,
    }
}
