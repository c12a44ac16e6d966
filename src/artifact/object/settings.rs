//! From a URI and the variables of its vendor to a client of the store.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, resolve_bucket_region};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, Certificate, ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use super::azure::azure;
use super::clean;
use crate::artifact::UNUSABLE_PROFILE;

/// No connection after that long: it will not come.
const CONNECT: Duration = Duration::from_secs(10);
/// No file of certificates is longer, in bytes.
const MAX_PEM: u64 = 16 << 20;
/// No further piece of an answer after that long.
const READ: Duration = Duration::from_secs(60);
/// Where Google's libraries look for a store that stands in for theirs.
const EMULATOR: &str = "STORAGE_EMULATOR_HOST";
/// What has the credentials, in the order in which they are looked for.
const AZURE_CREDENTIALS: [&str; 5] = [
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_CLIENT_ID",
    "AZURE_STORAGE_SAS_TOKEN",
];
const GOOGLE_CREDENTIALS: [&str; 4] = [
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
];

/// Names and values.
pub(super) type Settings<'a> = &'a [(String, String)];

/// The bucket or container of a store, and what to talk to it with.
pub(super) enum Vendor {
    S3(Box<AmazonS3Builder>, String),
    Other(Arc<dyn ObjectStore>),
}

impl Vendor {
    /// The client. Asks Amazon where the bucket is, when no setting says it.
    pub(super) async fn connect(self) -> object_store::Result<Arc<dyn ObjectStore>> {
        match self {
            Vendor::Other(store) => Ok(store),
            Vendor::S3(builder, bucket) => {
                let known = [
                    AmazonS3ConfigKey::Region,
                    AmazonS3ConfigKey::Endpoint,
                    AmazonS3ConfigKey::S3Endpoint,
                ]
                .iter()
                .any(|key| builder.get_config_value(key).is_some());
                let builder = match known {
                    true => *builder,
                    false => match resolve_bucket_region(&bucket, &client()).await {
                        Ok(region) => builder.with_region(region),
                        // The library's default then, and its error if that is wrong.
                        Err(_) => *builder,
                    },
                };
                Ok(Arc::new(builder.build()?))
            }
        }
    }
}

/// What talks to `scheme://host/...`.
///
/// # Errors
/// What is wrong with the settings or the host, without their values.
pub(super) fn vendor(scheme: &str, host: &str, settings: Settings<'_>) -> Result<Vendor, String> {
    // The library's TLS has no cryptography of its own. Somebody else's choice before ours is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if host.is_empty() {
        return Err("it names no bucket".into());
    }
    match scheme {
        "s3" | "s3a" => s3(host, settings),
        "gs" => match gcs(host, settings)?.build() {
            Ok(store) => Ok(Vendor::Other(Arc::new(store))),
            Err(error) => Err(unusable(&GOOGLE_CREDENTIALS, settings, &error)),
        },
        _ => match azure(host, settings)?.build() {
            Ok(store) => Ok(Vendor::Other(Arc::new(store))),
            Err(error) => Err(unusable(&AZURE_CREDENTIALS, settings, &error)),
        },
    }
}

/// What the library says of settings that it cannot use, after the first of these names that is set.
fn unusable(names: &[&str], settings: Settings<'_>, error: &dyn Error) -> String {
    let name = names.iter().find(|name| setting(settings, name).is_some());
    match name {
        Some(name) => format!("{name} cannot be used: {}", clean(error)),
        None => clean(error),
    }
}

