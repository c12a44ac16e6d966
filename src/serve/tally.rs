//! Tells what is recorded to who compares variants.

use std::sync::Arc;
use std::time::SystemTime;

use super::drift::Drifts;
use crate::experiment::series::{Answered, Arm, Draw};
use crate::experiment::tallies::Tallies;
use crate::model::prediction_id::PredictionId;
use crate::predlog::{Assignment, Bundle, Entry, Record, Sink, SinkError};

/// A sink that counts what variants answered, and follows what all versions predict. It runs on the writer's thread, so
/// that requests do not wait for it.
pub struct Tally {
    tallies: Arc<Tallies>,
    drifts: Drifts,
}

impl Tally {
    /// Counts here.
    pub fn new(tallies: Arc<Tallies>) -> Tally {
        Tally {
            tallies,
            drifts: Drifts::default(),
        }
    }

    fn note(&mut self, record: &Record) {
        let Ok(id) = PredictionId::from_u128(record.id.as_u128()) else {
            return;
        };
        self.drifts.note(id.tag(), record);
        if record.origin.variant.is_empty() {
            return;
        }
        let arm = Arm {
            route: Arc::clone(&record.origin.route),
            variant: Arc::clone(&record.origin.variant),
            model: Arc::clone(&record.origin.model),
            version: Arc::clone(&record.origin.version),
        };
        let answered = Answered {
            id,
            arm: &arm,
            draw: match record.assignment {
                _ if record.origin.shadow => Draw::None,
                Assignment::Weight => Draw::Lot,
                Assignment::Key(hash) => Draw::Key(hash),
                Assignment::Asked | Assignment::None => Draw::None,
            },
            rows: record.rows,
            outcome: match &record.error {
                None => Ok(record.outputs.as_ref()),
                Some(error) => Err(error.kind),
            },
            total: record.timing.total,
        };
        if let Err(error) = self.tallies.note(&answered) {
            tracing::debug!(%error, "a prediction is not compared");
        }
    }
}

impl Sink for Tally {
    fn name(&self) -> &str {
        "compare"
    }

    fn takes(&self, _: &Entry) -> bool {
        true
    }

    fn write(&mut self, entries: &[Entry]) -> Result<(), SinkError> {
        for entry in entries {
            if let Entry::Prediction(record) = entry {
                self.note(record);
            }
        }
        self.drifts.show();
        Ok(())
    }

    fn takes_bundles(&self) -> bool {
        true
    }

    /// Variants are compared prediction by prediction, and come as entries.
    fn write_bundles(&mut self, bundles: &[&Bundle]) -> Result<(), SinkError> {
        for bundle in bundles {
            let like = bundle.like();
            match bundle.first_numbers() {
                Some(numbers) => self.drifts.note_numbers(like.origin.tag, like, &numbers),
                None => {
                    for entry in bundle.unpack() {
                        if let Entry::Prediction(record) = entry {
                            self.note(&record);
                        }
                    }
                }
            }
        }
        self.drifts.show();
        Ok(())
    }

    fn tick(&mut self, _: SystemTime) -> Result<(), SinkError> {
        Ok(())
    }

    fn close(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
