//! The documentation as tests: the reference names every metric, route, header and variable, and the pages' links lead
//! somewhere.
//!
//! Flags are compared with the table by the tests of `config`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::source::{Source, root, sources};

const README: &str = "README.md";
const REFERENCE: &str = "docs/reference.md";

// === the rules ===

/// What is in one text and not in the other, both ways.
fn compare(what: &str, defined: &BTreeSet<String>, told: &BTreeSet<String>) -> Vec<String> {
    let missing = defined
        .difference(told)
        .map(|name| format!("{REFERENCE}: does not tell of the {what} `{name}`"));
    let unknown = told
        .difference(defined)
        .map(|name| format!("{REFERENCE}: there is no {what} `{name}`"));
    missing.chain(unknown).collect()
}

/// Metric names in a text: words that begin with `modelsd_`.
fn metric_names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| word.len() > 8 && word.starts_with("modelsd_"))
        .map(str::to_owned)
        .collect()
}

/// The text tells of every metric of the code, and of no other; `_bucket`, `_sum` and `_count` belong to histograms.
fn metrics(telemetry: &str, text: &str) -> Vec<String> {
    let defined = metric_names(telemetry);
    let base = |name: String| {
        let parts = ["_bucket", "_sum", "_count"];
        let of_histogram = parts.iter().find_map(|part| name.strip_suffix(part));
        match of_histogram {
            Some(base) if !defined.contains(&name) => base.to_owned(),
            _ => name,
        }
    };
    compare(
        "metric",
        &defined,
        &metric_names(text).into_iter().map(base).collect(),
    )
}

/// The paths of `.route("PATH"` in code. One that ends in a wildcard answers what is not there.
fn routed(code: &str) -> BTreeSet<String> {
    let rest = code.split(".route(").skip(1);
    let literal = |rest: &str| Some(rest.trim_start().strip_prefix('"')?.split_once('"')?.0.to_owned());
    rest.filter_map(literal)
        .filter(|path| path.starts_with('/') && !path.contains("{*"))
        .collect()
}

/// The paths in the tables of routes: `GET /PATH` or `/PATH`; below `/api/mlflow` in the second.
fn told_routes(text: &str) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    let mut below = None;
    for line in text.lines() {
        let heading = match line {
            "| route | answer |" => Some(""),
            "| route below `/api/mlflow` | does |" => Some("/api/mlflow/"),
            _ => None,
        };
        if heading.is_some() || !line.starts_with('|') {
            below = heading;
            continue;
        }
        let (Some(below), Some(cell)) = (below, line.split('|').nth(1)) else {
            continue;
        };
        for span in cell.split('`').skip(1).step_by(2) {
            let (method, path) = span.split_once(' ').unwrap_or(("", span));
            // A method alone shares the path of the next.
            let is_method = |word: &str| ["GET", "PUT", "POST", "DELETE"].contains(&word);
            if !is_method(path)
                && (is_method(method) || method.is_empty())
                && !path.contains('…')
                && path != "/"
            {
                told.insert(format!("{below}{path}"));
            }
        }
    }
    told
}

/// String literals of the code that are names of headers of our own or of MLflow's.
fn headers(code: &str) -> BTreeSet<String> {
    let is_name = |text: &&str| {
        let inside = text.strip_prefix("x-").unwrap_or_default();
        !inside.is_empty() && inside.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    };
    literals(code).filter(is_name).map(str::to_owned).collect()
}

