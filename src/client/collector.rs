//! The client of a collector of OpenTelemetry: OTLP over HTTP, in protobuf.

use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use prost::Message;
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::redirect::Policy as Redirects;
use reqwest::{Request, Response};
use url::Url;

use super::{CONNECT, ClientError, IDLE, address, authorization, causes, error, retry, tls};

/// The variables that name files, as errors call them.
const CA: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const OURS: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
const KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";

/// Most of an answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// Characters of what the collector says that an error repeats.
const SHOWN: usize = 200;
/// Kept in the place of what may be secret.
const HIDDEN: &str = "***";
/// A header with a shorter value is no secret: what is hidden would be every word.
const SHORTEST_SECRET: usize = 4;

/// How to reach a collector, and as whom.
#[derive(Clone, PartialEq)]
pub struct Config {
    /// Where spans are posted to. A user and a password in it are sent, unless a header says who we are.
    pub url: Url,
    /// Headers of every request; their values may be secret.
    pub headers: Vec<(String, String)>,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// PEM file of the certificates that are trusted, instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// PEM files of a certificate of ours, and of its private key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
}

impl Config {
    /// The settings for a collector when nothing else is said.
    pub fn new(url: Url) -> Config {
        Config {
            url,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            gzip: false,
            ca_bundle: None,
            client_certificate: None,
        }
    }
}

/// Shows no secret.
impl fmt::Debug for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        out.debug_struct("Config")
            .field("url", &address::shown(&self.url))
            .field("headers", &names)
            .field("timeout", &self.timeout)
            .field("gzip", &self.gzip)
            .field("ca_bundle", &self.ca_bundle)
            .field("client_certificate", &self.client_certificate)
            .finish()
    }
}

/// Why a collector did not take what it was sent. Shows no secret.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct NotTaken {
    problem: String,
    /// Whether the same may be taken later with nobody's help.
    pub may_pass: bool,
    /// The wait that the collector asks for.
    pub wait: Option<Duration>,
    #[source]
    source: Option<reqwest::Error>,
}

/// A client of one collector.
pub struct Collector {
    http: reqwest::Client,
    url: Url,
    name: String,
    headers: HeaderMap,
    gzip: bool,
    timeout: Duration,
}

/// What is secret in an address is left out.
///
/// # Errors
/// When it is no `http://` or `https://` address, or has a fragment. The error shows no password.
pub fn address(text: &str) -> Result<Url, String> {
    let refused = |problem: &str| {
        let shown = address::redacted(text);
        format!(
            "`{shown}` is no address of a collector: {problem}; write http(s)://HOST:PORT, such as http://127.0.0.1:4318"
        )
    };
    let url = Url::parse(text.trim()).map_err(|error| refused(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("the scheme is not http or https"));
    }
    if url.fragment().is_some() {
        return Err(refused("it has a fragment"));
    }
    Ok(url)
}

/// The address of the traces of a collector that takes several kinds of signals.
pub fn of_traces(base: &Url) -> Url {
    address::join(base, "v1/traces")
}

