//! The images and `deploy/compose.yaml`, as far as that goes without a container engine: linted, read by Docker Compose
//! itself, and their commands run.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{PATIENCE, Said, run};
use crate::live::server::{Group, clean, free_port};
use crate::support::{Server, modelsd, read_answer, repository};

const IMAGES: [&str; 2] = ["Dockerfile", "deploy/compose/mlflow/Dockerfile"];

fn tool(name: &str) -> Command {
    let program = repository(".venv-test-tools/bin").join(name);
    assert!(
        program.is_file(),
        "there is no {}: run scripts/test-python.sh",
        program.display()
    );
    Command::new(program)
}

fn text(name: &str) -> String {
    fs::read_to_string(repository(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The instructions of an image, each on one line.
fn instructions(image: &str) -> Vec<String> {
    let text = text(image);
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.fold(String::new(), |joined, line| match line.strip_suffix('\\') {
        Some(begun) => joined + begun.trim_start() + " ",
        None => joined + line.trim_start() + "\n",
    });
    joined
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The words of the list in the last instruction that has `CMD`, `ENTRYPOINT` or the like.
fn words(image: &str, instruction: &str) -> Vec<String> {
    let instructions = instructions(image);
    let line = instructions
        .iter()
        .rfind(|line| line.starts_with(instruction))
        .unwrap();
    serde_json::from_str(&line[line.find('[').unwrap()..]).unwrap()
}

/// The variables that the last stage of an image sets.
fn variables(image: &str) -> Vec<(String, String)> {
    let last_stage = instructions(image).into_iter().rev();
    let lines = last_stage.take_while(|line| !line.starts_with("FROM "));
    let lines = lines.filter_map(|line| line.strip_prefix("ENV ").map(str::to_owned));
    let pairs = lines.flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

fn compose(words: &[&str], password: Option<&str>) -> Said {
    let mut command = tool("docker-compose");
    command
        .args(["-f", "deploy/compose.yaml"])
        .args(words)
        .current_dir(repository("."));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["POSTGRES_", "MODELSD_", "GRAFANA_", "COMPOSE_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            command.env_remove(&*name);
        }
    }
    if let Some(password) = password {
        command.env("POSTGRES_PASSWORD", password);
    }
    run(&mut command)
}

#[test]
fn the_images_have_no_faults_that_a_lint_knows() {
    for image in IMAGES {
        let said = run(tool("hadolint").arg(repository(image)));
        assert_eq!(said.status, Some(0), "{image}: {said:?}");
        let last = instructions(image);
        let user = last.iter().rfind(|line| line.starts_with("USER ")).unwrap();
        assert!(!user.contains("root") && !user.contains(" 0"), "{image}: {user}");
    }
    // The lint does find faults.
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("Dockerfile");
    fs::write(&bad, "FROM debian\nRUN cd /tmp\n").unwrap();
    assert_eq!(run(tool("hadolint").arg(&bad)).status, Some(1));
}

#[test]
fn what_an_image_copies_is_there_and_let_in() {
    let ignore = text(".dockerignore");
    let let_in: BTreeSet<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let mut copied = BTreeSet::new();
    for line in instructions("Dockerfile") {
        let Some(line) = line
            .strip_prefix("COPY ")
            .filter(|line| !line.starts_with("--from"))
        else {
            continue;
        };
        let names: Vec<&str> = line.split_whitespace().collect();
        for name in &names[..names.len() - 1] {
            assert!(repository(name).try_exists().unwrap(), "there is no {name}");
            copied.insert((*name).to_owned());
        }
    }
    assert_eq!(copied, let_in.iter().map(|&name| name.to_owned()).collect());
    assert!(repository("deploy/compose/mlflow/requirements.txt").is_file());
    // The same versions as beside the scripts.
    let ours = text("scripts/requirements-platform.txt");
    let theirs = text("deploy/compose/mlflow/requirements.txt");
    for pin in theirs.lines().filter(|line| !line.starts_with('#')) {
        assert!(ours.lines().any(|line| line == pin), "{pin}");
    }
}

#[test]
fn the_composition_is_one_that_docker_compose_takes() {
    let refused = compose(&["config", "-q"], None);
    assert!(
        refused.status != Some(0) && refused.err.contains("POSTGRES_PASSWORD"),
        "{refused:?}"
    );
    let taken = compose(&["config", "--format", "json"], Some("secret1"));
    assert_eq!(taken.status, Some(0), "{taken:?}");
    let composition: Value = serde_json::from_str(&taken.out).unwrap();
    let services = composition["services"].as_object().unwrap();
    let names: Vec<&str> = services.keys().map(String::as_str).collect();
    assert_eq!(names, ["grafana", "mlflow", "modelsd", "postgres", "prometheus"]);
    for (name, service) in services {
        assert_eq!(service["restart"], "unless-stopped", "{name}");
        // That of MLflow is in its image.
        let has_check = service["healthcheck"]["test"].is_array()
            || instructions(IMAGES[1])
                .iter()
                .any(|line| line.starts_with("HEALTHCHECK "));
        assert!(has_check, "{name}");
        for volume in service["volumes"].as_array().unwrap() {
            let source = volume["source"].as_str().unwrap();
            match volume["type"].as_str().unwrap() {
                "bind" => assert!(
                    Path::new(source).try_exists().unwrap(),
                    "{name}: there is no {source}"
                ),
                _ => assert!(composition["volumes"][source].is_object(), "{name}: {source}"),
            }
        }
        // Who is waited for has a check of its own.
        for (other, how) in service["depends_on"].as_object().into_iter().flatten() {
            assert!(
                how["condition"] == "service_healthy" && services.contains_key(other),
                "{name}"
            );
        }
        if let Some(context) = service["build"]["context"].as_str() {
            assert!(Path::new(context).join("Dockerfile").is_file(), "{context}");
        }
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}");
        }
    }
    let database = services["mlflow"]["environment"]["MLFLOW_BACKEND_STORE_URI"].as_str();
    assert_eq!(
        database,
        Some("postgresql+psycopg2://mlflow:secret1@postgres:5432/mlflow")
    );
    // What the others call by name is a service of that name.
    for (file, address) in [
        ("deploy/compose/prometheus.yml", "modelsd:5001"),
        ("deploy/compose/datasource.yml", "http://prometheus:9090"),
    ] {
        assert!(text(file).contains(address), "{file}");
    }
    assert_eq!(
        services["modelsd"]["environment"]["MLFLOW_TRACKING_URI"],
        "http://mlflow:5000"
    );
    // The data source is that of the dashboard.
    let uid = "uid: modelsd-prometheus";
    assert!(text("deploy/compose/datasource.yml").contains(uid));
    assert!(text("deploy/grafana/provisioning/datasources/modelsd.yml").contains(uid));
}

#[test]
fn the_health_checks_and_the_command_are_those_of_the_program() {
    let command = || {
        let mut command = modelsd();
        // Not the cache, which is a folder of the image; and a port that is free.
        let set = variables("Dockerfile");
        command.envs(set.into_iter().filter(|(name, _)| name != "MODELSD_CACHE_DIR"));
        command
    };
    assert_eq!(words("Dockerfile", "ENTRYPOINT "), ["/app/modelsd"]);
    let served = words("Dockerfile", "CMD ");
    let served: Vec<&str> = served.iter().map(String::as_str).collect();
    assert_eq!(served[0], "serve");
    // `--port 0` comes before what is given here.
    let server = Server::start_any(command(), &served[1..]);
    let (_, port) = server.address.rsplit_once(':').unwrap();
    let taken = compose(&["config", "--format", "json"], Some("x"));
    let composition: Value = serde_json::from_str(&taken.out).unwrap();
    let own = words("Dockerfile", "HEALTHCHECK ");
    let composed: Vec<String> = composition["services"]["modelsd"]["healthcheck"]["test"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(composed[0], "CMD");
    for check in [&own[..], &composed[1..]] {
        assert_eq!(check[0], "/app/modelsd");
        let well = run(command().args(&check[1..]).env("MODELSD_PORT", port));
        assert_eq!(well.status, Some(0), "{well:?}");
        let ill = run(command()
            .args(&check[1..])
            .env("MODELSD_PORT", free_port().to_string()));
        assert_eq!(ill.status, Some(1), "{ill:?}");
    }
}

#[test]
fn mlflow_answers_to_the_names_it_is_called_by() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut words = words(IMAGES[1], "CMD ");
    assert_eq!(words.remove(0), "mlflow");
    for (flag, value) in [
        ("--port", port.to_string()),
        ("--host", "127.0.0.1".to_owned()),
        (
            "--artifacts-destination",
            folder.path().join("artifacts").display().to_string(),
        ),
    ] {
        let at = words.iter().position(|word| word == flag).unwrap();
        words[at + 1] = value;
    }
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let mut command = clean(&repository(".platform/venv/bin/python"));
    command
        .args(["-m", "mlflow"])
        .args(&words)
        .args(["--workers", "1"])
        .env(
            "MLFLOW_BACKEND_STORE_URI",
            format!("sqlite:///{}/mlflow.db", folder.path().display()),
        )
        .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    let _server = Group::start(&mut command);
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < PATIENCE, "MLflow does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    let asked_as = |host: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let path = "/api/2.0/mlflow/registered-models/search";
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        read_answer(&mut stream).unwrap().status
    };
    assert_eq!(asked_as("mlflow:5000"), 200);
    assert_eq!(asked_as("127.0.0.1:5000"), 200);
    assert_eq!(asked_as("localhost:5000"), 200);
    assert_eq!(asked_as("evil.example.com"), 403);
}

#[test]
fn prometheus_takes_its_configuration() {
    let find = Command::new(repository("scripts/test-prometheus.sh"))
        .arg("--find")
        .output()
        .unwrap();
    assert!(
        find.status.success(),
        "there is no Prometheus: run scripts/test-prometheus.sh"
    );
    let programs = String::from_utf8(find.stdout).unwrap();
    // Laid out as in the container.
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    fs::copy(repository("deploy/compose/prometheus.yml"), &config).unwrap();
    fs::copy(
        repository("deploy/prometheus/rules.yml"),
        folder.path().join("rules.yml"),
    )
    .unwrap();
    let checked = run(Command::new(Path::new(programs.trim()).join("promtool"))
        .args(["check", "config"])
        .arg(&config));
    assert!(
        checked.status == Some(0) && checked.out.contains("rules found"),
        "{checked:?}"
    );
}
