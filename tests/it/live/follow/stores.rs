//! Servers that leave the files to the clients: on a plain folder, and in S3.

use super::{Site, is_followed};
use crate::live::s3::S3;
use crate::live::server::{Options, Store};

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
fn versions_in_s3_are_followed() {
    let s3 = S3::start("models");
    let settings = [
        ("MLFLOW_S3_ENDPOINT_URL", s3.url.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "hidden-key-of-the-test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
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
    assert!(
        !site.server.log().contains("mlflow-artifacts"),
        "{}",
        site.server.log()
    );
}
