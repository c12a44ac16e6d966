//! A server behind a password and a certificate of its own.

use std::fs;

use serde_json::json;

use super::{Site, answers_as_bundled, iris, serve};
use crate::live::server::{Options, Python, Store};

const PASSWORD: &str = "hidden-of-admin";
/// `admin:hidden-of-admin` as it goes over the wire.
const ENCODED: &str = "YWRtaW46aGlkZGVuLW9mLWFkbWlu";

#[test]
fn a_registry_behind_a_password_and_a_certificate_is_followed_and_no_secret_is_told() {
    let store = Store::new();
    let path = |name: &str| store.path(name).to_str().unwrap().to_owned();
    Python::start("http://127.0.0.1:1", &[]).ask("certificates", json!({ "folder": path(".") }));
    let users = format!(
        "[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{}\nadmin_username = admin\n\
         authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
        path("users.db")
    );
    fs::write(path("auth.ini"), users).unwrap();
    let uvicorn = format!(
        "--ssl-keyfile {} --ssl-certfile {}",
        path("server.key"),
        path("server.crt")
    );
    let (ini, authority) = (path("auth.ini"), path("authority.crt"));
    let env = [
        ("MLFLOW_AUTH_CONFIG_PATH", ini.as_str()),
        ("MLFLOW_AUTH_ADMIN_PASSWORD", PASSWORD),
        ("MLFLOW_FLASK_SERVER_SECRET_KEY", "a key of the test"),
    ];
    let options = Options {
        flags: &["--app-name", "basic-auth", "--uvicorn-opts", &uvicorn],
        env: &env,
        tls: true,
        ..Options::default()
    };
    let person = [
        ("MLFLOW_TRACKING_USERNAME", "admin"),
        ("MLFLOW_TRACKING_PASSWORD", PASSWORD),
        ("MLFLOW_TRACKING_SERVER_CERT_PATH", authority.as_str()),
    ];
    let mut site = Site::start(store, &options, &person);
    for version in 1..=2 {
        site.log("iris", &iris(version));
    }
    site.promote("iris", 1);
    let mut command = site.modelsd();
    command.envs(person);
    let flags = [
        "-m",
        "models:/iris/Production",
        "--poll-interval",
        "1",
        "--log-level",
        "debug",
    ];
    let server = serve(command, &flags);
    answers_as_bundled(&server, "/invocations", 1);
    let took = site.swap(&server, 2);
    println!("live after a stage change behind a password and TLS: {took:?}; poll interval 1 s");
    answers_as_bundled(&server, "/invocations", 2);
    let told = server.metrics() + &crate::hot_swap::status(&server, "iris").to_string();
    server.terminate();
    let (ended, log) = server.wait();
    assert!(ended.success());
    assert!(log.contains("published") && log.contains("DEBUG"), "{log}");
    for secret in [PASSWORD, ENCODED] {
        assert!(
            !log.contains(secret) && !told.contains(secret),
            "{secret} in {log}"
        );
    }
}
