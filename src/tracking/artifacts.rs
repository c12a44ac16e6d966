//! Artifacts of runs: listed by the server, and sent to the store that it serves.

use bytes::Bytes;
use tokio::sync::SemaphorePermit;

use super::wire::ArtifactPage;
use super::{API, Tracking, TrackingError, check};

/// Where an MLflow server takes artifacts.
const STORE: &str = "api/2.0/mlflow-artifacts/artifacts";

/// A file to be kept with a run.
#[derive(Debug, Clone)]
pub struct File {
    /// Below the run's folder, such as `model/weights.bin`.
    pub path: String,
    /// What is in it.
    pub bytes: Bytes,
}

/// The turn of an upload, which is taken before its files are read into memory.
pub struct Upload<'t> {
    tracking: &'t Tracking,
    _turn: SemaphorePermit<'t>,
}

impl Tracking {
    /// A page of the files and folders directly below a path of a run.
    ///
    /// # Errors
    /// [`TrackingError`].
    pub async fn artifacts(
        &self,
        id: &str,
        path: Option<&str>,
        token: Option<&str>,
    ) -> Result<ArtifactPage, TrackingError> {
        check::run_id(id)?;
        check::token(token)?;
        path.map_or(Ok(()), check::path)?;
        let (client, _turn) = self.asking()?;
        let mut query = vec![("run_id", id)];
        query.extend(path.map(|path| ("path", path)));
        query.extend(token.map(|token| ("page_token", token)));
        Ok(client.get(&format!("{API}/artifacts/list"), &query).await?)
    }

    /// A turn to keep files with a run.
    ///
    /// # Errors
    /// Without a server, and when too many uploads are under way.
    pub fn upload(&self) -> Result<Upload<'_>, TrackingError> {
        if self.0.server.is_none() {
            return Err(TrackingError::NoServer);
        }
        Ok(Upload {
            tracking: self,
            _turn: self.0.uploads.try_acquire().map_err(|_| TrackingError::Busy)?,
        })
    }
}

impl Upload<'_> {
    /// Keeps files with a run; those before one that fails are kept. Gives their paths.
    ///
    /// # Errors
    /// [`TrackingError`]; [`TrackingError::Unsupported`] where the server does not serve the run's store itself.
    pub async fn keep(self, id: &str, files: Vec<File>) -> Result<Vec<String>, TrackingError> {
        for file in &files {
            check::path(&file.path)?;
        }
        let run = self.tracking.run(id).await?;
        let Some(folder) = run.artifact_uri.strip_prefix("mlflow-artifacts:") else {
            return Err(TrackingError::Unsupported(format!(
                "The artifacts of run `{id}` lie at `{}`, which the MLflow server does not serve: start it with \
                 --serve-artifacts, or send files there by MLflow's own client.",
                run.artifact_uri
            )));
        };
        if folder.starts_with("//") {
            return Err(TrackingError::Unsupported(format!(
                "The artifacts of run `{id}` lie at `{}`, which another MLflow server serves: send them to that one.",
                run.artifact_uri
            )));
        }
        let (client, _turn) = self.tracking.changing()?;
        let mut kept = Vec::with_capacity(files.len());
        for File { path, bytes } in files {
            client.put(&format!("{STORE}/{folder}/{path}"), bytes).await?;
            kept.push(path);
        }
        Ok(kept)
    }
}
