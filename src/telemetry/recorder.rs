//! The process-wide metrics recorder and its Prometheus text.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::names;

/// How often samples are folded into their histograms, so that an unscraped process does not grow.
pub const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Why the recorder could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("cannot install the metrics recorder")]
pub struct RecorderError(#[from] BuildError);

/// Installs the recorder of this process; the handle renders Prometheus text.
///
/// # Errors
/// When a recorder is already installed.
pub fn install() -> Result<PrometheusHandle, RecorderError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), names::SECONDS_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(names::BATCH_ROWS.into()), names::ROWS_BUCKETS)?
        .install_recorder()?;
    describe();
    metrics::gauge!(names::BUILD_INFO, names::VERSION => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_histogram!(
        names::PREDICTION_SECONDS,
        Unit::Seconds,
        "Time from a request's head to its answer"
    );
    describe_histogram!(
        names::STAGE_SECONDS,
        Unit::Seconds,
        "Time of one stage of an answered request"
    );
    describe_counter!(names::REQUESTS_TOTAL, "Requests that reached a model, by outcome");
    describe_counter!(names::ROWS_TOTAL, "Rows of decoded requests, by outcome");
    describe_histogram!(names::BATCH_ROWS, "Rows of one call of a model");
    describe_counter!(
        names::QUEUE_ENQUEUED_ROWS_TOTAL,
        "Rows that came into line before a busy model"
    );
    describe_counter!(
        names::QUEUE_DEQUEUED_ROWS_TOTAL,
        "Rows that left the line before a model, run or not"
    );
    describe_counter!(names::REJECTED_TOTAL, "Requests refused, by kind");
    describe_gauge!(names::IN_FLIGHT, "Requests being worked on");
    describe_gauge!(names::SERVING_VERSION, "1 for the version that answers");
    describe_gauge!(
        names::REGISTRY_CONFIRMED_SECONDS,
        Unit::Seconds,
        "When the registry last said what a slot should serve, in seconds since the epoch"
    );
    describe_counter!(
        names::REGISTRY_POLLS_TOTAL,
        "Questions to the registry, by outcome"
    );
    describe_counter!(
        names::RELOADS_TOTAL,
        "Versions that were installed or not, by slot, outcome and the step at which it ended"
    );
    describe_histogram!(
        names::LOAD_SECONDS,
        Unit::Seconds,
        "Time of loading and proving a version"
    );
    describe_gauge!(names::BUILD_INFO, "Always 1; the label is the version of modelsd");
}
