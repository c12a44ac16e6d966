//! Artifacts: the files of models, from wherever a registry says they are, and never trusted.
//!
//! [`Artifacts`] gives a model as an [`Artifact`]: from where it lies, from the cache, or fetched into the cache. The
//! kind of store is picked here from the URI; kinds list files and read them, and everything else, from the check of
//! paths to the digest, is done once for all of them in `fetch` and `cache`.

mod cache;
mod error;
mod fetch;
mod file;
mod files;
mod mlflow;
#[cfg(feature = "object-store")]
mod object;
mod progress;
mod store;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use url::Url;

use crate::client;
use crate::model::location::ArtifactUri;

use self::cache::{Cache, Cached, Lease};
use self::fetch::{Manner, blocking};
use self::store::{ArtifactStore, Listing};

pub use self::cache::Key;
pub use self::error::ArtifactError;
pub use self::files::digest::Digest;
pub use self::files::{ArtifactDir, FileEntry, MAX_DEPTH, MAX_FILES};
pub use self::progress::{Counts, Progress};

/// Variables that say how object stores are reached, as [`Config::object_store`] wants them.
pub const STORE_SETTINGS: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_ALLOW_HTTP",
    "AWS_CA_BUNDLE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_METADATA_ENDPOINT",
    "AWS_REGION",
    "AWS_REQUEST_PAYER",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SKIP_SIGNATURE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_SKIP_SIGNATURE",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_TENANT_ID",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_BASE_URL",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SKIP_SIGNATURE",
    "IDENTITY_ENDPOINT",
    "MLFLOW_S3_ENDPOINT_URL",
    "MLFLOW_S3_IGNORE_TLS",
    "STORAGE_EMULATOR_HOST",
];
/// A setting whose value says why Amazon's profile is of no use; told when S3 is asked for.
pub const UNUSABLE_PROFILE: &str = "AWS_PROFILE (unusable)";

/// Where artifacts come from and where they are kept.
#[derive(Clone)]
pub struct Config {
    /// Folder of the cache; made when the first model is fetched.
    pub cache_dir: PathBuf,
    /// Most bytes of models in the cache, those on their way included.
    pub max_cache_bytes: u64,
    /// Files that are fetched at once.
    pub parallel: NonZeroUsize,
    /// Wait before a file that broke off is asked for again; doubles with each further break, up to 10 s.
    pub retry_wait: Duration,
    /// The MLflow tracking server, through which `mlflow-artifacts:` is fetched.
    pub mlflow: Option<client::Config>,
    /// Settings of S3, Google Cloud Storage and Azure by the names of their variables, of [`STORE_SETTINGS`].
    pub object_store: Vec<(String, String)>,
    /// Whether who fetches tries again, and has something else to do meanwhile: an MLflow server that cannot list the
    /// files is asked once more at most, so that an outage shows at once. A fetch that has begun is as patient as ever.
    pub tried_again: bool,
}

impl Config {
    /// A cache in this folder of at most 20 GiB, four files at once, and no store that needs settings.
    pub fn new(cache_dir: PathBuf) -> Config {
        Config {
            cache_dir,
            max_cache_bytes: 20 << 30,
            parallel: NonZeroUsize::MIN.saturating_add(3),
            retry_wait: Duration::from_millis(500),
            mlflow: None,
            object_store: Vec::new(),
            tried_again: false,
        }
    }
}

/// Shows the names of the settings of object stores, not their values.
impl fmt::Debug for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.object_store.iter().map(|(name, _)| name.as_str()).collect();
        out.debug_struct("Config")
            .field("cache_dir", &self.cache_dir)
            .field("max_cache_bytes", &self.max_cache_bytes)
            .field("parallel", &self.parallel)
            .field("retry_wait", &self.retry_wait)
            .field("mlflow", &self.mlflow)
            .field("object_store", &names)
            .field("tried_again", &self.tried_again)
            .finish()
    }
}

/// Gives models. Clones share everything; other processes may share the cache.
#[derive(Clone)]
pub struct Artifacts(Arc<Shared>);

struct Shared {
    config: Config,
    cache: Cache,
    /// One fetch at a time for each key that is being fetched in this process.
    turns: Mutex<HashMap<Key, Weak<tokio::sync::Mutex<()>>>>,
}

/// A model on local disk. While one from the cache lives, nobody removes its files from there.
#[derive(Debug)]
pub struct Artifact {
    /// The model, looked through.
    pub dir: ArtifactDir,
    /// What its contents are; `None` for a model that is served from where it lies.
    pub digest: Option<Digest>,
    /// When it was fetched into the cache; `None` for a model that is served from where it lies.
    pub fetched: Option<SystemTime>,
    _lease: Option<Lease>,
}

impl Artifact {
    /// A model served from where it lies, already looked through.
    pub fn in_place(dir: ArtifactDir) -> Artifact {
        Artifact {
            dir,
            digest: None,
            fetched: None,
            _lease: None,
        }
    }
}

impl From<Cached> for Artifact {
    fn from(cached: Cached) -> Artifact {
        Artifact {
            dir: cached.dir,
            digest: Some(cached.digest),
            fetched: cached.fetched,
            _lease: Some(cached.lease),
        }
    }
}

impl Artifacts {
    /// Nothing is opened, made or asked until it is needed: a disk that cannot be written does not stop a server of
    /// models that lie elsewhere.
    pub fn new(config: Config) -> Artifacts {
        let cache = Cache::new(&config.cache_dir, config.max_cache_bytes);
        Artifacts(Arc::new(Shared {
            config,
            cache,
            turns: Mutex::default(),
        }))
    }

