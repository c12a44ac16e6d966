//! What is refused before a server is asked: what no server has, or what makes some fail.

use std::collections::BTreeMap;

use super::TrackingError;

/// Characters of a client's text that a message repeats.
const SHOWN: usize = 80;
/// Longest name of an experiment, run, model, tag, parameter or metric, in characters, as MLflow has it.
const NAME: usize = 250;
/// Longest value of a tag, in characters.
const TAG: usize = 5_000;
/// Longest value of a parameter, in characters.
const PARAM: usize = 6_000;
/// Longest path, page token or description, in characters.
const TEXT: usize = 10_000;
/// Tags, parameters and metrics of one request, as MLflow has it.
const PAIRS: usize = 100;
const METRICS: usize = 1_000;

pub(super) fn invalid(what: &str, text: &str, help: &str) -> TrackingError {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let shown: String = text.chars().take(SHOWN).map(clean).collect();
    TrackingError::Invalid(format!("{what} is `{shown}`: {help}."))
}

/// The id of an experiment: digits.
pub(super) fn experiment_id(id: &str) -> Result<(), TrackingError> {
    let fits = (1..=18).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    match fits {
        true => Ok(()),
        false => Err(invalid("The experiment's id", id, "use digits, at most 18")),
    }
}

/// The id of a run.
pub(super) fn run_id(id: &str) -> Result<(), TrackingError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match (1..=256).contains(&id.len()) && id.bytes().all(fits) && !id.starts_with('-') {
        true => Ok(()),
        false => Err(invalid("The run's id", id, "use letters, digits, `_` and `-`")),
    }
}

/// A name that people give.
pub(super) fn name(what: &str, name: &str) -> Result<(), TrackingError> {
    if name.trim().is_empty() {
        return Err(invalid(what, name, "it must not be empty"));
    }
    text(what, name, NAME)
}

/// The name of a registered model.
pub(super) fn model_name(name: &str) -> Result<(), TrackingError> {
    self::name("The model's name", name)?;
    // A filter of MLflow quotes it by one of the two.
    let quotes = name.contains('\'') && name.contains('"');
    match name.contains(['/', ':']) || quotes || name.trim() != name {
        true => Err(invalid(
            "The model's name",
            name,
            "MLflow's names have no `/`, no `:`, not both kinds of quotes, and no space at an end",
        )),
        false => Ok(()),
    }
}

/// A path of artifacts: names with single slashes between them.
pub(super) fn path(path: &str) -> Result<(), TrackingError> {
    text("The path", path, NAME * 4)?;
    let bad = |part: &str| part.is_empty() || part == "." || part == "..";
    let outside = path.contains(['\\', '%', '#', '?', ':']) || path.split('/').any(bad);
    match outside {
        true => Err(invalid(
            "The path",
            path,
            "use names with single slashes between them, without `..`, `\\`, `:`, `%`, `#` and `?`",
        )),
        false => Ok(()),
    }
}

/// A page token: what servers make is base64, and MLflow fails on what is not ASCII.
pub(super) fn token(token: Option<&str>) -> Result<(), TrackingError> {
    let token = token.unwrap_or_default();
    match token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => long("The page token", token),
        false => Err(invalid("The page token", token, "use the one of the page before")),
    }
}

/// A description, a source.
pub(super) fn long(what: &str, value: &str) -> Result<(), TrackingError> {
    text(what, value, TEXT)
}

fn text(what: &str, value: &str, longest: usize) -> Result<(), TrackingError> {
    if value.chars().count() > longest {
        return Err(invalid(
            what,
            value,
            &format!("it is longer than {longest} characters"),
        ));
    }
    match value.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
        true => Err(invalid(what, value, "it has control characters")),
        false => Ok(()),
    }
}

/// The name of a tag, a parameter or a metric, by MLflow's rule.
fn key(what: &str, key: &str) -> Result<(), TrackingError> {
    name(what, key)?;
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | ':' | '/');
    let unlike = |part: &str| matches!(part, "" | "." | "..");
    match key.chars().all(fits) && !key.split('/').any(unlike) {
        true => Ok(()),
        false => Err(invalid(
            what,
            key,
            "use letters, digits, `_`, `-`, `.`, ` `, `:`, and single `/` between names",
        )),
    }
}

/// Tags.
pub(super) fn tags(tags: &BTreeMap<String, String>) -> Result<(), TrackingError> {
    pairs("tags", tags.len(), PAIRS)?;
    tags.iter().try_for_each(|(tag, value)| {
        key("The name of a tag", tag)?;
        text("The value of a tag", value, TAG)
    })
}

/// Parameters.
pub(super) fn params(params: &BTreeMap<String, String>) -> Result<(), TrackingError> {
    pairs("parameters", params.len(), PAIRS)?;
    params.iter().try_for_each(|(param, value)| {
        key("The name of a parameter", param)?;
        text("The value of a parameter", value, PARAM)
    })
}

/// Metrics.
pub(super) fn metrics<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> Result<(), TrackingError> {
    pairs("metrics", names.len(), METRICS)?;
    let mut names = names;
    names.try_for_each(|name| key("The name of a metric", name))
}

fn pairs(what: &str, count: usize, most: usize) -> Result<(), TrackingError> {
    match count > most {
        true => Err(TrackingError::Invalid(format!(
            "There are {count} {what}: send at most {most} in one request."
        ))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_server_has_is_refused() {
        assert!(experiment_id("0").is_ok() && run_id("0a_B-1").is_ok() && model_name("käse 1.0").is_ok());
        for id in ["", "a", "-1", "1234567890123456789", "1\n"] {
            assert!(experiment_id(id).is_err(), "{id}");
        }
        for id in ["", "a/b", "../x", "-a", "é", "a b"] {
            assert!(run_id(id).is_err(), "{id}");
        }
        for name in ["", " ", "a/b", "a:b", "'\"", "a\0", " a"] {
            assert!(model_name(name).is_err(), "{name}");
        }
        assert!(path("model/MLmodel").is_ok());
        for bad in [
            "", "/a", "a//b", "a/../b", "..", "a\\b", "%2e%2e/x", "a/", "file:x", "a\u{1}",
        ] {
            assert!(path(bad).is_err(), "{bad}");
        }
        let one = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert!(tags(&one("mlflow.runName", "x")).is_ok() && params(&one("a/b c", "")).is_ok());
        for key in ["", "a//b", "/a", "a?", "..", "a/./b"] {
            assert!(tags(&one(key, "x")).is_err(), "{key}");
        }
        assert!(params(&one("a", &"x".repeat(PARAM + 1))).is_err());
        let many: BTreeMap<_, _> = (0..=PAIRS).map(|n| (n.to_string(), String::new())).collect();
        assert!(params(&many).is_err());
    }
}
