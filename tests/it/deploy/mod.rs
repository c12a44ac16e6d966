//! What `deploy/` has for Prometheus and Grafana: that its parts fit each other and the metrics there are, and that they
//! work with a real Prometheus, which `scripts/test-prometheus.sh` brings.

mod dashboard;
mod live;
mod rules;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::repository;

/// A file of `deploy/`.
fn read(name: &str) -> String {
    let path = repository("deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A YAML file of `deploy/`.
fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The dashboard.
fn dashboard() -> Value {
    serde_json::from_str(&read("grafana/modelsd.json")).unwrap()
}

/// The items of a list.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text, which has to be one.
#[track_caller]
fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("a text, and not {value}"))
}

/// The rules of all groups.
fn all_rules() -> Vec<Value> {
    let rules = yaml("prometheus/rules.yml");
    let of_group = |group: &Value| list(&group["rules"]).to_vec();
    list(&rules["groups"]).iter().flat_map(of_group).collect()
}

/// A program of Prometheus, where the script finds it.
fn program(name: &str) -> PathBuf {
    let found = Command::new(repository("scripts/test-prometheus.sh"))
        .arg("--find")
        .output()
        .unwrap();
    assert!(
        found.status.success(),
        "there is no Prometheus: run scripts/test-prometheus.sh"
    );
    PathBuf::from(String::from_utf8(found.stdout).unwrap().trim()).join(name)
}

/// The words of an expression that can be names of series, those of recorded ones with their colons.
fn words(expression: &str) -> BTreeSet<&str> {
    let splits = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
    expression
        .split(splits)
        .filter(|word| word.contains("modelsd_"))
        .collect()
}

/// The values that an expression wants of `outcome` or `kind`.
fn outcomes(expression: &str) -> BTreeSet<&str> {
    let labels = ["outcome", "kind"].iter();
    let after = labels.flat_map(|label| expression.split(label).skip(1));
    let quoted = after.filter_map(|rest| {
        let rest = rest.trim_start_matches(['=', '!', '~']);
        rest.strip_prefix('"')?.split_once('"')
    });
    quoted.flat_map(|(values, _)| values.split('|')).collect()
}

/// The names in an expression that neither modelsd nor a rule has.
fn unknown_names(expression: &str, metrics: &str, recorded: &BTreeSet<String>) -> Vec<String> {
    let is_metric = |word: &str| {
        let parts = ["", "_bucket", "_sum", "_count"];
        parts.iter().any(|part| {
            let base = word.strip_suffix(part);
            base.is_some_and(|base| metrics.contains(&format!("= \"{base}\";")))
        })
    };
    let unknown = words(expression)
        .into_iter()
        .filter(|word| !recorded.contains(*word) && !is_metric(word));
    unknown.map(str::to_owned).collect()
}

#[test]
fn expressions_name_metrics_and_rules_that_there_are() {
    let metrics = fs::read_to_string(repository("src/telemetry/names.rs")).unwrap();
    let rules = all_rules();
    let recorded = rules.iter().filter_map(|rule| rule["record"].as_str());
    let recorded: BTreeSet<String> = recorded.map(str::to_owned).collect();
    let of_rules = rules.iter().map(|rule| text(&rule["expr"]).to_owned());
    // Those of the dashboard do without rules: Prometheus may have others.
    let mut unknown: Vec<String> = of_rules
        .flat_map(|expression| unknown_names(&expression, &metrics, &recorded))
        .collect();
    let none = BTreeSet::new();
    let of_dashboard = dashboard::expressions(&dashboard()).into_iter();
    unknown.extend(of_dashboard.flat_map(|(_, expression)| unknown_names(&expression, &metrics, &none)));
    assert_eq!(unknown, Vec::<String>::new());
}

#[test]
fn the_dashboard_shows_every_metric() {
    let metrics = fs::read_to_string(repository("src/telemetry/names.rs")).unwrap();
    let board = read("grafana/modelsd.json");
    let names = metrics.split('"').filter(|word| word.starts_with("modelsd_"));
    let missing: Vec<&str> = names.filter(|name| !board.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn expressions_ask_for_outcomes_that_there_are() {
    let errors = fs::read_to_string(repository("src/serve/error.rs")).unwrap();
    let of_rules = all_rules().into_iter().map(|rule| text(&rule["expr"]).to_owned());
    let of_dashboard = dashboard::expressions(&dashboard())
        .into_iter()
        .map(|(_, expression)| expression);
    let mut seen = 0;
    for expression in of_rules.chain(of_dashboard) {
        for outcome in outcomes(&expression) {
            // What became of a request, or of a version.
            let is_known =
                ["ok", "rejected"].contains(&outcome) || errors.contains(&format!("=> \"{outcome}\","));
            assert!(is_known, "there is no outcome `{outcome}`: {expression}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
    let sample = r#"a{outcome="ok"} / b{kind=~"deadline|internal"} - c{outcome!="x"}"#;
    assert_eq!(
        outcomes(sample),
        BTreeSet::from(["ok", "deadline", "internal", "x"])
    );
}

#[test]
fn a_name_that_is_nobodys_is_seen() {
    let metrics = "pub const A: &str = \"modelsd_load_seconds\";";
    let recorded = BTreeSet::from(["route:modelsd_load:p99".to_owned()]);
    let known = "rate(modelsd_load_seconds_bucket[5m]) / on (job) route:modelsd_load:p99";
    assert_eq!(unknown_names(known, metrics, &recorded), Vec::<String>::new());
    let gone = "modelsd_gone_total + route:modelsd_load:p50";
    assert_eq!(unknown_names(gone, metrics, &recorded).len(), 2);
}
