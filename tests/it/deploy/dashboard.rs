//! The dashboard of Grafana, as data: what Grafana would show wrongly without a word.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{dashboard, list, text, yaml};

/// Every expression with where it stands: those of panels and of annotations.
pub(super) fn expressions(dashboard: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            let place = format!("panel {} `{}`", panel["id"], text(&panel["title"]));
            found.push((place, text(&target["expr"]).to_owned()));
        }
    }
    for annotation in list(&dashboard["annotations"]["list"]) {
        let place = format!("annotation `{}`", text(&annotation["name"]));
        found.push((place, text(&annotation["expr"]).to_owned()));
    }
    found
}

/// The questions of the variables for their values, as (variable, selector, label).
pub(super) fn variable_queries(dashboard: &Value) -> Vec<(String, String, String)> {
    let variables = list(&dashboard["templating"]["list"]).iter();
    let queries = variables.filter(|variable| variable["type"] == "query");
    queries
        .map(|variable| {
            let query = text(&variable["query"]["query"]);
            assert_eq!(variable["definition"], query, "shown as it is");
            let inner = query
                .strip_prefix("label_values(")
                .and_then(|rest| rest.strip_suffix(')'));
            let (selector, label) = inner.and_then(|inner| inner.rsplit_once(", ")).unwrap();
            (
                text(&variable["name"]).to_owned(),
                selector.to_owned(),
                label.to_owned(),
            )
        })
        .collect()
}

/// The variables that a text uses: `$name` and `${name}`.
fn used(text: &str) -> BTreeSet<String> {
    let after = text.split('$').skip(1).map(|rest| rest.trim_start_matches('{'));
    let names = after.map(|rest| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        rest.chars().take_while(|c| is_name(*c)).collect::<String>()
    });
    names.filter(|name| !name.is_empty()).collect()
}

/// Left, top, right, bottom.
fn place(panel: &Value) -> [u64; 4] {
    let at = |name: &str| panel["gridPos"][name].as_u64().unwrap_or(u64::MAX / 2);
    [at("x"), at("y"), at("x") + at("w"), at("y") + at("h")]
}

/// What is wrong with a dashboard.
fn problems(dashboard: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let panels = list(&dashboard["panels"]);
    let mut ids = BTreeSet::new();
    for (position, panel) in panels.iter().enumerate() {
        let title = &panel["title"];
        if panel["id"].as_u64().is_none_or(|id| !ids.insert(id)) {
            problems.push(format!("{title}: its id is missing or another's"));
        }
        let [left, top, right, bottom] = place(panel);
        if right > 24 || left >= right || top >= bottom {
            problems.push(format!("{title}: it is outside of the grid"));
        }
        for other in &panels[..position] {
            let [other_left, other_top, other_right, other_bottom] = place(other);
            if left < other_right && other_left < right && top < other_bottom && other_top < bottom {
                problems.push(format!("{title}: it lies on {}", other["title"]));
            }
        }
        if panel["type"] != "row" {
            problems.extend(of_panel(panel));
        }
    }
    let variables = list(&dashboard["templating"]["list"]).iter();
    let names: BTreeSet<&str> = variables
        .filter_map(|variable| variable["name"].as_str())
        .collect();
    for name in used(&dashboard.to_string()) {
        if name != "__rate_interval" && name != "__all" && !names.contains(&*name) {
            problems.push(format!("there is no variable `{name}`"));
        }
    }
    for annotation in list(&dashboard["annotations"]["list"]) {
        problems.extend(of_source(&annotation["name"], &annotation["datasource"]));
    }
    problems
}

fn of_panel(panel: &Value) -> Vec<String> {
    let title = &panel["title"];
    let mut problems = of_source(title, &panel["datasource"]);
    let targets = list(&panel["targets"]);
    let letters: BTreeSet<&str> = targets
        .iter()
        .filter_map(|target| target["refId"].as_str())
        .collect();
    if targets.is_empty() || letters.len() != targets.len() {
        problems.push(format!(
            "{title}: it asks nothing, or two questions have one letter"
        ));
    }
    for target in targets {
        problems.extend(of_source(title, &target["datasource"]));
        if target["expr"].as_str().is_none_or(str::is_empty) {
            problems.push(format!("{title}: a question is empty"));
        }
    }
    if panel["description"].as_str().is_none_or(str::is_empty) {
        problems.push(format!("{title}: nothing says what it shows"));
    }
    problems
}

/// A source is the one that the variable chooses.
fn of_source(title: &Value, source: &Value) -> Vec<String> {
    if *source == json!({ "type": "prometheus", "uid": "${datasource}" }) {
        Vec::new()
    } else {
        vec![format!(
            "{title}: its data source is not that of the variable: {source}"
        )]
    }
}

#[test]
fn it_is_well_formed() {
    let dashboard = dashboard();
    assert_eq!(problems(&dashboard), Vec::<String>::new());
    assert_eq!(dashboard["uid"], "modelsd");
    assert_eq!(dashboard["schemaVersion"], 39);
    assert!(dashboard["id"].is_null(), "an id is that of one Grafana");
    let variables = list(&dashboard["templating"]["list"]).iter();
    let names: Vec<&str> = variables.map(|variable| text(&variable["name"])).collect();
    assert_eq!(
        names,
        ["datasource", "instance", "route", "variant", "model", "version"]
    );
}

#[test]
fn what_is_provisioned_fits_the_configuration_of_prometheus() {
    let prometheus = yaml("prometheus/prometheus.yml");
    let sources = yaml("grafana/provisioning/datasources/modelsd.yml");
    let source = &sources["datasources"][0];
    // Rates over less than two scrapes are empty.
    assert_eq!(
        source["jsonData"]["timeInterval"],
        prometheus["global"]["scrape_interval"]
    );
    assert_eq!(source["type"], "prometheus");
    let boards = yaml("grafana/provisioning/dashboards/modelsd.yml");
    let page = std::fs::read_to_string(crate::support::repository("docs/operations.md")).unwrap();
    let folder = text(&boards["providers"][0]["options"]["path"]);
    assert!(
        page.contains(&format!("{folder}/modelsd.json")),
        "docs/operations.md puts it elsewhere than {folder}"
    );
}

#[test]
fn a_bad_dashboard_is_seen() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 8] = [
        ("its id", |board| board["panels"][2]["id"] = json!(1)),
        ("it lies on", |board| {
            board["panels"][2]["gridPos"]["x"] = json!(0)
        }),
        ("outside of the grid", |board| {
            board["panels"][2]["gridPos"]["w"] = json!(25)
        }),
        ("a question is empty", |board| {
            board["panels"][2]["targets"][0]["expr"] = json!("")
        }),
        ("it asks nothing", |board| {
            board["panels"][2]["targets"] = json!([])
        }),
        ("not that of the variable", |board| {
            board["panels"][2]["targets"][0]["datasource"]["uid"] = json!("mine")
        }),
        ("nothing says", |board| {
            board["panels"][2]["description"] = json!("")
        }),
        ("there is no variable `nobody`", |board| {
            board["panels"][2]["targets"][0]["expr"] = json!("up{a=\"${nobody}\"}")
        }),
    ];
    for (word, change) in changes {
        let mut board = dashboard();
        change(&mut board);
        let found = problems(&board);
        assert!(
            found.iter().any(|problem| problem.contains(word)),
            "{word}: {found:?}"
        );
    }
}
