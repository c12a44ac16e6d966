//! Which variant of a route is better, as far as can be said now.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

use super::feedback::Outcomes;
use super::frequent::Label;
use super::moments::Moments;
use super::ratio::{self, Ratio};
use super::sequential::{self, Interval, LEAST};
use super::series::Counts;
use super::spread::Predictions;
use super::tallies::{Tallies, Tally};

/// Labels of an outcome that are shown.
const SHOWN: usize = 20;

/// How the variants are compared, for people.
const METHOD: &str = "asymptotic confidence sequences, which may be looked at as often as one likes (Waudby-Smith, \
    Arbour, Sinha, Kennedy and Ramdas 2024, arXiv:2103.06476), of independent values; shares by the sequential \
    multinomial test (Lindon and Malek 2022, arXiv:2011.03567)";

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The kind of outcome that decides; the only one there is, unless it is named.
    pub metric: Option<String>,
    /// Whether smaller outcomes are better, as of errors and costs.
    pub lower_is_better: bool,
    /// The probability that a difference is ever seen where there is none, over all variants.
    pub alpha: f64,
}

impl Default for Question {
    fn default() -> Question {
        Question {
            metric: None,
            lower_is_better: false,
            alpha: 0.05,
        }
    }
}

/// What the variants of a route have come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The route.
    pub route: String,
    /// When the comparison began: when weights or a version last changed. `None`: nothing has changed since the process
    /// started.
    pub since: Option<String>,
    /// The kind of outcome that decides.
    pub metric: Option<String>,
    /// Whether smaller outcomes are better.
    pub lower_is_better: bool,
    /// The probability with which all intervals of differences together hold the truth at all times, of one kind.
    pub confidence: f64,
    /// The variants; the first with a weight is what the others are compared with.
    pub variants: Vec<Variant>,
    /// Versions that were a variant before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Variant>,
    /// Whether the variants got their shares.
    pub ratio: Ratio,
    /// Which variant is better.
    pub verdict: Verdict,
    /// How that was found.
    pub method: &'static str,
}

/// What one variant has come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Variant {
    /// Its name.
    pub variant: String,
    /// The model, once it is known.
    pub model: Option<String>,
    /// The version, once it is known.
    pub version: Option<String>,
    /// Its weight.
    pub weight: f64,
    /// Requests that were answered or failed.
    pub requests: u64,
    /// Their rows.
    pub rows: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Those by kind.
    pub errors_by_kind: BTreeMap<&'static str, u64>,
    /// The share of requests that failed; `None` of no requests.
    pub error_rate: Option<f64>,
    /// How long answers took, in milliseconds; `None` of no answers.
    pub latency_ms: Option<Latency>,
    /// What was answered.
    pub predictions: Predictions,
    /// What came of it, by kind of outcome.
    pub feedback: BTreeMap<String, Feedback>,
    /// What its means are above those of the variant it is compared with, by kind of outcome.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub differences: BTreeMap<String, Interval>,
    /// What its error rate is above that of the variant it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_rate_difference: Option<Interval>,
}

/// How long answers took, in milliseconds, to 0.8 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// What half do not exceed.
    pub p50: f64,
    /// What nine in ten do not exceed.
    pub p90: f64,
    /// What 99 in a hundred do not exceed.
    pub p99: f64,
    /// What 999 in a thousand do not exceed.
    #[serde(rename = "p99.9")]
    pub p999: f64,
}

/// What came of a variant's predictions.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Feedback {
    /// Numbers.
    Numbers {
        /// How many there are.
        n: u64,
        /// Their mean.
        mean: f64,
        /// Their standard deviation.
        deviation: f64,
        /// Bounds of the true mean at all times; `None` of too few numbers.
        interval: Option<Interval>,
    },
    /// Labels.
    Labels {
        /// How many there are.
        n: u64,
        /// The most frequent ones.
        labels: Vec<Label>,
    },
}

/// Which variant is better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The better one; `None` as long as nobody can say.
    pub better: Option<String>,
    /// The same in words: `` `b` is better than `a` ``, or `not yet: …`.
    pub text: String,
}

