//! Tests of the configuration.

use std::collections::HashMap;

use clap::CommandFactory;
use std::time::Duration;

use super::*;
use crate::client::Credentials;
use crate::predlog::SinkSpec;
use crate::registry::Spec;

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
    assert_eq!(config.registry, Spec::Folder("./models".into()));
}

#[test]
fn the_record_has_limits_and_its_sinks_of_mlflow_a_server() {
    let limits = |flags: &[&str]| {
        let recorder = serve(&[&["-m", "models:/iris/1"], flags].concat(), &[])
            .unwrap()
            .recording
            .recorder;
        (recorder.capacity, recorder.max_bytes)
    };
    assert_eq!(limits(&[]), (65_536, 256 << 20));
    let flags = ["--record-queue", "10", "--record-queue-bytes", "1MiB"];
    assert_eq!(limits(&flags), (10, 1 << 20));
    let flags = [
        "-m",
        "models:/iris/1",
        "--registry",
        "./models",
        "--record",
        "mlflow:live",
    ];
    let problems = serve(&flags, &[]).unwrap_err().to_string();
    assert!(problems.contains("MLFLOW_TRACKING_URI"), "{problems}");
    let config = serve(&flags, &[("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")]).unwrap();
    assert!(!config.recording.sinks.iter().any(SinkSpec::wants_server));
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

/// The settings of the client, of the registry and of the tracking server.
fn clients(
    words: &[&str],
    env: &[(&'static str, &'static str)],
) -> (crate::client::Config, crate::client::Config) {
    let words = ["-m", "models:/iris/1"]
        .iter()
        .chain(words)
        .copied()
        .collect::<Vec<_>>();
    match serve(&words, env).unwrap().registry {
        Spec::Mlflow { registry, tracking } => (*registry, *tracking),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_registry_is_named_by_the_flag_then_by_mlflows_variables() {
    let (own, mlflows, tracking) = (
        ("MODELSD_REGISTRY", "http://own"),
        ("MLFLOW_REGISTRY_URI", "http://registry"),
        ("MLFLOW_TRACKING_URI", "http://tracking"),
    );
    let urls = |words: &[&str], env: &[_]| {
        let (registry, tracking) = clients(words, env);
        (registry.url, tracking.url)
    };
    let both = |one: &str, two: &str| (one.to_owned(), two.to_owned());
    assert_eq!(urls(&[], &[tracking]), both("http://tracking", "http://tracking"));
    assert_eq!(
        urls(&[], &[tracking, mlflows]),
        both("http://registry", "http://tracking")
    );
    assert_eq!(
        urls(&["--registry", own.1], &[tracking, mlflows]),
        both("http://own", "http://tracking")
    );
    assert_eq!(
        urls(&["--registry", own.1], &[]),
        both("http://own", "http://own")
    );
    let folder = serve(
        &["-m", "models:/iris/1", "--registry", "./x"],
        &[tracking, mlflows],
    )
    .unwrap();
    assert_eq!(folder.registry, Spec::Folder("./x".into()));
}

#[test]
fn the_client_is_set_up_by_mlflows_variables() {
    let server = ("MLFLOW_TRACKING_URI", "https://host");
    let (plain, _) = clients(&[], &[server]);
    assert_eq!(plain, crate::client::Config::new("https://host"));
    let env = [
        server,
        ("MLFLOW_TRACKING_USERNAME", "me"),
        ("MLFLOW_TRACKING_PASSWORD", "hidden"),
        ("MLFLOW_TRACKING_TOKEN", "hidden"),
        ("MLFLOW_TRACKING_INSECURE_TLS", "True"),
        ("MLFLOW_WORKSPACE", " team "),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "9"),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3"),
        ("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0.5"),
        ("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0"),
        ("MLFLOW_TRACKING_AWS_SIGV4", "false"),
    ];
    let (set, _) = clients(&[], &env);
    let basic = Credentials::Basic {
        user: "me".into(),
        password: "hidden".into(),
    };
    assert_eq!((set.credentials.as_ref(), set.insecure_tls), (Some(&basic), true));
    assert_eq!(
        (set.workspace.as_deref(), set.timeout.as_secs(), set.retries),
        (Some("team"), 9, 3)
    );
    assert_eq!((set.backoff_factor, set.backoff_jitter), (0.5, 0.0));
    assert!(!format!("{set:?}").contains("hidden"));
    // A user alone is nobody.
    let (token, _) = clients(&[], &[server, env[1], env[3]]);
    assert_eq!(token.credentials, Some(Credentials::Bearer("hidden".into())));
}

#[test]
fn credentials_come_from_the_file_where_no_variable_has_them() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".mlflow")).unwrap();
    let file = home.path().join(".mlflow/credentials");
    std::fs::write(
        &file,
        "[mlflow]\nmlflow_tracking_username = filed\nmlflow_tracking_password = hidden\n",
    )
    .unwrap();
    let home: &'static str = home.path().to_str().unwrap().to_owned().leak();
    let env = [("MLFLOW_TRACKING_URI", "http://host"), ("HOME", home)];
    let user = |config: crate::client::Config| match config.credentials {
        Some(Credentials::Basic { user, password }) => (user, password),
        other => panic!("{other:?}"),
    };
    assert_eq!(user(clients(&[], &env).0), ("filed".into(), "hidden".into()));
    let env = [env[0], env[1], ("MLFLOW_TRACKING_USERNAME", "me")];
    assert_eq!(user(clients(&[], &env).0), ("me".into(), "hidden".into()));
    std::fs::write(&file, "[mlflow]\nhidden\n").unwrap();
    let Problems(problems) = serve(&["-m", "models:/iris/1"], &env).unwrap_err();
    assert!(
        problems[0].contains(".mlflow/credentials`: near line"),
        "{problems:?}"
    );
    assert!(!problems[0].contains("hidden"), "{problems:?}");
}

