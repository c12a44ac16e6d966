//! A slot: a place that serves whatever version its URI means now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;

use super::deployment::Deployment;
use super::gate::Door;
use super::place::Place;
use super::status::Status;
use crate::model::uri::ModelUri;
use crate::routing::gate::GateSpec;
use crate::routing::spec::VariantSlot;
use crate::telemetry::names;

/// Its deployment may change under one pointer, while requests go on.
pub struct Slot {
    name: Arc<str>,
    uri: ModelUri,
    required: bool,
    deployed: bool,
    place: Place,
    gate: Option<GateSpec>,
    current: ArcSwapOption<Deployment>,
    status: Mutex<Status>,
}

impl Slot {
    /// An empty slot that was asked for by name.
    pub fn new(name: impl Into<Arc<str>>, uri: ModelUri) -> Slot {
        Slot::empty(name.into(), uri, true)
    }

    /// An empty slot of a variant. One that is not required may serve nothing, and others of its route answer.
    pub fn variant(spec: VariantSlot) -> Slot {
        let slot = Slot::empty(spec.slot, spec.uri, spec.required);
        Slot {
            gate: spec.gate,
            place: Place {
                route: spec.route,
                variant: spec.variant,
                shadow: spec.shadow,
                ..slot.place
            },
            ..slot
        }
    }

    /// The same slot behind the door of the one that it replaces: what serves goes on, and looks there.
    #[must_use]
    pub(super) fn behind(self, door: Arc<Door>) -> Slot {
        Slot {
            place: Place { door, ..self.place },
            ..self
        }
    }

    /// An empty slot of a model that the registry brought, and may take away.
    pub(super) fn followed(name: Arc<str>, uri: ModelUri) -> Slot {
        Slot::empty(name, uri, false)
    }

    /// An empty slot that was added while the server ran.
    pub(super) fn deployed(name: Arc<str>, uri: ModelUri) -> Slot {
        Slot {
            deployed: true,
            ..Slot::empty(name, uri, false)
        }
    }

    fn empty(name: Arc<str>, uri: ModelUri, required: bool) -> Slot {
        Slot {
            required,
            deployed: false,
            place: Place {
                route: Arc::clone(&name),
                ..Place::default()
            },
            name,
            uri,
            gate: None,
            current: ArcSwapOption::empty(),
            status: Mutex::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it was asked to serve.
    pub fn uri(&self) -> &ModelUri {
        &self.uri
    }

    /// Whether the server is not ready without it: one that the registry brought may be bad, and others serve on.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Whether it was added while the server ran, and may be taken away so.
    pub fn is_deployed(&self) -> bool {
        self.deployed
    }

    /// Whether it answers for a variant of a route.
    pub fn is_variant(&self) -> bool {
        !self.place.variant.is_empty()
    }

    /// The deployment that answers now. A request asks once and keeps what it got.
    pub fn current(&self) -> Option<Arc<Deployment>> {
        self.current.load_full()
    }

    /// Where its deployments serve.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What a new version has to show, where its route said so when the slot was made.
    pub(super) fn gate(&self) -> Option<&GateSpec> {
        self.gate.as_ref()
    }

    /// What it is doing. Never held while anything is waited for, and never asked for by a prediction.
    pub fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a deployment in place, or none; gives the one that was there. Requests begun before keep theirs to the end.
    pub(super) fn publish(&self, deployment: Option<Arc<Deployment>>) -> Option<Arc<Deployment>> {
        let new = deployment.clone();
        let old = self.current.swap(deployment);
        if let Some(old) = &old {
            self.gauge(old).set(0.0);
        }
        if let Some(new) = &new {
            self.gauge(new).set(1.0);
        }
        old
    }

    fn gauge(&self, deployment: &Deployment) -> metrics::Gauge {
        let id = deployment.id();
        metrics::gauge!(
            names::SERVING_VERSION,
            names::SLOT => self.name.to_string(),
            names::MODEL => id.name.to_string(),
            names::VERSION => id.version_label().to_string()
        )
    }
}

#[cfg(test)]
mod tests;
