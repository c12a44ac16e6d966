//! Where files are: what the server says of it, followed until it names a store.
//!
//! A version's location may be a model URI again (`models:/m-...` as MLflow 3 registers them, `runs:/...` as a person
//! may), and that of another version of the same server. MLflow 3 leaves the artifact folder of a run empty and keeps
//! the model among the logged models of the run's experiment; earlier ones keep it in the run's own folder.

use serde_json::json;

use super::{API, MlflowRegistry, meant, missing, no_version, wire};
use crate::client::ClientError;
use crate::model::location::ArtifactUri;
use crate::model::uri::ModelUri;
use crate::model::version::VersionId;
use crate::registry::{RegistryError, Resolved, Wanted};

/// Locations followed at most.
const MAX_DEPTH: usize = 8;

/// Logged models a page, and pages looked at for those of a run.
const PAGE: u32 = 100;
const MAX_PAGES: usize = 50;

/// A model of a run.
enum OfRun {
    /// A logged model, and the rest of the path within it.
    Logged(Box<wire::LoggedInfo>, String),
    /// A folder among the run's own artifacts.
    Own(String),
}

impl MlflowRegistry {
    /// What a URI means that names no registered model.
    pub(super) async fn wanted_by_id(&self, uri: &ModelUri) -> Result<Wanted, RegistryError> {
        match uri {
            ModelUri::LoggedModel { id } => Ok(logged_wanted(&self.logged(id).await?, "")),
            ModelUri::Run { run, path } => Ok(match self.of_run(run, path).await? {
                OfRun::Logged(logged, rest) => logged_wanted(&logged, &rest),
                OfRun::Own(_) => Wanted {
                    id: VersionId::registered(path, run),
                    revision: "run".into(),
                },
            }),
            other => Err(RegistryError::Unsupported(format!(
                "`{other}` is no model of the server `{}`",
                self.registry.name()
            ))),
        }
    }

    pub(super) async fn located(&self, uri: &ModelUri, wanted: &Wanted) -> Result<Resolved, RegistryError> {
        let bare = |location: String, tags| Resolved {
            id: wanted.id.clone(),
            stage: None,
            aliases: Vec::new(),
            location: ArtifactUri::new(location),
            in_place: false,
            tags,
            description: String::new(),
        };
        match uri {
            ModelUri::LoggedModel { id } => {
                let logged = self.logged(id).await?;
                Ok(bare(logged.artifact_uri.clone(), wire::pairs(logged.tags)))
            }
            ModelUri::Run { run, path } => Ok(match self.of_run(run, path).await? {
                OfRun::Logged(logged, rest) => {
                    bare(below(&logged.artifact_uri, &rest), wire::pairs(logged.tags))
                }
                OfRun::Own(location) => bare(location, Vec::new()),
            }),
            _ => {
                let name = &*wanted.id.name;
                let number = wanted.id.version_label();
                let number = number.parse().map_err(|_| {
                    RegistryError::Unsupported(format!("`{number}` is no version of model `{name}`"))
                })?;
                let version = self.version(name, number).await?;
                let location = self.followed(uri, name, number).await?;
                let mut aliases = version.aliases.clone();
                aliases.sort();
                Ok(Resolved {
                    stage: Some(version.stage()),
                    aliases,
                    description: version.description.clone(),
                    ..bare(location, wire::pairs(version.tags))
                })
            }
        }
    }

    /// The location of a version, followed until it is no model URI.
    async fn followed(&self, uri: &ModelUri, name: &str, version: u64) -> Result<String, RegistryError> {
        let lost = |problem: String| RegistryError::Location {
            uri: uri.to_string(),
            problem,
        };
        let mut location = self.download_uri(name, version).await?;
        let mut seen = vec![ModelUri::Version {
            name: name.into(),
            version,
        }];
        for _ in 0..MAX_DEPTH {
            if !is_model_uri(&location) {
                return if location.is_empty() {
                    Err(lost("the registry says nothing of it".into()))
                } else {
                    Ok(location)
                };
            }
            let next: ModelUri = location
                .parse()
                .map_err(|error: crate::model::uri::ModelUriError| lost(error.to_string()))?;
            if seen.contains(&next) {
                return Err(lost(format!("`{location}` leads back to where it came from")));
            }
            location = match &next {
                ModelUri::LoggedModel { id } => self.logged(id).await?.artifact_uri,
                ModelUri::Run { run, path } => match self.of_run(run, path).await? {
                    OfRun::Logged(logged, rest) => below(&logged.artifact_uri, &rest),
                    OfRun::Own(location) => location,
                },
                ModelUri::Version { name, version } => self.download_uri(name, *version).await?,
                named => {
                    let name = named.name().unwrap_or_default();
                    let version = meant(&self.model(name).await?, named)?;
                    self.download_uri(name, version).await?
                }
            };
            seen.push(next);
        }
        Err(lost(format!(
            "more than {MAX_DEPTH} locations lead to each other"
        )))
    }

