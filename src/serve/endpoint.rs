//! The endpoint: where requests begin.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue};

use super::admission::Admission;
use super::asked::{asked, text};
use super::call::Call;
use super::error::{Error, Kind};
use super::recording::Recording;
use super::shadow::{Copies, Shadowing};
use crate::deploy::deployment::Deployment;
use crate::deploy::fleet::{Fleet, Table};
use crate::predlog::Assignment;
use crate::routing;
use crate::routing::route::{By, Choice, Now, Route, VARIANT_HEADER, Variant};
use crate::routing::table::Routes;
use crate::telemetry::names;

/// How requests are admitted and bounded.
#[derive(Debug, Clone)]
pub struct Config {
    /// Requests worked on at once.
    pub max_in_flight: usize,
    /// Time a request may take, from its head to its answer.
    pub timeout: Duration,
}

/// What is known of a request before its body.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// The route or the slot that it is for; `None` for the default one.
    pub name: Option<&'a str>,
    /// When it arrived.
    pub now: Instant,
    /// How long its client waits, if it says so.
    pub patience: Option<Duration>,
    /// Its headers, which may ask for a variant.
    pub headers: &'a HeaderMap,
    /// Whether [`VARIANT_HEADER`] is among them: most have none, and to look it up takes a hash.
    pub asks_for_variant: bool,
    /// Its `traceparent`.
    pub trace: Option<&'a HeaderValue>,
    /// Its path, with `{name}` in place of the model's.
    pub path: &'static str,
}

/// Begins calls on the slots of a fleet.
pub struct Endpoint {
    fleet: Arc<Fleet>,
    routes: Arc<Routes>,
    recording: Option<Recording>,
    shadowing: Option<Shadowing>,
    admission: Admission,
    timeout: Duration,
}

impl Endpoint {
    /// An endpoint for these slots, and the routes over them; with `recording`, it records predictions, and with `shadowing` it copies
    /// requests to shadows.
    pub fn new(
        fleet: Arc<Fleet>,
        routes: Arc<Routes>,
        recording: Option<Recording>,
        shadowing: Option<Shadowing>,
        config: &Config,
    ) -> Endpoint {
        let recorder = recording.as_ref().map(Recording::recorder).cloned();
        Endpoint {
            fleet,
            routes,
            recording,
            shadowing,
            admission: Admission::new(config.max_in_flight, metrics::gauge!(names::IN_FLIGHT), recorder),
            timeout: config.timeout,
        }
    }

    /// The slots.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The routes over them.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// What is recorded, if anything is besides traces.
    pub fn recording(&self) -> Option<&Recording> {
        self.recording.as_ref().filter(|recording| recording.keeps())
    }

    /// What is copied to shadows.
    pub fn shadowing(&self) -> Option<&Shadowing> {
        self.shadowing.as_ref()
    }

    /// How many requests are worked on.
    pub fn in_flight(&self) -> usize {
        self.admission.in_flight()
    }

    /// Begins one request: takes a permit, chooses the variant, and takes the one snapshot it will use to its end.
    ///
    /// # Errors
    /// [`Kind::Overloaded`], [`Kind::UnknownSlot`], [`Kind::UnknownVariant`], or [`Kind::NotReady`] while nothing is
    /// loaded.
    pub fn begin(&self, head: Head<'_>) -> Result<Call, Error> {
        let permit = self.admission.admit().inspect_err(reject)?;
        let routes = self.routes.any();
        let route = routes.as_ref().and_then(|routes| routes.get(head.name));
        let deployment = match route {
            Some(route) => self.of_route(route, head.headers),
            None => self
                .of_slot(head)
                .map(|deployment| (deployment, Assignment::None)),
        };
        let (deployment, assignment) = deployment.inspect_err(reject)?;
        let timeout = head
            .patience
            .map_or(self.timeout, |patience| patience.min(self.timeout));
        let draft = self.recording.as_ref().and_then(|recording| {
            recording.begin(
                &deployment,
                route.and_then(|route| route.record()),
                assignment,
                &head,
            )
        });
        let copies = match (&self.shadowing, route) {
            (Some(shadowing), Some(route)) => shadowing.begin(route),
            _ => None,
        };
        let copies = match deployment.place().door.phase(deployment.wanted()) {
            Some(phase) => Some(Copies::with_phase(copies, phase)),
            None => copies,
        };
        Ok(Call::new(deployment, permit, head.now, timeout, draft, copies))
    }

    /// The deployment of the variant that a route chooses.
    fn of_route(&self, route: &Route, headers: &HeaderMap) -> Result<(Arc<Deployment>, Assignment), Error> {
        let asked = asked(headers, route)?;
        let table = self.fleet.table();
        let now = |variant: &Variant| Now {
            version: table
                .get(&variant.slot)
                .and_then(|slot| slot.current())
                .map(|deployment| deployment.id().version.clone().unwrap_or_default()),
        };
        let Choice { variant, by } = route
            .choose(&asked, fastrand::u64(..), now)
            .map_err(|error| Error::new(Kind::UnknownVariant, error.to_string()))?;
        let assignment = match by {
            By::Asking => Assignment::Asked,
            By::Key(hash) => Assignment::Key(hash),
            By::Weight => Assignment::Weight,
        };
        let deployment = table.get(&variant.slot).and_then(|slot| slot.current());
        let deployment = deployment.ok_or_else(|| {
            let (route, name) = (route.name(), &variant.name);
            let slot = &variant.slot;
            Error::new(
                Kind::NotReady,
                format!(
                    "Variant `{name}` of model `{route}` is not loaded yet; GET /api/models/{slot} says why."
                ),
            )
            .with_retry_after(RETRY_AFTER)
        })?;
        Ok((deployment, assignment))
    }

    /// The deployment of a slot that has no variants.
    fn of_slot(&self, head: Head<'_>) -> Result<Arc<Deployment>, Error> {
        let name = head.name;
        let table = self.fleet.table();
        let slot = match name {
            Some(name) => table.get(name),
            None => table.default(),
        };
        let Some(slot) = slot else {
            return Err(unknown(name, &table, &self.routes.table()));
        };
        if head.asks_for_variant
            && let Some(variant) = text(head.headers, &VARIANT_HEADER)?
        {
            // Never a silent default: who asks for a variant counts on it.
            let variant: String = variant.chars().take(100).collect();
            return Err(Error::new(
                Kind::UnknownVariant,
                format!(
                    "Model `{}` has no variants, so that `{variant}` is none of them.",
                    slot.name()
                ),
            ));
        }
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

fn unknown(name: Option<&str>, table: &Table, routes: &routing::table::Table) -> Error {
    let routes = routes.routes().map(|route| route.name());
    let slots = table.slots().map(|slot| slot.name());
    let known = routes.len() + slots.len();
    let names: Vec<String> = routes
        .chain(slots)
        .take(NAMES_LISTED)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = if known > NAMES_LISTED { " and more" } else { "" };
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
