//! A prediction as a run: its inputs are parameters, its outputs and times metrics, and tags say what answered.

use crate::client::runs::{Keys, Logged, MAX_ENTITIES, MAX_PARAMS, Metric, NewRun, RunStatus, Text};
use crate::client::{Client, ClientError};

use super::super::json;
use super::super::record::Record;
use super::fields;

/// Sends one prediction: begins a run, unless `run` is one that an attempt before has begun, logs to it and ends it.
pub(super) async fn send(
    client: &Client,
    experiment: &str,
    record: &Record,
    run: &mut Option<String>,
) -> Result<(), ClientError> {
    let run = match run {
        Some(run) => run,
        None => run.insert(client.begin_run(&begun(experiment, record)).await?),
    };
    client.log(run, &logged(record)).await?;
    let end = milliseconds(record).saturating_add(record.timing.total.as_millis() as i64);
    let status = match record.error {
        Some(_) => RunStatus::Failed,
        None => RunStatus::Finished,
    };
    client.end_run(run, status, end).await
}

fn milliseconds(record: &Record) -> i64 {
    record.time.micros() / 1_000
}

/// The run as it begins.
fn begun(experiment: &str, record: &Record) -> NewRun {
    let id = record.id.to_string();
    let mut tags = vec![
        Text::tag("mlflow.source.name", "modelsd"),
        Text::tag("model", &record.origin.model),
        Text::tag("version", &record.origin.version),
        Text::tag("route", &record.origin.route),
        Text::tag("prediction_id", &id),
    ];
    if !record.origin.variant.is_empty() {
        tags.push(Text::tag("variant", &record.origin.variant));
    }
    if record.origin.shadow {
        tags.push(Text::tag("shadow", "true"));
    }
    if let Some(assignment) = record.assignment.label() {
        tags.push(Text::tag("assignment", assignment));
    }
    if let Some(id) = &record.request_id {
        tags.push(Text::tag("request_id", &String::from_utf8_lossy(id)));
    }
    if let Some(trace) = &record.trace {
        tags.push(Text::tag("trace_id", &trace.to_string()));
    }
    if let Some(key) = &record.routing_key {
        tags.push(Text::tag("routing_key", key));
    }
    if let Some(error) = &record.error {
        tags.push(Text::tag("error", error.kind));
        tags.push(Text::tag("error_message", &error.message));
    }
    NewRun {
        experiment_id: experiment.to_owned(),
        run_name: id,
        start_time: milliseconds(record),
        tags,
    }
}

/// What the run has of the prediction.
fn logged(record: &Record) -> Logged {
    let timestamp = milliseconds(record);
    let mut keys = Keys::default();
    let params = record.inputs.iter().flat_map(fields::texts);
    let params = params
        .take(MAX_PARAMS)
        .map(|(name, value)| Text::param(keys.key(&name), &value))
        .collect::<Vec<Text>>();
    let timing = &record.timing;
    let mut metrics: Vec<Metric> = [
        ("latency_ms", timing.total),
        ("queue_ms", timing.queue),
        ("predict_ms", timing.predict),
    ]
    .map(|(name, time)| (name, time.as_nanos() as f64 / 1e6))
    .into_iter()
    .chain([("rows", record.rows as f64)])
    .map(|(name, value)| Metric {
        key: name.to_owned(),
        value,
        timestamp,
        step: 0,
    })
    .collect();
    let mut tags = Vec::new();
    if let Some(outputs) = &record.outputs {
        let room = MAX_ENTITIES - MAX_PARAMS - metrics.len() - 1;
        let (numbers, others) = fields::numbers(outputs, room);
        let mut keys = Keys::default();
        let mut named: Vec<(String, String)> = Vec::new();
        for (name, row, value) in numbers {
            let key = match named.iter().find(|(known, _)| *known == name) {
                Some((_, key)) => key.clone(),
                None => {
                    let key = keys.key(&name);
                    named.push((name, key.clone()));
                    key
                }
            };
            metrics.push(Metric {
                key,
                value,
                timestamp,
                step: row as i64,
            });
        }
        if others {
            let text = fields::text(|out| json::write_output(out, outputs));
            tags.push(Text::tag("prediction", &text));
        }
    }
    Logged {
        metrics,
        params,
        tags,
    }
}

#[cfg(test)]
mod tests;
