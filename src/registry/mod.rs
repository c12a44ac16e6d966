//! Registries: which version a model URI means, and where its files are.
//!
//! [`Spec`] is made from a text that only this folder reads, and [`open`] makes a [`Registry`] of it. URIs of local directories and `.onnx` files
//! mean themselves, whatever the registry.

mod dir;
mod error;
mod files;
mod mlflow;
mod pick;
mod spec;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::location::ArtifactUri;
use crate::model::stage::Stage;
use crate::model::uri::ModelUri;
use crate::model::version::VersionId;

pub use dir::DirRegistry;
pub use error::RegistryError;
pub use spec::Spec;

/// Says which versions URIs mean now, and where the files of a version are. Nothing here polls; all of it is
/// cancel-safe.
#[async_trait]
pub trait Registry: Send + Sync {
    /// What people call it: the folder, or the address without credentials. Part of the keys under which the cache
    /// keeps versions.
    fn name(&self) -> &str;

    /// The version that each URI means at this moment, in the order of the URIs. URIs of one registered model cost one
    /// request together.
    ///
    /// # Errors
    /// For each URI: when there is no such model or version, or the registry cannot be read.
    async fn wanted(&self, uris: &[ModelUri]) -> Vec<Result<Wanted, RegistryError>>;

    /// The version of every registered model that has one in this stage or under this alias, by name.
    ///
    /// # Errors
    /// When the registry cannot be read.
    async fn all(&self, selector: &Selector) -> Result<Vec<Wanted>, RegistryError>;

    /// Where the files of a version are, and what else the registry says of it. The URI is the one that led to it.
    ///
    /// # Errors
    /// When the version has gone, or the registry cannot be read.
    async fn locate(&self, uri: &ModelUri, wanted: &Wanted) -> Result<Resolved, RegistryError>;

    /// Gives a version these tags, each in place of the one of its name.
    ///
    /// # Errors
    /// When there is no such version, or the registry cannot be written to.
    async fn tag(&self, id: &VersionId, tags: &[(&str, &str)]) -> Result<(), RegistryError>;

    /// The folder whose changes are changes of the registry, for one that lies on this machine.
    fn folder(&self) -> Option<&Path>;
}

/// The version that one URI means now.
///
/// # Errors
/// As [`Registry::wanted`].
pub async fn wanted(registry: &dyn Registry, uri: &ModelUri) -> Result<Wanted, RegistryError> {
    let answer = registry.wanted(std::slice::from_ref(uri)).await.pop();
    answer.unwrap_or_else(|| Err(RegistryError::Unsupported(format!("`{uri}` got no answer"))))
}

/// The version that one URI means now, and where its files are.
///
/// # Errors
/// As [`Registry::wanted`] and [`Registry::locate`].
pub async fn resolve(registry: &dyn Registry, uri: &ModelUri) -> Result<Resolved, RegistryError> {
    registry.locate(uri, &wanted(registry, uri).await?).await
}

/// A version that should be served.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Name and version.
    pub id: VersionId,
    /// Opaque; differs when the same name and version stand for other files: a model deleted and registered anew, a
    /// folder written over.
    pub revision: Arc<str>,
}

/// Picks a version of any registered model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    /// The highest version in that stage.
    Stage(Stage),
    /// The version under that alias.
    Alias(Arc<str>),
}

impl Selector {
    /// A stage in any case, `@alias`, or else an alias.
    pub fn parse(text: &str) -> Selector {
        match text.parse() {
            Ok(stage) => Selector::Stage(stage),
            Err(_) => Selector::Alias(text.strip_prefix('@').unwrap_or(text).into()),
        }
    }

    /// What it means for the model of that name.
    pub fn of(&self, name: &str) -> ModelUri {
        let name = name.into();
        match self {
            Selector::Stage(stage) => ModelUri::Stage { name, stage: *stage },
            Selector::Alias(alias) => ModelUri::Alias {
                name,
                alias: Arc::clone(alias),
            },
        }
    }
}

/// What a URI means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Name and version.
    pub id: VersionId,
    /// Stage of the version; `None` for a model outside a registry.
    pub stage: Option<Stage>,
    /// Aliases that point to the version, in alphabetical order.
    pub aliases: Vec<String>,
    /// Where the model directory is.
    pub location: ArtifactUri,
    /// Whether it may be loaded from where it is: it lies on this machine and belongs to whoever started us. Else it
    /// goes through the cache.
    pub in_place: bool,
    /// Tags of the version.
    pub tags: Vec<(String, String)>,
    /// Description of the version; empty when it has none.
    pub description: String,
}

/// A registered model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelEntry {
    /// Its name.
    pub name: String,
    /// Its description; empty when it has none.
    pub description: String,
    /// When it was registered, in milliseconds since the epoch.
    pub created_ms: Option<i64>,
    /// When it or one of its versions changed last, in milliseconds since the epoch. Aliases do not count, as in
    /// MLflow.
    pub updated_ms: Option<i64>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// Aliases and the versions they point to; each alias once.
    pub aliases: Vec<(String, u64)>,
    /// Its versions by number.
    pub versions: BTreeMap<u64, VersionEntry>,
    /// What else `registry.yaml` says; kept when it is written again.
    pub extra: Vec<(String, serde_json::Value)>,
}

