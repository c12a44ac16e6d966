//! What the reconciler knows of one slot, and the task that installs its next version.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinHandle;

use super::chain;
use super::gate::{AtGate, gate_of};
use crate::artifact::{Artifact, Progress};
use crate::deploy::budget::{Room, room};
use crate::deploy::decide::{Decision, Facts, Failed, decide};
use crate::deploy::deployment::Deployment;
use crate::deploy::fleet::Fleet;
use crate::deploy::install::{InstallError, Installer};
use crate::deploy::journal::Entry;
use crate::deploy::retire::Retirement;
use crate::deploy::slot::Slot;
use crate::deploy::status::{Step, Unknown};
use crate::model::uri::ModelUri;
use crate::registry::{RegistryError, Wanted};
use crate::routing::gate::GateSpec;
use crate::telemetry::events::{Event, Kind, events};
use crate::telemetry::names;

/// A wait that outlives the process.
pub(super) const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// Time that requests have to leave a version which goes before the new one is there.
const EVICTION_LIMIT: Duration = Duration::from_secs(60);

/// One slot.
pub(super) struct Tracked {
    pub(super) slot: Arc<Slot>,
    /// Came from the registry, and goes with it.
    pub(super) followed: bool,
    pub(super) pinned: Option<u64>,
    pub(super) wanted: Option<Wanted>,
    pub(super) serving: Option<Wanted>,
    /// The wanted version, on its way.
    pub(super) loading: Option<Task>,
    /// What served last, on its way because nothing serves.
    pub(super) stand_in: Option<Task>,
    pub(super) failed: Option<Failed>,
    /// Whether the last failure was an outage.
    pub(super) outage: bool,
    /// Went to make room for the version on its way.
    pub(super) evicted: Option<Wanted>,
    /// When the registry last said what is wanted.
    pub(super) confirmed: Option<SystemTime>,
    unknown: Option<Reason>,
    /// What is on disk.
    pub(super) entry: Entry,
    /// What a new version has to show; `None` where new versions are served at once.
    pub(super) gate: Option<GateSpec>,
    /// A version that is on trial, or watched.
    pub(super) at_gate: Option<AtGate>,
    /// The version that an operator wants served whatever the gate says.
    pub(super) forced: Option<Wanted>,
    /// Nothing that served before can be had, so that there is nothing to compare with.
    pub(super) alone: bool,
}

/// An installation under way.
pub(super) struct Task {
    pub(super) wanted: Wanted,
    pub(super) ticket: u64,
    pub(super) began: Instant,
    pub(super) task: JoinHandle<()>,
}

/// Why it is not known what a slot should serve.
#[derive(Debug, Clone)]
pub(super) struct Reason {
    pub(super) text: String,
    pub(super) outage: bool,
}

impl Reason {
    pub(super) fn of(error: &RegistryError) -> Reason {
        Reason {
            text: chain(error),
            outage: error.is_outage(),
        }
    }
}

impl Tracked {
    /// A slot; `gate` is that of slots which have none of their own.
    pub(super) fn new(slot: &Arc<Slot>, followed: bool, gate: Option<&GateSpec>) -> Tracked {
        Tracked {
            slot: Arc::clone(slot),
            followed,
            pinned: None,
            wanted: None,
            serving: None,
            loading: None,
            stand_in: None,
            failed: None,
            outage: false,
            evicted: None,
            confirmed: None,
            unknown: None,
            entry: Entry::default(),
            gate: gate_of(slot, gate),
            at_gate: None,
            forced: None,
            alone: false,
        }
    }

    /// Takes over what the journal remembers.
    pub(super) fn remember(&mut self, entry: Entry) {
        // Of a slot that was asked to serve something else, nothing holds any more.
        let uri = self.slot.uri().to_string();
        self.entry = match entry.uri == uri {
            true => entry,
            false => Entry {
                served: None,
                pinned: None,
                held: None,
                uri,
                ..entry
            },
        };
        let pinned = self
            .entry
            .pinned
            .as_ref()
            .and_then(|version| version.parse().ok());
        self.pin(pinned);
        self.remember_held();
    }

    /// Pins the slot to a version, or unpins it.
    pub(super) fn pin(&mut self, version: Option<u64>) {
        self.pinned = version;
        self.failed = None;
        self.slot.status().pinned = version.map(|version| version.to_string().into());
    }