fn s3(bucket: &str, settings: Settings<'_>) -> Result<Vendor, String> {
    let mut options = client();
    if let Some(path) = setting(settings, "AWS_CA_BUNDLE") {
        for certificate in authorities(path)? {
            options = options.with_root_certificate(certificate);
        }
    }
    let mut builder = AmazonS3Builder::new()
        .with_client_options(options)
        .with_retry(retries())
        .with_bucket_name(bucket);
    for (key, value) in known::<AmazonS3ConfigKey>("AWS_", settings) {
        if !matches!(key, AmazonS3ConfigKey::Bucket) {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = setting(settings, "MLFLOW_S3_ENDPOINT_URL") {
        // The more special name would win in the library.
        builder = builder
            .with_endpoint(endpoint)
            .with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    let endpoints = [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint];
    let endpoint = endpoints
        .iter()
        .filter_map(|key| builder.get_config_value(key))
        .next_back();
    if let Some(endpoint) = &endpoint {
        if !["http://", "https://"]
            .iter()
            .any(|scheme| endpoint.starts_with(scheme))
        {
            return Err(
                "MLFLOW_S3_ENDPOINT_URL or AWS_ENDPOINT_URL is no http:// or https:// address".into(),
            );
        }
        // Addresses of whoever set them: bucket names as host names work with Amazon only.
        builder = builder
            .with_allow_http(endpoint.starts_with("http://"))
            .with_virtual_hosted_style_request(false);
    }
    if setting(settings, "MLFLOW_S3_IGNORE_TLS").is_some_and(is_true) {
        let key = AmazonS3ConfigKey::Client(object_store::ClientConfigKey::AllowInvalidCertificates);
        builder = builder.with_config(key, "true");
    }
    let key = builder.get_config_value(&AmazonS3ConfigKey::AccessKeyId);
    if let Some(problem) = setting(settings, UNUSABLE_PROFILE).filter(|_| key.is_none()) {
        return Err(problem.to_owned());
    }
    Ok(Vendor::S3(Box::new(builder), bucket.to_owned()))
}

/// The certificates of a PEM file.
fn authorities(path: &str) -> Result<Vec<Certificate>, String> {
    let mut pem = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_PEM).read_to_end(&mut pem));
    read.map_err(|error| format!("AWS_CA_BUNDLE is `{path}`, which cannot be read: {error}"))?;
    let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if certificates.is_empty() {
        return Err(format!(
            "AWS_CA_BUNDLE is `{path}`, which is no PEM file of certificates"
        ));
    }
    Ok(certificates)
}

/// The bucket of a Google store. Plain HTTP only goes to addresses that somebody set.
fn gcs(bucket: &str, settings: Settings<'_>) -> Result<GoogleCloudStorageBuilder, String> {
    let builder = GoogleCloudStorageBuilder::new()
        .with_client_options(client().with_allow_http(true))
        .with_retry(retries())
        .with_bucket_name(bucket);
    if let Some(address) = setting(settings, EMULATOR) {
        // Google's libraries differ in whether it has a scheme. None of them sends a credential there.
        let address = match address.contains("://") {
            true => address.to_owned(),
            false => format!("http://{address}"),
        };
        return Ok(builder
            .with_base_url(address_of(EMULATOR, &address)?)
            .with_bearer_token("")
            .with_skip_signature(true));
    }
    let mut builder = builder;
    for (key, value) in known::<GoogleConfigKey>("GOOGLE_", settings) {
        let value = match key {
            GoogleConfigKey::BaseUrl => address_of("GOOGLE_BASE_URL", value)?,
            GoogleConfigKey::Bucket => bucket,
            _ => value,
        };
        builder = builder.with_config(key, value);
    }
    Ok(builder)
}

/// An address as the library wants it.
fn address_of<'a>(name: &str, address: &'a str) -> Result<&'a str, String> {
    let usable = Url::parse(address)
        .is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.username().is_empty());
    match usable {
        true => Ok(address.trim_end_matches('/')),
        false => Err(format!("{name} is no http:// or https:// address")),
    }
}

/// The settings whose names the library knows. Only those that begin as the vendor's do count, as it knows short ones.
pub(super) fn known<'a, K: FromStr>(
    prefix: &'static str,
    settings: Settings<'a>,
) -> impl Iterator<Item = (K, &'a str)> {
    let of_vendor = settings
        .iter()
        .filter(move |(name, value)| name.starts_with(prefix) && !value.is_empty());
    of_vendor.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value.as_str())))
}

pub(super) fn setting<'a>(settings: Settings<'a>, wanted: &str) -> Option<&'a str> {
    let found = settings
        .iter()
        .find(|(name, value)| name == wanted && !value.is_empty());
    found.map(|(_, value)| value.as_str())
}

/// As MLflow reads its switches.
fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "true" | "1")
}

pub(super) fn client() -> ClientOptions {
    // The library would give a whole file half a minute.
    ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT)
        .with_read_timeout(READ)
}

