//! Registries: which version a model URI means, and where its files are.
//!
//! [`open`] makes a [`Registry`] from a text that only this folder reads. URIs of local directories and `.onnx` files
//! mean themselves, whatever the registry.

pub mod dir;

mod files;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::location::ArtifactUri;
use crate::model::stage::{Stage, UnknownStage};
use crate::model::uri::ModelUri;
use crate::model::version::VersionId;

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

/// Why a registry gives no answer, or refuses a change.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// There is no such model.
    #[error("registry `{registry}` has no model `{name}`; {known}")]
    NoModel {
        /// The registry.
        registry: String,
        /// The name asked for.
        name: String,
        /// What there is, in words.
        known: String,
    },
    /// The model has no such version.
    #[error("model `{name}` has no {wanted}; it has {known}")]
    NoVersion {
        /// The model.
        name: String,
        /// What was asked for: `version 7`, `version in stage Production`, `alias x`.
        wanted: String,
        /// What there is, in words.
        known: String,
    },
    /// The version is registered, and its files are gone.
    #[error("the files of version {version} of model `{name}` are missing: there is no folder `{path}`")]
    NoFiles {
        /// The model.
        name: String,
        /// The version.
        version: u64,
        /// Where they should be.
        path: PathBuf,
    },
    /// What is asked for is not allowed, whatever the registry holds.
    #[error("{0}")]
    Refused(String),
    /// No stage has that name.
    #[error(transparent)]
    Stage(#[from] UnknownStage),
    /// This registry cannot do it, or no such registry is built in.
    #[error("{0}")]
    Unsupported(String),
    /// The registry cannot be read now.
    #[error("cannot read `{path}`")]
    Read {
        /// What was read.
        path: PathBuf,
        /// The system's complaint.
        #[source]
        source: io::Error,
    },
    /// The change could not be written; the registry is as it was.
    #[error("cannot write `{path}`")]
    Write {
        /// What was written.
        path: PathBuf,
        /// The system's complaint.
        #[source]
        source: io::Error,
    },
    /// The registry can be read and makes no sense.
    #[error("`{path}` is damaged: {problem}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The files of a new version could not be had.
    #[error("cannot register a version of model `{name}`")]
    Files {
        /// The model.
        name: String,
        /// What was wrong with the files.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer could not be shown.
    #[error("cannot write the answer")]
    Output(#[from] io::Error),
}

impl RegistryError {
    /// Whether the registry could not be asked, rather than having answered that there is no such thing.
    pub fn is_outage(&self) -> bool {
        matches!(self, RegistryError::Read { .. })
    }
}

/// Opens the registry that `--registry` names: a folder.
///
/// A folder need not be there: without one, local directories and files can still be served.
///
/// # Errors
/// When the text names a kind of registry that is not built in.
pub fn open(spec: &str) -> Result<Box<dyn Registry>, RegistryError> {
    // The address itself may hold a password, so it is not repeated.
    if ["http://", "https://"]
        .iter()
        .any(|scheme| starts_with_ignoring_case(spec, scheme))
    {
        return Err(RegistryError::Unsupported(
            "the MLflow registry client is not built into this version: name a registry folder (`--registry ./models`), \
            or download the model and serve its directory (`-m ./model`)"
                .into(),
        ));
    }
    if let Some((scheme, _)) = spec
        .split_once("://")
        .filter(|(scheme, _)| !scheme.eq_ignore_ascii_case("file"))
    {
        return Err(RegistryError::Unsupported(format!(
            "no kind of registry is called `{scheme}://`; a registry is a folder, such as ./models"
        )));
    }
    let path = ArtifactUri::new(spec)
        .local_path()
        .filter(|path| !path.as_os_str().is_empty());
    let path =
        path.ok_or_else(|| RegistryError::Unsupported(format!("`{spec}` names no registry folder")))?;
    Ok(Box::new(WithLocal(embedded(&path))))
}

/// The registry in a folder, for those who change it.
pub fn embedded(path: &Path) -> dir::DirRegistry {
    dir::DirRegistry::new(path)
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
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
        let registered: Vec<ModelUri> = uris.iter().filter(|uri| local(uri).is_none()).cloned().collect();
        let mut answers = match registered[..] {
            [] => Vec::new(),
            _ => self.0.wanted(&registered).await,
        }
        .into_iter();
        let unanswered = |uri: &ModelUri| Err(RegistryError::Unsupported(format!("`{uri}` got no answer")));
        let answer = |uri: &ModelUri| match local(uri) {
            Some((id, path)) => Ok(Wanted {
                id,
                revision: files::revision(path).into(),
            }),
            None => answers.next().unwrap_or_else(|| unanswered(uri)),
        };
        uris.iter().map(answer).collect()
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

    fn folder(&self) -> Option<&Path> {
        self.0.folder()
    }
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

    #[test]
    fn registries_that_are_not_built_in_are_refused_by_name() {
        for (spec, wanted) in [
            (
                "http://me:secret@host:5000",
                "the MLflow registry client is not built into this version",
            ),
            (
                "HTTPS://host",
                "the MLflow registry client is not built into this version",
            ),
            ("sqlite:///x.db", "`sqlite://`"),
            ("", "names no registry folder"),
        ] {
            let message = open(spec).err().unwrap().to_string();
            assert!(
                message.contains(wanted) && !message.contains("secret"),
                "{message}"
            );
        }
        assert!(open("./nowhere").is_ok() && open("file:///srv/models").is_ok());
    }
}
