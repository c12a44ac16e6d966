//! Certificates: whom we trust, and who we are.

use std::fs;
use std::path::Path;

use reqwest::{Certificate, ClientBuilder, Identity};

use super::{ClientError, Config};

const CA: &str = "MLFLOW_TRACKING_SERVER_CERT_PATH";
const OURS: &str = "MLFLOW_TRACKING_CLIENT_CERT_PATH";

/// No file of certificates is longer.
const MAX_BYTES: u64 = 16 << 20;

/// Sets up TLS as the settings say. The cryptography is ring's, for the whole process.
pub(super) fn set_up(builder: ClientBuilder, config: &Config) -> Result<ClientBuilder, ClientError> {
    let mut builder = trust(builder, config.ca_bundle.as_deref(), CA)?;
    if config.insecure_tls {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if let Some(path) = &config.client_certificate {
        let identity = Identity::from_pem(&read(path, OURS)?).map_err(|_| {
            unusable(
                path,
                OURS,
                "a PEM file of a certificate and its unencrypted private key",
            )
        })?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}

/// Sets up whom we trust: the system's authorities, or those of the file that this setting names.
pub(super) fn trust(
    builder: ClientBuilder,
    bundle: Option<&Path>,
    setting: &'static str,
) -> Result<ClientBuilder, ClientError> {
    // Somebody else's choice before ours is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Some(path) = bundle else { return Ok(builder) };
    let trusted = Certificate::from_pem_bundle(&read(path, setting)?)
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| unusable(path, setting, "a PEM file of one or more certificates"))?;
    // As in Python, a bundle replaces the system's.
    Ok(builder.tls_certs_only(trusted))
}

/// Sets up who we are, by a certificate and its key in files of their own.
pub(super) fn identify(
    builder: ClientBuilder,
    certificate: (&Path, &'static str),
    key: (&Path, &'static str),
) -> Result<ClientBuilder, ClientError> {
    let mut pem = read(key.0, key.1)?;
    pem.push(b'\n');
    pem.extend(read(certificate.0, certificate.1)?);
    let identity = Identity::from_pem(&pem).map_err(|_| {
        let wanted = format!(
            "a PEM file of a certificate, and {} of its unencrypted private key",
            key.1
        );
        unusable(certificate.0, certificate.1, &wanted)
    })?;
    Ok(builder.identity(identity))
}

fn read(path: &Path, setting: &'static str) -> Result<Vec<u8>, ClientError> {
    let failed = |source| ClientError::File {
        path: path.to_path_buf(),
        setting,
        source,
    };
    let kind = fs::metadata(path).map_err(failed)?;
    if !kind.is_file() || kind.len() > MAX_BYTES {
        return Err(unusable(path, setting, "a PEM file"));
    }
    fs::read(path).map_err(failed)
}

fn unusable(path: &Path, setting: &'static str, wanted: &str) -> ClientError {
    ClientError::Settings(format!("{setting} is `{}`: it must be {wanted}", path.display()))
}
