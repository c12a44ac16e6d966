//! Which registry, read from the text of `--registry`.

use std::path::PathBuf;

use super::RegistryError;
use crate::client;
use crate::model::location::ArtifactUri;

/// A registry that can be opened.
#[derive(Debug, Clone, PartialEq)]
pub enum Spec {
    /// The folder of an embedded registry.
    Folder(PathBuf),
    /// An MLflow server.
    Mlflow {
        /// The server that knows registered models.
        registry: Box<client::Config>,
        /// The server that knows runs, logged models and `mlflow-artifacts:`; the same one unless it was named apart.
        tracking: Box<client::Config>,
    },
}

impl Spec {
    /// Reads the texts of the registry and of the tracking server, where one was named apart. `settings` are those of
    /// clients, whatever their address is.
    ///
    /// # Errors
    /// When a text names a kind that is not built in. The error repeats no password.
    pub fn new(
        registry: &str,
        tracking: Option<&str>,
        settings: &client::Config,
    ) -> Result<Spec, RegistryError> {
        let registry = match Place::of(registry)? {
            Place::Folder(path) => return Ok(Spec::Folder(path)),
            Place::Server => at(registry, settings),
        };
        let tracking = match tracking {
            None => registry.clone(),
            Some(tracking) => match Place::of(tracking)? {
                Place::Server => at(tracking, settings),
                Place::Folder(_) => registry.clone(),
            },
        };
        Ok(Spec::Mlflow { registry, tracking })
    }

    /// The client's settings for `mlflow-artifacts:`; `None` without an MLflow server.
    pub fn tracking(&self) -> Option<&client::Config> {
        match self {
            Spec::Folder(_) => None,
            Spec::Mlflow { tracking, .. } => Some(tracking),
        }
    }

    /// The same with at most so many retries.
    pub(super) fn with_retries(mut self, retries: u32) -> Spec {
        if let Spec::Mlflow { registry, tracking } = &mut self {
            registry.retries = retries.min(registry.retries);
            tracking.retries = retries.min(tracking.retries);
        }
        self
    }
}

fn at(url: &str, settings: &client::Config) -> Box<client::Config> {
    Box::new(client::Config {
        url: url.trim().to_owned(),
        ..settings.clone()
    })
}

enum Place {
    Folder(PathBuf),
    Server,
}

impl Place {
    fn of(text: &str) -> Result<Place, RegistryError> {
        let text = text.trim();
        let scheme = text
            .split_once(':')
            .map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("http" | "https") => return Ok(Place::Server),
            Some("databricks" | "databricks-uc" | "uc") => {
                return Err(RegistryError::Unsupported(
                    "Databricks and Unity Catalog are no registry that modelsd can follow; name an MLflow server \
                     (http://HOST:5000) or a folder (./models)"
                        .into(),
                ));
            }
            _ if ["databricks", "databricks-uc", "uc"].contains(&text) => {
                return Place::of(&format!("{text}:"));
            }
            Some("file") | None => {}
            Some(scheme) if text[scheme.len()..].starts_with("://") || database(scheme) => {
                let server = if database(scheme) {
                    format!("; start `mlflow server --backend-store-uri {scheme}://…` and name its address")
                } else {
                    String::new()
                };
                return Err(RegistryError::Unsupported(format!(
                    "no registry is called `{scheme}:`; a registry is an MLflow server, such as \
                     http://localhost:5000, or a folder, such as ./models{server}"
                )));
            }
            Some(_) => {}
        }
        let path = ArtifactUri::new(text)
            .local_path()
            .filter(|path| !path.as_os_str().is_empty());
        path.map(Place::Folder)
            .ok_or_else(|| RegistryError::Unsupported(format!("`{text}` names no registry folder")))
    }
}

/// Whether MLflow keeps its store in such a database, which only its server reads.
fn database(scheme: &str) -> bool {
    let kind = scheme.split('+').next().unwrap_or_default();
    ["sqlite", "postgresql", "postgres", "mysql", "mssql"].contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(registry: &str, tracking: Option<&str>) -> Result<Spec, RegistryError> {
        Spec::new(registry, tracking, &client::Config::new(""))
    }

    #[test]
    fn servers_and_folders_are_told_apart() {
        for (text, folder) in [
            ("./models", "./models"),
            ("file:///srv/models", "/srv/models"),
            (" models ", "models"),
        ] {
            assert_eq!(spec(text, None).unwrap(), Spec::Folder(folder.into()));
        }
        for text in ["http://host:5000", "HTTPS://host/prefix"] {
            let read = spec(text, None).unwrap();
            assert_eq!(read.tracking().unwrap().url, text);
        }
        let apart = spec("http://registry", Some("http://tracking")).unwrap();
        assert_eq!(apart.tracking().unwrap().url, "http://tracking");
    }

    #[test]
    fn fewer_retries_are_not_more() {
        let retries = |spec: Spec| spec.tracking().unwrap().retries;
        let mut settings = client::Config::new("");
        let mut polled = |set: u32| {
            settings.retries = set;
            retries(Spec::new("http://h", None, &settings).unwrap().with_retries(1))
        };
        assert_eq!((polled(7), polled(0)), (1, 0));
    }

    #[test]
    fn what_is_not_built_in_is_refused_by_name() {
        for (text, wanted) in [
            ("sqlite:///x.db", "`mlflow server --backend-store-uri sqlite://…`"),
            (
                "postgresql+psycopg2://me:hidden@db/x",
                "no registry is called `postgresql+psycopg2:`",
            ),
            ("s3://bucket", "no registry is called `s3:`"),
            ("databricks", "Databricks"),
            ("databricks://profile", "Databricks"),
            ("uc:http://me:hidden@host", "Databricks and Unity Catalog"),
            ("", "names no registry folder"),
        ] {
            let message = spec(text, None).unwrap_err().to_string();
            assert!(
                message.contains(wanted) && !message.contains("hidden"),
                "{message}"
            );
        }
    }
}
