//! Tests of the comparison.

use std::time::{Duration, UNIX_EPOCH};

use super::super::series::{Answered, Arm, Draw};
use super::super::tallies::Bounds;
use super::*;
use crate::model::batch::{Batch, Body};
use crate::model::prediction_id::PredictionId;
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;

/// Tallies of the route `r`, and the next random part.
struct Trial {
    tallies: Tallies,
    next: u64,
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

impl Trial {
    fn new() -> Trial {
        Trial {
            tallies: Tallies::new(Bounds::default()),
            next: 0,
        }
    }

    /// As many requests of a variant, of which `ones` come to 1 and the others to 0.
    fn answer(&mut self, variant: &str, requests: u64, kind: &str, ones: u64) {
        let arm = Arm {
            route: "r".into(),
            variant: variant.into(),
            model: "iris".into(),
            version: "1".into(),
        };
        let output = Batch::new(Body::Array(Tensor::vector(Elements::F64(vec![0.5]))));
        for number in 0..requests {
            self.next += 1;
            let id = PredictionId::new(arm.tag(), now(), self.next);
            let answered = Answered {
                id,
                arm: &arm,
                draw: Draw::Lot,
                rows: 1,
                outcome: if number % 100 == 7 {
                    Err("overloaded")
                } else {
                    Ok(Some(&output))
                },
                total: Duration::from_millis(1 + number % 100),
            };
            self.tallies.note(&answered).unwrap();
            let value = Value::Bool(number < ones);
            self.tallies.feedback(id, kind, &value).unwrap();
        }
    }

    fn compare(&self, weights: &[(&str, f64)], question: &Question) -> Comparison {
        let weights: Vec<(Arc<str>, f64)> = weights
            .iter()
            .map(|(name, weight)| (Arc::from(*name), *weight))
            .collect();
        compare(&Arc::from("r"), &self.tallies, &weights, question, now())
    }

