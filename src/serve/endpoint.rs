//! An endpoint: where requests for one slot begin.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admission::Admission;
use super::call::Call;
use super::error::{Error, Kind};
use crate::deploy::slot::Slot;
use crate::telemetry::names;

/// How requests are admitted and bounded.
#[derive(Debug, Clone)]
pub struct Config {
    /// Requests worked on at once.
    pub max_in_flight: usize,
    /// Time a request may take, from its head to its answer.
    pub timeout: Duration,
}

/// Begins calls on one slot.
pub struct Endpoint {
    slot: Arc<Slot>,
    admission: Admission,
    timeout: Duration,
    in_flight: metrics::Gauge,
}

impl Endpoint {
    /// An endpoint for a slot.
    pub fn new(slot: Arc<Slot>, config: &Config) -> Endpoint {
        Endpoint {
            slot,
            admission: Admission::new(config.max_in_flight),
            timeout: config.timeout,
            in_flight: metrics::gauge!(names::IN_FLIGHT),
        }
    }

    /// Whether a request would find a model.
    pub fn ready(&self) -> bool {
        self.slot.current().is_some()
    }

    /// Begins one request that arrived at `now`: takes a permit and the one snapshot it will use to its end.
    ///
    /// # Errors
    /// [`Kind::Overloaded`], or [`Kind::NotReady`] while nothing is loaded.
    pub fn begin(&self, now: Instant) -> Result<Call, Error> {
        let permit = self.admission.admit(&self.in_flight).inspect_err(reject)?;
        let deployment = self.slot.current().ok_or_else(|| {
            Error::new(
                Kind::NotReady,
                format!("Slot `{}` has no model loaded yet.", self.slot.name()),
            )
        });
        let deployment = deployment.inspect_err(reject)?;
        Ok(Call::new(deployment, permit, now, self.timeout))
    }
}

/// Counts a refusal.
pub fn reject(error: &Error) {
    metrics::counter!(names::REJECTED_TOTAL, names::KIND => error.kind().label()).increment(1);
}
