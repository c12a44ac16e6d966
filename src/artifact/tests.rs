//! From a URI to a model on disk, by way of the cache.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;

mod liar;

const MLMODEL: &str = "flavors: {onnx: {data: model.onnx}}\nmlflow_version: 3.17.2\n";

/// A model of a few files, one of them of many pieces.
fn model(dir: &Path, salt: u8) {
    fs::create_dir_all(dir.join("data/deep")).unwrap();
    fs::write(dir.join("MLmodel"), MLMODEL).unwrap();
    fs::write(dir.join("model.onnx"), [salt; 5]).unwrap();
    fs::write(dir.join("data/empty"), b"").unwrap();
    fs::write(dir.join("data/deep/w.bin"), vec![salt; 3_000_001]).unwrap();
}

const MODEL_BYTES: u64 = MLMODEL.len() as u64 + 5 + 3_000_001;

fn artifacts(cache: &TempDir, max_cache_bytes: u64) -> Artifacts {
    let config = Config {
        max_cache_bytes,
        retry_wait: Duration::from_millis(1),
        ..Config::new(cache.path().join("cache"))
    };
    Artifacts::new(config)
}

fn key(version: &str) -> Key {
    Key::new("here", "iris", version, "1")
}

/// Waits until nothing is on its way any more: what a dropped fetch leaves is removed a moment later.
async fn is_tidied(cache: &TempDir) {
    for _ in 0..500 {
        let left = fs::read_dir(cache.path().join("cache/v1/tmp")).map_or(0, Iterator::count);
        if left == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("something is left in the folder of what is on its way");
}

/// An error and its causes.
fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", told(source)),
        None => error.to_string(),
    }
}

/// The folders of a part of the cache.
fn entries(cache: &TempDir, part: &str) -> usize {
    fs::read_dir(cache.path().join("cache/v1").join(part))
        .unwrap()
        .count()
}

