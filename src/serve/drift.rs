//! Shows how far the predictions of versions are from what they were at first.

use std::collections::HashMap;

use metrics::{Gauge, Label};

use crate::experiment::drift::Drift;
use crate::predlog::Record;
use crate::telemetry::names;

/// Versions whose predictions are followed; the one not used for longest goes.
const MAX_VERSIONS: usize = 256;

/// Follows the predictions of every version, in bounded memory.
#[derive(Default)]
pub(super) struct Drifts {
    /// By the tag of the version's ids.
    followed: HashMap<u32, Followed>,
    turn: u64,
}

struct Followed {
    drift: Drift,
    labels: Vec<Label>,
    mean: Gauge,
    rows: Gauge,
    /// The turn in which it was used last.
    used: u64,
}

impl Drifts {
    /// Counts what was predicted; the tag is that of the prediction's id.
    pub(super) fn note(&mut self, tag: u32, record: &Record) {
        let Some(output) = &record.outputs else { return };
        self.of(tag, record).drift.add(output);
    }

    /// The same for answers of one number each; the record is like those of all.
    pub(super) fn note_numbers(&mut self, tag: u32, like: &Record, numbers: &[f64]) {
        let drift = &mut self.of(tag, like).drift;
        numbers.iter().for_each(|number| drift.add_number(*number));
    }

    /// What is known of the version, which is used in this turn.
    fn of(&mut self, tag: u32, record: &Record) -> &mut Followed {
        if self.followed.len() >= MAX_VERSIONS && !self.followed.contains_key(&tag) {
            self.forget_one();
        }
        let followed = self.followed.entry(tag).or_insert_with(|| Followed::new(record));
        followed.used = self.turn;
        followed
    }

    /// Shows the figures of those that were used since the last turn.
    pub(super) fn show(&mut self) {
        let turn = self.turn;
        let used = self.followed.values().filter(|followed| followed.used == turn);
        used.for_each(Followed::show);
        self.turn += 1;
    }

    fn forget_one(&mut self) {
        let oldest = self.followed.iter().min_by_key(|(_, followed)| followed.used);
        if let Some(tag) = oldest.map(|(tag, _)| *tag)
            && let Some(followed) = self.followed.remove(&tag)
        {
            // A gauge stays for ever, and what it says no longer holds.
            followed.mean.set(f64::NAN);
            followed.rows.set(0.0);
        }
    }
}

impl Followed {
    fn new(record: &Record) -> Followed {
        let mut labels = vec![
            Label::new(names::ROUTE, record.origin.route.to_string()),
            Label::new(names::MODEL, record.origin.model.to_string()),
            Label::new(names::VERSION, record.origin.version.to_string()),
        ];
        if !record.origin.variant.is_empty() {
            labels.insert(1, Label::new(names::VARIANT, record.origin.variant.to_string()));
        }
        Followed {
            drift: Drift::default(),
            mean: metrics::gauge!(names::PREDICTION_MEAN, labels.clone()),
            rows: metrics::gauge!(names::PREDICTION_WINDOW_ROWS, labels.clone()),
            labels,
            used: 0,
        }
    }

    fn show(&self) {
        let Some(figures) = self.drift.figures() else {
            return;
        };
        self.mean.set(figures.mean);
        self.rows.set(figures.rows as f64);
        // Not there before it is complete, so that nothing is compared with half of it.
        if let Some((mean, deviation)) = figures.baseline {
            metrics::gauge!(names::PREDICTION_BASELINE_MEAN, self.labels.clone()).set(mean);
            metrics::gauge!(names::PREDICTION_BASELINE_STDDEV, self.labels.clone()).set(deviation);
        }
    }
}
