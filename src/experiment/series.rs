//! What one version has answered as a variant of a route, and what came of it.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::feedback::ByKind;
use super::first_column::visit;
use super::sketch::Sketch;
use super::spread::Spread;
use crate::model::batch::Batch;
use crate::model::prediction_id::{PredictionId, tag_of};

/// Routing keys that a route tells apart. Once there are as many, further keys do not count towards the shares: those at
/// hand say enough, and a key that came back would count twice if others were forgotten.
pub const MAX_KEYS: usize = 50_000;
/// Kinds of error that are told apart; there are about a dozen.
const MAX_ERROR_KINDS: usize = 32;

/// Who answers: a version of a model as a variant of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Arm {
    /// The route.
    pub route: Arc<str>,
    /// The variant's name in it.
    pub variant: Arc<str>,
    /// The model.
    pub model: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
}

impl Arm {
    /// The tag of its predictions' ids; to be computed once a version.
    pub fn tag(&self) -> u32 {
        tag_of(&self.route, &self.variant, &self.model, &self.version)
    }
}

/// How a request came to its variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// By lot, each request anew.
    Lot,
    /// By this hash of the routing key: requests of one key are one draw, however many they are.
    Key(u64),
    /// Not by the weights: it was asked for by name, or is a shadow of another's.
    None,
}

/// A prediction that was answered, or failed.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// Its name, with the tag of `arm`.
    pub id: PredictionId,
    /// Who answered.
    pub arm: &'a Arm,
    /// How the request came to it.
    pub draw: Draw,
    /// Rows of the request.
    pub rows: usize,
    /// The answer, if it is at hand; or the kind of error.
    pub outcome: Result<Option<&'a Batch>, &'static str>,
    /// From the request's head to its answer.
    pub total: Duration,
}

/// What a version has answered since the comparison it takes part in began.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// Predictions of before do not count; `None` counts all.
    pub(super) since: Option<SystemTime>,
    pub(super) requests: u64,
    pub(super) rows: u64,
    pub(super) errors: BTreeMap<&'static str, u64>,
    /// Milliseconds of requests that were answered.
    pub(super) latency: Sketch,
    pub(super) spread: Spread,
    /// Requests or keys that came by the weights.
    pub(super) draws: u64,
    pub(super) outcomes: ByKind,
}

impl Counts {
    pub(super) fn new(since: Option<SystemTime>) -> Counts {
        Counts {
            since,
            ..Counts::default()
        }
    }

    /// Whether what was predicted then counts.
    pub(super) fn covers(&self, time: SystemTime) -> bool {
        self.since.is_none_or(|since| time >= since)
    }

    pub(super) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// The routing keys of a route that were seen.
pub(super) type Keys = Arc<Mutex<HashSet<u64>>>;

/// What one version has answered, shared by everybody who counts.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) arm: Arm,
    /// Whether it is the version that its variant is now.
    pub(super) current: AtomicBool,
    /// Milliseconds since 1970 when it was last used.
    pub(super) used: AtomicU64,
    pub(super) keys: Keys,
    counts: Mutex<Counts>,
}

impl Series {
    pub(super) fn new(arm: Arm, keys: Keys, counts: Counts) -> Series {
        Series {
            arm,
            current: AtomicBool::new(false),
            used: AtomicU64::new(0),
            keys,
            counts: Mutex::new(counts),
        }
    }

    pub(super) fn counts(&self) -> MutexGuard<'_, Counts> {
        lock(&self.counts)
    }

    pub(super) fn note(&self, answered: &Answered<'_>) {
        let drawn = match answered.draw {
            Draw::Lot => true,
            Draw::Key(key) => {
                let mut keys = lock(&self.keys);
                keys.len() < MAX_KEYS && keys.insert(key)
            }
            Draw::None => false,
        };
        let mut counts = self.counts();
        if !counts.covers(answered.id.time()) {
            return;
        }
        counts.requests += 1;
        counts.rows += answered.rows as u64;
        counts.draws += u64::from(drawn);
        match answered.outcome {
            Ok(output) => {
                counts.latency.add(answered.total.as_secs_f64() * 1e3);
                if let Some(output) = output {
                    visit(output, &mut counts.spread);
                }
            }
            Err(kind) => {
                let full = counts.errors.len() >= MAX_ERROR_KINDS && !counts.errors.contains_key(kind);
                *counts
                    .errors
                    .entry(if full { "other" } else { kind })
                    .or_default() += 1;
            }
        }
    }
}

/// The value, also after a panic of somebody who had it: counts are never half-way between two states that matter.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
