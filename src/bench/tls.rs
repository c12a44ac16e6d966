//! TLS of `https` targets: whom the load trusts and who it is, and what a failure means to whoever reads of it.

use std::io;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_rustls::TlsConnector;

/// The only HTTP that is spoken here.
const HTTP1: &[u8] = b"http/1.1";
/// How an alert of TLS begins.
const ALERT: &[u8] = &[0x15, 0x03];

/// What greets servers. All connections share it, so that those made later resume the session of the first, as clients'
/// do.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

/// Why TLS cannot be spoken to anybody.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The authorities are none.
    #[error("--tls-ca must be a PEM file of one or more certificates")]
    NoAuthorities,
    /// An authority cannot be one.
    #[error("a certificate of --tls-ca cannot be used as that of an authority")]
    Authority(#[source] rustls::Error),
    /// The system has none.
    #[error("the system has no authorities that could be trusted: name a file of them with --tls-ca")]
    System(#[source] rustls::Error),
    /// Our certificate or its key is none.
    #[error("--tls-identity must be a PEM file of a certificate and its unencrypted private key")]
    NoIdentity,
    /// They do not belong together.
    #[error("certificate and key of --tls-identity cannot be used with one another")]
    Identity(#[source] rustls::Error),
    /// The cryptography lacks what it should have.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

impl Tls {
    /// Trusts these authorities, or the system's, and shows this certificate to servers that ask for one; both as PEM.
    ///
    /// # Errors
    /// When one of them is not what it should be, or the system has no authorities.
    pub fn new(authorities: Option<&[u8]>, identity: Option<&[u8]>) -> Result<Tls, Error> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::Setup)?;
        let builder = match authorities {
            Some(text) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(text).ok_or(Error::NoAuthorities)? {
                    roots.add(authority).map_err(Error::Authority)?;
                }
                builder.with_root_certificates(roots)
            }
            None => builder.with_platform_verifier().map_err(Error::System)?,
        };
        let mut config = match identity {
            Some(text) => {
                let chain = certificates(text).ok_or(Error::NoIdentity)?;
                let key = PrivateKeyDer::from_pem_slice(text).map_err(|_| Error::NoIdentity)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(Error::Identity)?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![HTTP1.to_vec()];
        Ok(Tls(Arc::new(config)))
    }

    pub(super) fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.0))
    }
}

/// The certificates in a text, if there are any.
fn certificates(text: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    found.ok().filter(|found| !found.is_empty())
}

/// Why TLS ended a connection, and what helps; `None` where it was not TLS that did.
pub(super) fn reason(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(certificate) => of_certificate(certificate),
        rustls::Error::AlertReceived(alert) => of_alert(*alert),
        rustls::Error::InvalidMessage(_) => {
            "what it says is no TLS: write http:// where it speaks plain HTTP".to_owned()
        }
        other => format!("TLS failed: {other}"),
    })
}

/// What helps where a server answers plain HTTP in TLS, as the bytes of its answer say.
pub(super) fn meant(answer: &[u8]) -> Option<&'static str> {
    answer
        .starts_with(ALERT)
        .then_some("it speaks TLS: write https:// in place of http://")
}

/// What is wrong with the server's certificate.
fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "its certificate is of no authority that is trusted: name a PEM file of its authority with --tls-ca".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is for another name ({error}): use a name that it has in the address")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: the server needs a new one".to_owned()
        }
        // What checks it has no name for this at hand; it is what `openssl req -x509` makes.
        CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
            "its certificate is that of an authority: the server needs one of its own, which an authority has signed".to_owned()
        }
        _ => format!("its certificate cannot be trusted ({error}): the server needs another one"),
    }
}

/// What a server does not like.
fn of_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "it wants a certificate of its clients: give one, with its key, with --tls-identity".to_owned()
        }
        AlertDescription::BadCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError
        | AlertDescription::UnknownCA
        | AlertDescription::UnsupportedCertificate => format!(
            "it does not take our certificate ({alert:?}): give one of an authority that it trusts with --tls-identity"
        ),
        AlertDescription::NoApplicationProtocol => {
            "it does not speak HTTP/1.1, the only one that is measured".to_owned()
        }
        _ => format!(
            "it refuses TLS ({alert:?}); some servers say so when they want a certificate: --tls-identity"
        ),
    }
}

#[cfg(test)]
mod tests;
