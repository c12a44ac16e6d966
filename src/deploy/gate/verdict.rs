//! Whether a version may serve: pure functions of what was asked for and what was counted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::experiment::sketch::Sketch;
use crate::routing::gate::{GateSpec, OnTimeout};

/// Medians below this are taken for it: that a model takes 10 µs more says nothing, whatever it took before.
const LATENCY_FLOOR_MS: f64 = 0.1;
/// Kinds of failure that a reason names.
const KINDS_NAMED: usize = 3;

/// What the copies of a trial have come to.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Copies that the new version was run on.
    pub requests: u64,
    /// Their rows.
    pub rows: u64,
    /// Copies that it failed on, by kind of failure.
    pub errors: BTreeMap<&'static str, u64>,
    /// Copies that were dropped, since too many waited.
    pub dropped: u64,
    /// Rows that were compared with the old version's.
    pub compared_rows: u64,
    /// Rows in which the two disagree.
    pub disagreements: u64,
    /// Milliseconds in the new version.
    pub latency: Sketch,
    /// Milliseconds in the old version, of the same requests.
    pub old_latency: Sketch,
}

/// What a version has come to that answers.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// Requests that reached it.
    pub requests: u64,
    /// Those that failed, by kind of failure.
    pub errors: BTreeMap<&'static str, u64>,
    /// Milliseconds in the model, of those that were answered.
    pub latency: Sketch,
}

/// What to do with a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is too early to say.
    Wait,
    /// It may serve, or go on serving; with the figures.
    Accept(String),
    /// It may not; with the reason.
    Refuse(String),
}

impl Counts {
    /// Copies that it failed on.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// The share of copies that it failed on; 0 of none.
    pub fn error_rate(&self) -> f64 {
        share(self.failed(), self.requests)
    }

    /// The share of rows in which the two versions disagree; 0 of none.
    pub fn disagreement(&self) -> f64 {
        share(self.disagreements, self.compared_rows)
    }

    /// How many times as long as the old version the new one takes, by the medians.
    pub fn latency_ratio(&self) -> Option<f64> {
        ratio(&self.latency, &self.old_latency)
    }

    fn figures(&self) -> String {
        let latency = self.latency_ratio();
        let latency = latency.map_or_else(String::new, |ratio| format!(", {ratio:.1} times the latency"));
        format!(
            "{} requests: {} failed, {} of {} rows disagree{latency}",
            self.requests,
            percent(self.error_rate()),
            percent(self.disagreement()),
            self.compared_rows,
        )
    }
}

impl Answers {
    /// Counts a request.
    pub(super) fn note(&mut self, outcome: Result<Duration, &'static str>) {
        self.requests += 1;
        match outcome {
            Ok(took) => self.latency.add(took.as_secs_f64() * 1e3),
            Err(kind) => *self.errors.entry(kind).or_default() += 1,
        }
    }

    /// Those that failed.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// The share that failed; 0 of none.
    pub fn error_rate(&self) -> f64 {
        share(self.failed(), self.requests)
    }
}

/// Decides on a version that has been on trial for so long.
pub fn decide(spec: &GateSpec, counts: &Counts, elapsed: Duration) -> Verdict {
    // However many more succeed, the share stays beyond the bound.
    if share(counts.failed(), counts.requests.max(spec.requests)) > spec.max_error_rate {
        return Verdict::Refuse(too_many_errors(spec, counts));
    }
    let is_late = elapsed >= spec.max_time;
    if counts.requests < spec.requests && !is_late {
        return Verdict::Wait;
    }
    let too_few = counts.requests < spec.min_requests;
    match spec.on_timeout {
        OnTimeout::Wait if too_few => Verdict::Wait,
        OnTimeout::Hold if too_few => Verdict::Refuse(format!(
            "too few requests: {} within {:?}, and {} are needed to decide",
            counts.requests, spec.max_time, spec.min_requests
        )),
        _ => settle(spec, counts),
    }
}

/// Decides on a version with what there is, because an operator asks for it.
pub fn decide_now(spec: &GateSpec, counts: &Counts) -> Verdict {
    match counts.requests < spec.min_requests {
        true => Verdict::Refuse(format!(
            "too few requests until now: {} of the {} that are needed to decide",
            counts.requests, spec.min_requests
        )),
        false => settle(spec, counts),
    }
}

fn settle(spec: &GateSpec, counts: &Counts) -> Verdict {
    let mut problems = Vec::new();
    if counts.error_rate() > spec.max_error_rate {
        problems.push(too_many_errors(spec, counts));
    }
    if counts.disagreement() > spec.max_disagreement {
        problems.push(format!(
            "{} of {} rows disagree with the old version, more than {}",
            percent(counts.disagreement()),
            counts.compared_rows,
            percent(spec.max_disagreement)
        ));
    }
    if let Some(ratio) = counts.latency_ratio()
        && ratio > spec.max_latency_ratio
    {
        problems.push(too_slow(spec, ratio));
    }
    match problems.is_empty() {
        true => Verdict::Accept(counts.figures()),
        false => Verdict::Refuse(problems.join("; ")),
    }
}

/// Decides on a version that has answered for so long since it was accepted, by what the old one came to before.
pub fn watch(spec: &GateSpec, old: &Answers, new: &Answers, elapsed: Duration) -> Verdict {
    let is_over = elapsed >= spec.watch;
    // As in a trial: only so many failures that more successes would not help count before the end.
    let asked = match is_over && new.requests >= spec.min_requests {
        true => new.requests,
        false => new.requests.max(spec.requests),
    };
    let bound = old.error_rate() + spec.max_error_rate;
    if share(new.failed(), asked) > bound {
        return Verdict::Refuse(format!(
            "{} of {} requests failed ({}), {} of the old version's, and {} more are allowed",
            new.failed(),
            new.requests,
            kinds(&new.errors),
            percent(old.error_rate()),
            percent(spec.max_error_rate)
        ));
    }
    let enough = old.latency.count().min(new.latency.count()) >= spec.min_requests;
    if let Some(ratio) = ratio(&new.latency, &old.latency)
        && enough
        && ratio > spec.max_latency_ratio
    {
        return Verdict::Refuse(too_slow(spec, ratio));
    }
    match is_over {
        true => Verdict::Accept(format!(
            "{} requests in the watch window: {} failed",
            new.requests,
            percent(new.error_rate())
        )),
        false => Verdict::Wait,
    }
}

fn too_many_errors(spec: &GateSpec, counts: &Counts) -> String {
    format!(
        "{} of {} copies failed ({}), more than {}",
        counts.failed(),
        counts.requests,
        kinds(&counts.errors),
        percent(spec.max_error_rate)
    )
}

fn too_slow(spec: &GateSpec, ratio: f64) -> String {
    format!(
        "it takes {ratio:.1} times as long as the old version, more than {}",
        spec.max_latency_ratio
    )
}

fn ratio(new: &Sketch, old: &Sketch) -> Option<f64> {
    let median = |sketch: &Sketch| Some(sketch.quantile(0.5)?.max(LATENCY_FLOOR_MS));
    Some(median(new)? / median(old)?)
}

fn kinds(errors: &BTreeMap<&'static str, u64>) -> String {
    let mut kinds: Vec<_> = errors.iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let named = kinds.iter().take(KINDS_NAMED);
    let named: Vec<String> = named.map(|(kind, count)| format!("{kind} {count}")).collect();
    named.join(", ")
}

fn share(part: u64, of: u64) -> f64 {
    match of {
        0 => 0.0,
        of => part as f64 / of as f64,
    }
}

/// A share in percent, with no more digits than it needs.
fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}

#[cfg(test)]
mod tests;
