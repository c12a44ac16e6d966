//! Tells the registry what became of a version, as tags of that version: one after the other, and never in anybody's way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::model::version::VersionId;
use crate::registry::Registry;

/// The tag that says what became of a version.
pub const OUTCOME_TAG: &str = "modelsd.gate";
/// The tag that says why.
pub const REASON_TAG: &str = "modelsd.gate.reason";

/// Outcomes that may wait for a slow registry.
const WAITING: usize = 64;
/// Tries, with growing waits between them, before an outcome is given up.
const TRIES: u32 = 6;
/// The first of these waits; each is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Characters of a reason, well below what MLflow takes.
const MAX_REASON: usize = 1_000;

/// Hands outcomes over.
#[derive(Clone)]
pub(in crate::deploy) struct Tagger(mpsc::Sender<Outcome>);

/// What became of a version.
struct Outcome {
    id: VersionId,
    word: &'static str,
    reason: String,
}

impl Tagger {
    /// A tagger of the versions of this registry, and what it does; ends with the last handle.
    pub(in crate::deploy) fn new(registry: Arc<dyn Registry>) -> (Tagger, impl Future<Output = ()>) {
        let (sender, mut outcomes) = mpsc::channel::<Outcome>(WAITING);
        let run = async move {
            // One at a time, so that of two outcomes of one version the later stands.
            while let Some(outcome) = outcomes.recv().await {
                tell(registry.as_ref(), &outcome).await;
            }
        };
        (Tagger(sender), run)
    }

    /// Tells the registry what became of a version. Does not wait.
    pub(in crate::deploy) fn tell(&self, id: &VersionId, word: &'static str, reason: &str) {
        // Only what is registered has tags.
        if id.version.is_none() {
            return;
        }
        let outcome = Outcome {
            id: id.clone(),
            word,
            reason: reason.chars().take(MAX_REASON).collect(),
        };
        if self.0.try_send(outcome).is_err() {
            tracing::warn!(version = %id, "the registry is too slow to be told what became of a version");
        }
    }
}

async fn tell(registry: &dyn Registry, outcome: &Outcome) {
    // The reason first: who reads the outcome meanwhile finds its reason beside it.
    let tags = [(REASON_TAG, &*outcome.reason), (OUTCOME_TAG, outcome.word)];
    let mut wait = FIRST_WAIT;
    for attempt in 1.. {
        let Err(error) = registry.tag(&outcome.id, &tags).await else {
            tracing::debug!(version = %outcome.id, outcome = outcome.word, "tagged in the registry");
            return;
        };
        if !error.is_outage() || error.is_denied() || attempt >= TRIES {
            tracing::warn!(
                version = %outcome.id,
                outcome = outcome.word,
                %error,
                "the registry does not take the tags that say what became of a version; `tags = false` of the gate leaves \
                 them out"
            );
            return;
        }
        sleep(wait).await;
        wait *= 2;
    }
}
