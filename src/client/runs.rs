//! Experiments and runs of an MLflow server, and the traces that it takes.
//!
//! The limits are those of MLflow 2 and 3: a request that is beyond one is refused as a whole, so that what is longer is cut
//! here and what its names may not hold is replaced.

use std::collections::HashSet;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize, Serializer};

use super::{Client, ClientError};

/// Metrics, parameters and tags of one request together.
pub const MAX_ENTITIES: usize = 1000;
/// Parameters of one request, and tags.
pub const MAX_PARAMS: usize = 100;
/// Characters of a parameter's value.
const MAX_PARAM: usize = 6000;
/// Characters of a tag's value; newer servers take 8000.
const MAX_TAG: usize = 5000;
/// Characters of a name.
const MAX_KEY: usize = 250;

static EXPERIMENT: HeaderName = HeaderName::from_static("x-mlflow-experiment-id");

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RunStatus {
    /// It did what it should.
    Finished,
    /// It did not.
    Failed,
}

/// A run that begins.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewRun {
    /// Id of its experiment.
    pub experiment_id: String,
    /// What people call it.
    pub run_name: String,
    /// When it began, in milliseconds since 1970.
    pub start_time: i64,
    /// What it is found by.
    pub tags: Vec<Text>,
}

/// What is logged to a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Logged {
    /// Numbers.
    pub metrics: Vec<Metric>,
    /// Texts that never change.
    pub params: Vec<Text>,
    /// Texts that may.
    pub tags: Vec<Text>,
}

/// A number, at a step of the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// Its name, as [`Keys`] gives it.
    pub key: String,
    /// The number; `NaN` and infinities too.
    #[serde(serialize_with = "write_number")]
    pub value: f64,
    /// When it was so, in milliseconds since 1970.
    pub timestamp: i64,
    /// The step.
    pub step: i64,
}

/// A parameter or a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    /// Its name; that of a parameter as [`Keys`] gives it.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl Text {
    /// A parameter; what is too long of the value is cut, and NUL is replaced.
    pub fn param(key: String, value: &str) -> Text {
        let value = cut(value, MAX_PARAM);
        Text { key, value }
    }

    /// A tag; what is too long of the value is cut, and NUL is replaced.
    pub fn tag(key: &str, value: &str) -> Text {
        Text {
            key: key.chars().take(MAX_KEY).collect(),
            value: cut(value, MAX_TAG),
        }
    }
}

/// Makes names of metrics or parameters that MLflow takes: what they may not hold becomes `_`, and each is given once.
#[derive(Debug, Default)]
pub struct Keys(HashSet<String>);

impl Keys {
    /// The name for this one.
    pub fn key(&mut self, name: &str) -> String {
        let key = allowed(name);
        // Some databases do not tell cases apart.
        if self.0.insert(key.to_lowercase()) {
            return key;
        }
        let mut number: u64 = 2;
        loop {
            let ending = format!("_{number}");
            let kept = MAX_KEY.saturating_sub(ending.len());
            let other: String = key.chars().take(kept).chain(ending.chars()).collect();
            if self.0.insert(other.to_lowercase()) {
                return other;
            }
            number += 1;
        }
    }
}

/// A name as MLflow takes it: letters, digits, `_`, `-`, `.` and spaces, and not what a path would mean otherwise.
fn allowed(name: &str) -> String {
    let replace = |c: char| match c {
        '_' | '-' | '.' | ' ' => c,
        // Python's idea of a letter leaves out the combining marks that Rust's has, which are in other ranges.
        '\u{345}' => '_',
        '\0'..'\u{590}' | '\u{3041}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' if c.is_alphanumeric() => c,
        _ => '_',
    };
    let key: String = name.chars().take(MAX_KEY).map(replace).collect();
    match key.as_str() {
        "" | "." => "_".to_owned(),
        _ if key.starts_with("..") => key.replacen("..", "__", 1),
        _ => key,
    }
}

