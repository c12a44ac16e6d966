//! `registry.yaml`: what a registry knows of one model.
//!
//! Read from whatever YAML people write, unknown keys kept; written in one form, so that a change is one line of a
//! diff.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

use crate::model::stage::Stage;
use crate::model::yaml;
use crate::registry::{ModelEntry, VersionEntry};

/// A `registry.yaml` may be this long.
pub(super) const MAX_BYTES: usize = 4 << 20;

/// Reads the text of the file of the model `name`, or says what is wrong. The name of the folder is the model's,
/// whatever the file says, so that a copied folder is a model of its own.
pub(super) fn parse(name: &str, text: &str) -> Result<ModelEntry, String> {
    // A file of comments only is an empty one.
    let mut root = match yaml::parse::<Json>(text)? {
        Json::Null => Map::new(),
        Json::Object(root) => root,
        _ => return Err("expected a mapping at the top".into()),
    };
    root.shift_remove("name");
    let mut entry = ModelEntry {
        name: name.to_owned(),
        description: take_text(&mut root, "description")?,
        created_ms: take_integer(&mut root, "creation_timestamp")?,
        updated_ms: take_integer(&mut root, "last_updated_timestamp")?,
        tags: take_texts(&mut root, "tags")?,
        ..ModelEntry::default()
    };
    for (alias, version) in take_texts(&mut root, "aliases")? {
        let version =
            version_number(&version).ok_or_else(|| format!("alias `{alias}` points to `{version}`"))?;
        entry.aliases.push((alias, version));
    }
    entry.versions = take_map(&mut root, "versions")?
        .into_iter()
        .map(|(key, value)| {
            let number = version_number(&key).ok_or_else(|| format!("`{key}` is no version number"))?;
            Ok((
                number,
                version(value).map_err(|problem| format!("version {number}: {problem}"))?,
            ))
        })
        .collect::<Result<BTreeMap<_, _>, String>>()?;
    entry.extra = root.into_iter().collect();
    Ok(entry)
}

fn version(value: Json) -> Result<VersionEntry, String> {
    let mut map = match value {
        Json::Null => Map::new(),
        Json::Object(map) => map,
        _ => return Err("expected a mapping".into()),
    };
    let stage = take_text(&mut map, "current_stage")?;
    Ok(VersionEntry {
        stage: if stage.is_empty() {
            Stage::None
        } else {
            stage.parse::<Stage>().map_err(|error| error.to_string())?
        },
        description: take_text(&mut map, "description")?,
        created_ms: take_integer(&mut map, "creation_timestamp")?,
        updated_ms: take_integer(&mut map, "last_updated_timestamp")?,
        tags: take_texts(&mut map, "tags")?,
        extra: map.into_iter().collect(),
    })
}

/// A version number in its only spelling: `1`, not `01` or `+1`.
pub(super) fn version_number(text: &str) -> Option<u64> {
    text.parse()
        .ok()
        .filter(|number: &u64| number.to_string() == text)
}

fn take_map(map: &mut Map<String, Json>, key: &str) -> Result<Map<String, Json>, String> {
    match map.shift_remove(key) {
        None | Some(Json::Null) => Ok(Map::new()),
        Some(Json::Object(found)) => Ok(found),
        Some(_) => Err(format!("`{key}` is no mapping")),
    }
}

fn take_texts(map: &mut Map<String, Json>, key: &str) -> Result<Vec<(String, String)>, String> {
    let found = take_map(map, key)?;
    let pair = |(name, value): (String, Json)| {
        let value = text(value).ok_or_else(|| format!("`{name}` in `{key}` is no text"))?;
        Ok((name, value))
    };
    found.into_iter().map(pair).collect()
}

fn take_text(map: &mut Map<String, Json>, key: &str) -> Result<String, String> {
    map.shift_remove(key).map_or(Ok(String::new()), |value| {
        text(value).ok_or_else(|| format!("`{key}` is no text"))
    })
}

fn take_integer(map: &mut Map<String, Json>, key: &str) -> Result<Option<i64>, String> {
    match map.shift_remove(key) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => value
            .as_i64()
            .map(Some)
            .ok_or_else(|| format!("`{key}` is no whole number")),
    }
}

/// Text of a scalar: people write `stage: 1` and `tag: true` without quotes.
fn text(value: Json) -> Option<String> {
    match value {
        Json::Null => Some(String::new()),
        Json::String(text) => Some(text),
        Json::Bool(value) => Some(value.to_string()),
        Json::Number(number) => Some(number.to_string()),
        Json::Array(_) | Json::Object(_) => None,
    }
}

/// Writes an entry; [`parse`] reads the same from it.
pub(super) fn write(entry: &ModelEntry) -> String {
    let mut out = Output(String::new());
    out.line("", "name", &quoted(&entry.name));
    out.common(
        "",
        &entry.description,
        entry.created_ms,
        entry.updated_ms,
        &entry.tags,
    );
    let aliases = entry
        .aliases
        .iter()
        .map(|(alias, version)| (alias.clone(), version.to_string()));
    out.line("", "aliases", &flow_texts(&aliases.collect::<Vec<_>>()));
    out.extra("", &entry.extra);
    if entry.versions.is_empty() {
        out.line("", "versions", "{}");
        return out.0;
    }
    out.0.push_str("versions:\n");
    for (number, version) in &entry.versions {
        let _ = writeln!(out.0, "  \"{number}\":");
        out.line("    ", "current_stage", &quoted(version.stage.name()));
        out.common(
            "    ",
            &version.description,
            version.created_ms,
            version.updated_ms,
            &version.tags,
        );
        out.extra("    ", &version.extra);
    }
    out.0
}

