//! Artifacts behind an MLflow server: listed folder by folder, fetched through it or by presigned addresses.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};
use serde::Deserialize;
use tokio::sync::OnceCell;
use url::Url;

use super::store::{ArtifactStore, Body, Listing, joined};
use super::{ArtifactError, FileEntry};
use crate::client::{Client, ClientError, Config, Download};

/// Of the API of every MLflow server, and of the addresses of its artifacts.
const SERVICE: &str = "mlflow-artifacts/artifacts";
const API: &str = "api/2.0";
const PRESIGNED: &str = "api/2.0/mlflow-artifacts/presigned";

/// A folder of artifacts that an MLflow server serves.
pub(super) struct MlflowStore {
    client: Client,
    /// The same, as patient as whoever waits for the list.
    lister: Client,
    /// Below `SERVICE`; without slashes at its ends.
    root: String,
    /// `api/2.0` mostly.
    api: String,
    place: String,
    /// What the server says it can do; known after the first file.
    info: OnceCell<ServerInfo>,
    /// Whether its presigned addresses turned out to be of no use.
    no_presigned: AtomicBool,
    /// Talks to the storage behind it; made when it is needed, for that reads the system's certificates.
    storage: OnceCell<Client>,
    /// Its settings: without what those of the server say, such as whose certificates count.
    storage_settings: Config,
}

#[derive(Deserialize)]
struct Level {
    #[serde(default)]
    files: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    path: String,
    #[serde(default)]
    is_dir: bool,
    /// The server leaves it out for empty files.
    #[serde(default)]
    file_size: u64,
}

/// What a server can do; of one that is too old to say, nothing.
#[derive(Deserialize, Default)]
struct ServerInfo {
    #[serde(default)]
    multipart_downloads_enabled: bool,
    #[serde(default)]
    artifacts_presigned_only: bool,
}

#[derive(Deserialize)]
struct Presigned {
    url: String,
    #[serde(default)]
    headers: Option<serde_json::Map<String, serde_json::Value>>,
}

impl MlflowStore {
    /// `mlflow-artifacts:/path` of the tracking server, or `mlflow-artifacts://host[:port]/path`.
    pub(super) fn artifacts(
        uri: &str,
        rest: &str,
        tracking: Option<&Config>,
    ) -> Result<MlflowStore, ArtifactError> {
        let tracking = tracking.ok_or_else(|| {
            ArtifactError::Unsupported(format!(
                "`{uri}` is fetched through an MLflow server, and none is named: set MLFLOW_TRACKING_URI to its http(s) \
                 address"
            ))
        })?;
        let (host, path) = match rest.strip_prefix("//") {
            Some(after) => after.split_once('/').unwrap_or((after, "")),
            None => ("", rest),
        };
        let config = match host {
            "" => tracking.clone(),
            host => elsewhere(uri, tracking, host)?,
        };
        let root = path.trim_matches('/').to_owned();
        MlflowStore::new(&config, API, root).map_err(settings(uri))
    }

    /// `http(s)://host[:port][/prefix]/api/2.0/mlflow-artifacts/artifacts/path`.
    pub(super) fn http(
        shown: &str,
        uri: &Url,
        tracking: Option<&Config>,
    ) -> Result<MlflowStore, ArtifactError> {
        let path = percent_encoding::percent_decode_str(uri.path())
            .decode_utf8_lossy()
            .into_owned();
        let Some((before, root)) = path.split_once(SERVICE) else {
            return Err(ArtifactError::Unsupported(format!(
                "`{shown}` is no folder of artifacts that can be listed: over http(s) they are served by an MLflow \
                 server, below .../{API}/{SERVICE}"
            )));
        };
        let mut base = uri.clone();
        base.set_path("");
        base.set_query(None);
        base.set_fragment(None);
        let config = at(base.as_str(), tracking);
        let api = before.trim_matches('/');
        MlflowStore::new(&config, api, root.trim_matches('/').to_owned()).map_err(settings(shown))
    }

