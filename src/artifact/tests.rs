//! From a URI to a model on disk, by way of the cache.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;

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