struct Output(String);

impl Output {
    fn line(&mut self, indent: &str, key: &str, value: &str) {
        let _ = writeln!(self.0, "{indent}{key}: {value}");
    }

    fn common(
        &mut self,
        indent: &str,
        description: &str,
        created_ms: Option<i64>,
        updated_ms: Option<i64>,
        tags: &[(String, String)],
    ) {
        self.line(indent, "description", &quoted(description));
        for (key, value) in [
            ("creation_timestamp", created_ms),
            ("last_updated_timestamp", updated_ms),
        ] {
            if let Some(value) = value {
                self.line(indent, key, &value.to_string());
            }
        }
        self.line(indent, "tags", &flow_texts(tags));
    }

    fn extra(&mut self, indent: &str, extra: &[(String, Json)]) {
        for (key, value) in extra {
            self.line(indent, &quoted(key), &flow(value));
        }
    }
}

fn flow_texts(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{}: {}", quoted(key), quoted(value)))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

fn flow(value: &Json) -> String {
    match value {
        Json::String(text) => quoted(text),
        Json::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            let pairs: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", quoted(key), flow(value)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        scalar => scalar.to_string(),
    }
}

/// Text in double quotes, every character that YAML does not print as an escape.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"name: "iris"
description: "Species"
creation_timestamp: 1767225600000
last_updated_timestamp: 1767225600000
tags: {"task": "classification"}
aliases: {"champion": "1", "challenger": "2"}
versions:
  "1":
    current_stage: "Production"
    description: "By logistic regression"
    creation_timestamp: 1767225600000
    last_updated_timestamp: 1767225600000
    tags: {"accuracy": "0.974"}
  "10":
    current_stage: "None"
    description: ""
    tags: {}
"#;

    #[test]
    fn what_is_written_is_what_was_read() {
        let entry = parse("iris", TEXT).unwrap();
        assert_eq!(entry.versions[&1].stage, Stage::Production);
        assert_eq!(entry.aliases, [("champion".into(), 1), ("challenger".into(), 2)]);
        assert_eq!(write(&entry), TEXT);
    }

    #[test]
    fn what_people_write_is_read() {
        let text = "# ours\nowner: {team: [a, 1]}\naliases: {champion: 1}\ntags: {good: true, empty: }\nversions:\n  1:\n  \
                    2: {current_stage: staging, run: abc}\n";
        let entry = parse("iris", text).unwrap();
        assert_eq!(entry.aliases, [("champion".into(), 1)]);
        assert_eq!(
            entry.tags,
            [("good".into(), "true".into()), ("empty".into(), String::new())]
        );
        assert_eq!(entry.versions[&1], VersionEntry::default());
        assert_eq!(entry.versions[&2].stage, Stage::Staging);
        let written = write(&entry);
        assert!(
            written.contains(r#""owner": {"team": ["a", 1]}"#) && written.contains(r#""run": "abc""#),
            "{written}"
        );
        assert_eq!(parse("iris", &written), Ok(entry));
        assert_eq!(
            parse("iris", "# nothing\n").map(|entry| entry.versions.len()),
            Ok(0)
        );
    }

    #[test]
    fn mistakes_say_where() {
        for (text, wanted) in [
            ("- 1", "expected a mapping at the top"),
            ("versions: [1]", "`versions` is no mapping"),
            ("versions: {one: {}}", "`one` is no version number"),
            ("versions: {\"01\": {}}", "`01` is no version number"),
            (
                "versions: {1: {current_stage: Prod}}",
                "version 1: `Prod` is no stage",
            ),
            (
                "versions: {1: {creation_timestamp: now}}",
                "version 1: `creation_timestamp` is no whole number",
            ),
            ("aliases: {a: b}", "alias `a` points to `b`"),
            ("tags: {a: [1]}", "`a` in `tags` is no text"),
            ("a: [", "line"),
        ] {
            let message = parse("iris", text).unwrap_err();
            assert!(message.contains(wanted), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_survives(
            description in any::<String>(), tag in any::<String>(), key in ".{0,100}", stage in 0usize..4, now in any::<i64>()
        ) {
            let version = VersionEntry {
                stage: Stage::ALL[stage],
                description: description.clone(),
                created_ms: Some(now),
                extra: vec![("other".into(), serde_json::json!({ description: [tag.clone(), 1.5, null_or(now)] }))],
                ..VersionEntry::default()
            };
            let entry = ModelEntry {
                name: "n".into(),
                tags: vec![(key, tag)],
                aliases: vec![("a".into(), 3)],
                versions: BTreeMap::from([(3, version)]),
                ..ModelEntry::default()
            };
            // Long keys are beyond YAML's reach; `store` refuses to write them.
            prop_assume!(entry.versions[&3].description.len() < 500);
            prop_assert_eq!(parse("n", &write(&entry)), Ok(entry));
        }

        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            let _ = parse("n", &text);
        }
    }

    fn null_or(now: i64) -> Json {
        if now % 2 == 0 { Json::Null } else { now.into() }
    }
}
