//! The embedded registry, through the command line.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{CommandFactory, Parser};
use modelsd::app::registry::run;
use modelsd::artifact::ArtifactDir;
use modelsd::config::{Args, RegistryCommand};
use modelsd::registry::{Resolved, Spec, embedded, open};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::repository;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: RegistryCommand,
}

/// The answer to a command, or the error and its causes.
pub fn say(registry: &Path, command: &str, now_ms: i64) -> Result<String, String> {
    let words = std::iter::once("registry").chain(command.split_whitespace());
    let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    match run(cli.command, registry, now_ms, &mut out) {
        Ok(()) => Ok(String::from_utf8(out).unwrap()),
        Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
    }
}

#[track_caller]
fn refused(registry: &Path, command: &str, wanted: &str) {
    let message = say(registry, command, 0).unwrap_err();
    assert!(message.contains(wanted), "{command}: {message}");
}

fn resolve(registry: &Path, uri: &str) -> Result<Resolved, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let registry = open(&Spec::Folder(registry.to_path_buf())).unwrap();
    let resolved = runtime.block_on(modelsd::registry::resolve(
        registry.as_ref(),
        &uri.parse().unwrap(),
    ));
    resolved.map_err(|error| error.to_string())
}

pub fn version(registry: &Path, uri: &str) -> String {
    resolve(registry, uri).unwrap().id.version_label().to_owned()
}

/// A model directory of two files and a folder.
pub fn model() -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(
        dir.path().join("MLmodel"),
        "flavors: {onnx: {data: model.onnx}}\n",
    )
    .unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    fs::write(dir.path().join("data/model.onnx"), b"graph").unwrap();
    dir
}

/// A registry with so many versions of `iris`.
pub fn registry(versions: usize) -> TempDir {
    let (dir, model) = (TempDir::new().unwrap(), model());
    for _ in 0..versions {
        say(
            dir.path(),
            &format!("register iris {}", model.path().display()),
            1000,
        )
        .unwrap();
    }
    dir
}

pub fn file(registry: &Path) -> String {
    fs::read_to_string(registry.join("iris/registry.yaml")).unwrap()
}

fn entries(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn the_command_line_is_well_formed() {
    Args::command().debug_assert();
}

#[test]
fn the_bundled_models_are_found_by_every_form() {
    let models = repository("models");
    for (uri, wanted) in [
        ("models:/iris/1", "1"),
        ("models:/iris/production", "1"),
        ("models:/iris/STAGING", "2"),
        ("models:/iris/Latest", "2"),
        ("models:/iris@champion", "1"),
        ("models:/iris@latest", "2"),
    ] {
        let resolved = resolve(&models, uri).unwrap();
        assert_eq!(resolved.id.to_string(), format!("iris/{wanted}"), "{uri}");
        let artifact = ArtifactDir::open(&resolved.location.local_path().unwrap()).unwrap();
        assert!(artifact.mlmodel().flavor("onnx").is_some());
    }
    let list: Value = serde_json::from_str(&say(&models, "list --json", 0).unwrap()).unwrap();
    let names: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["breast_cancer", "diabetes", "digits", "iris", "wine"]);
}

#[test]
fn local_models_need_no_registry() {
    let model = model();
    let nowhere = model.path().join("no-registry");
    let resolved = resolve(&nowhere, model.path().to_str().unwrap()).unwrap();
    assert_eq!(
        resolved.id.name.as_ref(),
        model.path().file_name().unwrap().to_str().unwrap()
    );
    assert_eq!((resolved.id.version_label(), resolved.stage), ("none", None));
    let graph = model.path().join("data/model.onnx");
    let resolved = resolve(&nowhere, graph.to_str().unwrap()).unwrap();
    assert_eq!(resolved.id.to_string(), "model");
    assert_eq!(resolved.location.local_path(), Some(graph));
    for uri in ["models:/m-74b6", "runs:/abc/model"] {
        assert!(
            resolve(&nowhere, uri)
                .unwrap_err()
                .contains("known to an MLflow server only"),
            "{uri}"
        );
    }
    assert!(
        resolve(&nowhere, "models:/iris/1")
            .unwrap_err()
            .contains("has no model `iris`")
    );
}

