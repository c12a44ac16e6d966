//! The files of models from real stores: an MLflow server, an S3 API, and one behind the other.

use std::fs;
use std::path::Path;
use std::time::Duration;

use modelsd::artifact::{Artifact, ArtifactDir, ArtifactError, Artifacts, Config, Key, Progress};
use modelsd::client;
use modelsd::model::location::ArtifactUri;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::server::{MlflowServer, Options, Python, Store};
use super::stand_ins::S3;

/// What no message may have.
pub const SECRET: &str = "hidden-key-of-the-test";

/// Fetches into a cache of its own.
pub struct Fetcher {
    runtime: tokio::runtime::Runtime,
    artifacts: Artifacts,
    _cache: TempDir,
}

impl Fetcher {
    /// With the tracking server, and the settings of object stores.
    pub fn new(tracking: Option<&str>, settings: &[(&str, &str)]) -> Fetcher {
        let cache = tempfile::tempdir().unwrap();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let config = Config {
            mlflow: tracking.map(|url| client::Config {
                retries: 0,
                ..client::Config::new(url)
            }),
            object_store: settings.iter().map(own).collect(),
            retry_wait: Duration::from_millis(20),
            ..Config::new(cache.path().join("cache"))
        };
        Fetcher {
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap(),
            artifacts: Artifacts::new(config),
            _cache: cache,
        }
    }

    /// Each URI is a version of its own.
    pub fn fetch(&self, uri: &str) -> Result<Artifact, ArtifactError> {
        let key = Key::new("the test", "model", uri, "1");
        let from = ArtifactUri::new(uri);
        self.runtime
            .block_on(self.artifacts.fetch(&key, &from, &Progress::new(uri)))
    }

    fn recall(&self, uri: &str) -> Option<Artifact> {
        let key = Key::new("the test", "model", uri, "1");
        self.runtime.block_on(self.artifacts.recall(&key)).unwrap()
    }

    /// The model at the URI is this one.
    #[track_caller]
    pub fn gives(&self, uri: &str, wanted: &ArtifactDir) {
        let artifact = self
            .fetch(uri)
            .unwrap_or_else(|error| panic!("{uri}: {}", told(&error)));
        assert_eq!(artifact.dir.files(), wanted.files(), "{uri}");
        assert_eq!(artifact.digest, Some(wanted.digest().unwrap()), "{uri}");
    }

    /// The error says this, is no outage, and tells no secret.
    #[track_caller]
    pub fn refuses(&self, uri: &str, wanted: &str) {
        let error = self.fetch(uri).unwrap_err();
        let message = told(&error);
        assert!(message.contains(wanted), "{uri}: {wanted} in {message}");
        assert!(!error.is_outage(), "{uri}: {message}");
        assert!(
            !message.contains(SECRET) && !format!("{error:?}").contains(SECRET),
            "{message}"
        );
    }
}

/// An error and its causes.
pub fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", told(source)),
        None => error.to_string(),
    }
}

/// Names as people give them, an empty file, and one of several pieces.
pub fn write_model(folder: &Path) -> ArtifactDir {
    let files: [(&str, Vec<u8>); 6] = [
        ("MLmodel", b"flavors: {onnx: {data: model.onnx}}\n".to_vec()),
        ("model.onnx", vec![7; 500]),
        (
            "data/w 100%+ü.bin",
            (0..2_500_000u32).map(|at| (at % 253) as u8).collect(),
        ),
        ("data/deep/er/empty", Vec::new()),
        ("data/deep/a&b=c;d.txt", b"text".to_vec()),
        ("data/deep/~'(x)!,$@.txt", b"more".to_vec()),
    ];
    for (path, contents) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    ArtifactDir::open(folder).unwrap()
}

