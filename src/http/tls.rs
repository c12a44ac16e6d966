//! TLS of the port: certificate, key and the authorities of clients, read again when their files change.
//!
//! Connections that are open keep what they began with. A certificate that cannot be used changes nothing.

use std::error::Error as StdError;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_cert::der::Decode;

use super::reread::OfFiles;
use crate::telemetry::names;

/// Longer files hold neither a chain nor a key.
const MAX_BYTES: u64 = 1 << 20;
/// What a client may ask for; with neither it gets HTTP/1.1.
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
/// A certificate that ends sooner is warned of, once a day.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Where certificate and key are.
#[derive(Debug, Clone)]
pub struct Config {
    /// PEM file of the certificate, and of those between it and its authority.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    /// Whose certificates clients show; `None` where they are asked for none.
    pub clients: Option<Clients>,
}

/// The certificates of clients.
#[derive(Debug, Clone)]
pub struct Clients {
    /// PEM file of their authorities.
    pub authorities: PathBuf,
    /// What a client without one is worth.
    pub auth: ClientAuth,
}

/// Whether clients need a certificate. One that is shown has to be good in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// A client without one is not spoken to.
    Required,
    /// A client without one is spoken to as if none were asked for.
    Optional,
}

impl FromStr for ClientAuth {
    type Err = NoClientAuth;

    fn from_str(text: &str) -> Result<ClientAuth, NoClientAuth> {
        match text {
            "required" => Ok(ClientAuth::Required),
            "optional" => Ok(ClientAuth::Optional),
            _ => Err(NoClientAuth),
        }
    }
}

/// A word that says not whether clients need a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use required or optional")]
pub struct NoClientAuth;

