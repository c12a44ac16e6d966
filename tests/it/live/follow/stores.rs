//! Servers that leave the files to the clients: on a plain folder, in S3, Azure and Google.

use serde_json::json;

use super::{Site, answers_as_bundled, iris, is_followed, serve};
use crate::live::server::{Options, Store};
use crate::live::stand_ins::{Azurite, Google, S3};

#[test]
fn versions_on_a_plain_folder_are_followed() {
    let store = Store::new();
    let root = store.path("root").to_str().unwrap().to_owned();
    let options = Options {
        flags: &["--no-serve-artifacts", "--default-artifact-root", &root],
        ..Options::default()
    };
    let mut site = Site::start(store, &options, &[]);
    is_followed(&mut site, &[]);
    assert!(
        !site.server.log().contains("mlflow-artifacts"),
        "{}",
        site.server.log()
    );
}

#[test]
fn versions_in_object_stores_are_followed() {
    let (s3, azurite, google) = (S3::start("models"), Azurite::start(), Google::start());
    let connection = Azurite::by(&azurite.url);
    let settings = [
        ("MLFLOW_S3_ENDPOINT_URL", s3.url.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "hidden-key-of-the-test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AZURE_STORAGE_CONNECTION_STRING", &connection),
        ("STORAGE_EMULATOR_HOST", &google.url),
        // Else MLflow's server takes no model from a data lake.
        ("MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES", "abfss"),
    ];
    let options = Options {
        flags: &[
            "--no-serve-artifacts",
            "--default-artifact-root",
            "s3://models/root",
        ],
        env: &settings,
        ..Options::default()
    };
    let mut site = Site::start(Store::new(), &options, &settings);
    is_followed(&mut site, &settings);
    clouds_are_served(&mut site, &settings);
    assert!(
        !site.server.log().contains("mlflow-artifacts"),
        "{}",
        site.server.log()
    );
}

/// Models that were put into Azure and Google by MLflow's client, and registered by where they are.
fn clouds_are_served(site: &mut Site, settings: &[(&str, &str)]) {
    site.python.ask("azure", json!({"container": "models"}));
    site.python.ask("google", json!({"bucket": "models"}));
    let wasbs = "wasbs://models@shelf.blob.core.windows.net/some/a b";
    let gs = "gs://models/some/a b";
    for (uri, version) in [(wasbs, 1), (gs, 2)] {
        let to = json!({"uri": uri, "folder": iris(version)});
        site.python.ask("upload", to);
    }
    let abfss = "abfss://models@shelf.dfs.core.windows.net/some/a%20b";
    for (name, source) in [("azure", wasbs), ("lake", abfss), ("google", gs)] {
        site.python
            .ask("register", json!({"name": name, "source": source}));
    }
    let mut command = site.modelsd();
    command.envs(settings.iter().copied());
    let flags = [
        "-m",
        "models:/azure/1",
        "-m",
        "models:/lake/1",
        "-m",
        "models:/google/1",
    ];
    let server = serve(command, &flags);
    answers_as_bundled(&server, "/models/azure/invocations", 1);
    answers_as_bundled(&server, "/models/lake/invocations", 1);
    answers_as_bundled(&server, "/models/google/invocations", 2);
    drop(server);

    // Without credentials, those of a machine of Google's are asked for, which this is not.
    let mut command = site.modelsd();
    command.env("MODELSD_CACHE_DIR", site.store.path("another cache"));
    command.env("HOME", site.store.path("nobody"));
    let nowhere = "127.0.0.1:9";
    command.envs([("GCE_METADATA_HOST", nowhere), ("GCE_METADATA_IP", nowhere)]);
    let output = command.args(["inspect", "models:/google/1"]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("set GOOGLE_APPLICATION_CREDENTIALS"), "{told}");
}