    async fn download_uri(&self, name: &str, version: u64) -> Result<String, RegistryError> {
        let path = format!("{API}/model-versions/get-download-uri");
        let number = version.to_string();
        let query = [("name", name), ("version", &number)];
        let answer = self.registry.get::<wire::Download>(&path, &query).await;
        Ok(answer
            .map_err(|error| no_version(error, name, version))?
            .artifact_uri)
    }

    async fn logged(&self, id: &str) -> Result<wire::LoggedInfo, RegistryError> {
        let path = format!("{API}/logged-models/{id}");
        let answer = self.tracking.get::<wire::OneLogged>(&path, &[]).await;
        let logged = answer.map_err(|error| match error {
            ClientError::NotJson { status: 404, .. } => RegistryError::Location {
                uri: format!("models:/{id}"),
                problem: format!(
                    "`{}` knows no logged models (404): it is older than MLflow 3, or its address lacks its \
                     --static-prefix",
                    self.tracking.name()
                ),
            },
            error => self.nothing(error, format!("logged model `{id}`")),
        })?;
        usable(logged.model.info)
    }

    /// The model under a path of a run: the newest logged model of that name that the run made, else a folder of the
    /// run's own.
    async fn of_run(&self, run: &str, path: &str) -> Result<OfRun, RegistryError> {
        let runs = format!("{API}/runs/get");
        let answer = self.tracking.get::<wire::OneRun>(&runs, &[("run_id", run)]).await;
        let info = answer
            .map_err(|error| self.nothing(error, format!("run `{run}`")))?
            .run
            .info;
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        match self.logged_by(run, name, &info.experiment_id).await? {
            Some(logged) => Ok(OfRun::Logged(Box::new(usable(logged)?), rest.to_owned())),
            None => Ok(OfRun::Own(below(&info.artifact_uri, path))),
        }
    }

    async fn logged_by(
        &self,
        run: &str,
        name: &str,
        experiment: &str,
    ) -> Result<Option<wire::LoggedInfo>, RegistryError> {
        // A name with a quote cannot be asked for; no logged model has one.
        if name.contains(['\'', '"', '\\']) {
            return Ok(None);
        }
        let path = format!("{API}/logged-models/search");
        let mut question = json!({
            "experiment_ids": [experiment],
            "filter": format!("name = '{name}'"),
            "max_results": PAGE,
        });
        for _ in 0..MAX_PAGES {
            let page = match self.tracking.post::<wire::LoggedPage>(&path, &question).await {
                Ok(page) => page,
                // MLflow 2 has no logged models: its runs keep the files themselves.
                Err(ClientError::NotJson {
                    status: 404 | 405, ..
                }) => return Ok(None),
                Err(error) if error.code() == Some("ENDPOINT_NOT_FOUND") => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let of_run = |logged: &wire::Logged| logged.info.source_run_id == run;
            if let Some(logged) = page.models.into_iter().find(of_run) {
                return Ok(Some(logged.info));
            }
            if page.next_page_token.is_empty() {
                return Ok(None);
            }
            if let Some(question) = question.as_object_mut() {
                question.insert("page_token".into(), page.next_page_token.into());
            }
        }
        Err(RegistryError::Location {
            uri: format!("runs:/{run}/{name}"),
            problem: format!(
                "its experiment has more than {} logged models of that name; name the model by its id (models:/m-...)",
                MAX_PAGES * PAGE as usize
            ),
        })
    }

    fn nothing(&self, error: ClientError, what: String) -> RegistryError {
        if missing(&error) {
            RegistryError::Nothing {
                server: self.tracking.name().to_owned(),
                what,
            }
        } else {
            error.into()
        }
    }
}

fn usable(logged: wire::LoggedInfo) -> Result<wire::LoggedInfo, RegistryError> {
    let problem = match logged.status.as_str() {
        "LOGGED_MODEL_PENDING" => "it is still being logged",
        "LOGGED_MODEL_UPLOAD_FAILED" => "its upload failed; log it again",
        _ if logged.artifact_uri.is_empty() => "the server says nothing of it",
        _ => return Ok(logged),
    };
    Err(RegistryError::Location {
        uri: format!("models:/{}", logged.model_id),
        problem: problem.into(),
    })
}

fn logged_wanted(logged: &wire::LoggedInfo, rest: &str) -> Wanted {
    let name = match logged.name.as_str() {
        "" => "model",
        name => name,
    };
    Wanted {
        id: VersionId::registered(name, &logged.model_id),
        revision: below(&logged.model_id, rest).into(),
    }
}

/// Whether a location is one that the registry itself must follow.
fn is_model_uri(location: &str) -> bool {
    location.split_once(':').is_some_and(|(scheme, _)| {
        ["models", "runs"]
            .iter()
            .any(|ours| ours.eq_ignore_ascii_case(scheme))
    })
}

/// A path below a location.
fn below(location: &str, path: &str) -> String {
    match path {
        "" => location.to_owned(),
        path => format!("{}/{path}", location.trim_end_matches('/')),
    }
}
