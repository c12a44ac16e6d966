//! How far two answers differ.

use serde_json::Value as Json;

/// What stands for Python's bare `NaN` and infinities, which are no JSON: texts that no model answers with.
const BARE: [(&str, &str); 3] = [
    ("-Infinity", "\"\\u0000-inf\""),
    ("Infinity", "\"\\u0000inf\""),
    ("NaN", "\"\\u0000nan\""),
];

/// Reads JSON as Python writes it, with bare `NaN` and infinities.
pub(super) fn parse(text: &str) -> Option<Json> {
    if let Ok(json) = serde_json::from_str(text) {
        return Some(json);
    }
    let mut quoted = String::with_capacity(text.len() + 64);
    let mut rest = text;
    let mut within = false;
    while let Some(character) = rest.chars().next() {
        let bare = BARE.iter().find(|(token, _)| !within && rest.starts_with(token));
        if let Some((token, stand_in)) = bare {
            quoted.push_str(stand_in);
            rest = rest.get(token.len()..)?;
            continue;
        }
        let mut taken = character.len_utf8();
        match character {
            '"' => within = !within,
            '\\' if within => taken += rest.get(taken..)?.chars().next()?.len_utf8(),
            _ => {}
        }
        quoted.push_str(rest.get(..taken)?);
        rest = rest.get(taken..)?;
    }
    serde_json::from_str(&quoted).ok()
}

/// The largest difference of two numbers at the same place, relative to the larger of 1 and the second; infinite where
/// anything else differs, be it `1` and `1.0` or the order of keys.
pub(super) fn difference(got: &Json, wanted: &Json) -> f64 {
    match (got, wanted) {
        (Json::Number(x), Json::Number(y)) if x.is_f64() == y.is_f64() => {
            if x == y {
                return 0.0;
            }
            match (x.as_f64(), y.as_f64()) {
                (Some(x), Some(y)) if x == y => 0.0,
                (Some(x), Some(y)) => (x - y).abs() / y.abs().max(1.0),
                _ => f64::INFINITY,
            }
        }
        (Json::Array(x), Json::Array(y)) if x.len() == y.len() => {
            largest(x.iter().zip(y).map(|(x, y)| difference(x, y)))
        }
        (Json::Object(x), Json::Object(y)) => match x.keys().eq(y.keys()) {
            true => largest(x.values().zip(y.values()).map(|(x, y)| difference(x, y))),
            // Equality of maps does not ask for the order.
            false => f64::INFINITY,
        },
        _ if got == wanted => 0.0,
        _ => f64::INFINITY,
    }
}

fn largest(differences: impl Iterator<Item = f64>) -> f64 {
    differences.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(got: &str, wanted: &str) -> f64 {
        difference(&parse(got).unwrap(), &parse(wanted).unwrap())
    }

    #[test]
    fn numbers_differ_by_what_they_differ() {
        assert_eq!(apart("[1.0, {\"a\": 0.5}]", "[1.0, {\"a\": 0.25}]"), 0.25);
        assert_eq!(apart("[300.0]", "[200.0]"), 0.5);
        assert_eq!(apart("[NaN, -Infinity]", "[NaN, -Infinity]"), 0.0);
        assert_eq!(apart("0.0", "-0.0"), 0.0);
    }

    #[test]
    fn anything_else_is_another_answer() {
        for (got, wanted) in [
            ("1", "1.0"),
            ("[1]", "[1, 2]"),
            ("\"a\"", "\"b\""),
            ("{\"a\": 1, \"b\": 2}", "{\"b\": 2, \"a\": 1}"),
            ("NaN", "1.0"),
            ("\"NaN\"", "NaN"),
            ("null", "0"),
        ] {
            assert_eq!(apart(got, wanted), f64::INFINITY, "{got} {wanted}");
        }
        assert_eq!(parse("[1, "), None);
        assert_eq!(parse("\"\\"), None);
    }
}
