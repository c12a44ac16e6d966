//! Choosing variants.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn route(weights: &[u32]) -> Route {
    let variant = |(at, &weight): (usize, &u32)| Variant {
        name: format!("v{at}").into(),
        slot: format!("iris.v{at}").into(),
        stage: Some(if at == 0 {
            "Production".into()
        } else {
            "Staging".into()
        }),
        weight,
    };
    let variants = weights.iter().enumerate().map(variant).collect();
    let allowed = Allowed {
        version: true,
        stage: true,
    };
    Route::new("iris".into(), VARIANT_HEADER, allowed, variants).unwrap()
}

/// Variant N serves version N + 1.
fn all(variant: &Variant) -> Now {
    let at: u32 = variant.name[1..].parse().unwrap();
    Now {
        version: Some((at + 1).to_string().into()),
    }
}

fn chosen<'a>(route: &'a Route, asked: &Asked<'_>, dice: u64) -> &'a str {
    &route.choose(asked, dice, all).unwrap().variant.name
}

fn keyed(key: &str) -> Asked<'_> {
    Asked {
        key: Some(key.as_bytes()),
        ..Asked::default()
    }
}

/// The statistic of Pearson's test.
fn chi_square(counts: &BTreeMap<String, u64>, weights: &[u32]) -> f64 {
    let (all, sum) = (
        counts.values().sum::<u64>() as f64,
        weights.iter().sum::<u32>() as f64,
    );
    let part = |(at, weight): (usize, &u32)| {
        let expected = all * f64::from(*weight) / sum;
        let got = counts.get(&format!("v{at}")).copied().unwrap_or(0) as f64;
        (got - expected).powi(2) / expected
    };
    weights.iter().enumerate().map(part).sum()
}

/// Beyond this a sample of three classes is one of a hundred thousand: the quantile of 2 degrees of freedom.
const RARE: f64 = 23.03;

#[test]
fn keys_and_chance_keep_the_weights() {
    let weights = [70, 20, 10];
    let route = route(&weights);
    let (mut by_key, mut by_chance) = (BTreeMap::new(), BTreeMap::new());
    for number in 0..100_000u64 {
        *by_key
            .entry(chosen(&route, &keyed(&format!("user-{number}")), 0).to_owned())
            .or_default() += 1;
        let dice = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        *by_chance
            .entry(chosen(&route, &Asked::default(), dice).to_owned())
            .or_default() += 1;
    }
    assert!(chi_square(&by_key, &weights) < RARE, "{by_key:?}");
    assert!(chi_square(&by_chance, &weights) < RARE, "{by_chance:?}");
}

#[test]
fn what_is_asked_for_is_obeyed_in_order() {
    let route = route(&[100, 0, 0]);
    let ask = |variant, version, stage| Asked {
        variant,
        version,
        stage,
        key: Some(b"k"),
    };
    assert_eq!(
        chosen(&route, &ask(Some("v2"), Some("1"), Some("Production")), 0),
        "v2"
    );
    assert_eq!(chosen(&route, &ask(None, Some("2"), Some("Production")), 0), "v1");
    assert_eq!(chosen(&route, &ask(None, None, Some("staging")), 0), "v1");
    assert_eq!(chosen(&route, &ask(None, None, None), u64::MAX), "v0");
}

#[test]
fn what_is_not_there_is_refused_with_what_is() {
    let mut route = route(&[1, 1]);
    let refused = |route: &Route, asked: Asked<'_>| route.choose(&asked, 0, all).unwrap_err().to_string();
    let variant = Asked {
        variant: Some("V0"),
        ..Asked::default()
    };
    assert_eq!(
        refused(&route, variant),
        "Model `iris` has no variant `V0`. It has `v0`, `v1`."
    );
    let version = Asked {
        version: Some("9"),
        ..Asked::default()
    };
    assert_eq!(
        refused(&route, version),
        "No variant of model `iris` serves version `9` now. It has `v0` (1), `v1` (2)."
    );
    let stage = Asked {
        stage: Some("Archived"),
        ..Asked::default()
    };
    assert_eq!(
        refused(&route, stage),
        "No variant of model `iris` follows `Archived`. It has `v0` (Production), `v1` (Staging)."
    );
    route.allowed = Allowed::default();
    assert!(refused(&route, version).contains("does not choose by `x-model-version`"));
    assert!(refused(&route, stage).contains("does not choose by `x-model-stage`"));
}

