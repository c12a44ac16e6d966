//! What MLflow would refuse is not sent.

use proptest::prelude::*;

use super::*;

#[test]
fn names_are_made_so_that_mlflow_takes_them() {
    for (name, expected) in [
        ("sepal length (cm)", "sepal length _cm_"),
        ("a/b:c", "a_b_c"),
        ("größe", "größe"),
        ("価格", "価格"),
        ("कीमत", "____"),
        ("", "_"),
        (".", "_"),
        ("..", "__"),
        ("../x", "___x"),
        (".hidden", ".hidden"),
        ("a\u{345}", "a_"),
    ] {
        assert_eq!(Keys::default().key(name), expected, "{name}");
    }
}

#[test]
fn names_are_given_once() {
    let mut keys = Keys::default();
    let long = "x".repeat(300);
    for (name, expected) in [
        ("a%", "a_".to_owned()),
        ("A/", "A__2".to_owned()),
        ("a_", "a__3".to_owned()),
        (&long, "x".repeat(250)),
        (&long, "x".repeat(248) + "_2"),
    ] {
        assert_eq!(keys.key(name), expected, "{name}");
    }
}

#[test]
fn long_values_are_cut() {
    let text = "é".repeat(7000);
    assert_eq!(Text::param("a".into(), &text).value.chars().count(), MAX_PARAM);
    assert_eq!(Text::tag("a", &text).value.chars().count(), MAX_TAG);
    assert_eq!(Text::tag("a", "é").value, "é");
}

#[test]
fn values_have_no_nul() {
    assert_eq!(Text::param("a".into(), "a\0b").value, "a\u{fffd}b");
    let long = Text::tag("a", &"\0".repeat(7000)).value;
    assert!(long.chars().count() == MAX_TAG && !long.contains('\0'));
}

#[test]
fn numbers_that_json_lacks_are_words() {
    let written = |value: f64| {
        let metric = Metric {
            key: "m".into(),
            value,
            timestamp: 1,
            step: 0,
        };
        serde_json::to_value(metric).unwrap()["value"].clone()
    };
    assert_eq!(written(0.5), 0.5);
    assert_eq!(written(f64::NAN), "NaN");
    assert_eq!(written(f64::INFINITY), "Infinity");
    assert_eq!(written(f64::NEG_INFINITY), "-Infinity");
}

proptest! {
    #[test]
    fn any_name_becomes_one(names in proptest::collection::vec(".{0,8}", 0..20)) {
        let mut keys = Keys::default();
        let mut seen = HashSet::new();
        for name in &names {
            let key = keys.key(name);
            prop_assert!(!key.is_empty() && key.chars().count() <= MAX_KEY);
            prop_assert!(!key.starts_with("..") && key != "." && !key.contains(['/', ':']));
            prop_assert!(seen.insert(key.to_lowercase()));
        }
    }
}
