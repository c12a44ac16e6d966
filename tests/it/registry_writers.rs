//! Several writers of one registry, and writers that die.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
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

#[test]
fn writers_killed_at_any_moment_leave_a_whole_registry() {
    let (dir, model) = (registry(2), model());
    let source = model.path().to_str().unwrap();
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
        let entry = embedded(dir.path()).show("iris").unwrap();
        for version in entry.versions.keys() {
            ArtifactDir::open(&dir.path().join("iris").join(version.to_string())).unwrap();
        }
    }
    say(dir.path(), "transition iris 1 Production --archive-existing", 0).unwrap();
    assert_eq!(version(dir.path(), "models:/iris/Production"), "1");
}
