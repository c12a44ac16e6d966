//! Which registry, and how MLflow's servers are reached: the variables that MLflow's own client reads.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ini::{Ini, ParseOption};

use super::{Check, units};
use crate::client::{Client, ClientError, Config, Credentials};
use crate::registry::Spec;

/// The registry when none is named.
const DEFAULT: &str = "./models";

/// What may name the registry after `--registry`, in this order.
const REGISTRY: [&str; 2] = ["MLFLOW_REGISTRY_URI", TRACKING];
const TRACKING: &str = "MLFLOW_TRACKING_URI";

const INSECURE: &str = "MLFLOW_TRACKING_INSECURE_TLS";
const CA: &str = "MLFLOW_TRACKING_SERVER_CERT_PATH";

/// No file of credentials is longer, in bytes.
const MAX_CREDENTIALS: u64 = 1 << 20;

impl Check<'_> {
    /// The registry that `typed` or the environment names, with everything its client needs.
    pub(super) fn registry(&mut self, typed: Option<&str>) -> Spec {
        let typed = typed.filter(|text| !text.trim().is_empty());
        let from_variable = || {
            REGISTRY
                .iter()
                .find_map(|name| self.env.get(name).map(|text| (*name, text)))
        };
        let (from, text) = match typed {
            Some(text) => ("--registry", text.to_owned()),
            None => from_variable().unwrap_or(("--registry", DEFAULT.to_owned())),
        };
        let tracking = self.env.get(TRACKING).filter(|_| from != TRACKING);
        let spec = Spec::new(&text, None, &Config::new(""));
        let spec = self.kept(from, spec.map_err(|error| error.to_string()));
        match spec {
            Some(Spec::Folder(path)) => {
                if from != "--registry" && is_mlruns(&path) {
                    self.problems.push(format!(
                        "{from} is `{}`: a folder that MLflow keeps runs in, and no embedded registry; start `mlflow \
                         server --backend-store-uri {}` and name its address",
                        path.display(),
                        path.display()
                    ));
                }
                Spec::Folder(path)
            }
            Some(Spec::Mlflow { .. }) => {
                let settings = self.client_settings();
                let apart = tracking.filter(|tracking| *tracking != text);
                if let Some(tracking) = &apart {
                    match Spec::new(tracking, None, &settings) {
                        Ok(Spec::Mlflow { .. }) => {}
                        Ok(Spec::Folder(_)) => self.problems.push(format!(
                            "{TRACKING} is a folder while the registry is a server: unset it, or name the server \
                             that keeps the runs"
                        )),
                        Err(error) => self.problems.push(format!("{TRACKING}: {error}")),
                    }
                }
                let spec = Spec::new(&text, apart.as_deref(), &settings);
                let spec = spec.unwrap_or_else(|_| Spec::Folder(DEFAULT.into()));
                if let Spec::Mlflow { registry, tracking } = &spec {
                    self.usable(registry);
                    if tracking != registry {
                        self.usable(tracking);
                    }
                }
                spec
            }
            None => Spec::Folder(DEFAULT.into()),
        }
    }

    /// The server that keeps runs and traces: that of the registry, or where the registry is a folder the one that
    /// MLFLOW_TRACKING_URI names.
    pub(super) fn tracking(&mut self, registry: &Spec) -> Option<Config> {
        if let Some(tracking) = registry.tracking() {
            return Some(tracking.clone());
        }
        let text = self.env.get(TRACKING)?;
        let settings = self.client_settings();
        let spec = Spec::new(&text, None, &settings).map_err(|error| error.to_string());
        let server = self.kept(TRACKING, spec)?.tracking()?.clone();
        self.usable(&server);
        Some(server)
    }

    fn kept<T>(&mut self, from: &str, value: Result<T, String>) -> Option<T> {
        value
            .map_err(|problem| self.problems.push(format!("{from}: {problem}")))
            .ok()
    }

    /// Whether a client can be made; it reads the PEM files too.
    fn usable(&mut self, config: &Config) {
        let Err(error) = Client::new(config) else { return };
        let problem = match &error {
            ClientError::File { source, .. } => format!("{error}: {source}"),
            _ => error.to_string(),
        };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn client_settings(&mut self) -> Config {
        for (name, what) in [
            ("MLFLOW_TRACKING_AWS_SIGV4", "signatures of AWS"),
            ("MLFLOW_TRACKING_AUTH", "authentication plugins of Python"),
        ] {
            let off = |value: &str| ["false", "0"].contains(&value.to_lowercase().as_str());
            if self.env.get(name).is_some_and(|value| !off(&value)) {
                self.problems.push(format!(
                    "{name} is set, and modelsd knows no {what}: unset it and give MLFLOW_TRACKING_USERNAME and \
                     MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, or put a proxy that signs before the server"
                ));
            }
        }
        let path = |name: &str| self.env.get(name).map(PathBuf::from);
        let (ca_bundle, client_certificate) = (path(CA), path("MLFLOW_TRACKING_CLIENT_CERT_PATH"));
        let insecure_tls = self.boolean(INSECURE);
        if insecure_tls && ca_bundle.is_some() {
            self.problems
                .push(format!("{INSECURE} and {CA} contradict each other: unset one"));
        }
        let workspace = self.env.get("MLFLOW_WORKSPACE");
        Config {
            credentials: self.credentials(),
            ca_bundle,
            insecure_tls,
            client_certificate,
            workspace: workspace
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty()),
            timeout: self.variable(
                "MLFLOW_HTTP_REQUEST_TIMEOUT",
                Duration::from_secs(120),
                units::seconds,
            ),
            retries: self.variable("MLFLOW_HTTP_REQUEST_MAX_RETRIES", 7, units::retries),
            backoff_factor: self.variable("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", 2.0, units::backoff),
            backoff_jitter: self.variable("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", 1.0, units::backoff),
            ..Config::new("")
        }
    }

    /// The value of a variable read by `read`, else the default.
    fn variable<T>(&mut self, name: &str, default: T, read: fn(&str) -> Result<T, (T, String)>) -> T {
        let Some(text) = self.env.get(name) else {
            return default;
        };
        read(text.trim()).unwrap_or_else(|(stand_in, problem)| {
            self.problems.push(format!("{name} is `{text}`: {problem}"));
            stand_in
        })
    }

    /// A user and a password, each from its variable or else the file; else a token.
    fn credentials(&mut self) -> Option<Credentials> {
        let (user, password) = self.credentials_file().unwrap_or_default();
        let user = self.env.get("MLFLOW_TRACKING_USERNAME").or(user);
        let password = self.env.get("MLFLOW_TRACKING_PASSWORD").or(password);
        match (user, password) {
            (Some(user), Some(password)) => Some(Credentials::Basic { user, password }),
            _ => self.env.get("MLFLOW_TRACKING_TOKEN").map(Credentials::Bearer),
        }
    }

    /// User and password of `~/.mlflow/credentials`, where there is one.
    fn credentials_file(&mut self) -> Option<(Option<String>, Option<String>)> {
        let path = Path::new(&self.env.get("HOME")?).join(".mlflow/credentials");
        // Most have none; a folder that may not be looked into holds none for us.
        let length = std::fs::metadata(&path).ok().filter(|kind| kind.is_file())?.len();
        let text = match std::fs::read_to_string(&path) {
            _ if length > MAX_CREDENTIALS => Err("it is too long".to_owned()),
            Ok(text) => read_credentials(&text),
            Err(error) => Err(error.to_string()),
        };
        let from = format!("`{}`", path.display());
        self.kept(&from, text)
    }
}

