//! Tests of the tallies.

use proptest::prelude::*;

use super::super::feedback::Outcomes;
use super::super::series::{Draw, MAX_KEYS};
use super::*;
use crate::model::batch::{Batch, Body};
use crate::model::tensor::{Elements, Tensor};

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

fn arm(variant: &str, version: u32) -> Arm {
    Arm {
        route: "iris".into(),
        variant: variant.into(),
        model: "iris".into(),
        version: version.to_string().into(),
    }
}

/// Notes a prediction with the given random part, and gives its id.
fn note(tallies: &Tallies, arm: &Arm, seconds: u64, random: u64, draw: Draw) -> PredictionId {
    let id = PredictionId::new(arm.tag(), at(seconds), random);
    let answered = Answered {
        id,
        arm,
        draw,
        rows: 2,
        outcome: Ok(None),
        total: Duration::from_millis(3),
    };
    tallies.note(&answered).unwrap();
    id
}

fn weights(shares: &[(&str, f64)]) -> Vec<(Arc<str>, f64)> {
    shares
        .iter()
        .map(|(name, weight)| (Arc::from(*name), *weight))
        .collect()
}

/// What a version has come to: requests, draws, and numbers of the outcome `y`.
fn counted(tallies: &Tallies, arm: &Arm) -> (u64, u64, u64) {
    let (_, known) = tallies.of(&arm.route);
    let tally = known.iter().find(|tally| tally.arm == *arm).unwrap();
    let outcomes = match tally.counts.outcomes.get("y") {
        Some(Outcomes::Numbers(moments)) => moments.count(),
        _ => 0,
    };
    (tally.counts.requests, tally.counts.draws, outcomes)
}

#[test]
fn answers_and_failures_are_counted() {
    let tallies = Tallies::new(Bounds::default());
    let arm = arm("a", 1);
    let output = Batch::new(Body::Array(Tensor::vector(Elements::I64(vec![1, 1]))));
    let mut answered = Answered {
        id: PredictionId::new(arm.tag(), at(0), 0),
        arm: &arm,
        draw: Draw::Lot,
        rows: 2,
        outcome: Ok(Some(&output)),
        total: Duration::from_millis(8),
    };
    tallies.note(&answered).unwrap();
    answered.outcome = Err("deadline");
    answered.total = Duration::from_secs(60);
    tallies.note(&answered).unwrap();
    let (since, known) = tallies.of("iris");
    let [tally] = &known[..] else {
        panic!("{}", known.len())
    };
    let counts = &tally.counts;
    assert_eq!(
        (since, counts.requests, counts.rows, counts.failed()),
        (None, 2, 4, 1)
    );
    assert_eq!(counts.errors.get("deadline"), Some(&1));
    assert_eq!(counts.latency.count(), 1, "a failure has no latency");
    assert!((counts.latency.quantile(1.0).unwrap() / 8.0 - 1.0).abs() < 0.01);
    assert_eq!(counts.spread.predictions().labels[0].count, 2);
    assert!(tallies.of("other").1.is_empty());
}

#[test]
fn an_outcome_finds_its_variant_by_the_id_alone() {
    let tallies = Tallies::new(Bounds::default());
    let (a, b) = (arm("a", 1), arm("b", 2));
    // Nothing was answered here: it was before a restart, or elsewhere.
    tallies.expect(&a, at(0)).unwrap();
    tallies.expect(&b, at(0)).unwrap();
    let id = PredictionId::new(b.tag(), at(0) - Duration::from_secs(86_400), 7);
    let joined = tallies.feedback(id, "y", &Value::Bool(true)).unwrap();
    assert_eq!((joined.arm, joined.counted), (b.clone(), true));
    assert_eq!((counted(&tallies, &a).2, counted(&tallies, &b).2), (0, 1));
    let foreign = PredictionId::new(arm("b", 3).tag(), at(0), 7);
    let refused = tallies.feedback(foreign, "y", &Value::Bool(true));
    assert_eq!(refused, Err(FeedbackError::Unknown(foreign)));
}