/// Logs the model; gives where the server says it is.
fn log(python: &mut Python, server: &str, folder: &Path) -> String {
    let logged = python.ask("log", json!({"name": null, "folder": folder}));
    let path = format!(
        "api/2.0/mlflow/logged-models/{}",
        logged["model_id"].as_str().unwrap()
    );
    let client = client::Client::new(&client::Config::new(server)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let found: Value = runtime.block_on(client.get(&path, &[])).unwrap();
    found["model"]["info"]["artifact_uri"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn files_come_through_an_mlflow_server() {
    let (store, folder) = (Store::new(), tempfile::tempdir().unwrap());
    let wanted = write_model(folder.path());
    let mut server = MlflowServer::start(&store, &Options::default());
    let uri = log(&mut Python::start(&server.url, &[]), &server.url, folder.path());
    let path = uri.strip_prefix("mlflow-artifacts:").unwrap();
    let address = server.url.strip_prefix("http://").unwrap();

    let fetcher = Fetcher::new(Some(&server.url), &[]);
    fetcher.gives(&uri, &wanted);
    let http = format!("{}/api/2.0/mlflow-artifacts/artifacts{path}", server.url);
    let host = format!("mlflow-artifacts://{address}{path}");
    for fetcher in [&fetcher, &Fetcher::new(Some("http://127.0.0.1:9/x/.."), &[])] {
        fetcher.gives(&http, &wanted);
        fetcher.gives(&host, &wanted);
    }
    Fetcher::new(None, &[]).gives(&http, &wanted);

    fetcher.refuses("mlflow-artifacts:/1/models/m-none/artifacts", "there is nothing");
    fetcher.refuses("mlflow-artifacts:/../../etc", "Invalid path");
    fetcher.refuses(&format!("{uri}/data"), "no `MLmodel`");
    fetcher.refuses(&format!("{}/some/where", server.url), "no folder of artifacts");
    let elsewhere = store.path("artifacts").join(path.trim_start_matches('/'));
    fetcher.gives(elsewhere.to_str().unwrap(), &wanted);
    fetcher.gives(&format!("file://{}", elsewhere.display()), &wanted);

    server.kill();
    let error = fetcher.fetch(&format!("{uri}/")).unwrap_err();
    assert!(error.is_outage(), "{}", told(&error));
    fetcher.gives(&uri, &wanted);
    assert!(fetcher.recall(&uri).is_some() && fetcher.recall(&format!("{uri}/")).is_none());
}

#[test]
fn files_come_from_s3() {
    let (folder, s3) = (tempfile::tempdir().unwrap(), S3::start("models"));
    let wanted = write_model(folder.path());
    for file in wanted.files() {
        let contents = fs::read(folder.path().join(&file.path)).unwrap();
        let path: String = file.path.bytes().map(encoded).collect();
        s3.put(&format!("models/some/model/{path}"), &contents);
        s3.put(&format!("models/some/model-2/{path}"), b"of another model");
    }
    // As consoles mark folders.
    s3.put("models/some/model/", b"");
    s3.put("models/some/model/data/", b"");
    let settings = [
        ("MLFLOW_S3_ENDPOINT_URL", s3.url.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ];
    let fetcher = Fetcher::new(None, &settings);
    fetcher.gives("s3://models/some/model", &wanted);
    // The listing has several pages, for the server gives three a page.
    fetcher.gives("s3://models/some/model/", &wanted);
    let bare = fetcher.fetch("s3://models/some/model/model.onnx").unwrap();
    assert!(bare.dir.is_bare() && bare.dir.size_bytes() == 500);

    fetcher.refuses("s3://models/some/none", "there is nothing");
    fetcher.refuses("s3://models/some", "but its folder `model-2` has");
    fetcher.refuses("s3://none/model", "NoSuchBucket");
    fetcher.refuses("s3:///model", "no bucket");
    fetcher.refuses("s3://models/a/../b", "`..`");

    let nobody = [settings[0], ("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")];
    let error = Fetcher::new(None, &nobody)
        .fetch("s3://models/some/model")
        .unwrap_err();
    assert!(
        told(&error).contains("no credentials are set"),
        "{}",
        told(&error)
    );

    let gone = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        settings[1],
        settings[2],
    ];
    let start = std::time::Instant::now();
    let error = Fetcher::new(None, &gone)
        .fetch("s3://models/some/model")
        .unwrap_err();
    assert!(error.is_outage(), "{}", told(&error));
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

fn encoded(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    }
}

#[test]
fn files_come_by_presigned_addresses_from_behind_a_server() {
    let (store, folder, s3) = (Store::new(), tempfile::tempdir().unwrap(), S3::start("models"));
    let wanted = write_model(folder.path());
    let options = Options {
        flags: &[
            "--static-prefix",
            "/x",
            "--artifacts-destination",
            "s3://models/root",
        ],
        env: &[
            ("MLFLOW_S3_ENDPOINT_URL", &s3.url),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ],
        ..Options::default()
    };
    let server = MlflowServer::start(&store, &options);
    let url = format!("{}/x", server.url);
    let uri = log(&mut Python::start(&url, &[]), &url, folder.path());
    Fetcher::new(Some(&url), &[]).gives(&uri, &wanted);
    let log = server.log();
    assert!(
        log.contains("GET /x/api/2.0/mlflow-artifacts/presigned/"),
        "{log}"
    );
    // Past the server, as far as the files go.
    assert!(
        !log.contains("GET /x/api/2.0/mlflow-artifacts/artifacts/"),
        "{log}"
    );

    // The storage is not to be reached: the server's word counts.
    drop(s3);
    let error = Fetcher::new(Some(&url), &[]).fetch(&uri).unwrap_err();
    assert!(error.is_outage(), "{}", told(&error));
}
