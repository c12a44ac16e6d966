//! The metrics of one deployment, looked up once instead of at each request.

use std::sync::{PoisonError, RwLock};
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
    ok: Outcome,
    stages: [Histogram; RequestStage::ALL.len()],
    /// Those of requests that were not answered with predictions, by outcome, each from its first on.
    failures: RwLock<Vec<(&'static str, Outcome)>>,
}

/// Handles to the metrics of requests that ended in one way.
struct Outcome {
    total: Histogram,
    requests: Counter,
    rows: Counter,
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
        Meters {
            ok: Outcome::new(&labels, "ok"),
            stages: RequestStage::ALL.map(|stage| {
                metrics::histogram!(names::STAGE_SECONDS, with(&labels, names::STAGE, stage.label()))
            }),
            failures: RwLock::new(Vec::new()),
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
            self.ok.record(rows, total);
            return;
        };
        // An overload is mostly refusals, so their handles are kept as well.
        let known = self.failures.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, failures)) = known.iter().find(|(known, _)| *known == outcome) {
            failures.record(rows, total);
            return;
        }
        drop(known);
        let failures = Outcome::new(&self.labels, outcome);
        failures.record(rows, total);
        // Of two that are the first at once, both are kept: they are handles to the same metrics.
        let mut known = self.failures.write().unwrap_or_else(PoisonError::into_inner);
        known.push((outcome, failures));
    }
}

impl Outcome {
    fn new(labels: &[Label], outcome: &'static str) -> Outcome {
        let labels = with(labels, names::OUTCOME, outcome);
        Outcome {
            total: metrics::histogram!(names::PREDICTION_SECONDS, labels.clone()),
            requests: metrics::counter!(names::REQUESTS_TOTAL, labels.clone()),
            rows: metrics::counter!(names::ROWS_TOTAL, labels),
        }
    }

    fn record(&self, rows: usize, total: Duration) {
        self.total.record(total.as_secs_f64());
        self.requests.increment(1);
        self.rows.increment(rows as u64);
    }
}

/// These labels and one more.
fn with(labels: &[Label], name: &'static str, value: &'static str) -> Vec<Label> {
    let mut labels = labels.to_vec();
    labels.push(Label::new(name, value));
    labels
}
