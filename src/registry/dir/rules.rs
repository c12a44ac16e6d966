//! What a registry allows and means, as pure functions over an entry: MLflow's rules.

use crate::model::stage::Stage;
use crate::registry::pick::no_version;
use crate::registry::{ModelEntry, RegistryError, VersionEntry};

/// Characters of an alias at most, as in MLflow.
const MAX_ALIAS: usize = 255;
/// Bytes of a name at most: what folders can be called.
const MAX_NAME: usize = 255;

/// Whether a model can have this name: it is a folder's name, and must not lead out of the registry.
pub(super) fn check_name(name: &str) -> Result<(), RegistryError> {
    let problem = if name.trim().is_empty() {
        "it is empty"
    } else if name.len() > MAX_NAME {
        "it is longer than 255 bytes"
    } else if name.starts_with('.') {
        "it begins with a dot"
    } else if name.contains(['/', '\\', ':', '?']) {
        "it has one of / \\ : ?"
    } else if name.chars().any(char::is_control) {
        "it has control characters"
    } else {
        return Ok(());
    };
    let name: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    Err(RegistryError::Refused(format!(
        "a model cannot be called `{name}`: {problem}"
    )))
}

/// Whether a version can have this alias.
pub(super) fn check_alias(alias: &str) -> Result<(), RegistryError> {
    let digits = alias.strip_prefix(['v', 'V']).unwrap_or_default();
    let problem = if alias.is_empty() {
        "it is empty"
    } else if alias.chars().count() > MAX_ALIAS {
        "it is longer than 255 characters"
    } else if !alias.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
        "letters, digits, `_` and `-` are allowed"
    } else if alias.eq_ignore_ascii_case("latest") {
        "`latest` always means the newest version"
    } else if !digits.is_empty() && digits.chars().all(char::is_numeric) {
        "`v` and a number could be taken for a version"
    } else {
        return Ok(());
    };
    let alias: String = alias.chars().take(80).flat_map(char::escape_debug).collect();
    Err(RegistryError::Refused(format!(
        "an alias cannot be `{alias}`: {problem}"
    )))
}

/// Moves a version to a stage; gives the versions that were archived for it.
pub(super) fn transition(
    entry: &mut ModelEntry,
    version: u64,
    stage: Stage,
    archive_existing: bool,
    now_ms: i64,
) -> Result<Vec<u64>, RegistryError> {
    if archive_existing && !stage.is_active() {
        return Err(RegistryError::Refused(format!(
            "the versions of stage {stage} cannot be archived by a transition: only Staging and Production can be emptied \
            so"
        )));
    }
    expect_version(entry, version)?;
    let mut archived = Vec::new();
    for (&number, other) in &mut entry.versions {
        if number == version {
            other.stage = stage;
        } else if archive_existing && other.stage == stage {
            other.stage = Stage::Archived;
            archived.push(number);
        } else {
            continue;
        }
        other.updated_ms = Some(now_ms);
    }
    entry.updated_ms = Some(now_ms);
    Ok(archived)
}

/// Points an alias to a version; gives the version it pointed to before.
pub(super) fn set_alias(
    entry: &mut ModelEntry,
    alias: &str,
    version: u64,
) -> Result<Option<u64>, RegistryError> {
    check_alias(alias)?;
    expect_version(entry, version)?;
    if let Some((_, target)) = entry.aliases.iter_mut().find(|(name, _)| name == alias) {
        return Ok(Some(std::mem::replace(target, version)));
    }
    entry.aliases.push((alias.to_owned(), version));
    Ok(None)
}

/// Takes an alias away; gives the version it pointed to.
pub(super) fn delete_alias(entry: &mut ModelEntry, alias: &str) -> Result<u64, RegistryError> {
    match entry.aliases.iter().position(|(name, _)| name == alias) {
        Some(position) => Ok(entry.aliases.remove(position).1),
        None => Err(no_version(entry, format!("alias `{alias}`"))),
    }
}

/// Gives a version these tags, each in place of the one of its name.
pub(super) fn set_tags(
    entry: &mut ModelEntry,
    version: &str,
    tags: Vec<(String, String)>,
) -> Result<(), RegistryError> {
    let number = version.parse().ok();
    let Some(details) = number.and_then(|number: u64| entry.versions.get_mut(&number)) else {
        return Err(no_version(entry, format!("version {version}")));
    };
    for (key, value) in tags {
        match details.tags.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => details.tags.push((key, value)),
        }
    }
    Ok(())
}

/// The number of the next version.
pub(super) fn next_version(entry: &ModelEntry) -> Result<u64, RegistryError> {
    let newest = entry.versions.keys().next_back().copied().unwrap_or(0);
    newest
        .checked_add(1)
        .ok_or_else(|| RegistryError::Refused("no version number is left".into()))
}

/// Adds a version.
pub(super) fn add_version(entry: &mut ModelEntry, version: u64, stage: Stage, now_ms: i64) {
    let new = VersionEntry {
        stage,
        created_ms: Some(now_ms),
        updated_ms: Some(now_ms),
        ..VersionEntry::default()
    };
    entry.versions.insert(version, new);
    entry.created_ms.get_or_insert(now_ms);
    entry.updated_ms = Some(now_ms);
}

