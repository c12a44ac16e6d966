//! House rules over the source tree, as ordinary tests: layers, siblings, module docs, file length, silenced lints,
//! unfinished code, the environment and top-level entries; of the documentation, see `pages`.
//!
//! A rule is a function from text to a list of violations. Each has two tests: the tree keeps it, and a bad sample
//! breaks it.

use std::collections::BTreeSet;
use std::fs;

use layer_table::LAYERS;
use source::{Source, absolute_paths, root, sources};

#[path = "tidy/layers.rs"]
mod layer_table;
#[path = "tidy/pages.rs"]
mod pages;
#[path = "tidy/source.rs"]
mod source;

/// Folders of interchangeable kinds: siblings do not know each other, and outsiders know only the folder.
const EXTENSION_FOLDERS: &[&str] = &["registry", "artifact", "flavor", "protocol", "predlog"];
/// Modules of an extension folder that its kinds share.
const SHARED: &[&str] = &[
    "alike", "bundle", "cache", "error", "fetch", "files", "json", "outlet", "pick", "privacy", "progress",
    "read", "record", "recorder", "remote", "shelves", "spans", "spec", "store",
];

const MAX_LINES: usize = 500;

/// What the top level of the repository holds, besides what `.gitignore` names.
const TOP_LEVEL: &str = ".ci .dockerignore .env.example .git .gitignore Cargo.lock Cargo.toml Dockerfile LICENSE README.md benches \
    build.rs clippy.toml deny.toml deploy docs models rust-toolchain.toml rustfmt.toml scripts src tests";

// === the rules ===

fn layers(source: &Source) -> Vec<String> {
    let module = source.module();
    let own = module.first().copied().unwrap_or("");
    if own == "lib" {
        return Vec::new();
    }
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == own) else {
        return vec![format!("{}: `{own}` is not in the layer table", source.path)];
    };
    let forbidden = |path: &Vec<String>| {
        let used = path[0].as_str();
        !(used == own || used == "std" || allowed.contains(&used) || allowed.contains(&"*"))
    };
    let mut found = absolute_paths(&source.shipped_code(), &module);
    found.retain(forbidden);
    found
        .iter()
        .map(|path| format!("{}: `{own}` may not use `{}`", source.path, path.join("::")))
        .collect()
}

/// The kinds of each extension folder, as (folder, kind).
fn kinds(sources: &[Source]) -> BTreeSet<(String, String)> {
    let kind = |source: &Source| match source.module()[..] {
        [folder, kind, ..]
            if EXTENSION_FOLDERS.contains(&folder) && kind != "tests" && !SHARED.contains(&kind) =>
        {
            Some((folder.to_owned(), kind.to_owned()))
        }
        _ => None,
    };
    sources.iter().filter_map(kind).collect()
}

/// What all kinds of a folder stand on.
const GROUND: &[(&str, &str)] = &[
    ("flavor", "estimator"),
    ("flavor", "file"),
    ("flavor", "forest"),
    ("flavor", "formats"),
    ("flavor", "plan"),
    ("flavor", "refusal"),
];

/// Kinds that others are made of: pipelines of scikit-learn hold models of these libraries, LightGBM's own classes lie in
/// the files of scikit-learn.
const STANDS_ON: &[(&str, &str, &str)] = &[
    ("flavor", "sklearn", "lightgbm"),
    ("flavor", "sklearn", "xgboost"),
];

fn siblings(source: &Source, kinds: &BTreeSet<(String, String)>) -> Vec<String> {
    let module = source.module();
    let mut violations = Vec::new();
    for path in absolute_paths(&source.shipped_code(), &module) {
        let [folder, kind, ..] = &path[..] else { continue };
        let named_by_folder = module[..] == [folder.as_str()];
        let named_by_itself = module.get(..2) == Some(&[folder.as_str(), kind.as_str()]);
        let stands_on = matches!(module[..], [within, by, ..] if within == folder
            && (GROUND.contains(&(folder, kind)) || STANDS_ON.contains(&(within, by, kind))));
        let known = named_by_folder || named_by_itself || stands_on;
        if kinds.contains(&(folder.clone(), kind.clone())) && !known {
            violations.push(format!(
                "{}: only `{folder}` itself may name `{}`",
                source.path,
                path.join("::")
            ));
        }
    }
    violations
}

fn module_docs(source: &Source) -> Vec<String> {
    let documented = source.text.starts_with("//!");
    if documented {
        Vec::new()
    } else {
        vec![format!("{}: does not begin with `//!`", source.path)]
    }
}

fn length(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if lines > MAX_LINES {
        vec![format!("{}: {lines} lines, more than {MAX_LINES}", source.path)]
    } else {
        Vec::new()
    }
}