#[test]
fn an_outcome_counts_once() {
    let tallies = Tallies::new(Bounds {
        outcomes: 3,
        ..Bounds::default()
    });
    let arm = arm("a", 1);
    let id = note(&tallies, &arm, 0, 1, Draw::Lot);
    let tell = |id, kind: &str, value: Value| tallies.feedback(id, kind, &value);
    // What is refused may be told again in the right form.
    assert_eq!(tell(id, "y", Value::Null), Err(FeedbackError::Value("NoneType")));
    assert_eq!(tell(id, "", Value::Int(1)), Err(FeedbackError::Name));
    tell(id, "y", Value::Int(1)).unwrap();
    let refused = tell(id, "y", Value::Int(1)).unwrap_err();
    assert!(matches!(refused, FeedbackError::Duplicate { .. }), "{refused}");
    tell(id, "z", Value::Int(1)).unwrap();
    assert!(matches!(
        tell(id, "z", Value::Str("a".into())),
        Err(FeedbackError::Duplicate { .. })
    ));
    assert_eq!(counted(&tallies, &arm).2, 1);
    for random in 2..5 {
        tell(note(&tallies, &arm, 0, random, Draw::Lot), "y", Value::Int(1)).unwrap();
    }
    assert!(
        tell(id, "y", Value::Int(1)).is_ok(),
        "three later ones are remembered, and no more"
    );
}

#[test]
fn changed_weights_begin_a_new_comparison() {
    let tallies = Tallies::new(Bounds::default());
    let (a, b) = (arm("a", 1), arm("b", 2));
    let route = Arc::clone(&a.route);
    assert!(!tallies.weigh(&route, &weights(&[("a", 9.0), ("b", 1.0)]), at(0)));
    let old = note(&tallies, &a, 1, 1, Draw::Lot);
    note(&tallies, &b, 1, 2, Draw::Lot);
    assert!(!tallies.weigh(&route, &weights(&[("a", 9.0), ("b", 1.0)]), at(2)));
    assert_eq!(counted(&tallies, &a), (1, 1, 0));
    assert!(tallies.weigh(&route, &weights(&[("a", 1.0), ("b", 1.0)]), at(5)));
    assert_eq!(
        (counted(&tallies, &a), counted(&tallies, &b)),
        ((0, 0, 0), (0, 0, 0))
    );
    let joined = tallies.feedback(old, "y", &Value::Int(1)).unwrap();
    assert!(!joined.counted, "its prediction is older than the comparison");
    // A request that was begun before, and ended after.
    note(&tallies, &a, 4, 3, Draw::Lot);
    assert_eq!(counted(&tallies, &a), (0, 0, 0));
    note(&tallies, &a, 5, 4, Draw::Lot);
    assert_eq!(counted(&tallies, &a), (1, 1, 0));
    assert_eq!(tallies.of("iris").0, Some(at(5)));
}

#[test]
fn a_new_version_begins_a_new_comparison() {
    let tallies = Tallies::new(Bounds::default());
    let (a, one, two) = (arm("a", 1), arm("b", 1), arm("b", 2));
    let route = Arc::clone(&a.route);
    tallies.weigh(&route, &weights(&[("a", 1.0), ("b", 1.0)]), at(0));
    note(&tallies, &a, 1, 1, Draw::Lot);
    let old = note(&tallies, &one, 1, 2, Draw::Lot);
    note(&tallies, &two, 5, 3, Draw::Lot);
    assert_eq!((counted(&tallies, &a).0, counted(&tallies, &two).0), (0, 1));
    // The last requests of the old version, and outcomes of it, are its own.
    note(&tallies, &one, 5, 4, Draw::Lot);
    assert!(tallies.feedback(old, "y", &Value::Int(1)).unwrap().counted);
    assert_eq!(counted(&tallies, &one), (2, 2, 1));
    assert_eq!(
        (counted(&tallies, &two).0, tallies.of("iris").0),
        (1, Some(at(5)))
    );
    // It is back: a rollback.
    note(&tallies, &one, 9, 5, Draw::Lot);
    assert_eq!(
        (counted(&tallies, &one), tallies.of("iris").0),
        ((1, 1, 0), Some(at(9)))
    );
    let current: Vec<bool> = [&one, &two]
        .map(|arm| {
            tallies
                .of("iris")
                .1
                .iter()
                .any(|tally| tally.arm == *arm && tally.current)
        })
        .to_vec();
    assert_eq!(current, [true, false]);
}

