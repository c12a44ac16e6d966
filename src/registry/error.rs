//! Why a registry gives no answer, or refuses a change.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::client::ClientError;
use crate::model::stage::UnknownStage;

/// Characters shown of what a registry says, at most.
const SHOWN: usize = 2_000;

/// Why a registry gives no answer, or refuses a change.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// There is no such model.
    #[error("registry `{registry}` has no model `{name}`; {}", plain(.known))]
    NoModel {
        /// The registry.
        registry: String,
        /// The name asked for.
        name: String,
        /// What there is, in words.
        known: String,
    },
    /// The model has no such version.
    #[error("model `{name}` has no {wanted}; it has {}", plain(.known))]
    NoVersion {
        /// The model.
        name: String,
        /// What was asked for: `version 7`, `version in stage Production`, `alias x`.
        wanted: String,
        /// What there is, in words.
        known: String,
    },
    /// The version is registered, and its files are gone.
    #[error("the files of version {version} of model `{name}` are missing: there is no folder `{path}`")]
    NoFiles {
        /// The model.
        name: String,
        /// The version.
        version: u64,
        /// Where they should be.
        path: PathBuf,
    },
    /// What is asked for is not allowed, whatever the registry holds.
    #[error("{0}")]
    Refused(String),
    /// No stage has that name.
    #[error(transparent)]
    Stage(#[from] UnknownStage),
    /// This registry cannot do it, or no such registry is built in.
    #[error("{0}")]
    Unsupported(String),
    /// The version is registered and not ready to be used.
    #[error("version {version} of model `{name}` is not ready: its status is {}{hint}", plain(.status))]
    NotReady {
        /// The model.
        name: String,
        /// The version.
        version: u64,
        /// What the registry says of it: `PENDING_REGISTRATION`, `FAILED_REGISTRATION`.
        status: String,
        /// What helps, after a semicolon; else empty.
        hint: &'static str,
    },
    /// The server has no such run or logged model.
    #[error("`{server}` has no {what}")]
    Nothing {
        /// The server.
        server: String,
        /// What was asked for: `run x`, `logged model m-x`.
        what: String,
    },
    /// What the registry says of the place of the files leads nowhere.
    #[error("cannot tell where the files of `{uri}` are: {}", plain(.problem))]
    Location {
        /// What was asked for.
        uri: String,
        /// Why not.
        problem: String,
    },
    /// The MLflow server gives no answer that helps.
    #[error(transparent)]
    Client(Arc<ClientError>),
    /// The registry cannot be read now.
    #[error("cannot read `{path}`")]
    Read {
        /// What was read.
        path: PathBuf,
        /// The system's complaint.
        #[source]
        source: io::Error,
    },
    /// The change could not be written; the registry is as it was.
    #[error("cannot write `{path}`")]
    Write {
        /// What was written.
        path: PathBuf,
        /// The system's complaint.
        #[source]
        source: io::Error,
    },
    /// The registry can be read and makes no sense.
    #[error("`{path}` is damaged: {}", plain(.problem))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The files of a new version could not be had.
    #[error("cannot register a version of model `{name}`")]
    Files {
        /// The model.
        name: String,
        /// What was wrong with the files.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer could not be shown.
    #[error("cannot write the answer")]
    Output(#[from] io::Error),
}

impl RegistryError {
    /// Whether the question made no sense, whatever the registry holds.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            RegistryError::Refused(_) | RegistryError::Stage(_) | RegistryError::Unsupported(_)
        )
    }

    /// Whether the registry could not be asked: nothing is known then of what it wants, and what is served stays. False
    /// when it answered that there is no such thing, or that it cannot be had.
    pub fn is_outage(&self) -> bool {
        match self {
            RegistryError::Client(error) => !definite(error),
            RegistryError::Read { .. } | RegistryError::Damaged { .. } => true,
            _ => false,
        }
    }
}

impl RegistryError {
    /// Whether the server says that it is not for us: asking again does not help.
    pub fn is_denied(&self) -> bool {
        matches!(self, RegistryError::Client(error) if matches!(error.status(), Some(401 | 403)))
    }
}

/// Whether the server understood the question and said no, rather than not to us or not now.
fn definite(error: &ClientError) -> bool {
    error.code().is_some() && matches!(error.status(), Some(400 | 404))
}

impl From<ClientError> for RegistryError {
    fn from(error: ClientError) -> RegistryError {
        RegistryError::Client(Arc::new(error))
    }
}

/// What a registry says, or what is in its file, on one line and of a bounded length: it must not drive a terminal or
/// fill a log.
fn plain(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = text.chars().take(SHOWN).map(clean).collect();
    if line.len() < text.len() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_says_stays_on_one_line_and_short() {
        let said = format!("a\nb\u{1b}[2J{}", "é".repeat(100_000));
        let name = || "n".to_owned();
        for error in [
            RegistryError::NoModel {
                registry: name(),
                name: name(),
                known: said.clone(),
            },
            RegistryError::NoVersion {
                name: name(),
                wanted: name(),
                known: said.clone(),
            },
            RegistryError::NotReady {
                name: name(),
                version: 1,
                status: said.clone(),
                hint: "",
            },
            RegistryError::Location {
                uri: name(),
                problem: said.clone(),
            },
            RegistryError::Damaged {
                path: "p".into(),
                problem: said.clone(),
            },
        ] {
            let text = error.to_string();
            assert!(text.contains("a b [2J") && text.contains('…'), "{text}");
            assert!(
                text.len() < 2 * SHOWN + 200 && !text.contains(char::is_control),
                "{text}"
            );
        }
    }
}
