//! Artifacts of runs: listed by the server, and sent to the store that it serves.

use bytes::Bytes;

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

    /// Keeps files with a run; those before one that fails are kept. Gives their paths.
    ///
    /// # Errors
    /// [`TrackingError`]; [`TrackingError::Unsupported`] where the server does not serve the run's store itself.
    pub async fn log_artifacts(&self, id: &str, files: Vec<File>) -> Result<Vec<String>, TrackingError> {
        for file in &files {
            check::path(&file.path)?;
        }
        let run = self.run(id).await?;
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
        let _upload = self.0.uploads.try_acquire().map_err(|_| TrackingError::Busy)?;
        let (client, _turn) = self.changing()?;
        let mut kept = Vec::with_capacity(files.len());
        for File { path, bytes } in files {
            client.put(&format!("{STORE}/{folder}/{path}"), bytes).await?;
            kept.push(path);
        }
        Ok(kept)
    }
}
