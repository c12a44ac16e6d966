//! The rules of Prometheus: that they are read, that each alert is fired by a test, and that each says what to do.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::{all_rules, list, program, text, yaml};
use crate::support::repository;

/// Runs promtool in `deploy/prometheus`.
fn promtool(words: &[&str]) {
    let output = Command::new(program("promtool"))
        .args(words)
        .current_dir(repository("deploy/prometheus"))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "promtool {}: {said}", words.join(" "));
}

#[test]
fn promtool_accepts_them_and_they_do_what_they_should() {
    promtool(&["check", "config", "prometheus.yml"]);
    promtool(&["check", "rules", "rules.yml"]);
    promtool(&["test", "rules", "rules_test.yml"]);
}

/// The alerts that a test expects to be fired.
fn fired(tests: &Value) -> BTreeSet<String> {
    let mut fired = BTreeSet::new();
    for test in list(&tests["tests"]) {
        let whole = list(&test["alert_rule_test"]).iter();
        let expected = whole.filter(|alert| !list(&alert["exp_alerts"]).is_empty());
        fired.extend(expected.map(|alert| text(&alert["alertname"]).to_owned()));
        for expression in list(&test["promql_expr_test"]) {
            for sample in list(&expression["exp_samples"]) {
                let labels = sample["labels"].as_str().unwrap_or_default();
                let name = labels.split_once("ALERTS{alertname=\"");
                let name = name.and_then(|(_, rest)| rest.split_once('"'));
                if let Some((name, rest)) = name
                    && rest.contains("alertstate=\"firing\"")
                {
                    fired.insert(name.to_owned());
                }
            }
        }
    }
    fired
}

#[test]
fn each_alert_is_fired_by_a_test_and_says_what_to_do() {
    let rules = all_rules();
    let alerts: Vec<&Value> = rules.iter().filter(|rule| !rule["alert"].is_null()).collect();
    let names: BTreeSet<String> = alerts
        .iter()
        .map(|rule| text(&rule["alert"]).to_owned())
        .collect();
    assert_eq!(names.len(), alerts.len(), "two alerts have one name");
    assert_eq!(fired(&yaml("prometheus/rules_test.yml")), names);
    for alert in alerts {
        for annotation in ["summary", "description", "next_step"] {
            let words = alert["annotations"][annotation].as_str().unwrap_or_default();
            assert!(words.len() > 20, "{}: {annotation}: `{words}`", alert["alert"]);
        }
        let severity = text(&alert["labels"]["severity"]);
        assert!(["page", "ticket"].contains(&severity), "{severity}");
    }
}

/// The panels that a next step sends people to.
#[test]
fn panels_that_a_next_step_names_are_there() {
    let board = super::dashboard();
    let titles: BTreeSet<&str> = list(&board["panels"])
        .iter()
        .map(|panel| text(&panel["title"]))
        .collect();
    let mut named = 0;
    for rule in all_rules() {
        let step = rule["annotations"]["next_step"].as_str().unwrap_or_default();
        for title in step.split('"').skip(1).step_by(2) {
            assert!(
                titles.contains(title),
                "{}: there is no panel `{title}`",
                rule["alert"]
            );
            named += 1;
        }
    }
    assert!(named > 5, "{named}");
}