    fn verdict(&self, weights: &[(&str, f64)], question: &Question) -> Verdict {
        self.compare(weights, question).verdict
    }
}

const HALVES: &[(&str, f64)] = &[("champion", 1.0), ("challenger", 1.0)];

#[test]
fn the_better_variant_is_named() {
    let mut trial = Trial::new();
    trial.answer("champion", 1000, "clicked", 200);
    trial.answer("challenger", 1000, "clicked", 300);
    let found = trial.compare(HALVES, &Question::default());
    assert_eq!(found.verdict.better.as_deref(), Some("challenger"));
    assert_eq!(found.verdict.text, "`challenger` is better than `champion`");
    assert_eq!((found.metric.as_deref(), found.since), (Some("clicked"), None));
    let [champion, challenger] = &found.variants[..] else {
        panic!()
    };
    assert!(champion.differences.is_empty() && champion.error_rate_difference.is_none());
    let difference = challenger.differences["clicked"];
    assert!((difference.estimate - 0.1).abs() < 1e-9 && difference.lower > 0.0 && difference.upper < 0.2);
    assert_eq!(
        (
            champion.requests,
            champion.rows,
            champion.errors,
            champion.error_rate
        ),
        (1000, 1000, 10, Some(0.01))
    );
    let latency = champion.latency_ms.unwrap();
    assert!(
        (latency.p50 / 50.0 - 1.0).abs() < 0.05 && (latency.p999 / 100.0 - 1.0).abs() < 0.01,
        "{latency:?}"
    );
    assert_eq!(champion.predictions.numbers.unwrap().p50, 0.5);
    let lower = Question {
        lower_is_better: true,
        ..Question::default()
    };
    assert_eq!(
        trial.verdict(HALVES, &lower).text,
        "`champion` is better than `challenger`"
    );
}

#[test]
fn what_may_be_chance_is_no_verdict() {
    let mut trial = Trial::new();
    trial.answer("champion", 1000, "clicked", 200);
    trial.answer("challenger", 1000, "clicked", 230);
    let verdict = trial.verdict(HALVES, &Question::default());
    assert_eq!(verdict.better, None);
    assert_eq!(
        verdict.text,
        "not yet: what is known of `clicked` fits variants that are equally good"
    );
}

#[test]
fn there_is_no_verdict_while_the_shares_do_not_fit() {
    let mut trial = Trial::new();
    trial.answer("champion", 1000, "clicked", 200);
    trial.answer("challenger", 700, "clicked", 400);
    let found = trial.compare(HALVES, &Question::default());
    assert!(
        !found.ratio.fits && found.verdict.better.is_none(),
        "{:?}",
        found.ratio
    );
    assert!(
        found
            .verdict
            .text
            .starts_with("not yet: the variants did not get their shares")
    );
    // As they were meant to be they fit; counts begin anew with weights that were not those of the comparison.
    let fitting: &[(&str, f64)] = &[("champion", 10.0), ("challenger", 7.0)];
    let found = trial.compare(fitting, &Question::default());
    assert_eq!(
        (found.ratio.draws, found.ratio.fits, found.since.is_some()),
        (0, true, true)
    );
}

#[test]
fn several_kinds_need_a_choice() {
    let mut trial = Trial::new();
    let verdict = trial.verdict(HALVES, &Question::default());
    assert_eq!(
        verdict.text,
        "not yet: no outcome has been told that is a number or a boolean"
    );
    trial.answer("champion", 500, "clicked", 100);
    trial.answer("challenger", 500, "clicked", 100);
    trial.answer("champion", 500, "bought", 10);
    trial.answer("challenger", 500, "bought", 200);
    let verdict = trial.verdict(HALVES, &Question::default());
    assert_eq!(
        verdict.text,
        "not yet: say which outcome decides: `bought`, `clicked`"
    );
    let ask = |metric: &str| {
        let question = Question {
            metric: Some(metric.into()),
            ..Question::default()
        };
        trial.verdict(HALVES, &question)
    };
    assert_eq!(ask("bought").better.as_deref(), Some("challenger"));
    assert_eq!(ask("clicked").better, None);
    assert_eq!(
        ask("kept").text,
        "not yet: 30 outcomes `kept` of each variant are needed, `champion` has 0"
    );
}

#[test]
fn several_variants_are_each_compared_with_the_first() {
    let mut trial = Trial::new();
    trial.answer("a", 1000, "y", 300);
    trial.answer("b", 1000, "y", 450);
    trial.answer("c", 1000, "y", 500);
    trial.answer("d", 1000, "y", 100);
    let shares = &[("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 1.0)];
    assert_eq!(
        trial.verdict(shares, &Question::default()).text,
        "`c` is better than `a`"
    );
    let found = trial.compare(shares, &Question::default());
    let alone =
        sequential::difference(&Moments::of_share(450, 1000), &Moments::of_share(300, 1000), 0.05).unwrap();
    assert!(
        found.variants[1].differences["y"].lower < alone.lower,
        "each of three has a third of the error"
    );
    let mut trial = Trial::new();
    trial.answer("a", 1000, "y", 500);
    trial.answer("b", 1000, "y", 300);
    trial.answer("c", 1000, "y", 100);
    let shares = &[("a", 1.0), ("b", 1.0), ("c", 1.0)];
    assert_eq!(
        trial.verdict(shares, &Question::default()).text,
        "`a` is better than `b`, `c`"
    );
    assert_eq!(
        trial.verdict(&[("a", 1.0)], &Question::default()).text,
        "not yet: the route has no two variants with a weight"
    );
}

#[test]
fn a_shadow_is_shown_and_takes_no_part() {
    let mut trial = Trial::new();
    trial.answer("champion", 1000, "clicked", 200);
    trial.answer("challenger", 1000, "clicked", 300);
    let shares = &[
        ("old", 0.0),
        ("champion", 1.0),
        ("challenger", 1.0),
        ("shadow", 0.0),
    ];
    let (with, without) = (
        trial.compare(shares, &Question::default()),
        trial.compare(HALVES, &Question::default()),
    );
    assert_eq!(with.variants.len(), 4);
    // The weights are others then: what was counted went with the first question.
    assert_eq!(
        (with.variants[1].requests, without.variants[0].requests),
        (1000, 0)
    );
    assert_eq!(with.verdict.text, "`challenger` is better than `champion`");
}

#[test]
fn labels_are_counted_and_decide_nothing() {
    let trial = Trial::new();
    let arm = Arm {
        route: "r".into(),
        variant: "champion".into(),
        model: "m".into(),
        version: "1".into(),
    };
    trial.tallies.expect(&arm, now()).unwrap();
    for random in 0..50 {
        let id = PredictionId::new(arm.tag(), now(), random);
        trial
            .tallies
            .feedback(id, "label", &Value::Str("setosa".into()))
            .unwrap();
    }
    let found = trial.compare(HALVES, &Question::default());
    let Feedback::Labels { n, labels } = &found.variants[0].feedback["label"] else {
        panic!()
    };
    assert_eq!((*n, labels[0].count, found.metric), (50, 50, None));
}

#[test]
fn the_json_has_no_holes() {
    let mut trial = Trial::new();
    trial.answer("champion", 40, "y", 20);
    let json = serde_json::to_value(trial.compare(HALVES, &Question::default())).unwrap();
    assert_eq!(json["variants"][0]["feedback"]["y"]["n"], 40);
    assert!(json["variants"][0]["latency_ms"]["p99.9"].is_f64());
    assert_eq!(json["variants"][1]["version"], serde_json::Value::Null);
    assert_eq!(json["ratio"]["fits"], true);
    assert_eq!(json["verdict"]["better"], serde_json::Value::Null);
}