#[test]
fn register_copies_and_counts() {
    let (registry, model) = (TempDir::new().unwrap(), model());
    let root = registry.path().join("new/registry");
    let command = |more: &str| format!("register iris {} {more}", model.path().display());
    assert_eq!(
        say(&root, &command(""), 1).unwrap(),
        "registered version 1 of iris: stage None\n"
    );
    let answer = say(&root, &command("--stage production --alias Champion"), 2).unwrap();
    assert_eq!(
        answer,
        "registered version 2 of iris: stage Production, alias Champion\n"
    );

    let source = ArtifactDir::open(model.path()).unwrap();
    let copy = ArtifactDir::open(&root.join("iris/2")).unwrap();
    assert_eq!(copy.digest().unwrap(), source.digest().unwrap());
    assert_eq!(version(&root, "models:/iris/Production"), "2");
    assert_eq!(version(&root, "models:/iris@Champion"), "2");
    assert_eq!(entries(&root), [".lock", "iris"].map(str::to_owned).into());
    assert_eq!(
        entries(&root.join("iris")),
        ["1", "2", "registry.yaml"].map(str::to_owned).into()
    );
    // Other users may read what the umask lets them.
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode("iris/2") & 0o500, mode("iris/registry.yaml") & 0o600),
        (0o500, 0o600)
    );
    assert_eq!(mode("iris/2") & 0o055, mode("iris") & 0o055);

    // A number that was given is not given again while its line stands.
    fs::remove_dir_all(root.join("iris/2")).unwrap();
    assert!(
        resolve(&root, "models:/iris/Production")
            .unwrap_err()
            .contains("the files of version 2")
    );
    assert!(say(&root, &command(""), 3).unwrap().contains("version 3"));
}

#[test]
fn what_is_no_model_is_not_registered() {
    let (registry, model) = (registry(1), model());
    let path = model.path().display().to_string();
    let before = (
        file(registry.path()),
        entries(registry.path()),
        entries(&registry.path().join("iris")),
    );
    refused(
        registry.path(),
        &format!("register iris {path}/data"),
        "is no model directory",
    );
    refused(
        registry.path(),
        &format!("register iris {path}/data/model.onnx"),
        "a bare file has no `MLmodel`",
    );
    refused(
        registry.path(),
        &format!("register iris {path}/nowhere"),
        "cannot read",
    );
    refused(
        registry.path(),
        &format!("register iris {path} --alias v1"),
        "an alias cannot be `v1`",
    );
    refused(
        registry.path(),
        &format!("register iris {path} --stage Prod"),
        "`Prod` is no stage",
    );
    for name in ["..", ".hidden", "a/b", "../x", "a:b"] {
        refused(
            registry.path(),
            &format!("register {name} {path}"),
            &format!("cannot be called `{name}`"),
        );
    }
    symlink("/etc/passwd", model.path().join("data/leak")).unwrap();
    refused(
        registry.path(),
        &format!("register iris {path}"),
        "a link out of the model",
    );
    let after = (
        file(registry.path()),
        entries(registry.path()),
        entries(&registry.path().join("iris")),
    );
    assert_eq!(before, after);
}

