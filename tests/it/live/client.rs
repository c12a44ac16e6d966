//! The doors of real servers: passwords, certificates, prefixes, host names.

use std::path::Path;

use modelsd::client::{Client, ClientError, Config, Credentials};
use serde_json::{Value, json};

use super::registry::Asked;
use super::server::{MlflowServer, Options, Python, Store};
use crate::support::{modelsd, repository};

const SEARCH: &str = "api/2.0/mlflow/registered-models/search";

fn get(config: &Config) -> Result<Value, ClientError> {
    let config = Config {
        retries: 0,
        ..config.clone()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { Client::new(&config)?.get(SEARCH, &[("max_results", "5")]).await })
}

#[track_caller]
fn fails(config: &Config, words: &[&str]) {
    let error = get(config).unwrap_err();
    for wanted in words {
        assert!(error.to_string().contains(wanted), "{wanted} in {error}");
    }
    assert!(
        !format!("{error} {error:?} {config:?}").contains("hidden"),
        "{error:?}"
    );
}

fn basic(user: &str, password: &str) -> Option<Credentials> {
    Some(Credentials::Basic {
        user: user.into(),
        password: password.into(),
    })
}

#[test]
fn a_password_is_wanted_and_given() {
    let store = Store::new();
    let ini = store.path("auth.ini");
    let users = format!(
        "[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{}\nadmin_username = admin\n\
         authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
        store.path("users.db").display()
    );
    std::fs::write(&ini, users).unwrap();
    let env = [
        ("MLFLOW_AUTH_CONFIG_PATH", ini.to_str().unwrap()),
        ("MLFLOW_AUTH_ADMIN_PASSWORD", "hidden-of-admin"),
        ("MLFLOW_FLASK_SERVER_SECRET_KEY", "a key of the test"),
    ];
    let options = Options {
        flags: &["--app-name", "basic-auth"],
        env: &env,
        ..Options::default()
    };
    let server = MlflowServer::start(&store, &options);
    let admin = [
        ("MLFLOW_TRACKING_USERNAME", "admin"),
        ("MLFLOW_TRACKING_PASSWORD", "hidden-of-admin"),
    ];
    let mut python = Python::start(&server.url, &admin);
    let folder = repository("models/iris/1");
    python.ask("log", json!({"name": "iris", "folder": folder}));
    python.ask("user", json!({"name": "guest", "password": "hidden-of-guest"}));

    let mut config = Config::new(&server.url);
    fails(
        &config,
        &["401", "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"],
    );
    config.credentials = basic("admin", "hidden-wrong");
    fails(&config, &["401", "does not take the user and password"]);
    config.credentials = Some(Credentials::Bearer("hidden".into()));
    fails(&config, &["401", "MLFLOW_TRACKING_TOKEN", "basic-auth app"]);
    config.credentials = basic("admin", "hidden-of-admin");
    assert_eq!(get(&config).unwrap()["registered_models"][0]["name"], "iris");
    // A user in the address is as good.
    let in_address = server.url.replace("http://", "http://admin:hidden-of-admin@");
    assert!(get(&Config::new(&in_address)).is_ok());

    let asked = Asked::at(&server.url, &config);
    assert_eq!(asked.version("models:/iris/latest"), 1);
    // Who may not read it is not told that it is not there, and what is served stays.
    config.credentials = basic("guest", "hidden-of-guest");
    let error = Asked::at(&server.url, &config)
        .resolve("models:/iris/1")
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("403: Permission denied; does the user have READ"),
        "{error}"
    );
    assert!(error.is_outage());
}

#[test]
fn certificates_are_checked_both_ways() {
    let store = Store::new();
    let path = |name: &str| store.path(name).to_str().unwrap().to_owned();
    let mut python = Python::start("http://127.0.0.1:1", &[]);
    python.ask("certificates", json!({"folder": path(".")}));
    let uvicorn = format!(
        "--ssl-keyfile {} --ssl-certfile {} --ssl-ca-certs {} --ssl-cert-reqs 2",
        path("server.key"),
        path("server.crt"),
        path("authority.crt")
    );
    let options = Options {
        flags: &["--uvicorn-opts", &uvicorn, "--static-prefix", "/behind/here"],
        tls: true,
        ..Options::default()
    };
    let server = MlflowServer::start(&store, &options);
    let url = format!("{}/behind/here", server.url);

    let pem = |name: &str| Some(Path::new(&path(name)).to_path_buf());
    let mut config = Config::new(&url);
    config.client_certificate = pem("client.pem");
    fails(
        &config,
        &["cannot reach", "not trusted", "MLFLOW_TRACKING_SERVER_CERT_PATH"],
    );
    config.insecure_tls = true;
    assert_eq!(get(&config).unwrap(), json!({}));
    config.insecure_tls = false;
    config.ca_bundle = pem("authority.crt");
    assert_eq!(get(&config).unwrap(), json!({}));
    // Servers without workspaces refuse whoever names one.
    config.workspace = Some("team".into());
    fails(
        &config,
        &["has no workspaces", "MLFLOW_WORKSPACE is `team`: unset it"],
    );
    config.workspace = None;
    config.client_certificate = None;
    fails(&config, &["cannot reach", "MLFLOW_TRACKING_CLIENT_CERT_PATH"]);
    // A certificate is for its names.
    config.client_certificate = pem("client.pem");
    config.url = url.replace("127.0.0.1", "localhost");
    fails(&config, &["not trusted"]);
    // Without the prefix there is a web page; without TLS there is nothing.
    config.url = server.url.clone();
    fails(&config, &["404", "--static-prefix"]);
    config.url = url.replace("https://", "http://");
    fails(&config, &["cannot reach"]);
}

#[test]
fn a_command_says_what_hinders_it_and_no_secret() {
    let run = |env: &[(&str, &str)]| {
        let mut command = modelsd();
        command
            .args(["inspect", "models:/iris/Production"])
            .envs(env.iter().copied());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("hidden"), "{said}");
        (output.status.code(), said)
    };
    let nobody = ("MLFLOW_TRACKING_URI", "http://me:hidden@127.0.0.1:9");
    let (status, said) = run(&[nobody, ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")]);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("cannot reach `http://127.0.0.1:9`: no connection"),
        "{said}"
    );
    let (status, said) = run(&[
        nobody,
        ("MLFLOW_TRACKING_AUTH", "x"),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "soon"),
    ]);
    assert_eq!(status, Some(64), "{said}");
    for wanted in [
        "MLFLOW_TRACKING_AUTH is set",
        "MLFLOW_HTTP_REQUEST_TIMEOUT is `soon`",
    ] {
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn a_host_name_that_the_server_refuses_is_explained() {
    let store = Store::new();
    let options = Options {
        flags: &["--allowed-hosts", "example.com"],
        ..Options::default()
    };
    let server = MlflowServer::start(&store, &options);
    let address = server.url.replace("http://", "");
    fails(
        &Config::new(&server.url),
        &[
            "403",
            "Invalid Host header",
            "--allowed-hosts or MLFLOW_SERVER_ALLOWED_HOSTS",
            &format!("naming `{address}`"),
        ],
    );
}
