//! Why an MLflow server gave no answer that helps.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::retry;

/// Longest piece of an answer that an error repeats, in characters.
const SHOWN: usize = 500;

/// Why a request gave nothing. No variant holds a credential or the query of a presigned address.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The settings of the client are not usable.
    #[error("{0}")]
    Settings(String),
    /// A file that the settings name cannot be read.
    #[error("cannot read `{path}` ({setting})")]
    File {
        /// The file.
        path: PathBuf,
        /// The variable that names it.
        setting: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No connection, or one that broke.
    #[error("cannot reach `{server}`: {problem}")]
    Unreachable {
        /// The address, without what is secret in it.
        server: String,
        /// What happened and what helps.
        problem: String,
        /// Whether it may pass by itself; a certificate that is not trusted does not.
        may_pass: bool,
        /// The library's complaint.
        #[source]
        source: reqwest::Error,
    },
    /// The server closed within an answer, or let us wait too long for the rest.
    #[error("the answer of `{server}` broke off")]
    BrokeOff {
        /// The address, without what is secret in it.
        server: String,
        /// The library's complaint.
        #[source]
        source: reqwest::Error,
    },
    /// The server refuses the name under which we call it.
    #[error(
        "`{server}` refuses the host name it is called by (403: `{message}`); start the MLflow server with \
         --allowed-hosts or MLFLOW_SERVER_ALLOWED_HOSTS naming `{host}`"
    )]
    HostRefused {
        /// The address, without what is secret in it.
        server: String,
        /// The host and port in it.
        host: String,
        /// What the server said.
        message: String,
    },
    /// The server does not know us.
    #[error("`{server}` answers 401{message}: {hint}")]
    Unauthorized {
        /// The address, without what is secret in it.
        server: String,
        /// What the server said, after a colon; else empty.
        message: String,
        /// What helps.
        hint: &'static str,
    },
    /// The server has no workspaces, and we name one.
    #[error("`{server}` has no workspaces, and MLFLOW_WORKSPACE is `{workspace}`: unset it ({message})")]
    NoWorkspaces {
        /// The address, without what is secret in it.
        server: String,
        /// The workspace.
        workspace: String,
        /// What the server said.
        message: String,
    },
    /// The server answers with another status than 200.
    #[error("`{server}` answers {status}{}: {message}", .code.as_ref().map(|code| format!(" {code}")).unwrap_or_default())]
    Status {
        /// The address, without what is secret in it.
        server: String,
        /// The HTTP status.
        status: u16,
        /// MLflow's name of the error, such as `RESOURCE_DOES_NOT_EXIST`.
        code: Option<String>,
        /// What the server said.
        message: String,
    },
    /// The answer is longer than answers may be.
    #[error("the answer of `{server}` is longer than {limit} bytes")]
    TooLarge {
        /// The address, without what is secret in it.
        server: String,
        /// Most bytes.
        limit: u64,
    },
    /// What answers is no MLflow server, or its API lies elsewhere.
    #[error(
        "`{server}` answers {status} with what is no JSON (`{start}`): is it an MLflow server, and does the address \
         name its --static-prefix?"
    )]
    NotJson {
        /// The address, without what is secret in it.
        server: String,
        /// The HTTP status.
        status: u16,
        /// How the answer begins.
        start: String,
    },
    /// The answer is JSON of another shape than MLflow's.
    #[error("`{server}` answers something else than an MLflow server would")]
    Shape {
        /// The address, without what is secret in it.
        server: String,
        /// Where it differs.
        #[source]
        source: serde_json::Error,
    },
}

impl ClientError {
    /// Whether the same request may succeed later with nobody's help.
    pub fn is_transient(&self) -> bool {
        match self {
            ClientError::Unreachable { may_pass, .. } => *may_pass,
            ClientError::BrokeOff { .. } => true,
            ClientError::Status { status, .. } | ClientError::NotJson { status, .. } => {
                retry::may_pass(*status)
            }
            _ => false,
        }
    }

    /// The HTTP status, when the server answered with one that is no success.
    pub fn status(&self) -> Option<u16> {
        match self {
            ClientError::Status { status, .. } | ClientError::NotJson { status, .. } => Some(*status),
            ClientError::Unauthorized { .. } => Some(401),
            ClientError::HostRefused { .. } => Some(403),
            ClientError::NoWorkspaces { .. } => Some(500),
            _ => None,
        }
    }

    /// MLflow's name of the error, such as `RESOURCE_DOES_NOT_EXIST`.
    pub fn code(&self) -> Option<&str> {
        match self {
            ClientError::Status { code, .. } => code.as_deref(),
            _ => None,
        }
    }
}

/// An error of the library, told apart.
pub(super) fn from_reqwest(error: reqwest::Error, server: &str, timeout: Duration) -> ClientError {
    // The library would show the whole address, with the signature of a presigned one.
    let source = error.without_url();
    let server = server.to_owned();
    if source.is_body() || source.is_decode() {
        return ClientError::BrokeOff { server, source };
    }
    let (problem, may_pass) = match tls_error(&source) {
        Some(rustls::Error::InvalidCertificate(_)) => (
            "its certificate is not trusted; name the PEM file of its authority in MLFLOW_TRACKING_SERVER_CERT_PATH"
                .to_owned(),
            false,
        ),
        Some(_) => (
            "TLS failed; does it speak https, and does it want a client certificate \
             (MLFLOW_TRACKING_CLIENT_CERT_PATH)?"
                .to_owned(),
            false,
        ),
        None if source.is_timeout() => (
            format!(
                "no answer within {} s (MLFLOW_HTTP_REQUEST_TIMEOUT)",
                timeout.as_secs_f64()
            ),
            true,
        ),
        None if source.is_redirect() => ("it redirects for ever".to_owned(), false),
        None if source.is_connect() => ("no connection".to_owned(), true),
        // With TLS 1.3 a server that misses a certificate just leaves.
        None if server.starts_with("https:") => (
            "the connection broke; does it want a client certificate (MLFLOW_TRACKING_CLIENT_CERT_PATH)?".to_owned(),
            true,
        ),
        None => ("the connection broke".to_owned(), !source.is_builder()),
    };
    ClientError::Unreachable {
        server,
        problem,
        may_pass,
        source,
    }
}

/// The TLS library's complaint, from among the causes.
pub(super) fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // What an IO error wraps is not among its causes, but for the causes of that.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(|error| error.get_ref());
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

/// The beginning of what a server said, on one line.
pub(super) fn line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = text.trim().chars().take(SHOWN).map(clean).collect();
    if text.trim().chars().nth(SHOWN).is_some() {
        line.push('…');
    }
    line
}
