//! Which version of a registered model a URI means: MLflow's rules, for every kind of registry.

use crate::model::stage::Stage;
use crate::model::uri::ModelUri;

use super::{ModelEntry, RegistryError};

/// A message lists this many things at most.
const MAX_LISTED: usize = 20;

/// The version that a URI of this model means.
pub(super) fn pick(entry: &ModelEntry, uri: &ModelUri) -> Result<u64, RegistryError> {
    let newest = || entry.versions.keys().next_back().copied();
    let (found, wanted) = match uri {
        ModelUri::Version { version, .. } => (
            entry.versions.contains_key(version).then_some(*version),
            format!("version {version}"),
        ),
        // Two versions may share a stage; MLflow means the one with the higher number, not the later one.
        ModelUri::Stage { stage, .. } => {
            let in_stage = entry
                .versions
                .iter()
                .rev()
                .find(|(_, version)| version.stage == *stage);
            (
                in_stage.map(|(number, _)| *number),
                format!("version in stage {stage}"),
            )
        }
        ModelUri::Latest { .. } => (newest(), "version".to_owned()),
        ModelUri::Alias { alias, .. } if alias.eq_ignore_ascii_case("latest") => {
            (newest(), "version".to_owned())
        }
        ModelUri::Alias { alias, .. } => {
            let target = entry
                .aliases
                .iter()
                .find(|(name, _)| **name == **alias)
                .map(|(_, version)| *version);
            if let Some(gone) = target.filter(|version| !entry.versions.contains_key(version)) {
                return Err(no_version(
                    entry,
                    format!("version {gone}, to which its alias `{alias}` points"),
                ));
            }
            (target, format!("alias `{alias}`"))
        }
        _ => {
            return Err(RegistryError::Unsupported(format!(
                "`{uri}` names no registered model"
            )));
        }
    };
    found.ok_or_else(|| no_version(entry, wanted))
}

/// There is no such version; says what there is instead.
pub(super) fn no_version(entry: &ModelEntry, wanted: String) -> RegistryError {
    RegistryError::NoVersion {
        name: entry.name.clone(),
        wanted,
        known: describe(entry),
    }
}

/// What a model has, in words.
fn describe(entry: &ModelEntry) -> String {
    if entry.versions.is_empty() {
        return "no versions at all".into();
    }
    let many = if entry.versions.len() == 1 {
        "version"
    } else {
        "versions"
    };
    let mut text = format!(
        "{many} {}",
        listed(entry.versions.keys().rev().collect::<Vec<_>>().as_slice(), true)
    );
    let mut stages: Vec<Stage> = entry.versions.values().map(|version| version.stage).collect();
    stages.sort();
    stages.dedup();
    let many = if stages.len() == 1 { "stage" } else { "stages" };
    text.push_str(&format!("; {many} {}", listed(&stages, false)));
    let mut aliases: Vec<&str> = entry.aliases.iter().map(|(alias, _)| alias.as_str()).collect();
    aliases.sort_unstable();
    match aliases.len() {
        0 => text.push_str("; no aliases"),
        1 => text.push_str(&format!("; alias {}", listed(&aliases, false))),
        _ => text.push_str(&format!("; aliases {}", listed(&aliases, false))),
    }
    text
}

/// Joins with commas, the first twenty; `newest_first` items are shown in rising order.
pub(super) fn listed<T: std::fmt::Display>(items: &[T], newest_first: bool) -> String {
    let mut shown: Vec<String> = items.iter().take(MAX_LISTED).map(T::to_string).collect();
    let more = items.len() > MAX_LISTED;
    if newest_first {
        shown.reverse();
    }
    let text = shown.join(", ");
    match (more, newest_first) {
        (false, _) => text,
        (true, true) => format!("…, {text}"),
        (true, false) => format!("{text}, …"),
    }
}
