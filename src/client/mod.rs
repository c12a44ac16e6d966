//! The client of an MLflow server: one address, one identity, JSON questions and downloads. [`collector`] is that of a
//! collector of traces, which has settings of its own.
//!
//! Retries, credentials and TLS are as in MLflow's own client. Credentials go to the server's own origin only, and no
//! secret is part of an error, the log, or what `Debug` shows. Redirects to another origin lose the credentials.

mod address;
mod answer;
mod config;
mod download;
mod error;
mod retry;
mod tls;

pub mod collector;
pub mod context;
pub mod runs;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy as Redirects;
use reqwest::{RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use answer::Asked;
use retry::Policy;

pub use config::{Config, Credentials};
pub use download::Download;
pub use error::ClientError;

/// Longest answer to a question, in bytes.
const MAX_ANSWER: u64 = 64 << 20;

/// Most of an error's body that is read, in bytes.
const MAX_ERROR: u64 = 64 << 10;

/// A server that has not taken the connection after that long will not; MLflow's client would wait two minutes.
const CONNECT: Duration = Duration::from_secs(10);

/// Connections are not kept longer than this unused: MLflow's server closes them after 5 s, and a request sent at that
/// moment is lost.
const IDLE: Duration = Duration::from_secs(4);

const MAX_REDIRECTS: usize = 5;

static WORKSPACE: HeaderName = HeaderName::from_static("x-mlflow-workspace");

/// A client of one MLflow server. Clones share their connections. All its methods are cancel-safe.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    retries: Policy,
}

struct Shared {
    http: reqwest::Client,
    base: Url,
    name: String,
    host: String,
    /// What tells the server who we are and what we mean; for its own origin only.
    headers: HeaderMap,
    credentials: Option<Credentials>,
    workspace: Option<String>,
    timeout: Duration,
}

/// Shows the address and no secret.
impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Client({})", self.shared.name)
    }
}

/// An attempt that failed, and the wait that the server asked for.
struct Failure {
    error: ClientError,
    asked: Option<Duration>,
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        Failure { error, asked: None }
    }
}

