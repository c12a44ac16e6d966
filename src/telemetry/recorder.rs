//! The process-wide metrics recorder and its Prometheus text.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SetRecorderError, SharedString, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::histogram::Histograms;
use super::names;

/// Why the recorder could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("cannot install the metrics recorder")]
pub struct RecorderError(#[from] SetRecorderError<Recorder>);

/// The metrics of this process, to be rendered.
#[derive(Debug, Clone)]
pub struct Metrics {
    exporter: PrometheusHandle,
    histograms: Arc<Histograms>,
}

impl Metrics {
    /// All of them as Prometheus text.
    pub fn render(&self) -> String {
        let mut text = self.exporter.render();
        self.histograms.render(&mut text);
        text
    }
}

/// Counters and gauges are the exporter's, histograms our own.
#[derive(Debug)]
pub struct Recorder {
    exporter: PrometheusRecorder,
    histograms: Arc<Histograms>,
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporter.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporter.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.histograms.describe(&key, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.exporter.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.exporter.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.histograms.register(key)
    }
}

/// Installs the recorder of this process.
///
/// # Errors
/// When a recorder is already installed.
pub fn install() -> Result<Metrics, RecorderError> {
    let exporter = PrometheusBuilder::new().build_recorder();
    let metrics = Metrics {
        exporter: exporter.handle(),
        histograms: Arc::new(Histograms::new(names::buckets)),
    };
    metrics::set_global_recorder(Recorder {
        exporter,
        histograms: Arc::clone(&metrics.histograms),
    })?;
    describe();
    metrics::gauge!(names::BUILD_INFO, names::VERSION => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(metrics)
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
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
    describe_counter!(
        names::ACCESS_REFUSED_TOTAL,
        "Requests refused by their head alone, by reason"
    );
    describe_counter!(
        names::CREDENTIALS_READ_TOTAL,
        "Readings of changed files of tokens or certificates, by kind and outcome"
    );
    describe_gauge!(
        names::TLS_CERTIFICATE_EXPIRY_SECONDS,
        Unit::Seconds,
        "When the certificate of the port ends, in seconds since the epoch"
    );
    describe_counter!(
        names::TLS_CONNECTIONS_TOTAL,
        "Connections that came to speak TLS, by whether the client showed a certificate"
    );
    describe_counter!(
        names::TLS_HANDSHAKES_FAILED_TOTAL,
        "Connections that never came to speak TLS"
    );
    describe_gauge!(names::IN_FLIGHT, "Requests being worked on");
    describe_gauge!(names::SERVING_VERSION, "1 for the version that answers");
    describe_gauge!(
        names::PARITY_DIFFERENCE,
        "Largest difference between a version's answers and those recorded beside it"
    );
    describe_counter!(
        names::SHADOW_PREDICTIONS_TOTAL,
        "Copies of requests that a shadow was run on, by outcome"
    );
    describe_counter!(
        names::SHADOW_COMPARED_ROWS_TOTAL,
        "Rows of a shadow that were compared with those that were answered"
    );
    describe_counter!(
        names::SHADOW_DISAGREEMENTS_TOTAL,
        "Rows in which a label of a shadow is another than the one that was answered"
    );
    describe_counter!(
        names::SHADOW_DROPPED_TOTAL,
        "Copies of requests that were dropped because too many waited for a shadow"
    );
    describe_histogram!(
        names::SHADOW_DIFFERENCE,
        "Largest relative difference of a shadow's numbers, of each row"
    );
    describe_histogram!(
        names::SHADOW_SECONDS,
        Unit::Seconds,
        "Time of a shadow's model on one copy"
    );
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
    describe_counter!(
        names::RECORDS_TOTAL,
        "Entries of the record of predictions that a sink took"
    );
    describe_counter!(
        names::RECORDS_DROPPED_TOTAL,
        "Entries of the record of predictions that were dropped, by reason"
    );
    describe_gauge!(
        names::RECORD_QUEUE,
        "Entries of the record of predictions that wait to be written"
    );
    describe_gauge!(names::BUILD_INFO, "Always 1; the label is the version of modelsd");
}
