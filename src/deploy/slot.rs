//! A slot: a place that serves whatever version its URI means now.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::deployment::Deployment;
use crate::model::uri::ModelUri;
use crate::telemetry::names;

/// Lives as long as the process; its deployment may change under one pointer.
pub struct Slot {
    name: String,
    uri: ModelUri,
    current: ArcSwapOption<Deployment>,
}

impl Slot {
    /// An empty slot.
    pub fn new(name: impl Into<String>, uri: ModelUri) -> Slot {
        Slot {
            name: name.into(),
            uri,
            current: ArcSwapOption::empty(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it was asked to serve.
    pub fn uri(&self) -> &ModelUri {
        &self.uri
    }

    /// The deployment that answers now. A request asks once and keeps what it got.
    pub fn current(&self) -> Option<Arc<Deployment>> {
        self.current.load_full()
    }

    /// Puts a deployment in place; the requests begun before keep the old one to their end.
    pub fn publish(&self, deployment: Arc<Deployment>) {
        let id = deployment.id().clone();
        let old = self.current.swap(Some(deployment));
        if let Some(old) = &old {
            self.gauge(old).set(0.0);
        }
        if let Some(new) = self.current.load().as_deref() {
            self.gauge(new).set(1.0);
        }
        tracing::info!(slot = %self.name, version = %id, "published");
    }

    fn gauge(&self, deployment: &Deployment) -> metrics::Gauge {
        let id = deployment.id();
        metrics::gauge!(
            names::SERVING_VERSION,
            names::SLOT => self.name.clone(),
            names::MODEL => id.name.to_string(),
            names::VERSION => id.version_label().to_string()
        )
    }
}