/// Compares the variants of a route: the first that has a weight with each of the others that have. Those without one,
/// such as shadows, are shown and take no part. Where the weights are not those of the comparison so far, a new one begins.
pub fn compare(
    route: &Arc<str>,
    tallies: &Tallies,
    weights: &[(Arc<str>, f64)],
    question: &Question,
    now: SystemTime,
) -> Comparison {
    tallies.weigh(route, weights, now);
    let (since, known) = tallies.of(route);
    let none = Counts::default();
    let of_variant = |name: &str| {
        known
            .iter()
            .find(|tally| tally.current && *tally.arm.variant == *name)
    };
    let arms: Vec<Side<'_>> = weights
        .iter()
        .map(|(name, weight)| {
            let tally = of_variant(name);
            Side {
                name,
                weight: *weight,
                tally,
                counts: tally.map_or(&none, |tally| &tally.counts),
            }
        })
        .collect();
    // Each of the other variants gets an equal part of the probability of being wrong (Bonferroni).
    let compared: Vec<&Side<'_>> = arms.iter().filter(|side| side.weight > 0.0).collect();
    let alpha = question.alpha / compared.len().saturating_sub(1).max(1) as f64;
    let reference = compared.first().copied();
    let variants = arms
        .iter()
        .map(|side| side.summary(alpha, reference.filter(|reference| reference.name != side.name)))
        .collect();
    let mut earlier: Vec<&Tally> = known.iter().filter(|tally| !tally.current).collect();
    earlier
        .sort_by(|one, two| (&one.arm.variant, &one.arm.version).cmp(&(&two.arm.variant, &two.arm.version)));
    let earlier = earlier.into_iter().map(|tally| {
        let side = Side {
            name: &tally.arm.variant,
            weight: 0.0,
            tally: Some(tally),
            counts: &tally.counts,
        };
        side.summary(alpha, None)
    });
    let shares: Vec<(f64, u64)> = arms.iter().map(|side| (side.weight, side.counts.draws)).collect();
    let ratio = ratio::check(&shares);
    let metric = metric(question, &compared);
    let verdict = match (&metric, &compared[..]) {
        _ if !ratio.fits => Verdict::not_yet(&format!(
            "the variants did not get their shares of the requests (p = {:.2e}), so what they differ in may come from \
             that; find out why first",
            ratio.p_value
        )),
        (_, [] | [_]) => Verdict::not_yet("the route has no two variants with a weight"),
        (Err(reason), _) => Verdict::not_yet(reason),
        (Ok(metric), [reference, others @ ..]) => {
            decide(metric, question.lower_is_better, alpha, reference, others)
        }
    };
    Comparison {
        route: route.to_string(),
        since: since.and_then(|since| Some(jiff::Timestamp::try_from(since).ok()?.to_string())),
        metric: metric.ok(),
        lower_is_better: question.lower_is_better,
        confidence: 1.0 - question.alpha,
        variants,
        earlier: earlier.collect(),
        ratio,
        verdict,
        method: METHOD,
    }
}

/// One variant, while it is compared.
struct Side<'a> {
    name: &'a str,
    weight: f64,
    tally: Option<&'a Tally>,
    counts: &'a Counts,
}