/// Reads the file as Python's `configparser` would: names in any case, values as they stand, but for doubled percent
/// signs. The error repeats no line of the file.
fn read_credentials(text: &str) -> Result<(Option<String>, Option<String>), String> {
    let as_they_stand = ParseOption {
        enabled_quote: false,
        enabled_escape: false,
        ..ParseOption::default()
    };
    let file = Ini::load_from_str_opt(text, as_they_stand)
        .map_err(|error| format!("near line {}: not as an ini file is written", error.line))?;
    let value = |name: &str| {
        let section = file.section(Some("mlflow"))?;
        let (_, value) = section.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value.trim().replace("%%", "%")).filter(|value| !value.is_empty())
    };
    Ok((
        value("mlflow_tracking_username"),
        value("mlflow_tracking_password"),
    ))
}

/// Whether MLflow's file store keeps runs there.
fn is_mlruns(path: &Path) -> bool {
    let has = |name: &str| std::fs::metadata(path.join(name)).is_ok();
    path.file_name().is_some_and(|name| name == "mlruns") || has(".trash") || has("0/meta.yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_as_python_reads_them() {
        let text = "; a comment\n[other]\nmlflow_tracking_username = no\n[mlflow]\n\
            MLflow_Tracking_Username = me@x\nmlflow_tracking_password = \"a\\b%%c#d;e\"\n";
        let (user, password) = read_credentials(text).unwrap();
        assert_eq!(user.as_deref(), Some("me@x"));
        assert_eq!(password.as_deref(), Some("\"a\\b%c#d;e\""));
        assert_eq!(read_credentials("").unwrap(), (None, None));
        let error = read_credentials("[mlflow]\nhidden\n").unwrap_err();
        assert!(!error.contains("hidden"), "{error}");
    }
}
