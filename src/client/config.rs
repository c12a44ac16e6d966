//! How to reach an MLflow server, and as whom.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::address;

/// What a client runs with. The defaults of [`Config::new`] are those of MLflow's own client.
#[derive(Clone, PartialEq)]
pub struct Config {
    /// Address of the server: `http(s)://host[:port][/static-prefix]`. A user and a password in it win over
    /// `credentials`.
    pub url: String,
    /// Who we are.
    pub credentials: Option<Credentials>,
    /// PEM file of the certificates that are trusted, instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// Trusts every certificate.
    pub insecure_tls: bool,
    /// PEM file with a certificate of ours and its private key.
    pub client_certificate: Option<PathBuf>,
    /// Sent as `X-MLFLOW-WORKSPACE`; servers without workspaces refuse every request that has it.
    pub workspace: Option<String>,
    /// Longest wait for an answer, and for each further piece of a download.
    pub timeout: Duration,
    /// How often a request that failed for a reason that may pass is sent again.
    pub retries: u32,
    /// Seconds that the wait before the second retry is twice of; it doubles with each further one.
    pub backoff_factor: f64,
    /// Most seconds that chance adds to a wait.
    pub backoff_jitter: f64,
}

impl Config {
    /// The settings for a server when nothing else is said.
    pub fn new(url: &str) -> Config {
        Config {
            url: url.to_owned(),
            credentials: None,
            ca_bundle: None,
            insecure_tls: false,
            client_certificate: None,
            workspace: None,
            timeout: Duration::from_secs(120),
            retries: 7,
            backoff_factor: 2.0,
            backoff_jitter: 1.0,
        }
    }
}

/// Shows no secret, also not one that is part of the address.
impl fmt::Debug for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Config")
            .field("url", &address::redacted(&self.url))
            .field("credentials", &self.credentials)
            .field("ca_bundle", &self.ca_bundle)
            .field("insecure_tls", &self.insecure_tls)
            .field("client_certificate", &self.client_certificate)
            .field("workspace", &self.workspace)
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("backoff_factor", &self.backoff_factor)
            .field("backoff_jitter", &self.backoff_jitter)
            .finish()
    }
}

/// Who we are, for the server.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user and a password.
    Basic {
        /// Name of the user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Bearer(String),
}

/// Shows the user and no secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::Basic { user, .. } => write!(out, "Basic({user}, ***)"),
            Credentials::Bearer(_) => out.write_str("Bearer(***)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let mut config = Config::new("https://me:hidden@host/x");
        config.credentials = Some(Credentials::Basic {
            user: "me".into(),
            password: "hidden".into(),
        });
        let basic = format!("{config:?}");
        config.credentials = Some(Credentials::Bearer("hidden".into()));
        let bearer = format!("{config:?}");
        config.url = "https://me:hidden@ho st/x".into();
        let broken = format!("{config:?}");
        for text in [basic, bearer, broken] {
            assert!(!text.contains("hidden"), "{text}");
        }
    }
}
