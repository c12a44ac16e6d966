//! Several writers of one registry, and writers that die.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use modelsd::artifact::ArtifactDir;
use modelsd::registry::embedded;

use crate::registry::{file, model, registry, say, version};
use crate::support::modelsd;

#[test]
fn what_a_killed_writer_leaves_behind_is_ignored() {
    let dir = registry(1);
    let root = dir.path();
    let before = file(root);
    fs::write(root.join("iris/.registry-abc.tmp"), "versions: [").unwrap();
    fs::create_dir_all(root.join(".new-abc.tmp/1")).unwrap();
    fs::create_dir_all(root.join("iris/.new/2")).unwrap();
    assert_eq!(version(root, "models:/iris/latest"), "1");
    assert_eq!(file(root), before);
    let names: Vec<String> = embedded(root)
        .list()
        .unwrap()
        .into_iter()
        .map(|model| model.name)
        .collect();
    assert_eq!(names, ["iris"]);
    // The lock file of a dead process locks nobody out.
    assert!(root.join(".lock").try_exists().unwrap());
    say(root, "transition iris 1 Staging", 5).unwrap();
}

#[test]
fn threads_lose_nothing() {
    let dir = registry(8);
    thread::scope(|scope| {
        for number in 1..=8 {
            let root = dir.path();
            scope.spawn(move || {
                for turn in 0..10 {
                    say(root, &format!("alias iris a{number}-{turn} {number}"), 0).unwrap();
                    say(root, &format!("transition iris {number} Staging"), 0).unwrap();
                }
            });
        }
    });
    let entry = embedded(dir.path()).show("iris").unwrap();
    assert_eq!(entry.aliases.len(), 80);
    assert!(
        entry
            .aliases
            .iter()
            .all(|(alias, version)| alias.starts_with(&format!("a{version}-")))
    );
    assert!(
        entry
            .versions
            .values()
            .all(|version| version.stage.name() == "Staging")
    );
}

fn process(root: &Path, words: &[&str]) -> Child {
    let mut command = modelsd();
    command.arg("registry").args(words).arg("--registry").arg(root);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn processes_lose_nothing() {
    let (dir, model) = (registry(1), model());
    let source = model.path().to_str().unwrap();
    let aliases: Vec<String> = (0..8).map(|number| format!("a{number}")).collect();
    let mut children: Vec<Child> = Vec::new();
    for alias in &aliases {
        children.push(process(
            dir.path(),
            &["register", "iris", source, "--alias", alias],
        ));
        children.push(process(
            dir.path(),
            &["alias", "iris", &format!("{alias}-first"), "1"],
        ));
    }
    assert!(children.iter_mut().all(|child| child.wait().unwrap().success()));
    let entry = embedded(dir.path()).show("iris").unwrap();
    assert_eq!(
        entry.versions.keys().copied().collect::<Vec<_>>(),
        (1..=9).collect::<Vec<_>>()
    );
    let targets: BTreeSet<u64> = entry.aliases.iter().map(|(_, version)| *version).collect();
    assert_eq!((entry.aliases.len(), targets), (16, (1..=9).collect()));
}

/// Whether every version that the registry knows can be opened.
fn whole(root: &Path) -> Result<(), String> {
    let entry = embedded(root).show("iris").map_err(|error| error.to_string())?;
    for version in entry.versions.keys() {
        let folder = root.join("iris").join(version.to_string());
        ArtifactDir::open(&folder).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[test]
fn writers_killed_at_any_moment_leave_a_whole_registry() {
    let (dir, model) = (registry(2), model());
    let source = model.path().to_str().unwrap();
    let mut killed = 0;
    for turn in 0..24 {
        let words: &[&str] = if turn % 2 == 0 {
            &["transition", "iris", "1", "Production"]
        } else {
            &["register", "iris", source, "--stage", "Production"]
        };
        let mut child = process(dir.path(), words);
        thread::sleep(Duration::from_micros(400 * turn));
        let _ = child.kill();
        // Killed, or done: nothing else.
        let status = child.wait().unwrap();
        assert!(status.success() || status.code().is_none(), "{words:?}: {status}");
        killed += usize::from(status.code().is_none());
        assert_eq!(whole(dir.path()), Ok(()));
    }
    assert!(killed > 0, "every writer was done before it was killed");
    say(dir.path(), "transition iris 1 Production --archive-existing", 0).unwrap();
    assert_eq!(version(dir.path(), "models:/iris/Production"), "1");
}

/// The control of the test above: writers that write where readers read, and are killed half-way.
#[test]
fn a_killed_writer_without_a_rename_is_noticed() {
    for (script, wanted) in [
        (
            "printf 'versions:\\n  \"1\": {current_sta' > iris/registry.yaml",
            "is damaged",
        ),
        ("mkdir iris/2 && printf graph > iris/2/model.onnx", "MLmodel"),
    ] {
        let dir = registry(1);
        assert_eq!(whole(dir.path()), Ok(()));
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{script}; touch half; exec sleep 60")]);
        let mut child = command.current_dir(dir.path()).spawn().unwrap();
        while !dir.path().join("half").try_exists().unwrap() {
            thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
        let problem = whole(dir.path()).unwrap_err();
        assert!(problem.contains(wanted), "{problem}");
    }
}