/// A version of a registered model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VersionEntry {
    /// Its stage.
    pub stage: Stage,
    /// Its description; empty when it has none.
    pub description: String,
    /// When it was registered, in milliseconds since the epoch.
    pub created_ms: Option<i64>,
    /// When it changed last, in milliseconds since the epoch.
    pub updated_ms: Option<i64>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// What else `registry.yaml` says of it; kept when it is written again.
    pub extra: Vec<(String, serde_json::Value)>,
}

/// How a new version starts.
#[derive(Debug, Clone, Default)]
pub struct NewVersion<'a> {
    /// Its stage.
    pub stage: Stage,
    /// An alias for it.
    pub alias: Option<&'a str>,
}

impl ModelEntry {
    /// Aliases of one version, in alphabetical order.
    pub fn aliases_of(&self, version: u64) -> Vec<String> {
        let of_version = self.aliases.iter().filter(|(_, target)| *target == version);
        let mut aliases: Vec<String> = of_version.map(|(alias, _)| alias.clone()).collect();
        aliases.sort();
        aliases
    }
}

/// Opens a registry; an MLflow server is not asked yet.
///
/// A folder need not be there: without one, local directories and files can still be served.
///
/// # Errors
/// When the settings of the client of an MLflow server are not usable.
pub fn open(spec: &Spec) -> Result<Box<dyn Registry>, RegistryError> {
    Ok(match spec {
        Spec::Folder(path) => Box::new(WithLocal(embedded(path))),
        Spec::Mlflow { registry, tracking } => {
            Box::new(WithLocal(mlflow::MlflowRegistry::new(registry, tracking)?))
        }
    })
}

/// The same for those who ask again and again: a question is sent once more at most, so that an outage shows at once,
/// and its end as soon as the next question is asked.
///
/// # Errors
/// As [`open`].
pub fn open_to_poll(spec: &Spec) -> Result<Box<dyn Registry>, RegistryError> {
    open(&spec.clone().with_retries(1))
}

/// The registry in a folder, for those who change it.
pub fn embedded(path: &Path) -> DirRegistry {
    DirRegistry::new(path)
}

/// Answers for local URIs, so that no registry needs to.
struct WithLocal<R>(R);

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<R: Registry> Registry for WithLocal<R> {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn wanted(&self, uris: &[ModelUri]) -> Vec<Result<Wanted, RegistryError>> {
        let registered: Vec<ModelUri> = uris.iter().filter(|uri| !is_local(uri)).cloned().collect();
        let mut answers = match registered[..] {
            [] => Vec::new(),
            _ => self.0.wanted(&registered).await,
        }
        .into_iter();
        let mut all = Vec::with_capacity(uris.len());
        for uri in uris {
            let unanswered = || Err(RegistryError::Unsupported(format!("`{uri}` got no answer")));
            all.push(match is_local(uri) {
                true => looked_at(uri).await,
                false => answers.next().unwrap_or_else(unanswered),
            });
        }
        all
    }

    async fn all(&self, selector: &Selector) -> Result<Vec<Wanted>, RegistryError> {
        self.0.all(selector).await
    }

    async fn locate(&self, uri: &ModelUri, wanted: &Wanted) -> Result<Resolved, RegistryError> {
        match local(uri) {
            Some((id, path)) => Ok(Resolved {
                id,
                stage: None,
                aliases: Vec::new(),
                location: ArtifactUri::local(path),
                in_place: true,
                tags: Vec::new(),
                description: String::new(),
            }),
            None => self.0.locate(uri, wanted).await,
        }
    }

    async fn tag(&self, id: &VersionId, tags: &[(&str, &str)]) -> Result<(), RegistryError> {
        self.0.tag(id, tags).await
    }

    fn folder(&self) -> Option<&Path> {
        self.0.folder()
    }
}

fn is_local(uri: &ModelUri) -> bool {
    matches!(uri, ModelUri::Directory(_) | ModelUri::OnnxFile(_))
}

/// A local model as it is now.
async fn looked_at(uri: &ModelUri) -> Result<Wanted, RegistryError> {
    let uri = uri.clone();
    let work = move || match local(&uri) {
        Some((id, path)) => Ok(Wanted {
            id,
            revision: files::revision(path).into(),
        }),
        None => Err(RegistryError::Unsupported(format!("`{uri}` is no local model"))),
    };
    files::blocking(work).await
}

/// What a local URI means: itself, under the name of its folder or file.
fn local(uri: &ModelUri) -> Option<(VersionId, &Path)> {
    let (path, name) = match uri {
        ModelUri::Directory(path) => (path, own_name(path)),
        ModelUri::OnnxFile(path) => (
            path,
            path.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
        ),
        _ => return None,
    };
    Some((VersionId::unversioned(name.as_deref().unwrap_or("model")), path))
}

/// The last part of the path; of `.` and `..`, the name of the folder they lead to.
fn own_name(path: &Path) -> Option<String> {
    let real;
    let named = if path.file_name().is_some() {
        path
    } else {
        real = std::fs::canonicalize(path).ok()?;
        &real
    };
    named.file_name().map(|name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_models_mean_themselves() {
        let here = std::env::current_dir().unwrap();
        let here = here.file_name().unwrap().to_str().unwrap();
        for (uri, name) in [
            ("/srv/iris", "iris"),
            ("a/b/graph.onnx", "graph"),
            (".", here),
            ("src/..", here),
            ("/", "model"),
        ] {
            let parsed = uri.parse().unwrap();
            assert_eq!(
                local(&parsed),
                Some((VersionId::unversioned(name), Path::new(uri))),
                "{uri}"
            );
        }
    }
}