#[test]
fn who_cannot_answer_is_chosen_only_when_nobody_can_or_when_asked_for() {
    let route = route(&[90, 10]);
    let only_v1 = |variant: &Variant| Now {
        version: (&*variant.name == "v1").then(|| "2".into()),
    };
    for dice in [0, u64::MAX / 2, u64::MAX] {
        assert_eq!(
            &*route
                .choose(&Asked::default(), dice, only_v1)
                .unwrap()
                .variant
                .name,
            "v1"
        );
        assert_eq!(
            &*route.choose(&keyed("k"), dice, only_v1).unwrap().variant.name,
            "v1"
        );
    }
    let asked = Asked {
        variant: Some("v0"),
        ..Asked::default()
    };
    assert_eq!(&*route.choose(&asked, 0, only_v1).unwrap().variant.name, "v0");
    assert_eq!(
        &*route
            .choose(&Asked::default(), 0, |_| Now::default())
            .unwrap()
            .variant
            .name,
        "v0"
    );
}

#[test]
fn weights_are_changed_by_name() {
    let route = route(&[90, 10]);
    let weights = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| text.parse().unwrap())
            .collect::<Vec<Weight>>()
    };
    let changed = route.reweighted(&weights(&["v1=30"])).unwrap();
    assert_eq!(changed.weights(), weights(&["v0=90", "v1=30"]));
    let problem = |texts: &[&str]| route.reweighted(&weights(texts)).unwrap_err().to_string();
    assert_eq!(
        problem(&["v2=1"]),
        "there is no variant `v2`; there are `v0`, `v1`"
    );
    assert_eq!(
        problem(&["v1=1", "v1=2"]),
        "variant `v1` has two weights; give it one"
    );
    assert!(problem(&["v0=0", "v1=0"]).starts_with("all weights would be 0"));
}

proptest! {
    /// A key goes where it went, or to the variant whose weight rose, or away from the one whose weight fell.
    #[test]
    fn new_weights_move_as_few_keys_as_possible(
        weights in proptest::collection::vec(1u32..100, 2..6),
        which in 0usize..6,
        weight in 0u32..200,
        keys in proptest::collection::vec("[a-z]{1,12}", 1..200),
    ) {
        let which = which % weights.len();
        let before = route(&weights);
        let name = format!("v{which}");
        let after = before.reweighted(&[Weight { variant: name.clone(), weight }]).unwrap();
        for key in &keys {
            let (old, new) = (chosen(&before, &keyed(key), 0), chosen(&after, &keyed(key), 0));
            let moved_well = match weight.cmp(&weights[which]) {
                std::cmp::Ordering::Greater => new == name,
                std::cmp::Ordering::Less => old == name,
                std::cmp::Ordering::Equal => false,
            };
            prop_assert!(old == new || moved_well, "{} moved from {} to {}", key, old, new);
        }
    }

    /// A route chooses only those with weight, whatever the dice.
    #[test]
    fn chance_never_chooses_a_variant_without_weight(
        weights in proptest::collection::vec(0u32..3, 1..6).prop_filter("some", |weights| weights.iter().any(|&w| w > 0)),
        dice: u64,
        key in "[a-z]{0,5}",
    ) {
        let route = route(&weights);
        for asked in [Asked::default(), keyed(&key)] {
            prop_assert!(route.choose(&asked, dice, all).unwrap().variant.weight > 0);
        }
    }
}

#[test]
fn routes_that_nobody_could_use_are_refused() {
    let with = |weights: &[u32]| {
        let good = route(&[1]);
        let variant = |&weight| Variant {
            weight,
            ..good.variants[0].clone()
        };
        let variants = weights.iter().map(variant).collect();
        Route::new("r".into(), VARIANT_HEADER, Allowed::default(), variants).unwrap_err()
    };
    assert_eq!(with(&[]), NoRoute::Empty);
    assert_eq!(with(&[0]), NoRoute::Weightless);
    assert_eq!(with(&[1, 1]), NoRoute::Twice);
    assert_eq!(with(&[1; 33]), NoRoute::TooMany(33));
}