/// Each `allow` or `expect` of a lint needs a comment beside it: on its line, on the line above, or as `reason`.
fn silenced_lints(source: &Source) -> Vec<String> {
    let text: Vec<&str> = source.text.lines().collect();
    let mut violations = Vec::new();
    for (number, code) in source.code.lines().enumerate() {
        let silences = ["#[allow(", "#![allow(", "#[expect(", "#![expect("]
            .iter()
            .any(|start| code.contains(start));
        let line = text.get(number).copied().unwrap_or("");
        let above = number
            .checked_sub(1)
            .and_then(|above| text.get(above))
            .copied()
            .unwrap_or("");
        let is_why = |comment: &str| comment.starts_with("// ") && comment.len() > 10;
        let beside = line.get(code.trim_end().len()..).unwrap_or("").trim_start();
        if silences && !is_why(beside) && !is_why(above.trim_start()) && !code.contains("reason =") {
            violations.push(format!(
                "{}:{}: a lint is switched off without a word why",
                source.path,
                number + 1
            ));
        }
    }
    violations
}

fn unfinished(source: &Source) -> Vec<String> {
    let marks = ["todo!", "unimplemented!", "#[ignore"];
    let has_mark = |line: &str| marks.iter().any(|mark| line.contains(mark));
    let lines = source.code.lines().enumerate().filter(|(_, line)| has_mark(line));
    lines
        .map(|(number, _)| format!("{}:{}: unfinished or ignored", source.path, number + 1))
        .collect()
}

fn environment(source: &Source) -> Vec<String> {
    let module = source.module();
    if module == ["config"] {
        return Vec::new();
    }
    let paths = absolute_paths(&source.shipped_code(), &module);
    let reads = paths
        .iter()
        .any(|path| path.len() > 1 && path[0] == "std" && path[1] == "env");
    if reads {
        vec![format!("{}: only config.rs reads the environment", source.path)]
    } else {
        Vec::new()
    }
}

fn top_level(entries: &[String], gitignore: &str) -> Vec<String> {
    let ignored = |entry: &str| {
        gitignore
            .lines()
            .map(str::trim)
            .any(|line| match (line.strip_prefix('*'), line.strip_suffix('*')) {
                (Some(suffix), _) => !suffix.is_empty() && entry.ends_with(suffix),
                (None, Some(prefix)) => entry.starts_with(prefix.trim_start_matches('/')),
                (None, None) => line.trim_matches('/') == entry,
            })
    };
    let unexpected = entries
        .iter()
        .filter(|entry| !TOP_LEVEL.split_whitespace().any(|name| name == *entry) && !ignored(entry));
    unexpected
        .map(|entry| format!("{entry}: not expected at the top level"))
        .collect()
}

// === the tree keeps them ===

const OURS: &[&str] = &["src"];
const ALL: &[&str] = &["src", "tests", "benches"];