fn expect_version(entry: &ModelEntry, version: u64) -> Result<(), RegistryError> {
    if entry.versions.contains_key(&version) {
        return Ok(());
    }
    Err(no_version(entry, format!("version {version}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::pick::{listed, pick};

    fn entry() -> ModelEntry {
        let mut entry = ModelEntry {
            name: "iris".into(),
            ..ModelEntry::default()
        };
        for (version, stage) in [
            (1, Stage::Production),
            (2, Stage::Staging),
            (10, Stage::Production),
            (11, Stage::None),
        ] {
            add_version(&mut entry, version, stage, 5);
        }
        set_alias(&mut entry, "champion", 1).unwrap();
        set_alias(&mut entry, "Champion", 2).unwrap();
        entry
    }

    #[track_caller]
    fn check(uri: &str, wanted: Result<u64, &str>) {
        match (pick(&entry(), &uri.parse().unwrap()), wanted) {
            (Ok(version), Ok(wanted)) => assert_eq!(version, wanted, "{uri}"),
            (Err(error), Err(wanted)) => assert_eq!(error.to_string(), wanted, "{uri}"),
            (got, wanted) => panic!("{uri}: {got:?}, expected {wanted:?}"),
        }
    }

    const HAS: &str =
        "it has versions 1, 2, 10, 11; stages None, Staging, Production; aliases Champion, champion";

    #[test]
    fn uris_mean_what_they_mean_to_mlflow() {
        check("models:/iris/1", Ok(1));
        check("models:/iris/production", Ok(10));
        check("models:/iris/none", Ok(11));
        check("models:/iris/latest", Ok(11));
        check("models:/iris@latest", Ok(11));
        check("models:/iris@champion", Ok(1));
        check("models:/iris@Champion", Ok(2));
        check(
            "models:/iris/7",
            Err(&format!("model `iris` has no version 7; {HAS}")),
        );
        check(
            "models:/iris/Archived",
            Err(&format!("model `iris` has no version in stage Archived; {HAS}")),
        );
        check(
            "models:/iris@CHAMPION",
            Err(&format!("model `iris` has no alias `CHAMPION`; {HAS}")),
        );
    }

    #[test]
    fn an_alias_of_a_version_that_is_gone_says_so() {
        let mut entry = entry();
        entry.versions.remove(&1);
        let error = pick(&entry, &"models:/iris@champion".parse().unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("has no version 1, to which its alias `champion` points"),
            "{error}"
        );
    }

    #[test]
    fn archive_existing_moves_every_other_version_of_the_stage() {
        let mut entry = entry();
        assert_eq!(
            transition(&mut entry, 2, Stage::Production, true, 9).unwrap(),
            [1, 10]
        );
        let stages: Vec<Stage> = entry.versions.values().map(|version| version.stage).collect();
        assert_eq!(
            stages,
            [Stage::Archived, Stage::Production, Stage::Archived, Stage::None]
        );
        assert_eq!(entry.versions[&10].updated_ms, Some(9));
        assert_eq!(entry.versions[&11].updated_ms, Some(5));
        assert_eq!(entry.updated_ms, Some(9));
    }

    #[test]
    fn a_version_already_there_is_not_archived_by_its_own_transition() {
        let mut entry = entry();
        assert_eq!(
            transition(&mut entry, 10, Stage::Production, true, 9).unwrap(),
            [1]
        );
        assert_eq!(entry.versions[&10].stage, Stage::Production);
    }

    #[test]
    fn a_refused_transition_changes_nothing() {
        let mut changed = entry();
        for stage in [Stage::None, Stage::Archived] {
            assert!(transition(&mut changed, 1, stage, true, 9).is_err());
        }
        assert!(transition(&mut changed, 7, Stage::Production, true, 9).is_err());
        assert_eq!(changed, entry());
    }

    #[test]
    fn aliases_move_and_move_no_timestamp() {
        let mut entry = entry();
        assert_eq!(set_alias(&mut entry, "champion", 10).unwrap(), Some(1));
        assert_eq!(entry.updated_ms, Some(5));
        assert_eq!(delete_alias(&mut entry, "champion").unwrap(), 10);
        let gone = delete_alias(&mut entry, "champion").unwrap_err().to_string();
        assert!(gone.ends_with("; alias Champion"), "{gone}");
        assert!(set_alias(&mut entry, "x", 7).is_err());
    }

    #[test]
    fn names_and_aliases_are_judged_as_mlflow_does() {
        for alias in ["champion", "a-b_c", "vlad", "v", "été", "v1x"] {
            assert!(check_alias(alias).is_ok(), "{alias}");
        }
        for alias in [
            "",
            "latest",
            "LATEST",
            "v1",
            "V20",
            "a b",
            "a.b",
            "a/b",
            &"a".repeat(256),
        ] {
            assert!(check_alias(alias).is_err(), "{alias}");
        }
        for name in ["iris", "my model", "a.b", "été", "me@work"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            " ",
            ".",
            "..",
            ".git",
            "a/b",
            "a\\b",
            "a:b",
            "a?b",
            "a\nb",
            "a\0b",
            &"a".repeat(256),
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn numbers_rise() {
        assert_eq!(next_version(&ModelEntry::default()).unwrap(), 1);
        assert_eq!(next_version(&entry()).unwrap(), 12);
    }

    #[test]
    fn long_lists_are_cut_to_the_newest() {
        let numbers: Vec<u64> = (1..=30).rev().collect();
        assert!(listed(&numbers, true).starts_with("…, 11, 12"));
        assert!(listed(&numbers, false).ends_with(", 11, …"));
    }
}