impl Config {
    /// All files.
    pub fn files(&self) -> Vec<PathBuf> {
        let always = [&self.certificate, &self.key];
        always
            .into_iter()
            .chain(self.clients.as_ref().map(|clients| &clients.authorities))
            .cloned()
            .collect()
    }
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system does not give a file.
    #[error("cannot read `{}`", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// A file is something else.
    #[error("`{}` has no {wanted} in PEM form", .path.display())]
    Missing {
        /// Which.
        path: PathBuf,
        /// What should be there.
        wanted: &'static str,
    },
    /// A key that nobody could ask a password for.
    #[error("the key in `{}` is encrypted: write it without a password, with `openssl pkey`, where only the server can read it", .0.display())]
    Encrypted(PathBuf),
    /// The certificate is over.
    #[error("the certificate in `{}` has expired", .0.display())]
    Expired(PathBuf),
    /// Certificate and key cannot be used, or not together.
    #[error("`{}` cannot be used with the key in `{}`", .certificate.display(), .key.display())]
    Unusable {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authorities cannot be used.
    #[error("the authorities in `{}` cannot be used", .path.display())]
    Authorities {
        /// Where they are.
        path: PathBuf,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// What is spoken now.
struct Current {
    acceptor: TlsAcceptor,
    /// When the first certificate of the chain ends, as seconds since the epoch; `None` where it does not say so in a way
    /// that is read here.
    ends: Option<Duration>,
}

/// The TLS of a port.
pub struct Tls {
    config: Config,
    current: ArcSwap<Current>,
    /// The day of the last warning, since the epoch.
    warned: AtomicU64,
}

impl Tls {
    /// Reads the files. Blocking.
    ///
    /// # Errors
    /// When they cannot be used. A certificate that has expired can: some clients do not look.
    pub fn load(config: &Config) -> Result<Tls, Error> {
        let current = read(config)?;
        let tls = Tls {
            config: config.clone(),
            current: ArcSwap::from_pointee(current),
            warned: AtomicU64::new(0),
        };
        tls.tell();
        Ok(tls)
    }

    /// Greets a client.
    ///
    /// Cancel-safe: dropping the future closes the connection.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = self.current.load().acceptor.clone();
        let stream = acceptor.accept(stream).await?;
        let shown = match stream.get_ref().1.peer_certificates() {
            Some(_) => "shown",
            None => "none",
        };
        metrics::counter!(names::TLS_CONNECTIONS_TOTAL, names::CLIENT_CERTIFICATE => shown).increment(1);
        Ok(stream)
    }

    /// Says when the certificate ends.
    fn tell(&self) {
        if let Some(ends) = self.current.load().ends {
            metrics::gauge!(names::TLS_CERTIFICATE_EXPIRY_SECONDS).set(ends.as_secs_f64());
        }
    }
}

/// Whether a connection has agreed to HTTP/2.
pub(super) fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

impl OfFiles for Tls {
    fn kind(&self) -> &'static str {
        "tls"
    }

    fn reread(&self) -> Result<String, Box<dyn StdError + Send + Sync>> {
        let next = read(&self.config)?;
        if next.ends.is_some_and(|ends| ends < now()) {
            return Err(Error::Expired(self.config.certificate.clone()).into());
        }
        let found = match next.ends {
            Some(ends) => format!(
                "a certificate that ends in {} days",
                ends.saturating_sub(now()).as_secs() / DAY.as_secs()
            ),
            None => "a certificate".to_owned(),
        };
        self.current.store(Arc::new(next));
        self.warned.store(0, Ordering::Relaxed);
        self.tell();
        Ok(found)
    }

    fn tick(&self) {
        let Some(ends) = self.current.load().ends else {
            return;
        };
        let now = now();
        let today = now.as_secs() / DAY.as_secs();
        if ends < now + SOON && self.warned.swap(today, Ordering::Relaxed) != today {
            let certificate = self.config.certificate.display();
            match ends.checked_sub(now) {
                Some(left) => {
                    tracing::warn!(%certificate, days = left.as_secs() / DAY.as_secs(), "the certificate ends soon")
                }
                None => tracing::error!(%certificate, "the certificate has expired: clients refuse it"),
            }
        }
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn read(config: &Config) -> Result<Current, Error> {
    let Config {
        certificate,
        key,
        clients,
    } = config;
    let chain = certificates(certificate)?;
    let ends = chain.iter().filter_map(ends).min();
    let unusable = |source| Error::Unusable {
        certificate: certificate.clone(),
        key: key.clone(),
        source,
    };
    let private = private_key(key)?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(Clients {
            authorities: path,
            auth,
        }) => {
            let bad = |source: Box<dyn StdError + Send + Sync>| Error::Authorities {
                path: path.clone(),
                source,
            };
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority).map_err(|error| bad(error.into()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match auth {
                ClientAuth::Required => verifier,
                ClientAuth::Optional => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(|error| bad(error.into()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    // Also checks that the key is that of the certificate.
    let mut server = builder.with_single_cert(chain, private).map_err(unusable)?;
    server.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    // New ones with each reading: nobody resumes a session that began under authorities which are gone.
    server.ticketer = ring::Ticketer::new().map_err(unusable)?;
    Ok(Current {
        acceptor: TlsAcceptor::from(Arc::new(server)),
        ends,
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = contents(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Error::Missing {
            path: path.to_owned(),
            wanted: "certificate",
        }),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = contents(path)?;
    let has = |mark: &[u8]| text.windows(mark.len()).any(|at| at == mark);
    if has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED") {
        return Err(Error::Encrypted(path.to_owned()));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| Error::Missing {
        path: path.to_owned(),
        wanted: "private key",
    })
}

fn contents(path: &Path) -> Result<Vec<u8>, Error> {
    let read = || {
        let mut text = Vec::new();
        std::fs::File::open(path)?
            .take(MAX_BYTES + 1)
            .read_to_end(&mut text)?;
        match text.len() as u64 > MAX_BYTES {
            true => Err(io::Error::other(format!("it is longer than {MAX_BYTES} bytes"))),
            false => Ok(text),
        }
    };
    read().map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}

/// When a certificate ends.
fn ends(certificate: &CertificateDer<'_>) -> Option<Duration> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate.validity.not_after.to_unix_duration())
}

#[cfg(test)]
mod tests;