/// String literals of the code that are names of variables.
fn variables(code: &str) -> BTreeSet<String> {
    let families = [
        "MODELSD_",
        "MLFLOW_",
        "ORT_",
        "RUST_",
        "AWS_",
        "AZURE_",
        "GOOGLE_",
        "IDENTITY_",
        "STORAGE_",
    ];
    let is_name = |text: &&str| {
        let after = families.iter().find_map(|family| text.strip_prefix(family));
        after.is_some_and(|rest| !rest.is_empty())
            && text
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    literals(code).filter(is_name).map(str::to_owned).collect()
}

/// What is between quotes and has none itself.
fn literals(code: &str) -> impl Iterator<Item = &str> {
    code.lines().flat_map(|line| line.split('"'))
}

/// The names that the text does not have as whole words.
fn untold(what: &str, names: &BTreeSet<String>, text: &str) -> Vec<String> {
    let words: BTreeSet<&str> = text
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
        .collect();
    let missing = names.iter().filter(|name| !words.contains(name.as_str()));
    missing
        .map(|name| format!("{REFERENCE}: does not tell of the {what} `{name}`"))
        .collect()
}

/// The lines of a page outside code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// The anchors that GitHub gives to the headings of a page.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for heading in prose(page).filter(|line| line.starts_with('#')) {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let further = (1..).map(|number| format!("{anchor}-{number}"));
        let mut names = std::iter::once(anchor.clone()).chain(further);
        found.extend(names.find(|name| !found.contains(name)));
    }
    found
}

/// Where the links of a page lead, but for those to other sites.
fn links(page: &str) -> Vec<&str> {
    let targets = prose(page).flat_map(|line| line.split("](").skip(1));
    targets
        .filter_map(|rest| Some(rest.split_once(')')?.0))
        .filter(|target| !target.contains("://"))
        .collect()
}

/// The links of pages (path and text) that lead nowhere; `exists` knows the other files.
fn dead_links(pages: &BTreeMap<String, String>, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut dead = Vec::new();
    for (path, text) in pages {
        for link in links(text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                path.clone()
            } else {
                beside(path, file)
            };
            let page = pages.get(&target);
            let problem = match page {
                None if !exists(&target) => Some("there is no such file"),
                Some(page) if !anchor.is_empty() && !anchors(page).contains(anchor) => {
                    Some("it has no such heading")
                }
                None if !anchor.is_empty() => Some("only headings of pages are known"),
                _ => None,
            };
            dead.extend(problem.map(|problem| format!("{path}: `{link}`: {problem}")));
        }
    }
    dead
}