    /// The files of a version: from the cache when it has this key and its contents are as they were fetched, else
    /// fetched into it.
    ///
    /// Cancel-safe: what is dropped leaves nothing that counts. Two fetches of one key in this process become one.
    ///
    /// # Errors
    /// When the store cannot be asked or does not give what it lists; when what it lists could harm, is no model, or
    /// does not fit; when the cache cannot be written.
    pub async fn fetch(
        &self,
        key: &Key,
        from: &ArtifactUri,
        progress: &Progress,
    ) -> Result<Artifact, ArtifactError> {
        let turn = self.turn(key);
        let _turn = turn.lock().await;
        if let Some(artifact) = self.recall(key).await? {
            return Ok(artifact);
        }
        let Shared { config, cache, .. } = &*self.0;
        let store = open(config, from)?;
        let mut listing = Listing::new(store.place(), config.max_cache_bytes);
        store.list(&mut listing).await?;
        check_is_model(store.place(), &listing)?;
        let workspace = {
            let (cache, bytes) = (cache.clone(), listing.bytes());
            blocking(move || cache.workspace(bytes)).await?
        };
        let manner = Manner {
            parallel: config.parallel,
            wait: config.retry_wait,
        };
        let digest = fetch::fetch(&*store, &listing, &workspace.files(), manner, progress).await?;
        let (key, source) = (key.clone(), store.place().to_owned());
        let cached = blocking(move || workspace.publish(&key, digest, &source)).await?;
        tracing::info!(%digest, from = store.place(), bytes = listing.bytes(), "fetched the files of a model");
        Ok(cached.into())
    }

    /// The files of a version from the cache, when it has them and they are as they were fetched. Asks nobody else.
    ///
    /// # Errors
    /// When the cache is there and cannot be read.
    pub async fn recall(&self, key: &Key) -> Result<Option<Artifact>, ArtifactError> {
        let (cache, key) = (self.0.cache.clone(), key.clone());
        let cached = blocking(move || cache.recall(&key)).await?;
        Ok(cached.map(Artifact::from))
    }

    /// A model that is served from where it lies.
    ///
    /// # Errors
    /// As [`ArtifactDir::open`].
    pub async fn in_place(&self, path: PathBuf) -> Result<Artifact, ArtifactError> {
        let dir = blocking(move || ArtifactDir::open(&path)).await?;
        Ok(Artifact::in_place(dir))
    }

    fn turn(&self, key: &Key) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(key.clone(), Arc::downgrade(&turn));
        turn
    }
}

/// Whether the listing can be a model, before any of it is fetched.
fn check_is_model(place: &str, listing: &Listing) -> Result<(), ArtifactError> {
    let files = listing.files();
    let bare = matches!(files.as_slice(), [only] if only.path.to_ascii_lowercase().ends_with(".onnx"));
    if bare || files.iter().any(|file| file.path == "MLmodel") {
        return Ok(());
    }
    let problem = if files.is_empty() {
        "there is nothing; has it been deleted, or is the path wrong?".to_owned()
    } else {
        files::no_mlmodel(&files)
    };
    Err(ArtifactError::NoModel {
        path: place.into(),
        problem,
    })
}

/// The store of a URI.
fn open(config: &Config, uri: &ArtifactUri) -> Result<Box<dyn ArtifactStore>, ArtifactError> {
    if let Some(path) = uri.local_path().filter(|path| !path.as_os_str().is_empty()) {
        return Ok(Box::new(file::FileStore::new(path)));
    }
    let text = uri.as_str();
    let shown = shown(text);
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    let tracking = config.mlflow.as_ref();
    let patient = !config.tried_again;
    match scheme.to_ascii_lowercase().as_str() {
        "mlflow-artifacts" => Ok(Box::new(
            mlflow::MlflowStore::artifacts(&shown, rest, tracking)?.listing(patient),
        )),
        "http" | "https" => {
            let url = Url::parse(text);
            let url =
                url.map_err(|error| ArtifactError::Unsupported(format!("`{shown}` is no address: {error}")))?;
            Ok(Box::new(
                mlflow::MlflowStore::http(&shown, &url, tracking)?.listing(patient),
            ))
        }
        "file" => Err(ArtifactError::Unsupported(format!(
            "`{shown}` names no path of this machine; write file:///PATH"
        ))),
        #[cfg(feature = "object-store")]
        kind @ ("s3" | "s3a" | "gs" | "wasb" | "wasbs" | "abfs" | "abfss") => {
            let settings = &config.object_store;
            Ok(Box::new(object::ObjectFiles::new(&shown, kind, rest, settings)?))
        }
        #[cfg(not(feature = "object-store"))]
        "s3" | "s3a" | "gs" | "wasb" | "wasbs" | "abfs" | "abfss" => Err(ArtifactError::Unsupported(
            format!("cannot fetch `{shown}`: modelsd was built without the feature `object-store`"),
        )),
        "" => Err(ArtifactError::Unsupported(
            "the location of the files is empty".into(),
        )),
        other => Err(ArtifactError::Unsupported(format!(
            "cannot fetch `{shown}`: there is no client for `{other}:`; let the MLflow server serve the files \
             (`mlflow server --serve-artifacts`), or download the model and serve its folder"
        ))),
    }
}

/// A URI for people and notes: no user, no password, no query, where signatures are.
fn shown(uri: &str) -> String {
    let uri = uri.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = uri.split_once("://") else {
        return uri.to_owned();
    };
    let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    // What stands before the `@` of Azure's addresses is the container, which is no secret.
    let azure = ["wasb", "abfs"]
        .iter()
        .any(|start| scheme.to_ascii_lowercase().starts_with(start));
    let host = match host.rsplit_once('@') {
        Some((_, host)) if !azure => host,
        _ => host,
    };
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests;