#[test]
fn a_shadow_takes_no_part_in_the_comparison() {
    let tallies = Tallies::new(Bounds::default());
    let (a, one, two) = (arm("a", 1), arm("shadow", 1), arm("shadow", 2));
    tallies.weigh(&a.route, &weights(&[("a", 1.0), ("shadow", 0.0)]), at(0));
    note(&tallies, &a, 1, 1, Draw::Lot);
    note(&tallies, &one, 1, 1, Draw::None);
    note(&tallies, &two, 2, 1, Draw::None);
    assert_eq!(
        (counted(&tallies, &a), counted(&tallies, &two)),
        ((1, 1, 0), (1, 0, 0))
    );
    assert_eq!(tallies.of("iris").0, None);
}

#[test]
fn requests_of_one_key_are_one_draw() {
    let tallies = Tallies::new(Bounds::default());
    let arm = arm("a", 1);
    for (random, key) in [7, 7, 8, 7].into_iter().enumerate() {
        note(&tallies, &arm, 0, random as u64, Draw::Key(key));
    }
    assert_eq!(counted(&tallies, &arm), (4, 2, 0));
    for key in 0..MAX_KEYS as u64 + 10 {
        note(&tallies, &arm, 0, key, Draw::Key(key));
    }
    assert_eq!(counted(&tallies, &arm).1, MAX_KEYS as u64);
}

#[test]
fn a_tag_has_one_holder() {
    let tallies = Tallies::new(Bounds::default());
    let (holder, other) = (arm("a", 1), arm("b", 1));
    let id = note(&tallies, &holder, 0, 0, Draw::Lot);
    let answered = Answered {
        id,
        arm: &other,
        draw: Draw::Lot,
        rows: 1,
        outcome: Ok(None),
        total: Duration::ZERO,
    };
    let refused = tallies.note(&answered).unwrap_err();
    assert_eq!((&*refused.variant, &*refused.holder_variant), ("b", "a"));
    assert_eq!((counted(&tallies, &holder).0, tallies.of("iris").1.len()), (1, 1));
}

#[test]
fn threads_lose_no_count() {
    let tallies = Tallies::new(Bounds::default());
    let arms = [arm("a", 1), arm("b", 2)];
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (tallies, arms) = (&tallies, &arms);
            scope.spawn(move || {
                for number in 0..500 {
                    let arm = &arms[(number % 2) as usize];
                    let id = note(tallies, arm, 0, thread << 32 | number, Draw::Lot);
                    tallies.feedback(id, "y", &Value::Float(1.0)).unwrap();
                }
            });
        }
    });
    assert_eq!(arms.map(|arm| counted(&tallies, &arm)), [(1000, 1000, 1000); 2]);
}

proptest! {
    #[test]
    fn bounds_are_kept(
        steps in proptest::collection::vec((0u8..4, 0u32..6, 0u32..4, 0u32..4, 0u64..100), 0..200),
        versions in 1usize..6,
    ) {
        let tallies = Tallies::new(Bounds { versions, outcomes: 10 });
        for (step, route, variant, version, seconds) in steps {
            let arm = Arm {
                route: format!("r{route}").into(),
                ..arm(&format!("v{variant}"), version)
            };
            match step {
                0 => {
                    note(&tallies, &arm, seconds, 0, Draw::Lot);
                    prop_assert!(tallies.of(&arm.route).1.iter().any(|tally| tally.arm == arm));
                }
                1 => tallies.expect(&arm, at(seconds)).unwrap(),
                2 => {
                    tallies.weigh(&arm.route, &weights(&[("v0", f64::from(version)), ("v1", 1.0)]), at(seconds));
                }
                _ => {
                    let id = PredictionId::new(arm.tag(), at(seconds), 0);
                    let _ = tallies.feedback(id, "y", &Value::Int(1));
                }
            }
            let known = tallies.read();
            prop_assert!(known.series.len() <= versions && known.routes.len() <= versions);
            for series in known.series.values() {
                prop_assert!(known.routes.contains_key(&series.arm.route));
                // A variant is one version at a time.
                let twins = known.series.values().filter(|other| other.arm.route == series.arm.route
                    && other.arm.variant == series.arm.variant
                    && other.current.load(Ordering::Relaxed));
                prop_assert!(twins.count() <= 1);
            }
        }
    }
}