impl Client {
    /// Makes a client; nothing is sent yet. Reads the PEM files that the settings name.
    ///
    /// # Errors
    /// When the address or a header value is none, or a PEM file cannot be read or is none.
    pub fn new(config: &Config) -> Result<Client, ClientError> {
        let address::Address { base, credentials } = address::parse(&config.url)?;
        let credentials = credentials.or_else(|| config.credentials.clone());
        let mut headers = HeaderMap::new();
        if let Some(credentials) = &credentials {
            headers.insert(AUTHORIZATION, authorization(credentials)?);
        }
        if let Some(workspace) = &config.workspace {
            let value = HeaderValue::from_str(workspace).map_err(|_| {
                ClientError::Settings(format!(
                    "MLFLOW_WORKSPACE is {workspace:?}: no name of a workspace"
                ))
            })?;
            headers.insert(WORKSPACE.clone(), value);
        }
        let builder = reqwest::Client::builder()
            .user_agent(concat!("modelsd/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.timeout.min(CONNECT))
            .read_timeout(config.timeout)
            .pool_idle_timeout(IDLE)
            .redirect(Redirects::limited(MAX_REDIRECTS))
            // It would repeat the query of a presigned address.
            .referer(false);
        let http = tls::set_up(builder, config)?
            .build()
            .map_err(|error| ClientError::Settings(format!("cannot set up TLS: {}", causes(&error))))?;
        let host = match (base.host_str().unwrap_or_default(), base.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        Ok(Client {
            shared: Arc::new(Shared {
                name: address::shown(&base),
                http,
                base,
                host,
                headers,
                credentials,
                workspace: config.workspace.clone(),
                timeout: config.timeout,
            }),
            retries: Policy {
                retries: config.retries,
                factor: config.backoff_factor,
                jitter: config.backoff_jitter,
            },
        })
    }

    /// The same client, sending a request again at most this often; for callers that ask again themselves. The first
    /// retry follows at once, further ones after the waits of the settings.
    pub fn with_retries(&self, retries: u32) -> Client {
        let retries = Policy {
            retries,
            ..self.retries
        };
        Client {
            retries,
            ..self.clone()
        }
    }

    /// The address without credentials: for people, the log, and keys of the cache.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Who we are for the server.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.shared.credentials.as_ref()
    }

    /// The address of a path below the server's, each segment percent-encoded. Empty segments, `.` and `..` are left
    /// out: they cannot be said in an address.
    pub fn url(&self, path: &str) -> Url {
        address::join(&self.shared.base, path)
    }

    /// `GET`s JSON from a path below the server's address, such as `api/2.0/mlflow/registered-models/get`.
    ///
    /// # Errors
    /// See [`ClientError`]; after the retries.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let answer = self.ask(|http| http.get(url.clone())).await?;
        self.read(&answer)
    }

    /// `POST`s JSON and reads JSON. For questions: what it does may be done twice, as it is retried.
    ///
    /// # Errors
    /// See [`ClientError`]; after the retries.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let url = self.url(path);
        let body = serde_json::to_vec(body)
            .map(Bytes::from)
            .map_err(|error| ClientError::Settings(format!("a question cannot be written: {error}")))?;
        let ask = |http: &reqwest::Client| {
            http.post(url.clone())
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone())
        };
        let answer = self.ask(ask).await?;
        self.read(&answer)
    }

    /// `GET`s a text from a path below the server's address.
    ///
    /// # Errors
    /// See [`ClientError`]; after the retries.
    pub async fn text(&self, path: &str) -> Result<String, ClientError> {
        let url = self.url(path);
        let answer = self.ask(|http| http.get(url.clone())).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// `PUT`s bytes at a path below the server's address; what is answered is not read.
    ///
    /// # Errors
    /// See [`ClientError`]; after the retries.
    pub async fn put(&self, path: &str, body: Bytes) -> Result<(), ClientError> {
        let url = self.url(path);
        let ask = |http: &reqwest::Client| {
            http.put(url.clone())
                .header(CONTENT_TYPE, "application/octet-stream")
                .body(body.clone())
        };
        self.ask(ask).await.map(drop)
    }

    fn read<T: DeserializeOwned>(&self, answer: &[u8]) -> Result<T, ClientError> {
        let server = self.shared.name.clone();
        match serde_json::from_slice(answer) {
            Ok(read) => Ok(read),
            Err(error) if error.is_data() => Err(ClientError::Shape {
                server,
                source: error,
            }),
            Err(_) => Err(ClientError::NotJson {
                server,
                status: 200,
                start: error::line(&String::from_utf8_lossy(answer))
                    .chars()
                    .take(60)
                    .collect(),
            }),
        }
    }

    /// The body of the answer, whole.
    async fn ask(
        &self,
        request: impl Fn(&reqwest::Client) -> RequestBuilder + Send + Sync,
    ) -> Result<Vec<u8>, ClientError> {
        let shared = &*self.shared;
        self.retried(|| async {
            // For the whole answer; a server that sends a byte now and then shall not keep us.
            let request = request(&shared.http)
                .headers(context::headers())
                .headers(shared.headers.clone())
                .timeout(shared.timeout);
            let response = request.send().await.map_err(|error| shared.failed(error))?;
            let response = shared.succeeded(response).await?;
            let (body, cut) = shared.body(response, MAX_ANSWER).await?;
            if cut {
                return Err(shared.too_large().into());
            }
            Ok(body)
        })
        .await
    }

    /// Makes an attempt until one succeeds, fails for good, or the retries are used up.
    async fn retried<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, Failure>> + Send,
    {
        let mut retry = 0;
        loop {
            let Failure { error, asked } = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            retry += 1;
            let wait = if error.is_transient() {
                self.retries.wait(retry, asked, retry::chance())
            } else {
                None
            };
            let Some(wait) = wait else {
                return Err(error);
            };
            let seconds = wait.as_secs_f64();
            let left = self.retries.retries - retry;
            if wait.is_zero() {
                tracing::debug!(%error, "asking the MLflow server again");
            } else {
                tracing::warn!(%error, seconds, left, "waiting before asking the MLflow server again");
            }
            tokio::time::sleep(wait).await;
        }
    }
}

impl Shared {
    fn failed(&self, error: reqwest::Error) -> ClientError {
        error::from_reqwest(error, &self.name, self.timeout)
    }

    fn too_large(&self) -> ClientError {
        ClientError::TooLarge {
            server: self.name.clone(),
            limit: MAX_ANSWER,
        }
    }

    /// The response, when its status is a success.
    async fn succeeded(&self, response: Response) -> Result<Response, Failure> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let asked = asked_wait(&response);
        // A body that breaks off still tells something, and the status tells the rest.
        let (body, _) = self.body(response, MAX_ERROR).await.unwrap_or_default();
        let context = Asked {
            server: &self.name,
            host: &self.host,
            credentials: self.credentials.as_ref(),
            workspace: self.workspace.as_deref(),
        };
        Err(Failure {
            error: answer::failure(&context, status.as_u16(), &body),
            asked,
        })
    }

    /// At most so many bytes of the body, and whether there were more.
    async fn body(&self, mut response: Response, limit: u64) -> Result<(Vec<u8>, bool), ClientError> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.failed(error))? {
            let room = limit.saturating_sub(body.len() as u64);
            if piece.len() as u64 > room {
                body.extend(piece.iter().take(usize::try_from(room).unwrap_or(0)));
                return Ok((body, true));
            }
            body.extend_from_slice(&piece);
        }
        Ok((body, false))
    }
}

/// The wait that the server asks for.
fn asked_wait(response: &Response) -> Option<Duration> {
    let header = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    retry::retry_after(header, Timestamp::now())
}

fn authorization(credentials: &Credentials) -> Result<HeaderValue, ClientError> {
    let text = match credentials {
        Credentials::Basic { user, password } => {
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        }
        Credentials::Bearer(token) => format!("Bearer {token}"),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        ClientError::Settings("MLFLOW_TRACKING_TOKEN has a character that no token has".into())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// An error and its causes, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