    /// What the registry is asked for.
    pub(super) fn target(&self) -> ModelUri {
        match (self.pinned, self.slot.uri().name()) {
            (Some(version), Some(name)) => ModelUri::Version {
                name: name.into(),
                version,
            },
            _ => self.slot.uri().clone(),
        }
    }

    /// The registry said what is wanted.
    pub(super) fn want(&mut self, wanted: Wanted) {
        let now = SystemTime::now();
        self.confirmed = Some(now);
        if self.unknown.take().is_some_and(|reason| reason.outage) {
            tracing::info!(slot = %self.slot.name(), "the registry answers again");
            events().note(Event::new(
                Kind::Known,
                self.slot.name(),
                "The registry answers again.",
            ));
        }
        let mut status = self.slot.status();
        status.unknown = None;
        status.confirmed = Some(now);
        // An operator's word holds for the version that it was said of while that was wanted.
        self.forced.take_if(|forced| *forced != wanted);
        if self.wanted.as_ref() != Some(&wanted) {
            status.wanted = Some(wanted.clone());
            self.wanted = Some(wanted);
        }
        drop(status);
        self.confirmation().set(seconds(now));
    }

    /// The registry did not say what is wanted. What serves goes on; where nothing does, what served last is wanted.
    pub(super) fn unknown(&mut self, reason: Reason) {
        let mut status = self.slot.status();
        let since = status
            .unknown
            .as_ref()
            .map_or_else(SystemTime::now, |unknown| unknown.since);
        status.unknown = Some(Unknown {
            since,
            reason: reason.text.clone(),
            outage: reason.outage,
        });
        if self.unknown.is_none() {
            let serving = self
                .serving
                .as_ref()
                .map(|serving| tracing::field::display(&serving.id));
            tracing::warn!(slot = %self.slot.name(), serving, reason = reason.text, "cannot learn what to serve");
            events().note(Event::new(Kind::Unknown, self.slot.name(), reason.text.as_str()));
        }
        drop(status);
        if reason.outage
            && self.wanted.is_none()
            && let Some(wanted) = self.last_served()
        {
            tracing::warn!(
                slot = %self.slot.name(),
                version = %wanted.id,
                "serving what served last, since the registry cannot be asked"
            );
            self.slot.status().wanted = Some(wanted.clone());
            self.wanted = Some(wanted);
            self.believe_journal();
        }
        self.unknown = Some(reason);
    }

    /// Where the registry has not said yet what is wanted, what it said last, to the process before, holds.
    pub(super) fn believe_journal(&mut self) {
        if self.confirmed.is_some() {
            return;
        }
        if let Some(served) = &self.entry.served {
            let confirmed = SystemTime::UNIX_EPOCH + Duration::from_secs(served.confirmed);
            let age = SystemTime::now().duration_since(confirmed).unwrap_or_default();
            tracing::info!(
                slot = %self.slot.name(),
                version = %served.wanted().id,
                confirmed_seconds_ago = age.as_secs(),
                "what served last was confirmed by the registry"
            );
            self.confirmed = Some(confirmed);
            self.slot.status().confirmed = Some(confirmed);
            self.confirmation().set(seconds(confirmed));
        }
    }

    fn confirmation(&self) -> metrics::Gauge {
        metrics::gauge!(names::REGISTRY_CONFIRMED_SECONDS, names::SLOT => self.slot.name().to_string())
    }

    /// What served last, before this process or before the version that serves.
    pub(super) fn last_served(&self) -> Option<Wanted> {
        self.entry.served.as_ref().map(|served| served.wanted())
    }

    /// Whether what the registry wants is what serves.
    pub(super) fn is_current(&self) -> bool {
        self.serving.is_some() && self.serving == self.wanted
    }

    pub(super) fn decide(&self, now: Instant) -> Decision {
        let facts = Facts {
            wanted: self.wanted.as_ref(),
            serving: self.serving.as_ref(),
            loading: self
                .loading
                .as_ref()
                .map(|task| &task.wanted)
                .or_else(|| self.on_trial()),
            failed: self.failed.as_ref(),
            held: self.wanted.as_ref().filter(|_| self.is_held()),
        };
        decide(&facts, now)
    }

    /// Gives up the version on its way.
    pub(super) fn cancel(&mut self) {
        if let Some(task) = self.loading.take() {
            tracing::info!(slot = %self.slot.name(), version = %task.wanted.id, "no longer wanted, loading given up");
            task.task.abort();
            self.no_longer_shown(&task.wanted);
        }
    }

