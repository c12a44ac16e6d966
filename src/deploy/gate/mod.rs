//! The gate: a new version first gets copies of the requests that the old one answers, and serves once it has shown that
//! it fails, disagrees and is slow no more than it may; afterwards it is watched for a while.
//!
//! [`Door`] stands beside a slot's deployments. It is shut but while a version is on trial or watched, and a request pays
//! one look at a flag for it. [`verdict`] decides, purely; `reconcile` carries out what is decided.

pub mod tags;
pub mod trial;
pub mod verdict;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use self::trial::Trial;
use self::verdict::Answers;
use crate::registry::Wanted;

/// Through which requests see that their answers are compared or counted.
#[derive(Default)]
pub struct Door {
    open: AtomicBool,
    phase: ArcSwapOption<Phase>,
}

impl fmt::Debug for Door {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.open.load(Ordering::Relaxed);
        out.debug_struct("Door")
            .field("open", &open)
            .finish_non_exhaustive()
    }
}

impl Door {
    /// What goes on while this version answers; `None` nearly always.
    pub fn phase(&self, answering: &Wanted) -> Option<Arc<Phase>> {
        if !self.open.load(Ordering::Relaxed) {
            return None;
        }
        let phase = self.phase.load_full()?;
        // A request that began with the version before has nothing to do with this one.
        (phase.serving == *answering).then_some(phase)
    }

    /// Opens it for this, or shuts it.
    pub(super) fn set(&self, phase: Option<Arc<Phase>>) {
        self.open.store(phase.is_some(), Ordering::Relaxed);
        self.phase.store(phase);
    }
}

/// A time in which the requests of a slot are looked at: another version is on trial, or the one that answers is watched.
pub struct Phase {
    /// The version that answers meanwhile.
    serving: Wanted,
    answers: Mutex<Answers>,
    trial: Option<Trial>,
}

impl Phase {
    /// Has a version tried beside this one.
    pub(super) fn of_trial(serving: Wanted, trial: Trial) -> Phase {
        Phase {
            serving,
            answers: Mutex::default(),
            trial: Some(trial),
        }
    }

    /// Watches this version.
    pub(super) fn of_watch(serving: Wanted) -> Phase {
        Phase {
            serving,
            answers: Mutex::default(),
            trial: None,
        }
    }

    /// The trial of another version.
    pub fn trial(&self) -> Option<&Trial> {
        self.trial.as_ref()
    }

    /// What the version that answers has come to in this time.
    pub fn answers(&self) -> Answers {
        self.lock().clone()
    }

    /// Counts a request that reached the version which answers: the time in the model, or the kind of its failure.
    pub fn note(&self, outcome: Result<Duration, &'static str>) {
        self.lock().note(outcome);
    }

    fn lock(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