/// The path of a file that is named relative to another.
fn beside(path: &str, file: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

// === the tree keeps them ===

/// README.md, the pages of `docs` and the architecture, by their paths.
fn pages() -> BTreeMap<String, String> {
    let docs = fs::read_dir(root().join("docs")).into_iter().flatten().flatten();
    let docs = docs.map(|entry| format!("docs/{}", entry.file_name().to_string_lossy()));
    let others = [README, "src/ARCHITECTURE.md"].map(str::to_owned);
    docs.filter(|path| path.ends_with(".md"))
        .chain(others)
        .map(|path| {
            let text = fs::read_to_string(root().join(&path)).unwrap_or_default();
            (path, text)
        })
        .collect()
}

fn reference() -> String {
    fs::read_to_string(root().join(REFERENCE)).unwrap_or_default()
}

/// The text of the files that are not tests and that the rule is for.
fn shipped(belongs: impl Fn(&Source) -> bool) -> String {
    let found = sources(&["src"]);
    let own = found
        .iter()
        .filter(|source| !source.module().contains(&"tests") && belongs(source));
    let without_tests = |source: &Source| {
        let end = source
            .text
            .find("#[cfg(test)]\nmod tests {")
            .unwrap_or(source.text.len());
        source.text.get(..end).unwrap_or_default().to_owned()
    };
    own.map(without_tests).collect::<Vec<_>>().concat()
}

fn none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn the_reference_names_every_metric_and_no_other() {
    let telemetry = shipped(|source| source.module().first() == Some(&"telemetry"));
    none(&metrics(&telemetry, &reference()));
}

/// The figures that other pages name are there.
#[test]
fn no_page_names_a_metric_that_is_not_there() {
    let telemetry = metric_names(&reference());
    for (path, text) in pages() {
        let unknown: Vec<String> = metric_names(&text)
            .into_iter()
            .filter(|name| !telemetry.contains(name))
            .map(|name| format!("{path}: there is no metric `{name}`"))
            .collect();
        none(&unknown);
    }
}

#[test]
fn the_reference_names_every_route_and_no_other() {
    let http = shipped(|source| source.module().first() == Some(&"http"));
    let defined = routed(&http);
    assert!(defined.len() > 40, "{defined:?}");
    none(&compare("route", &defined, &told_routes(&reference())));
}

#[test]
fn the_reference_names_every_header() {
    let code = shipped(|source| {
        let module = source.module();
        ["http", "routing"].contains(module.first().unwrap_or(&"")) && !module.contains(&"encoding")
    });
    let defined = headers(&code);
    assert!(defined.len() > 10, "{defined:?}");
    none(&untold("header", &defined, &reference()));
}

#[test]
fn the_reference_names_every_variable() {
    let code =
        shipped(|source| source.module().first() == Some(&"config") || source.path == "src/artifact/mod.rs");
    let defined = variables(&code);
    assert!(defined.len() > 120, "{defined:?}");
    none(&untold("variable", &defined, &reference()));
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    none(&dead_links(&pages, |path| root().join(path).is_file()));
}

#[test]
fn the_readme_leads_to_every_page() {
    let pages = pages();
    let readme = pages.get(README).map(String::as_str).unwrap_or_default();
    let led_to: BTreeSet<&str> = links(readme).into_iter().collect();
    let missing = pages
        .keys()
        .filter(|path| *path != README && !led_to.contains(path.as_str()));
    none(
        &missing
            .map(|path| format!("{README}: has no link to {path}"))
            .collect::<Vec<_>>(),
    );
}

// === bad samples break them ===

#[test]
fn the_metric_rule_compares_both_ways() {
    let code = "pub const A: &str = \"modelsd_stage_seconds\";";
    assert_eq!(metrics(code, "nothing").len(), 1);
    assert_eq!(metrics("", "`modelsd_gone_total`").len(), 1);
    assert_eq!(
        metrics(code, "modelsd_stage_seconds_bucket, modelsd_stage_seconds"),
        Vec::<String>::new()
    );
}

#[test]
fn the_route_rule_reads_both_tables_and_code() {
    let code =
        ".route(\"/ping\", get(f))\n.route(\n    \"/api/mlflow/runs/{id}\",\n g) .route(\"/api/{*rest}\", h)";
    let table = "| route | answer |\n| --- | --- |\n| `GET /`, `GET /assets/…` | `GET /no` |\n| `PUT`, `DELETE /ping` | x |\n\n\
                 | other | `GET /other` |\n\n| route below `/api/mlflow` | does |\n| `GET runs/{id}` | x |\n";
    assert_eq!(
        compare("route", &routed(code), &told_routes(table)),
        Vec::<String>::new()
    );
    assert_eq!(compare("route", &routed(code), &told_routes("")).len(), 2);
    assert_eq!(compare("route", &routed(""), &told_routes(table)).len(), 2);
}

#[test]
fn names_are_told_as_whole_words() {
    let code = "(\"x-model-name\", \"MODELSD_PORT\"), env = \"ORT_DYLIB_PATH\", \"x-Other\", \"MODELSD_\"";
    assert_eq!(headers(code).len(), 1);
    assert_eq!(variables(code).len(), 2);
    assert_eq!(
        untold("variable", &variables(code), "`MODELSD_PORTS` ORT_DYLIB_PATH").len(),
        1
    );
    assert_eq!(
        untold("header", &headers(code), "`x-model-name`: a name").len(),
        0
    );
}

#[test]
fn the_link_rule_sees_missing_files_and_headings() {
    let readme = "# Top\n[a](docs/a.md), [b](docs/a.md#the-b-of-c), [c](#top), [d](LICENSE), [e](https://e.example/#x)\n\
                  ```\n[code](gone.md)\n# no heading\n```\n";
    let bad = "# Other\n## The `b` of C\n## The B of C\n[ok](#the-b-of-c-1) [up](../README.md#top)\n\
               [1](b.md) [2](#no-heading) [3](../README.md#no-heading) [4](README.md)\n";
    let pages = [(README, readme), ("docs/a.md", bad)].map(|(path, text)| (path.to_owned(), text.to_owned()));
    let dead = dead_links(&pages.into(), |path| path == "LICENSE");
    assert_eq!(dead.len(), 4, "{dead:?}");
}
