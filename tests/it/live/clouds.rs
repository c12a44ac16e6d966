//! The files of models from Azure and Google, as MLflow's own client puts them there.

use std::fs;

use serde_json::json;

use super::artifacts::{Fetcher, SECRET, told, write_model};
use super::proxy::{Mood, Proxy};
use super::server::Python;
use super::stand_ins::{Azurite, Google};

const CONNECTION: &str = "AZURE_STORAGE_CONNECTION_STRING";
const EMULATOR: &str = "STORAGE_EMULATOR_HOST";
/// A client that has no server: it is asked for uploads only.
const NOWHERE: &str = "http://127.0.0.1:9";

#[test]
fn files_come_from_azure_and_google() {
    let (azurite, google) = (Azurite::start(), Google::start());
    let connection = Azurite::by(&azurite.url);
    let settings = [(CONNECTION, connection.as_str()), (EMULATOR, &google.url)];
    // One for both, as it takes seconds to start.
    let mut python = Python::start(NOWHERE, &settings);
    azure_gives(&mut python, &azurite);
    google_gives(&mut python, &google);
}

fn azure_gives(python: &mut Python, azurite: &Azurite) {
    let signature = python.ask("azure", json!({"container": "models"}));
    let folder = tempfile::tempdir().unwrap();
    let wanted = write_model(folder.path());
    let wasbs = "wasbs://models@shelf.blob.core.windows.net";
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("MLmodel"), "of another model").unwrap();
    for (path, folder) in [
        ("some/model", folder.path()),
        ("a b%20é/x", folder.path()),
        ("some/model-2", other.path()),
    ] {
        let to = json!({"uri": format!("{wasbs}/{path}"), "folder": folder});
        python.ask("upload", to);
    }

    let proxy = Proxy::start(&azurite.url);
    let fetcher = Fetcher::new(None, &[(CONNECTION, &Azurite::by(&proxy.url))]);
    fetcher.gives(&format!("{wasbs}/some/model"), &wanted);
    fetcher.gives(&format!("{wasbs}/a b%20é/x"), &wanted);
    // The names of data lakes are percent-encoded.
    let abfss = "abfss://models@shelf.dfs.core.windows.net";
    fetcher.gives(&format!("{abfss}/a%20b%2520%C3%A9/x"), &wanted);
    // The connection string says the account, whatever the URI has.
    fetcher.gives("wasb://models@old.blob.core.windows.net/some/model", &wanted);
    let bare = fetcher.fetch(&format!("{wasbs}/some/model/model.onnx")).unwrap();
    assert!(bare.dir.is_bare() && bare.dir.size_bytes() == 500);
    breaks_off(&proxy, || {
        fetcher.gives(&format!("{wasbs}/some/model/"), &wanted);
    });

    fetcher.refuses(&format!("{wasbs}/some/none"), "there is nothing");
    fetcher.refuses(&format!("{wasbs}/some"), "but its folder `model-2` has");
    fetcher.refuses("wasbs://none@shelf.blob.core.windows.net/x", "ContainerNotFound");
    fetcher.refuses("wasbs://models/some/model", "no storage account");
    fetcher.refuses(&format!("{abfss}/%FF"), "UTF-8");

    let signature = signature.as_str().unwrap();
    let with = |credential: &str| {
        let text = format!("BlobEndpoint={}/shelf/;{credential}", azurite.url);
        Fetcher::new(None, &[(CONNECTION, &text)])
    };
    let signed = with(&format!("SharedAccessSignature={signature}"));
    signed.gives(&format!("{wasbs}/some/model"), &wanted);
    signed.refuses("wasbs://none@shelf.blob.core.windows.net/x", "403");
    let other_key = with("AccountKey=aGlkZGVuLWtleS1vZi10aGUtdGVzdA==");
    other_key.refuses(&format!("{wasbs}/some/model"), "AuthorizationFailure");
    with(&format!("AccountKey={SECRET}")).refuses(
        &format!("{wasbs}/some/model"),
        "AZURE_STORAGE_CONNECTION_STRING cannot be used",
    );

    let machine = [(
        "IDENTITY_ENDPOINT",
        "http://127.0.0.1:9/metadata/identity/oauth2/token",
    )];
    let error = Fetcher::new(None, &machine).fetch(&format!("{wasbs}/some/model"));
    let message = told(&error.unwrap_err());
    assert!(message.contains("AZURE_STORAGE_CONNECTION_STRING"), "{message}");
}

fn google_gives(python: &mut Python, google: &Google) {
    python.ask("google", json!({"bucket": "models"}));
    let folder = tempfile::tempdir().unwrap();
    let wanted = write_model(folder.path());
    for path in ["some/model", "a b%20é/x"] {
        let to = json!({"uri": format!("gs://models/{path}"), "folder": folder.path()});
        python.ask("upload", to);
    }

    let proxy = Proxy::start(&google.url);
    let fetcher = Fetcher::new(None, &[(EMULATOR, &proxy.url)]);
    fetcher.gives("gs://models/some/model", &wanted);
    fetcher.gives("gs://models/a b%20é/x", &wanted);
    let bare = fetcher.fetch("gs://models/some/model/model.onnx").unwrap();
    assert!(bare.dir.is_bare() && bare.dir.size_bytes() == 500);
    breaks_off(&proxy, || {
        fetcher.gives("gs://models/some/model/", &wanted);
    });
    fetcher.refuses("gs://models/some/none", "there is nothing");
    fetcher.refuses("gs://models/some", "but its folder `model` has");
    fetcher.refuses("gs:///model", "no bucket");
    // Other libraries of Google's want no scheme.
    let bare_host = proxy.url.strip_prefix("http://").unwrap();
    Fetcher::new(None, &[(EMULATOR, bare_host)]).gives("gs://models/some/model", &wanted);

    // The account of a service signs what it asks with.
    let keys = tempfile::tempdir().unwrap();
    let account = keys.path().join("account.json");
    let path = account.to_str().unwrap();
    python.ask("service_account", json!({ "path": path }));
    let settings = [
        ("GOOGLE_BASE_URL", google.url.as_str()),
        ("GOOGLE_APPLICATION_CREDENTIALS", path),
    ];
    Fetcher::new(None, &settings).gives("gs://models/some/model", &wanted);
    for (text, wanted) in [
        (format!("{SECRET}: no JSON"), "service account file"),
        (
            json!({"type": "external_account", "audience": SECRET}).to_string(),
            "external_account",
        ),
        (
            json!({"type": "service_account", "private_key": SECRET, "private_key_id": "1", "client_email": "x"})
                .to_string(),
            "GOOGLE_APPLICATION_CREDENTIALS cannot be used",
        ),
    ] {
        fs::write(&account, text).unwrap();
        Fetcher::new(None, &settings).refuses("gs://models/some/model", wanted);
    }
    fs::remove_file(&account).unwrap();
    Fetcher::new(None, &settings).refuses("gs://models/some/model", path);
}

/// Fetches while answers break off in the middle of the long file; what came is not fetched again.
#[track_caller]
fn breaks_off(proxy: &Proxy, fetch: impl FnOnce()) {
    proxy.counts();
    proxy.becomes(Mood::CutsAfter(1 << 20));
    fetch();
    proxy.becomes(Mood::Clear);
    let (cuts, bytes) = proxy.counts();
    assert!(
        cuts >= 2 && bytes < 2_500_000 + (1 << 20),
        "{cuts} cuts, {bytes} bytes"
    );
}
