//! What a slot is doing, for people: what it wants, serves, loads, and what went wrong last.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::gate::Phase;
use super::parity::Parity;
use super::prove::Joins;
use crate::artifact::Progress;
use crate::model::version::VersionId;
use crate::registry::Wanted;
use crate::routing::gate::GateSpec;

/// Swaps remembered for each slot.
const SWAPS_KEPT: usize = 32;

/// The steps from a decision to a swap; also a label in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Asking the registry where the files are.
    Locate,
    /// Getting the files.
    Fetch,
    /// Waiting for the load before it.
    Wait,
    /// Making predictors of the files.
    Load,
    /// Running them before anybody else does.
    Prove,
    /// The pointer swap.
    Publish,
}

impl Step {
    /// Label in metrics, logs and status.
    pub fn label(self) -> &'static str {
        match self {
            Step::Locate => "locate",
            Step::Fetch => "fetch",
            Step::Wait => "wait",
            Step::Load => "load",
            Step::Prove => "prove",
            Step::Publish => "publish",
        }
    }
}

/// What a slot is doing.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// What the registry, or a pin, says should be served.
    pub wanted: Option<Wanted>,
    /// What answers.
    pub serving: Option<Serving>,
    /// What is on its way.
    pub loading: Option<Loading>,
    /// The last version that was rejected, until one is published.
    pub rejected: Option<Rejected>,
    /// Since when, and why, nobody can say what should be served.
    pub unknown: Option<Unknown>,
    /// When the registry last said what should be served.
    pub confirmed: Option<SystemTime>,
    /// The version that the slot is pinned to.
    pub pinned: Option<Arc<str>>,
    /// Where a version stands at the gate, or what became of the last one.
    pub gate: Option<Gate>,
    /// The last swaps, oldest first.
    pub swaps: VecDeque<Swap>,
}

/// The version that answers.
#[derive(Debug, Clone)]
pub struct Serving {
    /// Which, in the registry's terms.
    pub wanted: Wanted,
    /// When it was published.
    pub since: SystemTime,
    /// Digest of its files; `None` for a model served from where it lies.
    pub digest: Option<String>,
    /// When its files were fetched into the cache.
    pub fetched: Option<SystemTime>,
    /// Bytes of its files.
    pub file_bytes: u64,
    /// Bytes by which the process grew while it was loaded: an estimate, other requests went on.
    pub resident_bytes: u64,
    /// Engine and version.
    pub engine: String,
    /// How requests may share calls of the model.
    pub joins: Joins,
    /// How its answers compare with recorded ones, if any lie beside it.
    pub parity: Option<Parity>,
}

/// A version on its way.
#[derive(Debug, Clone)]
pub struct Loading {
    /// Which.
    pub wanted: Wanted,
    /// When it was begun.
    pub since: SystemTime,
    /// Where it stands.
    pub step: Step,
    /// How far its files are.
    pub progress: Progress,
}

/// A version that was not published, and why.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// Which.
    pub wanted: Wanted,
    /// Where it failed.
    pub step: Step,
    /// The causes, outermost first.
    pub reason: String,
    /// When.
    pub at: SystemTime,
    /// How often in a row.
    pub attempts: u32,
    /// When it is tried again.
    pub retry_at: SystemTime,
}

/// A version at the gate.
#[derive(Clone)]
pub struct Gate {
    /// How far it is.
    pub state: GateState,
    /// Which.
    pub wanted: Wanted,
    /// The version that it is compared with, where one served.
    pub old: Option<VersionId>,
    /// Since when.
    pub since: SystemTime,
    /// Why, in words: figures, what is out of bounds, or who decided.
    pub reason: String,
    /// What it has to show.
    pub spec: GateSpec,
    /// Bytes of the version that is in memory besides the one that serves.
    pub resident_bytes: u64,
    /// What is counted, as long as it is.
    pub phase: Option<Arc<Phase>>,
}

/// How far a version at the gate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateState {
    /// It gets copies of the requests that the old one answers.
    Trial,
    /// It serves, and is watched.
    Watch,
    /// It serves, and is watched no more.
    Accepted,
    /// It does not serve.
    Held,
    /// It served, and does no longer.
    RolledBack,
}

impl GateState {
    /// Every state.
    pub const ALL: [GateState; 5] = [
        GateState::Trial,
        GateState::Watch,
        GateState::Accepted,
        GateState::Held,
        GateState::RolledBack,
    ];

    /// Label in metrics and status.
    pub fn label(self) -> &'static str {
        match self {
            GateState::Trial => "trial",
            GateState::Watch => "watch",
            GateState::Accepted => "accepted",
            GateState::Held => "held",
            GateState::RolledBack => "rolled_back",
        }
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Gate")
            .field("state", &self.state)
            .field("wanted", &self.wanted)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// Nobody could say what should be served.
#[derive(Debug, Clone)]
pub struct Unknown {
    /// Since when.
    pub since: SystemTime,
    /// Why, the last time.
    pub reason: String,
    /// Whether the registry could not be asked; else it answered that there is none.
    pub outage: bool,
}

/// One swap.
#[derive(Debug, Clone)]
pub struct Swap {
    /// When.
    pub at: SystemTime,
    /// What served before.
    pub from: Option<VersionId>,
    /// What serves since.
    pub to: VersionId,
    /// From the decision to the swap.
    pub took: Duration,
}

impl Status {
    /// Notes a swap in place of the oldest.
    pub(super) fn swapped(&mut self, swap: Swap) {
        if self.swaps.len() == SWAPS_KEPT {
            self.swaps.pop_front();
        }
        self.swaps.push_back(swap);
    }

    /// In one word: `serving`, `loading`, `failed` or `waiting`.
    pub fn word(&self) -> &'static str {
        match (&self.serving, &self.loading, &self.rejected, &self.unknown) {
            (Some(_), ..) => "serving",
            (None, Some(_), ..) => "loading",
            (None, None, Some(_), _) => "failed",
            (None, None, None, Some(unknown)) if !unknown.outage => "failed",
            _ => "waiting",
        }
    }
}