fn keeps(folders: &[&str], rule: impl Fn(&Source) -> Vec<String>) {
    let violations: Vec<String> = sources(folders).iter().flat_map(rule).collect();
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn modules_keep_to_their_layer() {
    keeps(OURS, layers);
}

#[test]
fn kinds_of_an_extension_folder_do_not_know_each_other() {
    let kinds = kinds(&sources(OURS));
    keeps(OURS, |source| siblings(source, &kinds));
}

#[test]
fn every_file_begins_with_module_docs() {
    keeps(OURS, module_docs);
}

#[test]
fn no_file_is_too_long() {
    keeps(ALL, length);
}

#[test]
fn no_lint_is_silenced_without_a_word_why() {
    keeps(ALL, silenced_lints);
}

#[test]
fn nothing_is_unfinished_or_ignored() {
    keeps(ALL, unfinished);
}

#[test]
fn only_config_reads_the_environment() {
    keeps(OURS, environment);
}

#[test]
fn the_top_level_holds_only_what_is_expected() {
    let entries: Vec<String> = fs::read_dir(root())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let gitignore = fs::read_to_string(root().join(".gitignore")).unwrap_or_default();
    let violations = top_level(&entries, &gitignore);
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

// === bad samples break them ===

/// Checks how many violations a rule finds in one file.
fn finds(count: usize, rule: impl Fn(&Source) -> Vec<String>, path: &str, text: &str) {
    let violations = rule(&Source::new(path, text));
    assert_eq!(violations.len(), count, "{path}: {text}\n{violations:?}");
}

#[test]
fn the_layer_rule_sees_every_way_to_name_a_module() {
    finds(1, layers, "src/model/uri.rs", "use crate::registry::Registry;");
    finds(
        1,
        layers,
        "src/model/uri.rs",
        "use super::super::registry::Registry;",
    );
    finds(
        2,
        layers,
        "src/flavor/onnx/ort.rs",
        "use crate::{model::Batch, serve::{Call, Error}};",
    );
    finds(
        1,
        layers,
        "src/serve/call.rs",
        "fn f() -> crate::http::Page { todo() }",
    );
    finds(1, layers, "src/http.rs", "use crate::Reexported;");
    finds(1, layers, "src/new_folder/mod.rs", "");
    finds(1, layers, "src/config.rs", "use crate::app::run;");
    finds(
        0,
        layers,
        "src/config.rs",
        "use crate::http::Config as HttpConfig; use crate::model::Uri;",
    );
    finds(
        0,
        layers,
        "src/model/uri.rs",
        "// crate::registry\nconst A: &str = \"crate::http\"; use super::version::Id;",
    );
    finds(
        0,
        layers,
        "src/model/uri.rs",
        "#[cfg(test)]\nmod tests { use crate::registry::Dir; }",
    );
    finds(
        1,
        layers,
        "src/model/uri.rs",
        "#[cfg(test)]\nmod tests;\nuse crate::registry::Dir;",
    );
    finds(
        1,
        layers,
        "src/model/uri.rs",
        "const Q: char = '\"'; use crate::http::Page; const R: &str = r#\"\"\"#;",
    );
    finds(0, layers, "src/app.rs", "use crate::{http, registry::Registry};");
}

#[test]
fn the_sibling_rule_sees_neighbours_and_outsiders() {
    let files = [
        "src/flavor/mod.rs",
        "src/flavor/onnx/mod.rs",
        "src/flavor/onnx/ort.rs",
        "src/flavor/xgboost.rs",
    ];
    let tree: Vec<Source> = files
        .iter()
        .chain(&["src/flavor/forest.rs"])
        .map(|path| Source::new(path, ""))
        .collect();
    let kinds = kinds(&tree);
    let rule = |source: &Source| siblings(source, &kinds);
    finds(1, rule, "src/flavor/xgboost.rs", "use super::onnx::Session;");
    finds(1, rule, "src/flavor/onnx/ort.rs", "use crate::flavor::xgboost;");
    finds(1, rule, "src/app.rs", "use crate::flavor::onnx::OrtLoader;");
    finds(
        0,
        rule,
        "src/flavor/mod.rs",
        "use self::onnx::Ort; use crate::flavor::xgboost::Booster;",
    );
    finds(
        0,
        rule,
        "src/flavor/onnx/ort.rs",
        "use super::tensor; use crate::flavor::{Predictor, forest::Tree, onnx};",
    );
    finds(0, rule, "src/app.rs", "use crate::flavor::Loader;");
}

#[test]
fn the_file_rules_see_bad_files() {
    finds(1, module_docs, "src/a.rs", "use std::fs;\n//! late");
    finds(1, length, "src/a.rs", &"\n".repeat(MAX_LINES + 1));
    finds(0, length, "src/a.rs", &"\n".repeat(MAX_LINES));
}

#[test]
fn the_lint_rule_wants_a_reason() {
    finds(1, silenced_lints, "src/a.rs", "#[allow(dead_code)]\nfn f() {}");
    finds(
        1,
        silenced_lints,
        "src/a.rs",
        "/// Documents.\n    #![allow(dead_code)]",
    );
    finds(
        0,
        silenced_lints,
        "src/a.rs",
        "#[allow(dead_code)] // why: only the ort build calls it",
    );
    finds(
        0,
        silenced_lints,
        "src/a.rs",
        "// The macro expands to a cast.\n#[allow(clippy::as_conversions)]",
    );
    finds(
        0,
        silenced_lints,
        "src/a.rs",
        "#[expect(dead_code, reason = \"the ort build calls it\")]",
    );
}

#[test]
fn the_unfinished_rule_ignores_comments_and_literals() {
    finds(
        3,
        unfinished,
        "src/a.rs",
        "fn f() { todo!() }\nfn g() { unimplemented!() }\n#[ignore = \"slow\"]\n#[test]",
    );
    finds(
        0,
        unfinished,
        "src/a.rs",
        "// todo!\nconst A: &str = \"todo!()\"; /* #[ignore] */",
    );
}

#[test]
fn the_environment_rule_sees_groups() {
    finds(
        1,
        environment,
        "src/app.rs",
        "let port = std::env::var(\"PORT\");",
    );
    finds(1, environment, "src/http/mod.rs", "use std::{fs, env};");
    finds(0, environment, "src/config.rs", "use std::env;");
    finds(
        0,
        environment,
        "src/app.rs",
        "const V: &str = env!(\"CARGO_PKG_VERSION\"); use std::ffi;",
    );
}

#[test]
fn the_top_level_rule_sees_a_stray_entry() {
    let entries = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(top_level(&entries(&["src", "notes.md"]), "/target\n").len(), 1);
    assert_eq!(
        top_level(
            &entries(&["src", "target", "a.tmp", ".venv-test.lock"]),
            "/target\n*.tmp\n/.venv-*\n"
        ),
        Vec::<String>::new()
    );
}

#[test]
fn the_rules_see_the_tree() {
    let found = sources(ALL);
    assert!(
        found
            .iter()
            .any(|source| source.path == "tests/tidy.rs" && source.text.contains("the_rules_see_the_tree"))
    );
}