    /// Gives up what was to stand in.
    pub(super) fn give_up_stand_in(&mut self) {
        if let Some(task) = self.stand_in.take() {
            task.task.abort();
            self.no_longer_shown(&task.wanted);
        }
    }

    /// Takes a version out of what people see as loading.
    pub(super) fn no_longer_shown(&self, wanted: &Wanted) {
        self.slot
            .status()
            .loading
            .take_if(|loading| loading.wanted == *wanted);
    }

    /// Whether it serves, or has a reason not to.
    pub(super) fn settled(&self) -> bool {
        self.serving.is_some()
            || (self.loading.is_none()
                && self.stand_in.is_none()
                && (self.failed.is_some() || self.unknown.is_some()))
    }

    /// Why it does not serve, and whether that is an outage.
    pub(super) fn reason(&self) -> (bool, String) {
        let rejected = self
            .slot
            .status()
            .rejected
            .as_ref()
            .map(|rejected| rejected.reason.clone());
        match (&self.failed, &self.unknown) {
            (Some(_), _) => (self.outage, rejected.unwrap_or_default()),
            (None, Some(reason)) => (reason.outage, reason.text.clone()),
            (None, None) => (true, "nothing was asked yet".into()),
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        for task in self.loading.iter().chain(&self.stand_in) {
            task.task.abort();
        }
    }
}

/// What a task needs to install a version.
pub(super) struct Install {
    pub(super) installer: Arc<Installer>,
    pub(super) fleet: Arc<Fleet>,
    pub(super) retirement: Retirement,
    pub(super) slot: Arc<Slot>,
    pub(super) uri: ModelUri,
    pub(super) wanted: Wanted,
    pub(super) progress: Progress,
    pub(super) memory_budget: Option<u64>,
    /// Whether the old version must stay, because the new one is compared with it.
    pub(super) beside: bool,
}

impl Install {
    /// Installs. `evicted` is told when the old version went first.
    pub(super) async fn run(self, evicted: impl Fn() -> bool) -> Result<Deployment, InstallError> {
        let at = |step: Step| {
            let mut status = self.slot.status();
            if let Some(loading) = status
                .loading
                .as_mut()
                .filter(|loading| loading.wanted == self.wanted)
            {
                loading.step = step;
            }
        };
        let artifact = self
            .installer
            .fetch(&self.uri, &self.wanted, &self.progress, at)
            .await?;
        self.make_room(&artifact, evicted)
            .await
            .map_err(|problem| InstallError {
                id: self.wanted.id.clone(),
                step: Step::Wait,
                outage: false,
                source: problem.into(),
            })?;
        self.installer
            .load(&self.wanted, artifact, self.slot.place().clone(), at)
            .await
    }

    async fn make_room(&self, artifact: &Artifact, evicted: impl Fn() -> bool) -> Result<(), String> {
        let bytes = |slot: &Arc<Slot>| {
            let status = slot.status();
            let serving = status.serving.as_ref();
            let at_gate = status.gate.as_ref();
            serving.map_or(0, |serving| serving.resident_bytes)
                + at_gate.map_or(0, |gate| gate.resident_bytes)
        };
        let all = self.fleet.table().slots().map(bytes).sum();
        match room(
            self.memory_budget,
            all,
            bytes(&self.slot),
            self.installer.expected_bytes(artifact),
        ) {
            Room::Beside => Ok(()),
            Room::None(problem) => Err(problem),
            Room::Instead if self.beside => Err(
                "it does not fit into --memory-budget beside the version that serves, with which its gate compares it; \
                 raise the budget, or let it take that one's place with `modelsd promote --force`"
                    .into(),
            ),
            Room::Instead => {
                let name = self.slot.name();
                tracing::warn!(slot = %name, "unloading the old version first, for --memory-budget does not hold both");
                if !evicted() {
                    return Err("too much else is going on".into());
                }
                let Some(old) = self.slot.publish(None) else {
                    return Ok(());
                };
                let old_is_there = Arc::downgrade(&old);
                self.retirement.take(old);
                let began = Instant::now();
                while old_is_there.strong_count() > 0 {
                    if began.elapsed() > EVICTION_LIMIT {
                        return Err(format!(
                            "requests kept the old version for more than {EVICTION_LIMIT:?}"
                        ));
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok(())
            }
        }
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}