impl Side<'_> {
    fn summary(&self, alpha: f64, reference: Option<&Side<'_>>) -> Variant {
        let counts = self.counts;
        let errors = counts.failed();
        let latency = || {
            Some(Latency {
                p50: counts.latency.quantile(0.5)?,
                p90: counts.latency.quantile(0.9)?,
                p99: counts.latency.quantile(0.99)?,
                p999: counts.latency.quantile(0.999)?,
            })
        };
        let feedback = counts.outcomes.iter().map(|(kind, outcomes)| {
            let summary = match outcomes {
                Outcomes::Numbers(moments) => Feedback::Numbers {
                    n: moments.count(),
                    mean: moments.mean(),
                    deviation: moments.variance().sqrt(),
                    interval: sequential::mean(moments, alpha),
                },
                Outcomes::Labels(frequent) => Feedback::Labels {
                    n: frequent.total(),
                    labels: frequent.top(SHOWN),
                },
            };
            (kind.to_owned(), summary)
        });
        let differences = reference.map(|reference| {
            let kinds = counts.outcomes.iter().filter_map(|(kind, _)| {
                let interval =
                    sequential::difference(&self.numbers(kind)?, &reference.numbers(kind)?, alpha)?;
                Some((kind.to_owned(), interval))
            });
            kinds.collect()
        });
        let failures = |side: &Side<'_>| Moments::of_share(side.counts.failed(), side.counts.requests);
        Variant {
            variant: self.name.to_owned(),
            model: self.tally.map(|tally| tally.arm.model.to_string()),
            version: self.tally.map(|tally| tally.arm.version.to_string()),
            weight: self.weight,
            requests: counts.requests,
            rows: counts.rows,
            errors,
            errors_by_kind: counts.errors.clone(),
            error_rate: (counts.requests > 0).then(|| errors as f64 / counts.requests as f64),
            latency_ms: latency(),
            predictions: counts.spread.predictions(),
            feedback: feedback.collect(),
            differences: differences.unwrap_or_default(),
            error_rate_difference: reference
                .and_then(|reference| sequential::difference(&failures(self), &failures(reference), alpha)),
        }
    }

    fn numbers(&self, kind: &str) -> Option<Moments> {
        match self.counts.outcomes.get(kind)? {
            Outcomes::Numbers(moments) => Some(*moments),
            Outcomes::Labels(_) => None,
        }
    }
}

/// The kind of outcome that decides, or why there is none.
fn metric(question: &Question, arms: &[&Side<'_>]) -> Result<String, String> {
    if let Some(metric) = &question.metric {
        return Ok(metric.clone());
    }
    let numbers = |side: &&Side<'_>| {
        let kinds = side.counts.outcomes.iter();
        let numbers = kinds.filter(|(_, outcomes)| matches!(outcomes, Outcomes::Numbers(_)));
        numbers.map(|(kind, _)| kind.to_owned()).collect::<Vec<_>>()
    };
    let mut kinds: Vec<String> = arms.iter().flat_map(numbers).collect();
    kinds.sort_unstable();
    kinds.dedup();
    match &kinds[..] {
        [] => Err("no outcome has been told that is a number or a boolean".to_owned()),
        [kind] => Ok(kind.clone()),
        several => Err(format!("say which outcome decides: `{}`", several.join("`, `"))),
    }
}

/// The verdict by one kind of outcome.
fn decide(
    metric: &str,
    lower_is_better: bool,
    alpha: f64,
    reference: &Side<'_>,
    others: &[&Side<'_>],
) -> Verdict {
    let mut better: Option<(&str, f64)> = None;
    let mut worse = 0;
    let mut short = Vec::new();
    for side in others {
        let none = Moments::default();
        let (of, from) = (
            side.numbers(metric).unwrap_or(none),
            reference.numbers(metric).unwrap_or(none),
        );
        let Some(interval) = sequential::difference(&of, &from, alpha) else {
            let least = if of.count() < from.count() {
                (side.name, of)
            } else {
                (reference.name, from)
            };
            short.push(format!("`{}` has {}", least.0, least.1.count()));
            continue;
        };
        let (above, below) = (interval.is_above_zero(), interval.is_below_zero());
        let (gain, is_better, is_worse) = if lower_is_better {
            (-interval.estimate, below, above)
        } else {
            (interval.estimate, above, below)
        };
        if is_better && better.is_none_or(|(_, most)| gain > most) {
            better = Some((side.name, gain));
        }
        worse += usize::from(is_worse);
    }
    if let Some((name, _)) = better {
        return Verdict::better(name, reference.name);
    }
    if worse == others.len() {
        let names: Vec<&str> = others.iter().map(|side| side.name).collect();
        return Verdict::better(reference.name, &names.join("`, `"));
    }
    if short.is_empty() {
        Verdict::not_yet(&format!(
            "what is known of `{metric}` fits variants that are equally good"
        ))
    } else {
        short.dedup();
        let short = short.join(", ");
        Verdict::not_yet(&format!(
            "{LEAST} outcomes `{metric}` of each variant are needed, {short}"
        ))
    }
}

impl Verdict {
    fn better(name: &str, than: &str) -> Verdict {
        Verdict {
            better: Some(name.to_owned()),
            text: format!("`{name}` is better than `{than}`"),
        }
    }

    fn not_yet(reason: &str) -> Verdict {
        Verdict {
            better: None,
            text: format!("not yet: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests;
