//! A comparison in MLflow: a run of each variant, whose metrics are the figures, for its page that compares runs.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde_json::{Value as Json, json};

use crate::client::runs::{Keys, Logged, MAX_ENTITIES, MAX_PARAMS, Metric, NewRun, RunStatus, Text};
use crate::client::{Client, Config};

use super::list;

/// A run is sent again once; who asks sees for himself whether it is there.
const RETRIES: u32 = 1;
/// What a run can have.
const MAX_METRICS: usize = MAX_ENTITIES - MAX_PARAMS;

/// Where a comparison goes.
#[derive(Debug, Clone)]
pub(super) struct Target<'a> {
    /// The server.
    pub(super) server: &'a Config,
    /// Name of the experiment.
    pub(super) experiment: &'a str,
}

/// What a variant's run is made of.
#[derive(Debug, PartialEq)]
struct VariantRun {
    name: String,
    tags: Vec<Text>,
    logged: Logged,
}

/// Logs a run of each variant; gives the ids of the experiment and of the runs. Blocking.
///
/// # Errors
/// When the server cannot be reached, or refuses. Runs that were begun before stay.
pub(super) fn log(target: &Target<'_>, comparison: &Json) -> anyhow::Result<Json> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let client = Client::new(target.server)?.with_retries(RETRIES);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = since.as_millis() as i64;
    runtime
        .block_on(async {
            let experiment = client.experiment(target.experiment).await?;
            let mut ids = Vec::new();
            for run in runs(comparison, now) {
                let id = client
                    .begin_run(&NewRun {
                        experiment_id: experiment.clone(),
                        run_name: run.name,
                        start_time: now,
                        tags: run.tags,
                    })
                    .await?;
                client.log(&id, &run.logged).await?;
                client.end_run(&id, RunStatus::Finished, now).await?;
                ids.push(id);
            }
            let url = client.url("").to_string();
            let page = format!("{}/#/experiments/{experiment}", url.trim_end_matches('/'));
            Ok::<_, crate::client::ClientError>(
                json!({ "experiment": target.experiment, "page": page, "runs": ids }),
            )
        })
        .context("cannot log to MLflow")
}

/// The run of each variant.
fn runs(comparison: &Json, now: i64) -> Vec<VariantRun> {
    let of = |json: &Json, name: &str| match json.get(name) {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let verdict = comparison.get("verdict").unwrap_or(&Json::Null);
    let better = of(verdict, "better");
    let variants = list(comparison, "variants").iter();
    let run = |variant: &Json| {
        let name = of(variant, "variant");
        let mut tags = vec![
            Text::tag("mlflow.source.name", "modelsd compare"),
            Text::tag("route", &of(comparison, "route")),
            Text::tag("variant", &name),
            Text::tag("model", &of(variant, "model")),
            Text::tag("version", &of(variant, "version")),
            Text::tag("verdict", &of(verdict, "text")),
        ];
        if !better.is_empty() {
            tags.push(Text::tag("better", if better == name { "true" } else { "false" }));
        }
        let mut numbers = Vec::new();
        collect(variant, "", &mut numbers);
        let shares = comparison.get("ratio").unwrap_or(&Json::Null);
        collect(shares, "ratio", &mut numbers);
        let mut keys = Keys::default();
        let metrics = numbers.into_iter().take(MAX_METRICS).map(|(name, value)| Metric {
            key: keys.key(&name),
            value,
            timestamp: now,
            step: 0,
        });
        let params = [
            ("model", of(variant, "model")),
            ("version", of(variant, "version")),
            ("metric", of(comparison, "metric")),
            ("confidence", of(comparison, "confidence")),
            ("since", of(comparison, "since")),
        ];
        let params = params.into_iter().filter(|(_, value)| !value.is_empty());
        VariantRun {
            tags,
            logged: Logged {
                metrics: metrics.collect(),
                params: params
                    .map(|(name, value)| Text::param(name.to_owned(), &value))
                    .collect(),
                tags: Vec::new(),
            },
            name,
        }
    };
    variants.map(run).collect()
}

/// All numbers, under the names of where they are; labels under their own.
fn collect(json: &Json, path: &str, into: &mut Vec<(String, f64)>) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match json {
        Json::Number(number) => into.extend(number.as_f64().map(|number| (path.to_owned(), number))),
        Json::Bool(flag) => into.push((path.to_owned(), f64::from(u8::from(*flag)))),
        Json::Object(members) => {
            for (name, member) in members {
                collect(member, &below(name), into);
            }
        }
        Json::Array(items) => {
            for item in items {
                let label = item.get("label").and_then(Json::as_str);
                let count = item.get("count").and_then(Json::as_f64);
                if let (Some(label), Some(count)) = (label, count) {
                    into.push((below(label), count));
                }
            }
        }
        Json::String(_) | Json::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_metrics_of_a_run_a_variant() {
        let comparison = json!({
            "route": "iris", "since": null, "metric": "clicked", "confidence": 0.95,
            "ratio": {"p_value": 0.5, "fits": true},
            "verdict": {"better": "b", "text": "`b` is better than `a`"},
            "variants": [
                {"variant": "a", "model": "iris", "version": "3", "requests": 10, "error_rate": null,
                 "latency_ms": {"p50": 0.5, "p99.9": 2.0}},
                {"variant": "b", "model": null, "feedback": {"clicked %": {"n": 4, "interval": {"lower": -1.0}}},
                 "predictions": {"labels": [{"label": "yes", "count": 3}, {"label": "a/b", "count": 1}]}},
            ],
        });
        let runs = runs(&comparison, 7);
        let metrics = |run: &VariantRun| -> Vec<(String, f64)> {
            let metrics = run.logged.metrics.iter();
            metrics.map(|metric| (metric.key.clone(), metric.value)).collect()
        };
        let named = |pairs: &[(&str, f64)]| -> Vec<(String, f64)> {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect()
        };
        assert_eq!((runs.len(), runs[0].name.as_str()), (2, "a"));
        let shares = [("ratio.p_value", 0.5), ("ratio.fits", 1.0)];
        let first = [
            ("requests", 10.0),
            ("latency_ms.p50", 0.5),
            ("latency_ms.p99.9", 2.0),
        ];
        assert_eq!(metrics(&runs[0]), named(&[&first[..], &shares].concat()));
        let second = [
            ("feedback.clicked _.n", 4.0),
            ("feedback.clicked _.interval.lower", -1.0),
            ("predictions.labels.yes", 3.0),
            ("predictions.labels.a_b", 1.0),
        ];
        assert_eq!(metrics(&runs[1]), named(&[&second[..], &shares].concat()));
        assert!(runs[0].tags.contains(&Text::tag("better", "false")));
        assert!(runs[1].tags.contains(&Text::tag("better", "true")));
        let params: Vec<&str> = runs[0]
            .logged
            .params
            .iter()
            .map(|param| param.key.as_str())
            .collect();
        assert_eq!(params, ["model", "version", "metric", "confidence"]);
    }

    #[test]
    fn an_answer_of_another_form_is_no_panic() {
        for json in [Json::Null, json!({"variants": [1, {}], "ratio": []})] {
            assert!(runs(&json, 0).len() <= 2);
        }
    }
}
