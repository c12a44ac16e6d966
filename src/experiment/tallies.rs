//! What every version has answered as a variant of a route, and what came of it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::feedback::{FeedbackError, Outcome, Recent, is_name};
use super::hash::BuildFnv;
use super::series::{Answered, Arm, Counts, Keys, Series, lock};
use crate::model::prediction_id::PredictionId;
use crate::model::value::Value;

/// A version that is no longer a variant's may end its last requests that long before it counts as being back.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// Bounds of what is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Versions as variants of routes; the one not used for longest goes. Each takes 3 to 60 kB.
    pub versions: usize,
    /// Outcomes that are recognised when they are told again.
    pub outcomes: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            versions: 256,
            outcomes: 100_000,
        }
    }
}

/// A tag that another version has already: once in four thousand million pairs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "variant `{variant}` of route `{route}` is not tallied: its tag is that of `{holder_variant}` of `{holder_route}`"
)]
pub struct TagTaken {
    /// The route of who wanted it.
    pub route: Arc<str>,
    /// The variant of who wanted it.
    pub variant: Arc<str>,
    /// The route of who has it.
    pub holder_route: Arc<str>,
    /// The variant of who has it.
    pub holder_variant: Arc<str>,
}

/// Whose prediction an outcome was of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Who had answered.
    pub arm: Arm,
    /// Whether the comparison counts it: not when the prediction is older than the comparison.
    pub counted: bool,
}

/// What every version has answered as a variant of a route, and what came of it, in bounded memory.
///
/// A *comparison* of a route's variants covers a time in which neither their weights nor their versions changed. When one
/// of them does, all counts of the route begin anew: before and after differ in more than the variants, and with changed
/// shares the difference between two times would pass for one between variants (Simpson's paradox). What a version has
/// come to that is no variant any more is kept as long as there is room, and still takes outcomes.
///
/// What a process has not seen it cannot know: outcomes of predictions that were made before it started, or on another
/// replica, count in the first comparison of a route.
#[derive(Debug)]
pub struct Tallies {
    bounds: Bounds,
    known: RwLock<Known>,
    /// Hashes of the outcomes that were told last.
    told: Mutex<Recent>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Known {
    /// By tag.
    series: HashMap<u32, Arc<Series>, BuildFnv>,
    routes: HashMap<Arc<str>, Route>,
}

#[derive(Debug, Default)]
struct Route {
    /// By variant; empty until they are told.
    weights: Vec<(Arc<str>, f64)>,
    /// When the comparison began; `None` for the first.
    since: Option<SystemTime>,
    keys: Keys,
}

/// What one version has come to.
pub(super) struct Tally {
    pub(super) arm: Arm,
    pub(super) current: bool,
    pub(super) counts: Counts,
}

impl Tallies {
    /// Nothing yet.
    pub fn new(bounds: Bounds) -> Tallies {
        Tallies {
            bounds: Bounds {
                versions: bounds.versions.max(1),
                ..bounds
            },
            known: RwLock::default(),
            told: Mutex::new(Recent::new(bounds.outcomes)),
            hasher: RandomState::new(),
        }
    }

    /// Says what the weights of a route's variants are. Where they are others than before, a new comparison begins, and
    /// the answer is true. To be called when a route is set up and whenever its weights change.
    pub fn weigh(&self, route: &Arc<str>, weights: &[(Arc<str>, f64)], now: SystemTime) -> bool {
        let known = self.read();
        if known
            .routes
            .get(route)
            .is_some_and(|route| route.weights == weights)
        {
            return false;
        }
        drop(known);
        let mut known = self.write();
        if !known.routes.contains_key(route) {
            while known.routes.len() >= self.bounds.versions {
                known.forget_a_route();
            }
        }
        let known_route = known.routes.entry(Arc::clone(route)).or_default();
        let first = known_route.weights.is_empty();
        known_route.weights = weights.to_vec();
        if !first {
            known.begin(route, now);
        }
        !first
    }

    /// Says who answers as a variant from now on, so that outcomes find it before it has answered here: after a restart,
    /// or when other replicas answered. A new comparison begins if the variant was another version before.
    ///
    /// # Errors
    /// [`TagTaken`], by an accident that is as good as impossible; the version is not tallied then.
    pub fn expect(&self, arm: &Arm, now: SystemTime) -> Result<(), TagTaken> {
        self.adopt(arm, arm.tag(), now)
    }

    /// Counts a prediction. Its version becomes that of its variant, if it is new.
    ///
    /// # Errors
    /// [`TagTaken`], by an accident that is as good as impossible; the prediction is not counted then.
    pub fn note(&self, answered: &Answered<'_>) -> Result<(), TagTaken> {
        let (tag, time) = (answered.id.tag(), answered.id.time());
        if let Some(series) = self.read().noted(answered.arm, tag, time) {
            series.used.store(answered.id.milliseconds(), Ordering::Relaxed);
            series.note(answered);
            return Ok(());
        }
        self.adopt(answered.arm, tag, time)?;
        if let Some(series) = self
            .read()
            .series
            .get(&tag)
            .filter(|series| series.arm == *answered.arm)
        {
            series.note(answered);
        }
        Ok(())
    }

