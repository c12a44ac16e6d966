//! Runs: their beginning and end, parameters and metrics.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};

use super::wire::{Empty, OneRun, Run, RunEnd, pairs, said};
use super::{API, Tracking, TrackingError, check};

impl Tracking {
    /// One run.
    ///
    /// # Errors
    /// [`TrackingError`].
    pub async fn run(&self, id: &str) -> Result<Run, TrackingError> {
        check::run_id(id)?;
        let (client, _turn) = self.asking()?;
        let answer: OneRun = client.get(&format!("{API}/runs/get"), &[("run_id", id)]).await?;
        Ok(answer.run.into())
    }

    /// Begins a run.
    ///
    /// # Errors
    /// [`TrackingError`].
    pub async fn start_run(
        &self,
        experiment: &str,
        name: Option<&str>,
        tags: &BTreeMap<String, String>,
    ) -> Result<Run, TrackingError> {
        check::experiment_id(experiment)?;
        name.map_or(Ok(()), |name| check::name("The run's name", name))?;
        check::tags(tags)?;
        let (client, _turn) = self.changing()?;
        let change = said(json!({
            "experiment_id": experiment,
            "run_name": name,
            "start_time": now_ms(),
            "tags": pairs(tags),
        }));
        let answer: OneRun = client.post(&format!("{API}/runs/create"), &change).await?;
        Ok(answer.run.into())
    }

    /// Ends a run of an experiment.
    ///
    /// # Errors
    /// [`TrackingError`], also when the run is of another experiment.
    pub async fn end_run(&self, experiment: &str, id: &str, end: RunEnd) -> Result<Run, TrackingError> {
        check::experiment_id(experiment)?;
        let run = self.run(id).await?;
        if run.experiment_id != experiment {
            return Err(TrackingError::Refused {
                status: 404,
                code: "RESOURCE_DOES_NOT_EXIST".into(),
                message: format!(
                    "Run `{id}` is of experiment {}, not of {experiment}.",
                    run.experiment_id
                ),
            });
        }
        let end_time = now_ms();
        {
            let (client, _turn) = self.changing()?;
            let change = said(json!({ "run_id": id, "status": end, "end_time": end_time }));
            client
                .post::<Empty>(&format!("{API}/runs/update"), &change)
                .await?;
        }
        self.run(id).await
    }

    /// Notes parameters of a run.
    ///
    /// # Errors
    /// [`TrackingError`], also when one has another value already.
    pub async fn log_params(&self, id: &str, params: &BTreeMap<String, String>) -> Result<(), TrackingError> {
        check::params(params)?;
        self.log(id, json!({ "run_id": id, "params": pairs(params) }))
            .await
    }

    /// Notes values of metrics of a run at a step; without a time, of now (in milliseconds since the epoch).
    ///
    /// # Errors
    /// [`TrackingError`].
    pub async fn log_metrics(
        &self,
        id: &str,
        metrics: &BTreeMap<String, f64>,
        step: i64,
        time_ms: Option<i64>,
    ) -> Result<(), TrackingError> {
        check::metrics(metrics.keys())?;
        let time = time_ms.unwrap_or_else(now_ms);
        let metrics: Vec<Json> = metrics
            .iter()
            .map(|(key, value)| json!({ "key": key, "value": value, "step": step, "timestamp": time }))
            .collect();
        self.log(id, json!({ "run_id": id, "metrics": metrics })).await
    }

    async fn log(&self, id: &str, change: Json) -> Result<(), TrackingError> {
        check::run_id(id)?;
        let (client, _turn) = self.changing()?;
        client
            .post::<Empty>(&format!("{API}/runs/log-batch"), &change)
            .await?;
        Ok(())
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