    fn new(config: &Config, api: &str, root: String) -> Result<MlflowStore, ClientError> {
        let client = Client::new(config)?;
        let storage_settings = Config {
            timeout: config.timeout,
            retries: config.retries,
            backoff_factor: config.backoff_factor,
            backoff_jitter: config.backoff_jitter,
            ..Config::new(client.name())
        };
        let place = format!("{}/{}", client.name(), joined(&joined(api, SERVICE), &root));
        Ok(MlflowStore {
            lister: client.clone(),
            client,
            place,
            root,
            api: api.to_owned(),
            info: OnceCell::new(),
            no_presigned: AtomicBool::new(false),
            storage: OnceCell::new(),
            storage_settings,
        })
    }

    /// Lists with all retries of the settings, or with one at once.
    pub(super) fn listing(mut self, patient: bool) -> MlflowStore {
        if !patient {
            self.lister = self.client.with_retries(1);
        }
        self
    }

    async fn level(&self, folder: &str) -> Result<Level, ArtifactError> {
        let path = if self.root.is_empty() {
            folder.to_owned()
        } else if folder.is_empty() {
            self.root.clone()
        } else {
            joined(&self.root, folder)
        };
        let listed = self
            .lister
            .get(&joined(&self.api, SERVICE), &[("path", &path)])
            .await;
        listed.map_err(|error| failed(format!("list the files at `{}`", self.place), error))
    }

    /// What the server can do; one that is too old to say serves its files itself.
    async fn info(&self) -> &ServerInfo {
        let ask = || async {
            let prefix = self.api.strip_suffix(API).unwrap_or_default();
            let path = format!("{prefix}api/3.0/mlflow/server-info");
            self.client
                .with_retries(1)
                .get(&path, &[])
                .await
                .unwrap_or_default()
        };
        self.info.get_or_init(ask).await
    }

    async fn storage(&self) -> Result<&Client, ArtifactError> {
        let make = || async { Client::new(&self.storage_settings) };
        let made = self.storage.get_or_try_init(make).await;
        made.map_err(|error| {
            failed(
                format!("reach the storage behind `{}`", self.client.name()),
                error,
            )
        })
    }

    /// By the way the server says, and by the other one when that is of no use.
    async fn download(&self, path: &str, offset: u64) -> Result<Download, ArtifactError> {
        let info = self.info().await;
        if info.artifacts_presigned_only {
            return self.direct(self.storage().await?, path, offset).await;
        }
        if info.multipart_downloads_enabled && !self.no_presigned.load(Relaxed) {
            // Where there is another way, this one is not insisted on.
            let storage = self.storage().await?.with_retries(1);
            match self.direct(&storage, path, offset).await {
                Ok(download) => return Ok(download),
                Err(error) => {
                    let cause = error.source().map(ToString::to_string);
                    tracing::debug!(%error, cause, "files come through the MLflow server instead");
                    self.no_presigned.store(true, Relaxed);
                }
            }
        }
        match self.proxied(path, offset).await {
            Ok(download) => Ok(download),
            // So answers a server that gives presigned addresses only, and one that does not let us read.
            Err(error) if error.code() == Some("PERMISSION_DENIED") => {
                let direct = self.direct(self.storage().await?, path, offset).await;
                direct.map_err(|_| failed(format!("read `{path}` of `{}`", self.client.name()), error))
            }
            Err(error) => Err(failed(
                format!("read `{path}` of `{}`", self.client.name()),
                error,
            )),
        }
    }

    async fn proxied(&self, path: &str, offset: u64) -> Result<Download, ClientError> {
        let url = self.client.url(&joined(&joined(&self.api, SERVICE), path));
        self.client.download(&url, offset, true).await
    }