pub(super) fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 5,
        retry_timeout: Duration::from_secs(60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(settings: &[(&str, &str)]) -> AmazonS3Builder {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let settings: Vec<_> = settings.iter().map(own).collect();
        match vendor("s3", "models", &settings) {
            Ok(Vendor::S3(builder, _)) => *builder,
            Ok(Vendor::Other(_)) => panic!("not S3"),
            Err(problem) => panic!("{problem}"),
        }
    }

    #[test]
    fn mlflows_endpoint_wins_over_amazons() {
        let builder = built(&[
            ("AWS_ENDPOINT_URL_S3", "https://b"),
            ("MLFLOW_S3_ENDPOINT_URL", "http://a:9000"),
            ("AWS_ENDPOINT_URL", "https://c"),
        ]);
        for key in [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint] {
            assert_eq!(builder.get_config_value(&key).as_deref(), Some("http://a:9000"));
        }
        let key = AmazonS3ConfigKey::Client(object_store::ClientConfigKey::AllowHttp);
        assert_eq!(builder.get_config_value(&key).as_deref(), Some("true"));
    }

    #[test]
    fn only_the_vendors_own_settings_count() {
        let builder = built(&[
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_BUCKET", "other"),
            ("TOKEN", "no"),
            ("AWS_SESSION_TOKEN", ""),
            ("AWS_PAGER", "less"),
        ]);
        let value = |key: AmazonS3ConfigKey| builder.get_config_value(&key);
        assert_eq!(value(AmazonS3ConfigKey::Region).as_deref(), Some("eu-west-1"));
        assert_eq!(value(AmazonS3ConfigKey::Bucket).as_deref(), Some("models"));
        assert_eq!(value(AmazonS3ConfigKey::Token), None);
    }

    #[test]
    fn wrong_hosts_and_endpoints_are_told() {
        let problem =
            |scheme, host, settings: &[(String, String)]| vendor(scheme, host, settings).err().unwrap();
        assert!(problem("s3", "", &[]).contains("no bucket"));
        assert!(problem("wasbs", "container", &[]).contains("no storage account"));
        let endpoint = [("MLFLOW_S3_ENDPOINT_URL".to_owned(), "user:secret@host".to_owned())];
        let said = problem("s3", "models", &endpoint);
        assert!(
            said.contains("MLFLOW_S3_ENDPOINT_URL") && !said.contains("secret"),
            "{said}"
        );
    }

    #[test]
    fn a_profile_that_is_of_no_use_is_told_where_it_would_be_used() {
        let mut settings = vec![(UNUSABLE_PROFILE.to_owned(), "it wants a browser".to_owned())];
        assert_eq!(
            vendor("s3", "models", &settings).err().unwrap(),
            "it wants a browser"
        );
        assert!(vendor("gs", "models", &[]).is_ok());
        settings.push(("AWS_ACCESS_KEY_ID".into(), "x".into()));
        assert!(vendor("s3", "models", &settings).is_ok());
    }

    #[test]
    fn every_setting_of_a_vendor_is_known() {
        let ours = [
            "AWS_CA_BUNDLE",
            "AZURE_STORAGE_CONNECTION_STRING",
            "IDENTITY_ENDPOINT",
            EMULATOR,
        ];
        for &name in crate::artifact::STORE_SETTINGS {
            let key = name.to_ascii_lowercase();
            let known = key.parse::<AmazonS3ConfigKey>().is_ok()
                || key.parse::<object_store::azure::AzureConfigKey>().is_ok()
                || key.parse::<GoogleConfigKey>().is_ok();
            assert!(
                known || ours.contains(&name) || name.starts_with("MLFLOW_"),
                "{name}"
            );
        }
    }

    #[test]
    fn a_bundle_of_certificates_must_be_one() {
        for path in ["/no/such/file", "/proc/self/status"] {
            let settings = [("AWS_CA_BUNDLE".to_owned(), path.to_owned())];
            let problem = vendor("s3", "models", &settings).err().unwrap();
            assert!(
                problem.contains("AWS_CA_BUNDLE") && problem.contains(path),
                "{problem}"
            );
        }
    }
}