    /// Takes the outcome of a prediction: a number, a boolean or a label, under a name that says what it is.
    ///
    /// # Errors
    /// [`FeedbackError`] when the prediction or the value is of no use here, or the outcome was told before.
    pub fn feedback(&self, id: PredictionId, kind: &str, value: &Value) -> Result<Joined, FeedbackError> {
        if !is_name(kind) {
            return Err(FeedbackError::Name);
        }
        let outcome = Outcome::read(value)?;
        let series = self.read().series.get(&id.tag()).map(Arc::clone);
        let series = series.ok_or(FeedbackError::Unknown(id))?;
        let hash = self.hasher.hash_one((id, kind));
        let mut told = lock(&self.told);
        if told.has(hash) {
            return Err(FeedbackError::Duplicate {
                id,
                kind: kind.to_owned(),
            });
        }
        let mut counts = series.counts();
        let counted = counts.covers(id.time());
        if counted {
            counts.outcomes.add(kind, outcome)?;
        }
        told.add(hash);
        Ok(Joined {
            arm: series.arm.clone(),
            counted,
        })
    }

    /// All that is known of a route: when its comparison began, and what each version has come to.
    pub(super) fn of(&self, route: &str) -> (Option<SystemTime>, Vec<Tally>) {
        let known = self.read();
        let since = known.routes.get(route).and_then(|route| route.since);
        let tallies = known.series.values().filter(|series| *series.arm.route == *route);
        let tallies = tallies.map(|series| Tally {
            arm: series.arm.clone(),
            current: series.current.load(Ordering::Relaxed),
            counts: series.counts().clone(),
        });
        (since, tallies.collect())
    }

    fn adopt(&self, arm: &Arm, tag: u32, now: SystemTime) -> Result<(), TagTaken> {
        let mut known = self.write();
        if let Some(holder) = known.series.get(&tag) {
            if holder.arm != *arm {
                return Err(TagTaken {
                    route: Arc::clone(&arm.route),
                    variant: Arc::clone(&arm.variant),
                    holder_route: Arc::clone(&holder.arm.route),
                    holder_variant: Arc::clone(&holder.arm.variant),
                });
            }
        } else {
            while known.series.len() >= self.bounds.versions {
                known.forget_one();
            }
            while known.routes.len() >= self.bounds.versions && !known.routes.contains_key(&arm.route) {
                known.forget_a_route();
            }
            let route = known.routes.entry(Arc::clone(&arm.route)).or_default();
            let series = Series::new(arm.clone(), Arc::clone(&route.keys), Counts::new(route.since));
            known.series.insert(tag, Arc::new(series));
        }
        known.make_current(arm, tag, now);
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The series that a prediction counts in, unless something has to change first.
    fn noted(&self, arm: &Arm, tag: u32, time: SystemTime) -> Option<&Arc<Series>> {
        let series = self.series.get(&tag).filter(|series| series.arm == *arm)?;
        if series.current.load(Ordering::Relaxed) {
            return Some(series);
        }
        let changed = self.routes.get(&arm.route).and_then(|route| route.since);
        let is_back = changed.is_none_or(|changed| time > changed + LAST_REQUESTS);
        (!is_back).then_some(series)
    }

    fn make_current(&mut self, arm: &Arm, tag: u32, now: SystemTime) {
        let same_variant =
            |other: &&Arc<Series>| other.arm.route == arm.route && other.arm.variant == arm.variant;
        let mut replaced = false;
        for other in self.series.values().filter(same_variant) {
            let is_it = other.arm == *arm;
            let was = other.current.swap(is_it, Ordering::Relaxed);
            replaced |= was && !is_it;
        }
        if let Some(series) = self.series.get(&tag) {
            series.used.store(milliseconds(now), Ordering::Relaxed);
        }
        // Variants without a share, such as shadows, take no part in the comparison.
        let compared = self.routes.get(&arm.route).is_none_or(|route| {
            route.weights.is_empty()
                || route
                    .weights
                    .iter()
                    .any(|(name, weight)| *name == arm.variant && *weight > 0.0)
        });
        if replaced && compared {
            self.begin(&arm.route, now);
        } else if replaced && let Some(series) = self.series.get(&tag) {
            *series.counts() = Counts::new(Some(now));
        }
    }

    /// Begins a new comparison.
    fn begin(&mut self, route: &Arc<str>, now: SystemTime) {
        if let Some(route) = self.routes.get_mut(route) {
            route.since = Some(now);
            lock(&route.keys).clear();
        }
        let of_route = self.series.values().filter(|series| series.arm.route == *route);
        for series in of_route.filter(|series| series.current.load(Ordering::Relaxed)) {
            *series.counts() = Counts::new(Some(now));
        }
    }

    /// Forgets the series that was not used for longest, and its route with the last one.
    fn forget_one(&mut self) {
        let used = |series: &Arc<Series>| series.used.load(Ordering::Relaxed);
        let oldest = self
            .series
            .iter()
            .min_by_key(|(tag, series)| (used(series), **tag));
        let Some(tag) = oldest.map(|(tag, _)| *tag) else {
            return;
        };
        if let Some(series) = self.series.remove(&tag)
            && !self
                .series
                .values()
                .any(|other| other.arm.route == series.arm.route)
        {
            self.routes.remove(&series.arm.route);
        }
    }

    /// Forgets a route without series if there is one, else the one not used for longest.
    fn forget_a_route(&mut self) {
        let has_series = |route: &Arc<str>| self.series.values().any(|series| series.arm.route == *route);
        let empty = self.routes.keys().find(|route| !has_series(route)).cloned();
        match empty {
            Some(route) => {
                self.routes.remove(&route);
            }
            None => self.forget_one(),
        }
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