/// The beginning of a text, in characters, without NUL: a server on PostgreSQL fails on that.
fn cut(text: &str, limit: usize) -> String {
    let whole = text.char_indices().nth(limit).is_none();
    let kept = if whole { limit } else { limit.saturating_sub(1) };
    let kept = text.chars().take(kept);
    let mut kept: String = kept
        .map(|c| if c == '\0' { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if !whole {
        kept.push('…');
    }
    kept
}

/// JSON has no `NaN`; the server reads these words.
fn write_number<S: Serializer>(value: &f64, out: S) -> Result<S::Ok, S::Error> {
    match *value {
        value if value.is_finite() => out.serialize_f64(value),
        value if value.is_nan() => out.serialize_str("NaN"),
        value if value > 0.0 => out.serialize_str("Infinity"),
        _ => out.serialize_str("-Infinity"),
    }
}

#[derive(Deserialize)]
struct Found {
    experiment: FoundExperiment,
}

#[derive(Deserialize)]
struct FoundExperiment {
    experiment_id: String,
    #[serde(default)]
    lifecycle_stage: String,
}

#[derive(Deserialize)]
struct Created {
    experiment_id: String,
}

#[derive(Deserialize)]
struct Begun {
    run: BegunRun,
}

#[derive(Deserialize)]
struct BegunRun {
    info: BegunInfo,
}

#[derive(Deserialize)]
struct BegunInfo {
    run_id: String,
}

/// An answer that says nothing more.
#[derive(Deserialize)]
struct Done {}

impl Client {
    /// The id of the experiment of that name, which is made if there is none.
    ///
    /// # Errors
    /// See [`ClientError`]; also when the experiment was deleted, for its name is taken until it is deleted for good.
    pub async fn experiment(&self, name: &str) -> Result<String, ClientError> {
        match self.find_experiment(name).await {
            Err(error) if error.status() == Some(404) => {}
            found => return found,
        }
        let body = serde_json::json!({ "name": name });
        match self
            .post::<Created>("api/2.0/mlflow/experiments/create", &body)
            .await
        {
            Ok(created) => Ok(created.experiment_id),
            // Another process was faster.
            Err(error) if error.code() == Some("RESOURCE_ALREADY_EXISTS") => self.find_experiment(name).await,
            Err(error) => Err(error),
        }
    }

    async fn find_experiment(&self, name: &str) -> Result<String, ClientError> {
        let path = "api/2.0/mlflow/experiments/get-by-name";
        let found: Found = self.get(path, &[("experiment_name", name)]).await?;
        if found.experiment.lifecycle_stage == "deleted" {
            return Err(ClientError::Settings(format!(
                "the experiment `{name}` of `{}` is deleted: restore it, or name another",
                self.name()
            )));
        }
        Ok(found.experiment.experiment_id)
    }

    /// Begins a run, and gives its id.
    ///
    /// # Errors
    /// See [`ClientError`]. Where the answer was lost and the request is sent again, there are two.
    pub async fn begin_run(&self, run: &NewRun) -> Result<String, ClientError> {
        let begun: Begun = self.post("api/2.0/mlflow/runs/create", run).await?;
        Ok(begun.run.info.run_id)
    }

    /// Logs to a run; once more does no harm. At most [`MAX_ENTITIES`] together and [`MAX_PARAMS`] parameters.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn log(&self, run: &str, logged: &Logged) -> Result<(), ClientError> {
        #[derive(Serialize)]
        struct Body<'a> {
            run_id: &'a str,
            #[serde(flatten)]
            logged: &'a Logged,
        }
        let body = Body { run_id: run, logged };
        let Done {} = self.post("api/2.0/mlflow/runs/log-batch", &body).await?;
        Ok(())
    }

    /// Ends a run at that time, in milliseconds since 1970.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn end_run(&self, run: &str, status: RunStatus, at: i64) -> Result<(), ClientError> {
        let body = serde_json::json!({ "run_id": run, "status": status, "end_time": at });
        let _: serde_json::Value = self.post("api/2.0/mlflow/runs/update", &body).await?;
        Ok(())
    }

    /// Sends traces to an experiment: an `ExportTraceServiceRequest` of OpenTelemetry, in protobuf. Wants a server of
    /// MLflow 3 with a database.
    ///
    /// # Errors
    /// See [`ClientError`]; then the server took none of them.
    pub async fn send_traces(&self, experiment: &str, traces: Bytes) -> Result<(), ClientError> {
        let experiment = HeaderValue::from_str(experiment)
            .map_err(|_| ClientError::Settings("the server gave an experiment an id that is none".into()))?;
        let url = self.url("v1/traces");
        let ask = |http: &reqwest::Client| {
            http.post(url.clone())
                .header(CONTENT_TYPE, "application/x-protobuf")
                .header(EXPERIMENT.clone(), experiment.clone())
                .body(traces.clone())
        };
        self.ask(ask).await.map(drop)
    }
}

#[cfg(test)]
mod tests;
