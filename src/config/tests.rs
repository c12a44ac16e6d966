//! Tests of the configuration.

use std::collections::HashMap;

use clap::CommandFactory;
use std::time::Duration;

use super::*;

struct Map(HashMap<&'static str, &'static str>);

impl Env for Map {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| value.to_string())
    }
}

fn serve(words: &[&str], env: &[(&'static str, &'static str)]) -> Result<ServeConfig, Problems> {
    let words = ["modelsd", "serve"].iter().chain(words);
    let Command::Serve(args) = Args::try_parse_from(words).unwrap().command else {
        panic!("serve expected")
    };
    ServeConfig::new(&args, &Map(env.iter().copied().collect()))
}

#[test]
fn the_command_line_is_well_formed() {
    Args::command().debug_assert();
}

#[test]
fn defaults_are_those_of_the_help() {
    let config = serve(&["-m", "models:/iris/1"], &[]).unwrap();
    assert_eq!((config.host.as_str(), config.port), ("127.0.0.1", 5001));
    assert_eq!(config.endpoint.timeout, Duration::from_secs(60));
    assert_eq!(config.http.max_body_bytes, 64 << 20);
    assert_eq!(config.http.limits.depth, 64);
    assert_eq!(config.registry, "./models");
}

#[test]
fn mlflows_variables_are_honoured_below_flags() {
    let env = [
        ("MLFLOW_PORT", "7000"),
        ("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "3"),
        ("MLFLOW_HOST", "0.0.0.0"),
    ];
    let config = serve(&["-m", "models:/iris/1"], &env).unwrap();
    assert_eq!(
        (config.port, config.endpoint.timeout),
        (7000, Duration::from_secs(3))
    );
    assert_eq!(config.host, "0.0.0.0");
    assert_eq!(
        serve(&["-m", "models:/iris/1", "--port", "7001"], &env)
            .unwrap()
            .port,
        7001
    );
}

#[test]
fn every_problem_is_reported_at_once() {
    let words = [
        "-m",
        "models:/a/b/c",
        "--port",
        "70000",
        "--engine",
        "gpu",
        "--max-body-bytes",
        "many",
    ];
    let Problems(problems) = serve(&words, &[("MLFLOW_DISABLE_SCHEMA_DETAILS", "perhaps")]).unwrap_err();
    for wanted in ["models:/a/b/c", "70000", "gpu", "many", "perhaps"] {
        assert!(
            problems.iter().any(|problem| problem.contains(wanted)),
            "{wanted} in {problems:?}"
        );
    }
    assert_eq!(problems.len(), 5);
}

#[test]
fn a_library_that_is_not_there_is_a_problem() {
    let words = [
        "-m",
        "models:/iris/1",
        "--onnxruntime",
        "/nowhere/libonnxruntime.so",
    ];
    let Problems(problems) = serve(&words, &[]).unwrap_err();
    assert!(
        problems[0].contains("`/nowhere/libonnxruntime.so`"),
        "{problems:?}"
    );
}

#[test]
fn a_problem_from_the_environment_names_the_variable() {
    let Problems(problems) = serve(&["-m", "models:/iris/1"], &[("MLFLOW_PORT", "x")]).unwrap_err();
    assert_eq!(
        problems,
        ["--port (from MLFLOW_PORT) is `x`: use a number from 0 to 65535"]
    );
}

#[test]
fn no_model_is_a_problem_with_an_example() {
    let Problems(problems) = serve(&[], &[]).unwrap_err();
    assert!(problems[0].contains("models:/iris/Production"), "{problems:?}");
}

#[test]
fn the_readme_has_every_flag_of_serve_with_its_variable_and_no_other() {
    let readme = include_str!("../../README.md");
    let table: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `--")).collect();
    let command = Args::command();
    let serve = command.find_subcommand("serve").unwrap();
    let mut flags = 0;
    for arg in serve
        .get_arguments()
        .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
    {
        let flag = format!("| `--{}`", arg.get_long().unwrap());
        let row = table
            .iter()
            .find(|row| row.starts_with(&flag))
            .unwrap_or_else(|| panic!("no row {flag}"));
        let variable = format!("`{}`", arg.get_env().unwrap().to_str().unwrap());
        assert!(row.contains(&variable), "{row} does not name {variable}");
        flags += 1;
    }
    assert_eq!(table.len(), flags, "rows of flags that do not exist");
}
