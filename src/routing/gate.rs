//! What a new version of a model has to show before it answers, as an operator asks for it.

use std::time::Duration;

/// A gate: a new version first gets copies of the requests that the old one answers, and is accepted or held by what it
/// makes of them; after it was accepted, it is watched for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct GateSpec {
    /// Copies after which it is decided.
    pub requests: u64,
    /// Time after which it is decided by what there is then.
    pub max_time: Duration,
    /// Requests that are enough to decide on: with fewer, [`GateSpec::on_timeout`] does.
    pub min_requests: u64,
    /// The share of the requests of which there is a copy, from 0 to 1.
    pub share: f64,
    /// The largest share of copies that may fail; in the watch window, by how much the share of requests that fail may be
    /// above the old version's.
    pub max_error_rate: f64,
    /// The largest share of rows in which the new version may disagree with the old one.
    pub max_disagreement: f64,
    /// A number disagrees that is further apart than this share of the largest number beside it, in the same row.
    pub number_tolerance: f64,
    /// How many times as long as the old version the new one may take, by the medians.
    pub max_latency_ratio: f64,
    /// What to do when too few requests came in time.
    pub on_timeout: OnTimeout,
    /// How long an accepted version is watched; 0 for not at all.
    pub watch: Duration,
    /// Whether the registry is told the outcome, as tags of the version.
    pub tags: bool,
}

/// What to do when too few requests came in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTimeout {
    /// Hold the version.
    Hold,
    /// Accept it, if what came is within the bounds.
    Accept,
    /// Wait until enough have come.
    Wait,
}

impl OnTimeout {
    /// The way it is written.
    pub fn label(self) -> &'static str {
        match self {
            OnTimeout::Hold => "hold",
            OnTimeout::Accept => "accept",
            OnTimeout::Wait => "wait",
        }
    }
}

impl Default for GateSpec {
    fn default() -> GateSpec {
        GateSpec {
            requests: 500,
            max_time: Duration::from_secs(60 * 60),
            min_requests: 50,
            share: 1.0,
            max_error_rate: 0.01,
            max_disagreement: 0.1,
            number_tolerance: 0.5,
            max_latency_ratio: 2.0,
            on_timeout: OnTimeout::Hold,
            watch: Duration::from_secs(10 * 60),
            tags: true,
        }
    }
}
