//! What people ask an MLflow server besides predictions: experiments, runs and their artifacts, registered models.
//!
//! A thin, typed face over the server's REST API. Registered models may also be those of the embedded registry. Questions
//! are asked once more when the server is away for a moment; changes are sent once, since they may have been made.

mod artifacts;
mod check;
pub mod classes;
mod error;
mod experiments;
mod registered;
mod runs;
pub mod wire;

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::client::{Client, ClientError};
use crate::registry::{DirRegistry, Spec, embedded};

pub use crate::client::context::within_trace;
pub use artifacts::{File, Upload};
pub use error::TrackingError;
pub use registered::{Made, NewModel};

/// Where the API of an MLflow server lies.
const API: &str = "api/2.0/mlflow";
/// Questions and changes under way at once; further ones are refused.
const AT_ONCE: usize = 32;
/// Uploads of artifacts under way at once: each holds its files in memory.
const UPLOADS: usize = 4;
/// Questions at once whether the server answers; further ones wait.
const LOOKS: usize = 4;

/// What is known of runs and models, and where to ask for it. Clones share their connections.
#[derive(Clone)]
pub struct Tracking(Arc<Inner>);

struct Inner {
    /// `None` with an embedded registry.
    server: Option<Client>,
    registered: Registered,
    turns: Semaphore,
    uploads: Semaphore,
    /// For the question whether the server answers at all, which must not fail because others are under way.
    looks: Semaphore,
}

/// Where registered models are.
enum Registered {
    Server(Client),
    Folder(DirRegistry),
}

impl Tracking {
    /// The servers, or the folder, that a registry is. Nothing is asked yet.
    ///
    /// # Errors
    /// When the settings of a client are not usable.
    pub fn new(spec: &Spec) -> Result<Tracking, ClientError> {
        let (server, registered) = match spec {
            Spec::Folder(path) => (None, Registered::Folder(embedded(path))),
            Spec::Mlflow { registry, tracking } => (
                Some(Client::new(tracking)?),
                Registered::Server(Client::new(registry)?),
            ),
        };
        Ok(Tracking(Arc::new(Inner {
            server,
            registered,
            turns: Semaphore::new(AT_ONCE),
            uploads: Semaphore::new(UPLOADS),
            looks: Semaphore::new(LOOKS),
        })))
    }

    /// The address of the tracking server without credentials, if there is one.
    pub fn server_name(&self) -> Option<&str> {
        self.0.server.as_ref().map(Client::name)
    }

    /// The address of the registry, or its folder.
    pub fn registry_name(&self) -> String {
        match &self.0.registered {
            Registered::Server(client) => client.name().to_owned(),
            Registered::Folder(folder) => folder.root().display().to_string(),
        }
    }

    /// The version of MLflow that the tracking server runs. It waits for its turn, however many other questions there are.
    ///
    /// # Errors
    /// [`TrackingError`], also without a server; never [`TrackingError::Busy`] because of other questions.
    pub async fn server_version(&self) -> Result<String, TrackingError> {
        let server = self.0.server.as_ref().ok_or(TrackingError::NoServer)?;
        let _turn = self.0.looks.acquire().await.map_err(|_| TrackingError::Busy)?;
        let text = server.with_retries(1).text("version").await?;
        Ok(text.trim().chars().take(100).collect())
    }

    /// The tracking server for a question.
    fn asking(&self) -> Result<(Client, SemaphorePermit<'_>), TrackingError> {
        let server = self.0.server.as_ref().ok_or(TrackingError::NoServer)?;
        Ok((server.with_retries(1), self.turn()?))
    }

    /// The tracking server for a change.
    fn changing(&self) -> Result<(Client, SemaphorePermit<'_>), TrackingError> {
        let server = self.0.server.as_ref().ok_or(TrackingError::NoServer)?;
        Ok((server.with_retries(0), self.turn()?))
    }

    fn turn(&self) -> Result<SemaphorePermit<'_>, TrackingError> {
        self.0.turns.try_acquire().map_err(|_| TrackingError::Busy)
    }
}
