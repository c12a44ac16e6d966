//! The metrics of one deployment, looked up once instead of at each request.

use std::time::Duration;

use metrics::{Counter, Histogram, Label};

use super::deployment::RequestStage;
use super::place::Place;
use crate::batching;
use crate::model::version::VersionId;
use crate::telemetry::names;

/// Handles to the metrics of one version.
pub struct Meters {
    labels: Vec<Label>,
    total: Histogram,
    requests: Counter,
    rows: Counter,
    stages: [Histogram; RequestStage::ALL.len()],
}

impl Meters {
    pub(super) fn new(id: &VersionId, place: &Place) -> Meters {
        let mut labels = vec![
            Label::new(names::ROUTE, place.route.to_string()),
            Label::new(names::MODEL, id.name.to_string()),
            Label::new(names::VERSION, id.version_label().to_string()),
        ];
        if !place.variant.is_empty() {
            labels.insert(1, Label::new(names::VARIANT, place.variant.to_string()));
        }
        let ok = with(&labels, names::OUTCOME, "ok");
        Meters {
            total: metrics::histogram!(names::PREDICTION_SECONDS, ok.clone()),
            requests: metrics::counter!(names::REQUESTS_TOTAL, ok.clone()),
            rows: metrics::counter!(names::ROWS_TOTAL, ok),
            stages: RequestStage::ALL.map(|stage| {
                metrics::histogram!(names::STAGE_SECONDS, with(&labels, names::STAGE, stage.label()))
            }),
            labels,
        }
    }

    /// Those of its pool.
    pub(super) fn of_pool(&self) -> batching::Meters {
        let labels = self.labels.clone();
        batching::Meters {
            batch_rows: metrics::histogram!(names::BATCH_ROWS, labels.clone()),
            enqueued_rows: metrics::counter!(names::QUEUE_ENQUEUED_ROWS_TOTAL, labels.clone()),
            dequeued_rows: metrics::counter!(names::QUEUE_DEQUEUED_ROWS_TOTAL, labels),
        }
    }

    /// Notes how far recorded answers are missed.
    pub(super) fn parity(&self, largest_difference: f64) {
        metrics::gauge!(names::PARITY_DIFFERENCE, self.labels.clone()).set(largest_difference);
    }

    /// Records one request; `failure` is the outcome of one that was not answered with predictions.
    pub fn record(
        &self,
        failure: Option<&'static str>,
        rows: usize,
        total: Duration,
        stages: &[Option<Duration>; RequestStage::ALL.len()],
    ) {
        for (histogram, time) in self.stages.iter().zip(stages) {
            if let Some(time) = time {
                histogram.record(time.as_secs_f64());
            }
        }
        let Some(outcome) = failure else {
            self.total.record(total.as_secs_f64());
            self.requests.increment(1);
            self.rows.increment(rows as u64);
            return;
        };
        // Failures are rare enough to look their handles up.
        let labels = || with(&self.labels, names::OUTCOME, outcome);
        metrics::histogram!(names::PREDICTION_SECONDS, labels()).record(total.as_secs_f64());
        metrics::counter!(names::REQUESTS_TOTAL, labels()).increment(1);
        metrics::counter!(names::ROWS_TOTAL, labels()).increment(rows as u64);
    }
}

/// These labels and one more.
fn with(labels: &[Label], name: &'static str, value: &'static str) -> Vec<Label> {
    let mut labels = labels.to_vec();
    labels.push(Label::new(name, value));
    labels
}