    /// From the storage behind the server; the address is asked for anew each time, as it expires.
    async fn direct(&self, storage: &Client, path: &str, offset: u64) -> Result<Download, ArtifactError> {
        let doing = || format!("read `{path}` of `{}` by a presigned address", self.client.name());
        let prefix = self.api.strip_suffix(API).unwrap_or_default();
        let asked = self.client.get(&format!("{prefix}{PRESIGNED}/{path}"), &[]).await;
        let Presigned { url, headers } = asked.map_err(|error| failed(doing(), error))?;
        if headers.is_some_and(|headers| !headers.is_empty()) {
            return Err(ArtifactError::Unsupported(format!(
                "cannot {}: it wants headers of its own, which are not supported; let the server serve the files \
                 (--serve-artifacts)",
                doing()
            )));
        }
        let url = Url::parse(&url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        let url =
            url.ok_or_else(|| ArtifactError::Unsupported(format!("cannot {}: it is no address", doing())))?;
        let begun = storage.download(&url, offset, false).await;
        begun.map_err(|error| failed(doing(), error))
    }
}

#[async_trait]
impl ArtifactStore for MlflowStore {
    fn place(&self) -> &str {
        &self.place
    }

    async fn list(&self, listing: &mut Listing) -> Result<(), ArtifactError> {
        let mut pending = VecDeque::from([String::new()]);
        while let Some(folder) = pending.pop_front() {
            for item in self.level(&folder).await?.files {
                let path = listing.child(&folder, &item.path)?;
                if item.is_dir {
                    listing.folder(&path)?;
                    pending.push_back(path);
                } else {
                    listing.file(&path, item.file_size)?;
                }
            }
        }
        Ok(())
    }

    async fn read(&self, file: &FileEntry, offset: u64) -> Result<Body, ArtifactError> {
        let path = joined(&self.root, &file.path);
        let download = self.download(&path, offset).await?;
        let what = format!("read `{}` at `{}`", file.path, self.place);
        let bytes = download.bytes.map_err(move |error| failed(what.clone(), error));
        Ok(Body {
            offset: download.offset,
            total: download.total,
            etag: download.etag,
            bytes: bytes.boxed(),
        })
    }
}

/// The settings for a host that an artifact URI names, which is spoken to as the tracking server is.
fn elsewhere(uri: &str, tracking: &Config, host: &str) -> Result<Config, ArtifactError> {
    let tracked = Url::parse(&tracking.url).map_err(|_| {
        ArtifactError::Unsupported(format!(
            "`{uri}` needs MLFLOW_TRACKING_URI to be an http(s) address"
        ))
    })?;
    if host.parse::<u16>().is_ok() {
        return Err(ArtifactError::Unsupported(format!(
            "`{uri}` names a port and no host; write mlflow-artifacts://HOST:PORT/PATH"
        )));
    }
    let prefix = tracked.path().trim_end_matches('/');
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    Ok(at(
        &format!("{}://{host}{prefix}", tracked.scheme()),
        Some(tracking),
    ))
}

/// The settings for an address. Only the tracking server itself learns who we are: an artifact URI, which whoever
/// registers a version can choose, shall not send our credentials anywhere.
fn at(url: &str, tracking: Option<&Config>) -> Config {
    let Some(tracking) = tracking else {
        return Config::new(url);
    };
    let mut config = tracking.clone();
    config.url = url.to_owned();
    let tracked = Url::parse(&tracking.url).ok();
    let own = |tracked: &Url| Url::parse(url).is_ok_and(|url| url.origin() == tracked.origin());
    match tracked.filter(own) {
        Some(tracked) => {
            // What the address of the tracking server says of us counts here, too.
            if let Ok(mut named) = Url::parse(url)
                && !tracked.username().is_empty()
                && named.set_username(tracked.username()).is_ok()
                && named.set_password(tracked.password()).is_ok()
            {
                config.url = named.into();
            }
        }
        None => {
            config.credentials = None;
            config.client_certificate = None;
            config.workspace = None;
        }
    }
    config
}

fn settings(uri: &str) -> impl Fn(ClientError) -> ArtifactError {
    let doing = format!("fetch `{uri}`");
    move |error| failed(doing.clone(), error)
}

fn failed(doing: String, error: ClientError) -> ArtifactError {
    ArtifactError::Store {
        doing,
        may_pass: error.is_transient(),
        source: Box::new(error),
    }
}
