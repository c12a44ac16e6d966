//! The endpoint: where requests begin.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admission::Admission;
use super::call::Call;
use super::error::{Error, Kind};
use crate::deploy::deployment::Deployment;
use crate::deploy::fleet::{Fleet, Table};
use crate::telemetry::names;

/// How requests are admitted and bounded.
#[derive(Debug, Clone)]
pub struct Config {
    /// Requests worked on at once.
    pub max_in_flight: usize,
    /// Time a request may take, from its head to its answer.
    pub timeout: Duration,
}

/// Begins calls on the slots of a fleet.
pub struct Endpoint {
    fleet: Arc<Fleet>,
    admission: Admission,
    timeout: Duration,
    in_flight: metrics::Gauge,
}

impl Endpoint {
    /// An endpoint for these slots.
    pub fn new(fleet: Arc<Fleet>, config: &Config) -> Endpoint {
        Endpoint {
            fleet,
            admission: Admission::new(config.max_in_flight),
            timeout: config.timeout,
            in_flight: metrics::gauge!(names::IN_FLIGHT),
        }
    }

    /// The slots.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Begins one request that arrived at `now`, for the slot of that name or the default one: takes a permit and the
    /// one snapshot it will use to its end. `patience` is how long its client waits, if it says so.
    ///
    /// # Errors
    /// [`Kind::Overloaded`], [`Kind::UnknownSlot`], or [`Kind::NotReady`] while nothing is loaded.
    pub fn begin(&self, slot: Option<&str>, now: Instant, patience: Option<Duration>) -> Result<Call, Error> {
        let permit = self.admission.admit(&self.in_flight).inspect_err(reject)?;
        let deployment = self.deployment(slot).inspect_err(reject)?;
        let timeout = patience.map_or(self.timeout, |patience| patience.min(self.timeout));
        Ok(Call::new(deployment, permit, now, timeout))
    }

    fn deployment(&self, name: Option<&str>) -> Result<Arc<Deployment>, Error> {
        let table = self.fleet.table();
        let slot = match name {
            Some(name) => table.get(name),
            None => table.default(),
        };
        let Some(slot) = slot else {
            return Err(unknown(name, &table));
        };
        slot.current().ok_or_else(|| {
            Error::new(
                Kind::NotReady,
                format!(
                    "Model `{0}` is not loaded yet; GET /api/models/{0} says why.",
                    slot.name()
                ),
            )
            .with_retry_after(RETRY_AFTER)
        })
    }
}

/// What a client is told to wait for a model that is not there yet.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Names listed in an error.
const NAMES_LISTED: usize = 20;

fn unknown(name: Option<&str>, table: &Table) -> Error {
    let names: Vec<String> = table
        .slots()
        .take(NAMES_LISTED)
        .map(|slot| format!("`{}`", slot.name()))
        .collect();
    let more = if table.slots().len() > NAMES_LISTED {
        " and more"
    } else {
        ""
    };
    let served = match names[..] {
        [] => "No model is served here.".to_owned(),
        _ => format!("Served here: {}{more}.", names.join(", ")),
    };
    let problem = match name {
        Some(name) => format!("No model `{name}` is served here."),
        None => {
            "None of the models served here is the default one: name one, as in /models/NAME/invocations."
                .to_owned()
        }
    };
    Error::new(Kind::UnknownSlot, format!("{problem} {served}"))
}

/// Counts a refusal.
pub fn reject(error: &Error) {
    metrics::counter!(names::REJECTED_TOTAL, names::KIND => error.kind().label()).increment(1);
}