#[tokio::test]
async fn a_model_is_fetched_once_and_then_recalled() {
    let (source, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    model(source.path(), 7);
    let artifacts = artifacts(&cache, 10 << 20);
    assert!(artifacts.recall(&key("1")).await.unwrap().is_none());
    let progress = Progress::new("iris 1");
    let from = ArtifactUri::local(source.path());
    let fetched = artifacts.fetch(&key("1"), &from, &progress).await.unwrap();
    let original = ArtifactDir::open(source.path()).unwrap();
    assert_eq!(fetched.digest, Some(original.digest().unwrap()));
    assert_eq!(fetched.dir.files(), original.files());
    assert!(fetched.dir.path().starts_with(cache.path()));
    let counts = progress.counts();
    assert_eq!((counts.files, counts.of_files, counts.bytes), (4, 4, MODEL_BYTES));
    assert_eq!(entries(&cache, "tmp"), 0);

    // The source is not asked again.
    drop(source);
    let again = artifacts.fetch(&key("1"), &from, &progress).await.unwrap();
    let recalled = artifacts.recall(&key("1")).await.unwrap().unwrap();
    assert_eq!((again.digest, recalled.digest), (fetched.digest, fetched.digest));
    assert!(recalled.fetched.unwrap().elapsed().unwrap() < Duration::from_secs(60));
    assert!(artifacts.recall(&key("2")).await.unwrap().is_none());
}

#[tokio::test]
async fn the_same_files_under_two_keys_are_kept_once() {
    let (source, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    model(source.path(), 7);
    let artifacts = artifacts(&cache, 10 << 20);
    let from = ArtifactUri::local(source.path());
    for version in ["1", "2"] {
        let progress = Progress::new(version);
        artifacts.fetch(&key(version), &from, &progress).await.unwrap();
    }
    assert_eq!((entries(&cache, "models"), entries(&cache, "keys")), (1, 2));
}

#[tokio::test]
async fn fetches_of_one_key_at_once_become_one() {
    let (source, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    model(source.path(), 7);
    let artifacts = artifacts(&cache, 10 << 20);
    let from = ArtifactUri::local(source.path());
    let progress = [Progress::new("one"), Progress::new("other")];
    let key = key("1");
    let (one, other) = tokio::join!(
        artifacts.fetch(&key, &from, &progress[0]),
        artifacts.fetch(&key, &from, &progress[1]),
    );
    assert_eq!(one.unwrap().digest, other.unwrap().digest);
    let bytes: u64 = progress.iter().map(|progress| progress.counts().bytes).sum();
    assert_eq!(bytes, MODEL_BYTES);
}

#[tokio::test]
async fn a_bare_graph_is_fetched_too() {
    let (source, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    model(source.path(), 7);
    let artifacts = artifacts(&cache, 10 << 20);
    let from = ArtifactUri::local(&source.path().join("model.onnx"));
    let fetched = artifacts
        .fetch(&key("1"), &from, &Progress::new("x"))
        .await
        .unwrap();
    assert!(fetched.dir.is_bare() && fetched.dir.size_bytes() == 5);
    let recalled = artifacts.recall(&key("1")).await.unwrap().unwrap();
    assert_eq!(recalled.dir, fetched.dir);
}

#[tokio::test]
async fn a_model_in_place_is_not_copied() {
    let (source, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    model(source.path(), 7);
    let artifact = artifacts(&cache, 1).in_place(source.path().into()).await.unwrap();
    assert_eq!(artifact.dir.path(), source.path());
    assert!(artifact.digest.is_none() && artifact.fetched.is_none());
    assert!(fs::read_dir(cache.path()).unwrap().next().is_none());
}

/// What is said when a model is fetched from there.
async fn refusal(from: &ArtifactUri, max_cache_bytes: u64) -> String {
    let cache = TempDir::new().unwrap();
    let artifacts = artifacts(&cache, max_cache_bytes);
    let error = artifacts
        .fetch(&key("1"), from, &Progress::new("x"))
        .await
        .unwrap_err();
    assert!(!error.is_outage());
    is_tidied(&cache).await;
    assert!(artifacts.recall(&key("1")).await.unwrap().is_none());
    told(&error)
}

#[tokio::test]
async fn places_that_cannot_be_fetched_from_are_refused_by_name() {
    for (uri, wanted) in [
        ("ftp://me:hidden@host/model", "`ftp:`"),
        ("sftp://me:hidden@host/model", "`sftp:`"),
        ("dbfs:/databricks/mlflow", "`dbfs:`"),
        ("hdfs://name/model", "--serve-artifacts"),
        ("r2://bucket/model", "`r2:`"),
        ("b2://bucket/model", "`b2:`"),
        ("mlflow-artifacts:/1/models/m", "MLFLOW_TRACKING_URI"),
        (
            "https://me:hidden@host/some/where?token=hidden",
            "`https://host/some/where` is no folder",
        ),
        ("file://elsewhere/model", "file:///PATH"),
        ("/no/such/folder", "No such file"),
        ("", "empty"),
    ] {
        let message = refusal(&ArtifactUri::new(uri), 10 << 20).await;
        assert!(message.contains(wanted), "{uri}: {message}");
        assert!(!message.contains("hidden"), "{uri}: {message}");
    }
}

#[tokio::test]
async fn a_folder_with_a_link_out_is_not_fetched() {
    let source = TempDir::new().unwrap();
    model(source.path(), 7);
    std::os::unix::fs::symlink("/etc/hostname", source.path().join("data/name")).unwrap();
    let message = refusal(&ArtifactUri::local(source.path()), 10 << 20).await;
    assert!(message.contains("link out of the model"), "{message}");
}

#[tokio::test]
async fn what_is_no_model_is_not_kept() {
    let source = TempDir::new().unwrap();
    model(source.path(), 7);
    fs::write(source.path().join("MLmodel"), "flavors: [").unwrap();
    let message = refusal(&ArtifactUri::local(source.path()), 10 << 20).await;
    assert!(message.contains("cannot be used"), "{message}");
    fs::remove_file(source.path().join("MLmodel")).unwrap();
    let message = refusal(&ArtifactUri::local(source.path()), 10 << 20).await;
    assert!(message.contains("is no model directory"), "{message}");
}

#[tokio::test]
async fn what_is_larger_than_the_cache_is_not_fetched() {
    let source = TempDir::new().unwrap();
    model(source.path(), 7);
    let message = refusal(&ArtifactUri::local(source.path()), MODEL_BYTES - 1).await;
    assert!(message.contains("do not fit into the cache"), "{message}");
}

#[tokio::test]
async fn a_cache_that_cannot_be_made_says_how_to_name_another() {
    let (source, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    model(source.path(), 7);
    fs::write(cache.path().join("cache"), "a file").unwrap();
    let artifacts = artifacts(&cache, 10 << 20);
    let from = ArtifactUri::local(source.path());
    let error = artifacts
        .fetch(&key("1"), &from, &Progress::new("x"))
        .await
        .unwrap_err();
    assert!(matches!(error, ArtifactError::Cache { .. }), "{error:?}");
    assert!(error.to_string().contains("--cache-dir"), "{error}");
}

/// Does nothing unless started by the test below, in a folder of its choice: then fetches where there is no room.
#[tokio::test]
async fn in_a_process_with_little_room() {
    let folder = Path::new("little-room");
    if !folder.is_dir() {
        return;
    }
    let artifacts = Artifacts::new(Config::new(folder.join("cache")));
    let from = ArtifactUri::local(Path::new("source"));
    let error = artifacts
        .fetch(&key("1"), &from, &Progress::new("x"))
        .await
        .unwrap_err();
    assert!(matches!(error, ArtifactError::NoRoom { .. }), "{error:?}");
    assert!(error.to_string().contains("--cache-dir"), "{error}");
    for _ in 0..500 {
        if fs::read_dir(folder.join("cache/v1/tmp")).unwrap().count() == 0 {
            fs::write("refused-and-tidied", "").unwrap();
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_full_disk_is_told_and_what_was_written_removed() {
    // Only root could fill a disk that is not everybody's; the system's limit on files ends writes in the same place.
    for (limit, refused) in [("1000", true), ("unlimited", false)] {
        let folder = TempDir::new().unwrap();
        model(&folder.path().join("source"), 7);
        fs::create_dir(folder.path().join("little-room")).unwrap();
        let script = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$0\" \"$@\"");
        let ended = std::process::Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "artifact::tests::in_a_process_with_little_room"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(ended.status.success(), refused, "{ended:?}");
        assert_eq!(folder.path().join("refused-and-tidied").is_file(), refused);
    }
}

#[test]
fn settings_of_stores_are_not_shown() {
    let mut config = Config::new("/cache".into());
    config.object_store = vec![("AWS_SECRET_ACCESS_KEY".into(), "hidden".into())];
    let mut mlflow = client::Config::new("http://me:hidden@host");
    mlflow.credentials = Some(client::Credentials::Bearer("hidden".into()));
    config.mlflow = Some(mlflow);
    let shown = format!("{config:?}");
    assert!(
        shown.contains("AWS_SECRET_ACCESS_KEY") && !shown.contains("hidden"),
        "{shown}"
    );
}

#[test]
fn secrets_in_addresses_are_not_shown() {
    for (uri, wanted) in [
        ("s3://bucket/a?sig=hidden", "s3://bucket/a"),
        ("https://me:hidden@host:1/a#hidden", "https://host:1/a"),
        (
            "wasbs://c@a.blob.core.windows.net/x?sig=hidden",
            "wasbs://c@a.blob.core.windows.net/x",
        ),
        ("mlflow-artifacts:/1/a@b", "mlflow-artifacts:/1/a@b"),
        ("/a/b", "/a/b"),
    ] {
        assert_eq!(shown(uri), wanted);
    }
}
