//! Experiments.

use std::collections::BTreeMap;

use serde_json::json;

use super::wire::{CreatedExperiment, Experiment, ExperimentPage, OneExperiment, pairs, said};
use super::{API, Tracking, TrackingError, check};

impl Tracking {
    /// A page of the experiments that are not deleted, the latest first.
    ///
    /// # Errors
    /// [`TrackingError`].
    pub async fn experiments(&self, most: u32, token: Option<&str>) -> Result<ExperimentPage, TrackingError> {
        check::token(token)?;
        let (client, _turn) = self.asking()?;
        let question = said(json!({ "max_results": most, "page_token": token, "view_type": "ACTIVE_ONLY" }));
        Ok(client
            .post(&format!("{API}/experiments/search"), &question)
            .await?)
    }

    /// One experiment.
    ///
    /// # Errors
    /// [`TrackingError`].
    pub async fn experiment(&self, id: &str) -> Result<Experiment, TrackingError> {
        check::experiment_id(id)?;
        let (client, _turn) = self.asking()?;
        let path = format!("{API}/experiments/get");
        let answer: OneExperiment = client.get(&path, &[("experiment_id", id)]).await?;
        Ok(answer.experiment)
    }

    /// Makes an experiment.
    ///
    /// # Errors
    /// [`TrackingError`], also when there is one of that name.
    pub async fn create_experiment(
        &self,
        name: &str,
        artifact_location: Option<&str>,
        tags: &BTreeMap<String, String>,
    ) -> Result<CreatedExperiment, TrackingError> {
        check::name("The experiment's name", name)?;
        check::long("The artifact location", artifact_location.unwrap_or_default())?;
        check::tags(tags)?;
        let (client, _turn) = self.changing()?;
        let change =
            said(json!({ "name": name, "artifact_location": artifact_location, "tags": pairs(tags) }));
        Ok(client.post(&format!("{API}/experiments/create"), &change).await?)
    }
}