#[test]
fn stages_move_as_in_mlflow() {
    let dir = registry(3);
    let registry = dir.path();
    say(registry, "transition iris 1 PRODUCTION", 2000).unwrap();
    say(registry, "transition iris 2 production", 2000).unwrap();
    // Two in Production: the higher number, until the other way round is said by archiving.
    assert_eq!(version(registry, "models:/iris/Production"), "2");
    let answer = say(registry, "transition iris 1 Production --archive-existing", 3000).unwrap();
    assert_eq!(
        answer,
        "version 1 of iris: Production\nversion 2 of iris: Archived\n"
    );
    assert_eq!(version(registry, "models:/iris/Production"), "1");
    assert_eq!(version(registry, "models:/iris/archived"), "2");
    assert_eq!(version(registry, "models:/iris/none"), "3");
    refused(
        registry,
        "transition iris 1 Archived --archive-existing",
        "only Staging and Production",
    );
    refused(
        registry,
        "transition iris 1 Prod",
        "the stages are None, Staging, Production and Archived",
    );
    let shown: Value = serde_json::from_str(&say(registry, "show iris --json", 0).unwrap()).unwrap();
    assert_eq!(shown["last_updated_timestamp"], 3000);
    assert_eq!(shown["versions"][2]["last_updated_timestamp"], 1000);
}

#[test]
fn aliases_keep_their_case() {
    let dir = registry(2);
    let registry = dir.path();
    say(registry, "alias iris champion 1", 0).unwrap();
    say(registry, "alias iris Champion 2", 0).unwrap();
    assert_eq!(version(registry, "models:/iris@champion"), "1");
    assert_eq!(
        say(registry, "alias iris champion 2", 0).unwrap(),
        "iris@champion: version 2, before 1\n"
    );
    assert_eq!(
        resolve(registry, "models:/iris/2").unwrap().aliases,
        ["Champion", "champion"]
    );
    say(registry, "delete-alias iris Champion", 0).unwrap();
    refused(
        registry,
        "delete-alias iris Champion",
        "no alias `Champion`; it has versions 1, 2; stage None; alias champion",
    );
    refused(
        registry,
        "alias iris LATEST 1",
        "`latest` always means the newest version",
    );
    refused(registry, "alias iris x 9", "no version 9");
}

#[test]
fn what_is_unknown_lists_what_there_is() {
    let dir = registry(2);
    let registry = dir.path();
    say(registry, "transition iris 2 Production", 0).unwrap();
    say(registry, "alias iris champion 1", 0).unwrap();
    let has = "it has versions 1, 2; stages None, Production; alias champion";
    for (uri, wanted) in [
        ("models:/iris/7", format!("model `iris` has no version 7; {has}")),
        (
            "models:/iris/Staging",
            format!("model `iris` has no version in stage Staging; {has}"),
        ),
        (
            "models:/iris@Champion",
            format!("model `iris` has no alias `Champion`; {has}"),
        ),
        (
            "models:/rose/1",
            format!(
                "registry `{}` has no model `rose`; it has iris",
                registry.display()
            ),
        ),
        (
            "models:/../1",
            "a model cannot be called `..`: it begins with a dot".into(),
        ),
        (
            "models:/.lock/1",
            "a model cannot be called `.lock`: it begins with a dot".into(),
        ),
    ] {
        assert_eq!(resolve(registry, uri).unwrap_err(), wanted, "{uri}");
    }
    let empty = TempDir::new().unwrap();
    assert!(
        resolve(empty.path(), "models:/iris/1")
            .unwrap_err()
            .contains("it has no models; `modelsd registry register")
    );
    assert!(say(empty.path(), "list", 0).unwrap().contains("no models in"));
}