impl Collector {
    /// Makes a client; nothing is sent yet. Reads the PEM files that the settings name.
    ///
    /// # Errors
    /// When a header is none, or a PEM file cannot be read or is none.
    pub fn new(config: &Config) -> Result<Collector, ClientError> {
        let mut url = config.url.clone();
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            let (name, mut value) = header(name, value).map_err(ClientError::Settings)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        if let Some(credentials) = address::credentials(&url)
            && !headers.contains_key(AUTHORIZATION)
        {
            headers.insert(AUTHORIZATION, authorization(&credentials)?);
        }
        // An http address always has a host, so that both always succeed.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if config.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let builder = reqwest::Client::builder()
            .user_agent(concat!("modelsd/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.timeout.min(CONNECT))
            .pool_idle_timeout(IDLE)
            // Headers are for this address alone.
            .redirect(Redirects::none())
            .referer(false);
        let mut builder = tls::trust(builder, config.ca_bundle.as_deref(), CA)?;
        if let Some((certificate, key)) = &config.client_certificate {
            builder = tls::identify(builder, (certificate, OURS), (key, KEY))?;
        }
        let http = builder
            .build()
            .map_err(|error| ClientError::Settings(format!("cannot set up TLS: {}", causes(&error))))?;
        Ok(Collector {
            http,
            name: address::shown(&url),
            url,
            headers,
            gzip: config.gzip,
            timeout: config.timeout,
        })
    }

    /// The address, without what is secret in it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is sent of a message: it is compressed once, however often it is sent.
    pub fn packed(&self, message: &impl Message) -> Bytes {
        let plain = message.encode_to_vec();
        if !self.gzip {
            return plain.into();
        }
        let mut packed = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
        // Memory takes everything.
        let _ = packed.write_all(&plain);
        packed.finish().unwrap_or_default().into()
    }

    /// Posts a packed message once; gives what the collector answers.
    ///
    /// # Errors
    /// When it is away, or answers with another status than one of success.
    pub async fn post(&self, packed: Bytes) -> Result<Bytes, NotTaken> {
        let request = self.http.post(self.url.clone());
        let request = request.headers(self.headers.clone()).timeout(self.timeout);
        let request: Request = request.body(packed).build().map_err(|error| self.away(error))?;
        let response = self
            .http
            .execute(request)
            .await
            .map_err(|error| self.away(error))?;
        if response.status().is_success() {
            return self.body(response).await.map_err(|error| self.away(error));
        }
        let status = response.status().as_u16();
        let asked = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|text| text.to_str().ok());
        let wait = asked.and_then(|text| retry::retry_after(text, Timestamp::now()));
        let body = self.body(response).await.unwrap_or_default();
        let said = self.said(&body);
        let name = &self.name;
        Err(NotTaken {
            problem: match said.as_str() {
                "" => format!("`{name}` answers {status}"),
                said => format!("`{name}` answers {status}: {said}"),
            },
            // Those that OTLP names; others would be refused for ever.
            may_pass: matches!(status, 429 | 502 | 503 | 504),
            wait,
            source: None,
        })
    }

    /// The beginning of the body.
    async fn body(&self, mut response: Response) -> Result<Bytes, reqwest::Error> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await? {
            let room = MAX_ANSWER - body.len();
            body.extend(piece.iter().take(room));
            if piece.len() >= room {
                break;
            }
        }
        Ok(body.into())
    }

    /// What a refusal says, on one line and without what we have sent in headers.
    fn said(&self, body: &[u8]) -> String {
        /// `google.rpc.Status`, as collectors answer it.
        #[derive(Clone, PartialEq, Message)]
        struct Said {
            #[prost(string, tag = "2")]
            message: String,
        }
        let mut text = match Said::decode(body) {
            Ok(said) if !said.message.is_empty() => said.message,
            _ => String::from_utf8_lossy(body).into_owned(),
        };
        let secrets = self.headers.values().filter(|value| value.is_sensitive());
        for secret in secrets.filter_map(|value| value.to_str().ok()) {
            for word in secret.split(' ').filter(|word| word.len() >= SHORTEST_SECRET) {
                text = text.replace(word, HIDDEN);
            }
        }
        error::line(&text).chars().take(SHOWN).collect()
    }

    fn away(&self, error: reqwest::Error) -> NotTaken {
        let source = error.without_url();
        let (problem, may_pass) = match error::tls_error(&source) {
            Some(rustls::Error::InvalidCertificate(_)) => (
                format!("its certificate is not trusted; name the PEM file of its authority in {CA}"),
                false,
            ),
            Some(_) => (
                format!("TLS failed; does it speak https, and does it want a client certificate ({OURS})?"),
                false,
            ),
            None if source.is_timeout() => (
                format!(
                    "no answer within {} s (OTEL_EXPORTER_OTLP_TIMEOUT)",
                    self.timeout.as_secs_f64()
                ),
                true,
            ),
            None if source.is_connect() => ("no connection".to_owned(), true),
            None => ("the connection broke".to_owned(), !source.is_builder()),
        };
        NotTaken {
            problem: format!("cannot reach `{}`: {problem}", self.name),
            may_pass,
            wait: None,
            source: Some(source),
        }
    }
}

/// A header of these.
///
/// # Errors
/// When they are none. The error does not show the value.
pub fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let shown: String = name.chars().take(100).collect();
    let parsed = name
        .parse::<HeaderName>()
        .map_err(|_| format!("`{shown}` is no name of a header"))?;
    let value = HeaderValue::from_str(value)
        .map_err(|_| format!("the value of `{shown}` has a character that no header has"))?;
    Ok((parsed, value))
}

#[cfg(test)]
mod tests;
