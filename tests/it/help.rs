//! What people and machines rely on to the letter: the help texts, and the list of metrics. A change of either is seen
//! in a diff of `tests/golden/help`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::{Server, modelsd, repository};

/// Compares with a golden file; what differs is written where the message says.
fn check(name: &str, text: &str) {
    let golden = repository("tests/golden/help").join(name);
    if fs::read_to_string(&golden).is_ok_and(|golden| golden == text) {
        return;
    }
    let found = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&found, text).unwrap();
    panic!(
        "{name} is another now. If that is meant:\n  cp {} {}\nIt is:\n{text}",
        found.display(),
        golden.display()
    );
}

fn help(words: &[&str]) -> String {
    let mut command = modelsd();
    // Values of the environment would be shown, and the width of the terminal counts.
    for variable in ["ORT_DYLIB_PATH", "MODELSD_CACHE_DIR"] {
        command.env_remove(variable);
    }
    // An address can have a password in it; that of the registry is not shown.
    command.env("MODELSD_REGISTRY", "http://me:hidden@host");
    command.env("MODELSD_SERVER", "http://me:hidden@host");
    command.env("COLUMNS", "100");
    let output = command.args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "{words:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("hidden"), "{words:?}: {text}");
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("$ modelsd {} --help\n{}\n", words.join(" "), lines.join("\n")).replace("  --help\n", " --help\n")
}

#[test]
fn help_texts_change_only_on_purpose() {
    for (name, commands) in [
        ("modelsd.txt", &[&[][..]][..]),
        ("serve.txt", &[&["serve"]]),
        ("predict.txt", &[&["predict"]]),
        ("inspect.txt", &[&["inspect"]]),
        ("bench.txt", &[&["bench"]]),
        ("compare.txt", &[&["compare"]]),
        ("health.txt", &[&["health"]]),
        (
            "route.txt",
            &[
                &["route"],
                &["route", "show"],
                &["route", "set"],
                &["config"],
                &["config", "check"],
            ],
        ),
        ("promote.txt", &[&["promote"]]),
        ("pin.txt", &[&["pin"], &["unpin"]]),
        ("token.txt", &[&["token"], &["token", "new"]]),
        (
            "records.txt",
            &[
                &["records"],
                &["records", "export"],
                &["records", "tail"],
                &["records", "stats"],
            ],
        ),
        (
            "registry.txt",
            &[
                &["registry"],
                &["registry", "list"],
                &["registry", "show"],
                &["registry", "register"],
                &["registry", "transition"],
                &["registry", "alias"],
                &["registry", "delete-alias"],
            ],
        ),
    ] {
        let texts: Vec<String> = commands.iter().map(|words| help(words)).collect();
        check(name, &texts.join("\n"));
    }
}

/// Each metric with its kind and the names of its labels.
fn listing(metrics: &str) -> String {
    let mut kinds = BTreeSet::new();
    for line in metrics.lines() {
        let Some(rest) = line.strip_prefix("# TYPE ") else {
            continue;
        };
        let (name, kind) = rest.split_once(' ').unwrap();
        let labels: BTreeSet<&str> = metrics
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.split_once('{')?.1.rsplit_once('}'))
            .flat_map(|(labels, _)| labels.split("\","))
            .filter_map(|label| label.split_once("=\"").map(|(name, _)| name))
            .collect();
        let labels: Vec<&str> = labels.into_iter().collect();
        kinds.insert(
            format!("{name} {kind} {}", labels.join(","))
                .trim_end()
                .to_owned(),
        );
    }
    kinds.into_iter().map(|line| line + "\n").collect()
}

#[test]
fn metrics_change_only_on_purpose() {
    let server = Server::start("models:/iris/1", &["--poll-interval", "0.1"]);
    server.invoke(r#"{"inputs": [[1, 2, 3, 4]]}"#);
    server.invoke("{");
    // Those of the registry come with its first answer.
    let polled = || server.metrics().contains("modelsd_registry_polls_total");
    for _ in 0..100 {
        if polled() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    check("metrics.txt", &listing(&server.metrics()));
}