#[test]
fn folders_without_a_file_are_versions_in_no_stage() {
    let dir = TempDir::new().unwrap();
    for folder in ["iris/1", "iris/12", "iris/012", "iris/notes", "other", ".git/1"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    fs::write(dir.path().join("README.md"), "").unwrap();
    fs::write(dir.path().join("iris/7"), "a file").unwrap();
    assert_eq!(version(dir.path(), "models:/iris/latest"), "12");
    assert_eq!(version(dir.path(), "models:/iris/none"), "12");
    assert!(say(dir.path(), "list", 0).unwrap().contains("iris  1 12"));
    assert!(!say(dir.path(), "list", 0).unwrap().contains("other"));
    say(dir.path(), "transition iris 1 Production", 0).unwrap();
    assert_eq!(version(dir.path(), "models:/iris/Production"), "1");
    assert_eq!(version(dir.path(), "models:/iris/latest"), "12");
}

#[test]
fn a_change_is_a_line_of_the_file() {
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("iris/1")).unwrap();
    let before = "name: \"iris\"\ndescription: \"Über: \\\"x\\\"\"\ntags: {\"a\": \"1\"}\naliases: {}\n\"owner\": [\"me\", 1]\nversions:\n  \
                  \"1\":\n    current_stage: \"None\"\n    description: \"\"\n    tags: {}\n    \"run_id\": \"abc\"\n";
    let path = dir.path().join("iris/registry.yaml");
    fs::write(&path, before).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    say(dir.path(), "alias iris champion 1", 0).unwrap();
    assert_eq!(
        file(dir.path()),
        before.replace("aliases: {}", "aliases: {\"champion\": \"1\"}")
    );
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_bundled_file_is_written_as_it_is_kept() {
    let dir = TempDir::new().unwrap();
    let kept = fs::read_to_string(repository("models/iris/registry.yaml")).unwrap();
    for version in ["1", "2"] {
        fs::create_dir_all(dir.path().join("iris").join(version)).unwrap();
    }
    fs::write(dir.path().join("iris/registry.yaml"), &kept).unwrap();
    say(dir.path(), "alias iris trial 1", 0).unwrap();
    say(dir.path(), "delete-alias iris trial", 0).unwrap();
    assert_eq!(file(dir.path()), kept);
}

#[test]
fn a_damaged_file_is_named_and_left_alone() {
    let dir = registry(1);
    let path = dir.path().join("iris/registry.yaml");
    for text in ["versions: [", "versions: {1: {current_stage: Prod}}", "\u{0}"] {
        fs::write(&path, text).unwrap();
        refused(dir.path(), "show iris", "registry.yaml` is damaged");
        refused(dir.path(), "alias iris a 1", "registry.yaml` is damaged");
        assert_eq!(file(dir.path()), text);
    }
    fs::File::create(&path).unwrap().set_len(10 << 30).unwrap();
    refused(dir.path(), "show iris", "more than");
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    refused(dir.path(), "show iris", "it is no file");
}

#[test]
fn the_tables_are_for_people() {
    let dir = registry(2);
    let root = dir.path();
    say(root, "transition iris 1 Production", 1_767_225_600_000).unwrap();
    say(root, "alias iris champion 1", 0).unwrap();
    assert_eq!(
        say(root, "list", 0).unwrap(),
        "NAME  VERSIONS  PRODUCTION  STAGING  ALIASES     DESCRIPTION\niris  1 2       1                    champion=1\n"
    );
    assert_eq!(
        say(root, "show iris", 0).unwrap(),
        "iris\n\nVERSION  STAGE       ALIASES   CHANGED               DESCRIPTION  TAGS\n\
         1        Production  champion  2026-01-01T00:00:00Z\n2        None                  1970-01-01T00:00:01Z\n"
    );
}

#[test]
fn odd_names_are_only_names() {
    let (dir, model) = (TempDir::new().unwrap(), model());
    let artifact = ArtifactDir::open(model.path()).unwrap();
    for name in ["my model", "été", "me@work", "100%", "a.b"] {
        let fill = |into: &Path| Ok(artifact.copy_to(into)?);
        assert_eq!(
            embedded(dir.path())
                .register(name, &Default::default(), 0, fill)
                .unwrap(),
            1
        );
        let resolved = resolve(dir.path(), &format!("models:/{name}/1")).unwrap();
        let path: PathBuf = resolved.location.local_path().unwrap();
        assert_eq!(
            (resolved.id.name.as_ref(), path),
            (name, dir.path().join(name).join("1"))
        );
    }
}