#[test]
fn what_the_client_cannot_do_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".trash")).unwrap();
    let runs: &'static str = folder.path().to_str().unwrap().to_owned().leak();
    let at = |url| ("MLFLOW_TRACKING_URI", url);
    for (env, wanted) in [
        (
            vec![at("sqlite:///mlflow.db")],
            "MLFLOW_TRACKING_URI: no registry is called `sqlite:`",
        ),
        (vec![at("databricks")], "MLFLOW_TRACKING_URI: Databricks"),
        (
            vec![at("./mlruns")],
            "MLFLOW_TRACKING_URI is `./mlruns`: a folder that MLflow keeps runs in",
        ),
        (vec![at(runs)], "a folder that MLflow keeps runs in"),
        (vec![at("http://ho st")], "no address of an MLflow server"),
        (
            vec![at("http://h"), ("MLFLOW_TRACKING_AWS_SIGV4", "true")],
            "MLFLOW_TRACKING_AWS_SIGV4 is set",
        ),
        (
            vec![at("http://h"), ("MLFLOW_TRACKING_AUTH", "kubernetes")],
            "MLFLOW_TRACKING_AUTH is set",
        ),
        (
            vec![
                at("http://h"),
                ("MLFLOW_TRACKING_SERVER_CERT_PATH", "/nowhere.pem"),
            ],
            "`/nowhere.pem`",
        ),
        (
            vec![at("http://h"), ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "11")],
            "from 0 to 10",
        ),
        (
            vec![at("./runs"), ("MLFLOW_REGISTRY_URI", "http://h")],
            "MLFLOW_TRACKING_URI is a folder",
        ),
    ] {
        let Problems(problems) = serve(&["-m", "models:/iris/1"], &env).unwrap_err();
        assert!(
            problems.len() == 1 && problems[0].contains(wanted),
            "{wanted} in {problems:?}"
        );
    }
}

#[test]
fn what_only_servers_need_does_not_hinder_a_folder() {
    let env = [
        ("MLFLOW_TRACKING_AUTH", "x"),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "x"),
    ];
    assert!(serve(&["-m", "models:/iris/1"], &env).is_ok());
}

/// The rows of the table under `## Flags of `modelsd COMMAND``.
fn flag_table(command: &str) -> Vec<&'static str> {
    let reference = include_str!("../../docs/reference.md");
    let heading = format!("## Flags of `modelsd {command}`\n");
    let (_, section) = reference.split_once(&heading).unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('#'));
    lines.filter(|line| line.starts_with("| `")).collect()
}

#[test]
fn the_reference_has_every_flag_with_its_variable_and_no_other() {
    for name in ["serve", "bench"] {
        let table = flag_table(name);
        let command = Args::command();
        let command = command.find_subcommand(name).unwrap();
        let mut flags = 0;
        for arg in command
            .get_arguments()
            .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
        {
            let flag = match (arg.get_long(), arg.get_value_names()) {
                (Some(long), _) => format!("| `--{long}`"),
                (None, names) => format!("| `{}`", names.unwrap()[0]),
            };
            let row = table
                .iter()
                .find(|row| row.starts_with(&flag))
                .unwrap_or_else(|| panic!("no row {flag} for `modelsd {name}`"));
            if let Some(variable) = arg.get_env() {
                let variable = format!("`{}`", variable.to_str().unwrap());
                assert!(row.contains(&variable), "{row} does not name {variable}");
            }
            flags += 1;
        }
        assert_eq!(
            table.len(),
            flags,
            "rows of flags of `modelsd {name}` that do not exist"
        );
    }
}
