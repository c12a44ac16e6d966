//! `modelsd registry`: looks into the registry folder and changes it.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value as Json, json};

use super::text::{moment, plain, table};
use crate::artifact::ArtifactDir;
use crate::config::RegistryCommand;
use crate::model::stage::Stage;
use crate::registry::{ModelEntry, NewVersion, RegistryError, embedded};

/// Carries out a command on the registry in `registry_dir`; the answer goes to `out`.
///
/// # Errors
/// When the registry refuses or cannot be read or written, or when `out` cannot.
pub fn run(
    command: RegistryCommand,
    registry_dir: &Path,
    now_ms: i64,
    out: &mut dyn Write,
) -> Result<(), RegistryError> {
    let registry = embedded(registry_dir);
    let answer = match command {
        RegistryCommand::List { json: true } => {
            pretty(&Json::Array(registry.list()?.iter().map(model_json).collect()))
        }
        RegistryCommand::List { json: false } => list(&registry.list()?, registry_dir),
        RegistryCommand::Show { name, json: true } => pretty(&model_json(&registry.show(&name)?)),
        RegistryCommand::Show { name, json: false } => show(&registry.show(&name)?),
        RegistryCommand::Register {
            name,
            dir,
            stage,
            alias,
        } => {
            let files = |source| RegistryError::Files {
                name: name.clone(),
                source: Box::new(source),
            };
            let artifact = ArtifactDir::open(&dir).map_err(files)?;
            let new = NewVersion {
                stage,
                alias: alias.as_deref(),
            };
            let version = registry.register(&name, &new, now_ms, |into| {
                artifact.copy_to(into)?;
                // What is registered is what was copied, whoever wrote to the source meanwhile.
                ArtifactDir::open(into)?;
                Ok(())
            })?;
            let alias = alias.map(|alias| format!(", alias {alias}")).unwrap_or_default();
            format!("registered version {version} of {name}: stage {stage}{alias}\n")
        }
        RegistryCommand::Transition {
            name,
            version,
            stage,
            archive_existing,
        } => {
            let archived = registry.transition(&name, version, stage, archive_existing, now_ms)?;
            let archived: String = archived
                .iter()
                .map(|other| format!("version {other} of {name}: Archived\n"))
                .collect();
            format!("version {version} of {name}: {stage}\n{archived}")
        }
        RegistryCommand::Alias { name, alias, version } => {
            match registry.set_alias(&name, &alias, version)? {
                Some(before) => format!("{name}@{alias}: version {version}, before {before}\n"),
                None => format!("{name}@{alias}: version {version}\n"),
            }
        }
        RegistryCommand::DeleteAlias { name, alias } => {
            let version = registry.delete_alias(&name, &alias)?;
            format!("{name}@{alias} is gone; it was version {version}\n")
        }
    };
    out.write_all(answer.as_bytes())?;
    Ok(())
}

fn list(models: &[ModelEntry], registry_dir: &Path) -> String {
    if models.is_empty() {
        return format!(
            "no models in `{}`; `modelsd registry register NAME DIR` adds one\n",
            registry_dir.display()
        );
    }
    let mut rows = vec![row([
        "NAME",
        "VERSIONS",
        "PRODUCTION",
        "STAGING",
        "ALIASES",
        "DESCRIPTION",
    ])];
    for model in models {
        rows.push(row([
            &plain(&model.name),
            &numbers(model, |_| true),
            &numbers(model, |stage| stage == Stage::Production),
            &numbers(model, |stage| stage == Stage::Staging),
            &model
                .aliases
                .iter()
                .map(|(alias, version)| format!("{alias}={version}"))
                .collect::<Vec<_>>()
                .join(" "),
            &plain(&model.description),
        ]));
    }
    table(&rows)
}

fn numbers(model: &ModelEntry, wanted: impl Fn(Stage) -> bool) -> String {
    let in_stage = model.versions.iter().filter(|(_, version)| wanted(version.stage));
    in_stage
        .map(|(number, _)| number.to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

fn show(model: &ModelEntry) -> String {
    let mut text = format!("{}\n", plain(&model.name));
    if !model.description.is_empty() {
        text.push_str(&format!("{}\n", plain(&model.description)));
    }
    if !model.tags.is_empty() {
        text.push_str(&format!("tags: {}\n", tags(&model.tags)));
    }
    let mut rows = vec![row([
        "VERSION",
        "STAGE",
        "ALIASES",
        "CHANGED",
        "DESCRIPTION",
        "TAGS",
    ])];
    for (number, version) in &model.versions {
        rows.push(row([
            &number.to_string(),
            version.stage.name(),
            &model.aliases_of(*number).join(" "),
            &version.updated_ms.map(moment).unwrap_or_default(),
            &plain(&version.description),
            &tags(&version.tags),
        ]));
    }
    text.push('\n');
    text.push_str(&table(&rows));
    text
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn tags(tags: &[(String, String)]) -> String {
    tags.iter()
        .map(|(key, value)| format!("{}={}", plain(key), plain(value)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn model_json(model: &ModelEntry) -> Json {
    let versions = model.versions.iter().map(|(number, version)| {
        json!({
            "version": number.to_string(),
            "current_stage": version.stage.name(),
            "description": version.description,
            "creation_timestamp": version.created_ms,
            "last_updated_timestamp": version.updated_ms,
            "aliases": model.aliases_of(*number),
            "tags": pairs(&version.tags),
        })
    });
    json!({
        "name": model.name,
        "description": model.description,
        "creation_timestamp": model.created_ms,
        "last_updated_timestamp": model.updated_ms,
        "tags": pairs(&model.tags),
        "aliases": pairs(&model.aliases),
        "versions": versions.collect::<Vec<_>>(),
    })
}

/// A JSON object of texts; version numbers are texts in MLflow's answers too.
fn pairs<V: ToString>(pairs: &[(String, V)]) -> Json {
    let pairs = pairs
        .iter()
        .map(|(key, value)| (key.clone(), Json::String(value.to_string())));
    Json::Object(pairs.collect::<Map<_, _>>())
}

fn pretty(value: &Json) -> String {
    format!("{value:#}\n")
}
