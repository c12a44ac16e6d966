//! The names of classes that a version's tag `classes` gives.
//!
//! A version that the cache has is loaded without a question to the registry, so that its tags are asked for when somebody
//! wants a name: before the first such answer, and in the background when what is known is old.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::model::classes::Classes;
use crate::model::uri::ModelUri;
use crate::registry::{Registry, Wanted};

/// The tag.
const TAG: &str = "classes";
/// Time that the registry has before an answer goes without names.
const LIMIT: Duration = Duration::from_secs(2);
/// How long what is known is believed.
const FRESH: Duration = Duration::from_secs(60);
/// Versions remembered; beyond, all are forgotten and asked for again.
const REMEMBERED: usize = 1024;

/// Knows the names of classes by version.
#[derive(Clone)]
pub struct ClassNames {
    registry: Arc<dyn Registry>,
    known: Arc<Mutex<HashMap<Wanted, Known>>>,
}

struct Known {
    /// Empty until the first question is over, for which all wait who want to know.
    classes: Arc<OnceCell<Option<Arc<Classes>>>>,
    asked: Instant,
}

impl ClassNames {
    /// Nothing is asked yet.
    pub fn new(registry: Arc<dyn Registry>) -> ClassNames {
        ClassNames {
            registry,
            known: Arc::default(),
        }
    }

    /// The names that the tag of a version gives; none for what is no registered version, or while the registry cannot be
    /// asked.
    ///
    /// Cancel-safe: who waits no longer leaves the question to the others who do.
    pub async fn of(&self, wanted: &Wanted) -> Option<Arc<Classes>> {
        let version = wanted.id.version.as_deref()?.parse().ok()?;
        let uri = ModelUri::Version {
            name: Arc::clone(&wanted.id.name),
            version,
        };
        let (classes, old) = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= REMEMBERED && !known.contains_key(wanted) {
                known.clear();
            }
            let found = known.entry(wanted.clone()).or_insert_with(|| Known {
                classes: Arc::default(),
                asked: Instant::now(),
            });
            let old = found.classes.initialized() && found.asked.elapsed() >= FRESH;
            // Others need not ask as well.
            found.asked = if old { Instant::now() } else { found.asked };
            (Arc::clone(&found.classes), old)
        };
        if old {
            let (this, wanted) = (self.clone(), wanted.clone());
            tokio::spawn(async move { this.ask_again(&uri, &wanted).await });
            return classes.get().cloned().flatten();
        }
        let asked = async { self.ask(&uri, wanted).await.flatten() };
        classes.get_or_init(|| asked).await.clone()
    }

    /// What the tag says now; `None` when the registry cannot be asked.
    async fn ask(&self, uri: &ModelUri, wanted: &Wanted) -> Option<Option<Arc<Classes>>> {
        let located = timeout(LIMIT, self.registry.locate(uri, wanted)).await;
        let resolved = located.ok()?.ok()?;
        let tag = resolved.tags.iter().find(|(key, _)| key == TAG);
        Some(tag.and_then(|(_, names)| Classes::of_tag(names)).map(Arc::new))
    }

    /// What was known stays where the registry cannot be asked.
    async fn ask_again(&self, uri: &ModelUri, wanted: &Wanted) {
        if let Some(classes) = self.ask(uri, wanted).await {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = known.get_mut(wanted) {
                found.classes = Arc::new(OnceCell::new_with(Some(classes)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
