//! Asking the registry what every slot should serve, and what follows from the answers.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::timeout;

use super::Reconciler;
use super::tracked::Reason;
use crate::model::uri::ModelUri;
use crate::registry::{RegistryError, Wanted};
use crate::telemetry::names;

/// Time the registry has for the first answer; after that, what served last is served again.
pub(super) const FIRST_LIMIT: Duration = Duration::from_secs(10);
/// Time it has for later ones, or the poll interval where that is longer.
const LIMIT: Duration = Duration::from_secs(30);
/// Share of the interval by which polls are moved, so that many servers do not ask at once.
const JITTER: f64 = 0.1;

/// A question under way; `None` when it was not answered in time.
pub(super) type Poll = Pin<Box<dyn Future<Output = Option<Answers>> + Send>>;

/// What the registry says.
pub(super) struct Answers {
    /// Of every model in the stage or under the alias that is followed.
    all: Option<Result<Vec<Wanted>, RegistryError>>,
    /// Of the slots that were asked for by name, with what was asked.
    named: Vec<(Arc<str>, ModelUri, Result<Wanted, RegistryError>)>,
}

pub(super) fn limit(interval: Duration) -> Duration {
    LIMIT.max(interval)
}

/// The interval, a little shorter or longer.
pub(super) fn jittered(interval: Duration) -> Duration {
    // The seed of a map's hasher is random, which is all that is needed here.
    let random = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0);
    interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * (random as f64 / u64::MAX as f64))
}

/// The end of the question, if there is one.
pub(super) async fn end(poll: &mut Option<Poll>) -> Option<Answers> {
    match poll {
        Some(poll) => poll.await,
        None => pending().await,
    }
}

impl Reconciler {
    /// Begins to ask.
    pub(super) fn ask(&mut self, limit: Duration) -> Poll {
        self.watch_folder();
        let registry = Arc::clone(self.installer.registry());
        let selector = self.config.all_models.clone();
        let by_name = self
            .slots
            .iter()
            .filter(|(_, slot)| !slot.followed || slot.pinned.is_some());
        let (names, uris): (Vec<_>, Vec<_>) = by_name
            .map(|(name, slot)| (Arc::clone(name), slot.target()))
            .unzip();
        Box::pin(async move {
            let work = async move {
                let all = match &selector {
                    Some(selector) => Some(registry.all(selector).await),
                    None => None,
                };
                let answers = match uris[..] {
                    [] => Vec::new(),
                    _ => registry.wanted(&uris).await,
                };
                Answers {
                    all,
                    named: names
                        .into_iter()
                        .zip(uris)
                        .zip(answers)
                        .map(|((name, uri), answer)| (name, uri, answer))
                        .collect(),
                }
            };
            timeout(limit, work).await.ok()
        })
    }

    /// Takes the answers and does what follows.
    pub(super) fn apply(&mut self, answers: Option<Answers>) {
        let mut outcome = "ok";
        match answers {
            None => {
                outcome = "outage";
                let reason = "the registry did not answer in time".to_owned();
                for tracked in self.slots.values_mut() {
                    tracked.unknown(Reason {
                        text: reason.clone(),
                        outage: true,
                    });
                }
            }
            Some(Answers { all, named }) => {
                for (name, uri, answer) in named {
                    // A slot that was pinned meanwhile is asked about again at once; this answer is to the question before.
                    let asked = |tracked: &&mut super::Tracked| tracked.target() == uri;
                    if let Some(tracked) = self.slots.get_mut(&name).filter(asked) {
                        match answer {
                            Ok(wanted) => tracked.want(wanted),
                            Err(error) => {
                                let reason = Reason::of(&error);
                                outcome = if reason.outage { "outage" } else { outcome };
                                tracked.unknown(reason);
                            }
                        }
                    }
                }
                match all {
                    None => {}
                    Some(Ok(all)) => self.follow_all(all),
                    Some(Err(error)) => {
                        let reason = Reason::of(&error);
                        outcome = "outage";
                        tracing::warn!(reason = reason.text, "cannot list the registry's models");
                        for tracked in self.followed() {
                            tracked.unknown(reason.clone());
                        }
                    }
                }
            }
        }
        metrics::counter!(names::REGISTRY_POLLS_TOTAL, names::OUTCOME => outcome).increment(1);
        let due = |confirmed: SystemTime, written: u64| {
            let confirmed = confirmed
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            confirmed.as_secs().saturating_sub(written) >= 300
        };
        for name in self.slots.keys().cloned().collect::<Vec<_>>() {
            self.act(&name);
            let stale = self.slots.get(&name).is_some_and(|tracked| {
                let written = tracked
                    .entry
                    .served
                    .as_ref()
                    .map_or(u64::MAX, |served| served.confirmed);
                tracked.is_current() && tracked.confirmed.is_some_and(|confirmed| due(confirmed, written))
            });
            if stale {
                self.write_journal(&name, |_| {});
            }
        }
    }

    fn followed(&mut self) -> impl Iterator<Item = &mut super::Tracked> {
        self.slots
            .values_mut()
            .filter(|tracked| tracked.followed && tracked.pinned.is_none())
    }

    /// Makes the slots that follow the registry those of the answer.
    fn follow_all(&mut self, all: Vec<Wanted>) {
        let Some(selector) = self.config.all_models.clone() else {
            return;
        };
        if all.is_empty() {
            // A registry that was emptied, or restored without its data: nothing is unloaded for that.
            for tracked in self.followed() {
                tracked.unknown(Reason {
                    text:
                        "the registry has no model any more in the stage or under the alias that is followed"
                            .into(),
                    outage: false,
                });
            }
            return;
        }
        let gone: Vec<Arc<str>> = self
            .slots
            .iter()
            .filter(|(_, tracked)| tracked.followed && tracked.pinned.is_none())
            .filter(|(name, _)| !all.iter().any(|wanted| *wanted.id.name == ***name))
            .map(|(name, _)| Arc::clone(name))
            .collect();
        gone.iter().for_each(|name| self.unfollow(name));
        for wanted in all {
            let name = Arc::clone(&wanted.id.name);
            if !self.slots.contains_key(&name) {
                self.follow(Arc::clone(&name), selector.of(&name));
            }
            // A slot of that name from the command line goes its own way.
            if let Some(tracked) = self
                .slots
                .get_mut(&name)
                .filter(|tracked| tracked.followed && tracked.pinned.is_none())
            {
                tracked.want(wanted);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_a_tenth() {
        let second = Duration::from_secs(1);
        let times: Vec<Duration> = (0..100).map(|_| jittered(second)).collect();
        assert!(times.iter().all(|time| (0.9..=1.1).contains(&time.as_secs_f64())));
        assert!(times.iter().any(|time| time != &times[0]));
    }
}
