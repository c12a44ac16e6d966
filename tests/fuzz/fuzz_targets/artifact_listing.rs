//! Listings and files of an MLflow server: a model in the cache or an error, and never a file outside of the cache.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use modelsd::artifact::{Artifacts, Config, Key, Progress};
use modelsd::client;
use modelsd::model::location::ArtifactUri;
use modelsd_fuzz::{Server, check_error};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

struct Asked {
    server: Server,
    runtime: Runtime,
    /// Holds a folder for the cache, and nothing beside it.
    folder: TempDir,
}

static ASKED: LazyLock<Asked> = LazyLock::new(|| Asked {
    // A presigned address would lead out of this machine.
    server: Server::start(&["server-info", "presigned"]),
    runtime: Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime"),
    folder: modelsd_fuzz::folder(),
});

fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| entry.file_name()).collect()
}

fuzz_target!(|input: &[u8]| {
    let Asked {
        server,
        runtime,
        folder,
    } = &*ASKED;
    server.load(input);
    let cache = folder.path().join("cache");
    let mut config = Config::new(cache.clone());
    config.retry_wait = Duration::ZERO;
    config.max_cache_bytes = 1 << 20;
    let mut mlflow = client::Config::new(&server.url);
    mlflow.retries = 0;
    // Nothing here speaks TLS, and reading the system's certificates takes longer than all the rest.
    mlflow.insecure_tls = true;
    config.mlflow = Some(mlflow);
    let fetched = runtime.block_on(async {
        let from = ArtifactUri::new("mlflow-artifacts:/1/models/m/artifacts");
        let key = Key::new("fuzz", "m", "1", "0");
        Artifacts::new(config)
            .fetch(&key, &from, &Progress::new("m"))
            .await
    });
    match fetched {
        Ok(artifact) => {
            let path = artifact.dir.path().canonicalize().expect("it is there");
            let cache = cache.canonicalize().expect("it is there");
            assert!(path.starts_with(cache) && path.is_dir());
        }
        Err(error) => check_error(&error, "\u{0}"),
    }
    assert!(
        names(folder.path()).iter().all(|name| name == "cache"),
        "a file escaped"
    );
    if cache.is_dir() {
        std::fs::remove_dir_all(&cache).expect("the folder is ours");
    }
});
