//! An artifact server that breaks off, lies and changes its mind: what no real one does on demand.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use serde_json::{Value as Json, json};

use super::*;

const LIST: &str = "/api/2.0/mlflow-artifacts/artifacts?path=m";
const FILE: &str = "/api/2.0/mlflow-artifacts/artifacts/m";
const BIG: usize = 3_000_001;

/// A request, as far as answers depend on it.
struct Ask {
    /// Path and query.
    target: String,
    /// Where the range begins, if one was asked for.
    from: Option<usize>,
    /// How many requests for big.bin came before.
    nth: usize,
}

enum Say {
    /// A whole answer: further head lines, and the body.
    Well(&'static str, Vec<u8>),
    /// The first bytes of a body that should have a length, then nothing.
    Cut(String, usize, Vec<u8>),
    /// Bytes for ever, without a length.
    Endless,
    /// A status and no body.
    Status(&'static str),
}

fn big(salt: usize) -> Vec<u8> {
    (0..BIG).map(|at| ((at / 7 + salt) % 251) as u8).collect()
}

/// What a well-behaved server says, without ranges.
fn honest(ask: &Ask) -> Say {
    let body = match ask.target.as_str() {
        LIST => listing(json!([
            {"path": "MLmodel", "is_dir": false, "file_size": MLMODEL.len()},
            {"path": "data", "is_dir": true},
        ])),
        "/api/2.0/mlflow-artifacts/artifacts?path=m%2Fdata" => listing(json!([
            {"path": "big.bin", "is_dir": false, "file_size": BIG},
            {"path": "empty", "is_dir": false},
        ])),
        target => match target.strip_prefix(FILE) {
            Some("/MLmodel") => MLMODEL.as_bytes().to_vec(),
            Some("/data/big.bin") => big(0),
            Some("/data/empty") => Vec::new(),
            _ => return Say::Status("404 Not Found"),
        },
    };
    Say::Well("", body)
}

fn listing(files: Json) -> Vec<u8> {
    json!({ "files": files }).to_string().into_bytes()
}

/// Serves until the process ends.
fn server(answer: impl Fn(&Ask) -> Option<Say> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let shared = Arc::new((answer, AtomicUsize::new(0)));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                let _ = converse(stream, &shared.0, &shared.1);
            });
        }
    });
    format!("http://{address}")
}

fn converse(
    mut stream: TcpStream,
    answer: &impl Fn(&Ask) -> Option<Say>,
    big_asked: &AtomicUsize,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="));
    let nth = match target.ends_with("big.bin") {
        true => big_asked.fetch_add(1, SeqCst),
        false => 0,
    };
    let from = range.map(|range| range.trim_end_matches('-').parse().unwrap());
    let ask = Ask { target, from, nth };
    match answer(&ask).unwrap_or_else(|| honest(&ask)) {
        Say::Well(lines, body) => {
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\n{lines}content-length: {length}\r\nconnection: close\r\n\r\n"
            )?;
            stream.write_all(&body)
        }
        Say::Cut(head, length, body) => {
            write!(
                stream,
                "HTTP/1.1 {head}content-length: {length}\r\nconnection: close\r\n\r\n"
            )?;
            stream.write_all(&body)
        }
        Say::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[7; 64 << 10])?;
            }
        }
        Say::Status(status) => write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        ),
    }
}

/// Fetches from a server: what came of it, and how often the big file was asked for.
async fn fetched(
    answer: impl Fn(&Ask) -> Option<Say> + Send + Sync + 'static,
) -> (Result<Vec<u8>, ArtifactError>, usize) {
    let cache = TempDir::new().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let url = server(move |ask| {
        if ask.target.ends_with("big.bin") {
            counter.fetch_add(1, SeqCst);
        }
        answer(ask)
    });
    let mut mlflow = client::Config::new(&url);
    (mlflow.retries, mlflow.backoff_factor, mlflow.backoff_jitter) = (1, 0.0, 0.0);
    let config = Config {
        max_cache_bytes: 1 << 30,
        retry_wait: Duration::from_millis(1),
        mlflow: Some(mlflow),
        ..Config::new(cache.path().join("cache"))
    };
    let artifacts = Artifacts::new(config);
    let from = ArtifactUri::new("mlflow-artifacts:/m");
    let progress = Progress::new("m");
    let key = key("1");
    let fetch = artifacts.fetch(&key, &from, &progress);
    let result = tokio::time::timeout(Duration::from_secs(20), fetch)
        .await
        .expect("it ends");
    is_tidied(&cache).await;
    let kept = artifacts.recall(&key).await.unwrap();
    let result = result.map(|artifact| {
        let counts = progress.counts();
        assert_eq!((counts.files, counts.bytes), (counts.of_files, counts.of_bytes));
        assert_eq!(kept.as_ref().and_then(|kept| kept.digest), artifact.digest);
        fs::read(artifact.dir.path().join("data/big.bin")).unwrap()
    });
    assert_eq!(result.is_ok(), kept.is_some(), "what failed is kept");
    (result, asked.load(SeqCst))
}

/// For answers to the big file alone.
fn on_big(
    answer: impl Fn(&Ask) -> Option<Say> + Send + Sync + 'static,
) -> impl Fn(&Ask) -> Option<Say> + Send + Sync + 'static {
    move |ask| ask.target.ends_with("big.bin").then(|| answer(ask)).flatten()
}

/// The rest of the big file as a range, cut after so many bytes.
fn part(ask: &Ask, salt: usize, etag: &str, bytes: usize) -> Say {
    let from = ask.from.unwrap_or(0);
    let whole = big(salt);
    let end = BIG.min(from + bytes);
    let head = format!(
        "206 Partial\r\ncontent-range: bytes {from}-{}/{BIG}\r\netag: \"{etag}\"\r\n",
        BIG - 1
    );
    Say::Cut(head, BIG - from, whole[from..end].to_vec())
}

#[tokio::test]
async fn an_honest_server_is_asked_once() {
    let (result, asked) = fetched(|_| None).await;
    assert!(result.unwrap() == big(0));
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_file_that_breaks_off_goes_on_where_it_broke() {
    let (result, asked) = fetched(on_big(|ask| Some(part(ask, 0, "a", 1_000_000)))).await;
    assert!(result.unwrap() == big(0));
    assert_eq!(asked, 4);
}

#[tokio::test]
async fn a_server_without_ranges_is_asked_for_the_whole_file_again() {
    let cut =
        |ask: &Ask| (ask.nth < 2).then(|| Say::Cut("200 OK\r\n".into(), BIG, big(0)[..2_000_000].to_vec()));
    let (result, asked) = fetched(on_big(cut)).await;
    assert!(result.unwrap() == big(0));
    assert_eq!(asked, 3);
}

#[tokio::test]
async fn a_file_that_is_changed_on_its_way_is_begun_anew() {
    let changed = |ask: &Ask| match ask.nth {
        0 => Some(part(ask, 1, "old", 2_000_000)),
        _ => Some(part(ask, 0, "new", BIG)),
    };
    let (result, _) = fetched(on_big(changed)).await;
    assert!(result.unwrap() == big(0), "pieces of two files are mixed");
}

#[tokio::test]
async fn a_file_that_always_breaks_off_is_given_up() {
    let stuck = |ask: &Ask| match ask.nth {
        0 => Some(part(ask, 0, "a", 2_000_000)),
        _ => Some(part(ask, 0, "a", 0)),
    };
    let (result, asked) = fetched(on_big(stuck)).await;
    let error = result.unwrap_err();
    assert!(
        error.is_outage() && error.to_string().contains("last after 2000000 of 3000001 bytes"),
        "{error}"
    );
    assert!(asked < 12, "{asked}");

    let restarting = |_: &Ask| Some(Say::Cut("200 OK\r\n".into(), BIG, big(0)[..2_000_000].to_vec()));
    let (result, asked) = fetched(on_big(restarting)).await;
    assert!(result.unwrap_err().is_outage() && asked < 12, "{asked}");
}

#[tokio::test]
async fn a_file_of_another_size_than_listed_is_refused() {
    for body in [&big(0)[..BIG - 1], &[big(0), vec![1]].concat()] {
        let body = body.to_vec();
        let (result, _) = fetched(on_big(move |_| Some(Say::Well("", body.clone())))).await;
        let error = result.unwrap_err().to_string();
        assert!(error.contains("was listed with 3000001"), "{error}");
    }
}

#[tokio::test]
async fn an_endless_file_is_cut() {
    let (result, _) = fetched(on_big(|_| Some(Say::Endless))).await;
    let error = result.unwrap_err().to_string();
    assert!(error.contains("longer than the 3000001 bytes listed"), "{error}");
    let empty = |ask: &Ask| ask.target.ends_with("empty").then_some(Say::Endless);
    let error = fetched(empty).await.0.unwrap_err().to_string();
    assert!(error.contains("longer than the 0 bytes listed"), "{error}");
}

#[tokio::test]
async fn a_range_from_elsewhere_is_refused() {
    let elsewhere = |ask: &Ask| match ask.nth {
        0 => Some(part(ask, 0, "a", 1_000_000)),
        _ => Some(Say::Well(
            "content-range: bytes 5-9/3000001\r\n",
            b"12345".to_vec(),
        )),
    };
    let error = fetched(on_big(elsewhere)).await.0.unwrap_err().to_string();
    assert!(error.contains("began at byte 5"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_told() {
    let (result, asked) = fetched(on_big(|_| Some(Say::Status("404 Not Found")))).await;
    let error = result.unwrap_err();
    assert!(
        !error.is_outage() && told(&error).contains("404"),
        "{}",
        told(&error)
    );
    assert_eq!(asked, 1);
}

/// What is said of a server that lists this beside `MLmodel`.
async fn lists(wanted: &str, more: Json) {
    let mut files = vec![json!({"path": "MLmodel", "file_size": MLMODEL.len()})];
    files.extend(more.as_array().unwrap().iter().cloned());
    let files = listing(Json::Array(files));
    let (result, _) = fetched(move |ask| (ask.target == LIST).then(|| Say::Well("", files.clone()))).await;
    let error = result.unwrap_err();
    let message = told(&error);
    assert!(message.contains(wanted), "{message}");
    assert!(
        message.len() < 1000 && !message.chars().any(char::is_control),
        "{message:?}"
    );
    assert!(!error.is_outage());
}

#[tokio::test]
async fn lies_in_listings_are_refused() {
    let file = |path: &str| json!([{"path": path, "is_dir": false, "file_size": 1}]);
    lists("slash", file("../x")).await;
    lists("slash", file("/etc/passwd")).await;
    lists("slash", file("data/x")).await;
    lists("`.` or `..`", file("..")).await;
    lists("`.` or `..`", json!([{"path": "..", "is_dir": true}])).await;
    lists("empty", file("")).await;
    lists("backslash", file("..\\x")).await;
    lists("control", file("a\u{0}b")).await;
    lists("control", file("a\r\nb")).await;
    lists("255 bytes", file(&"x".repeat(300))).await;
    lists("slash", file(&"/x".repeat(5000))).await;
    lists("listed twice", file("MLmodel")).await;
    lists("listed twice", json!([{"path": "MLmodel", "is_dir": true}])).await;
    lists("do not fit", json!([{"path": "x", "file_size": u64::MAX}])).await;
    let many: Vec<Json> = (0..20_000)
        .map(|number| json!({"path": format!("f{number}")}))
        .collect();
    lists("more than 10000", many.into()).await;
}

#[tokio::test]
async fn a_listing_of_endless_depth_or_width_ends() {
    let deeper = |ask: &Ask| {
        let one = json!([{"path": "d", "is_dir": true}, {"path": "f"}]);
        ask.target.starts_with(LIST).then(|| Say::Well("", listing(one)))
    };
    let error = fetched(deeper).await.0.unwrap_err().to_string();
    assert!(error.contains("deeper than 32"), "{error}");
    let bushy = |ask: &Ask| {
        let many: Vec<Json> = (0..200)
            .map(|number| json!({"path": format!("d{number}"), "is_dir": true}))
            .collect();
        ask.target
            .starts_with(LIST)
            .then(|| Say::Well("", listing(many.into())))
    };
    let error = fetched(bushy).await.0.unwrap_err().to_string();
    assert!(error.contains("more than 10000"), "{error}");
}

#[tokio::test]
async fn what_is_no_listing_is_told() {
    for (body, wanted) in [
        ("<html>", "no JSON"),
        ("{\"files\": 5}", "something else"),
        (
            "{\"files\": [{\"path\": \"x\", \"file_size\": -1}]}",
            "something else",
        ),
        ("{}", "there is nothing"),
    ] {
        let (result, _) = fetched(move |ask| (ask.target == LIST).then(|| Say::Well("", body.into()))).await;
        let message = told(&result.unwrap_err());
        assert!(message.contains(wanted), "{message}");
    }
}

#[tokio::test]
async fn a_dropped_fetch_leaves_nothing() {
    let cache = TempDir::new().unwrap();
    let slow = |ask: &Ask| {
        std::thread::sleep(Duration::from_millis(300));
        Some(part(ask, 0, "a", 1_100_000))
    };
    let mut mlflow = client::Config::new(&server(on_big(slow)));
    mlflow.retries = 0;
    let config = Config {
        mlflow: Some(mlflow),
        ..Config::new(cache.path().join("cache"))
    };
    let artifacts = Artifacts::new(config);
    let (key, from, progress) = (
        key("1"),
        ArtifactUri::new("mlflow-artifacts:/m"),
        Progress::new("m"),
    );
    let fetch = artifacts.fetch(&key, &from, &progress);
    assert!(
        tokio::time::timeout(Duration::from_millis(400), fetch)
            .await
            .is_err()
    );
    assert!(entries(&cache, "tmp") <= 1 && entries(&cache, "models") == 0);
    is_tidied(&cache).await;
    assert!(artifacts.recall(&key).await.unwrap().is_none());
}

/// A server that gives presigned addresses, for storage at another address.
fn presigning(info: &'static str, storage: String) -> impl Fn(&Ask) -> Option<Say> + Send + Sync + 'static {
    move |ask| {
        let presigned = "/api/2.0/mlflow-artifacts/presigned/m/";
        if ask.target == "/api/3.0/mlflow/server-info" {
            Some(Say::Well("", info.into()))
        } else if let Some(path) = ask.target.strip_prefix(presigned) {
            let url = format!("{storage}{FILE}/{path}?signature=hidden");
            Some(Say::Well(
                "",
                json!({"url": url, "headers": {}}).to_string().into_bytes(),
            ))
        } else if ask.target.starts_with(FILE) && info.contains("only") {
            let refusal = json!({"error_code": "PERMISSION_DENIED", "message": "presigned only"}).to_string();
            Some(Say::Cut(
                "403 Forbidden\r\n".into(),
                refusal.len(),
                refusal.into_bytes(),
            ))
        } else {
            None
        }
    }
}

/// A storage that serves presigned addresses: without our credentials.
fn storage() -> String {
    server(|ask| {
        let (target, query) = ask.target.split_once('?')?;
        assert_eq!(query, "signature=hidden");
        let plain = Ask {
            target: target.to_owned(),
            from: ask.from,
            nth: ask.nth,
        };
        Some(if ask.from.is_none() && target.ends_with("big.bin") {
            part(&plain, 0, "a", 2_000_000)
        } else if target.ends_with("big.bin") {
            part(&plain, 0, "a", BIG)
        } else {
            honest(&plain)
        })
    })
}

#[tokio::test]
async fn presigned_addresses_are_used_when_the_server_wants_it() {
    for info in [
        "{\"multipart_downloads_enabled\": true}",
        "{\"artifacts_presigned_only\": true}",
        // A server that says nothing, and refuses to serve the files itself.
        "{\"other\": \"only\"}",
    ] {
        let (result, _) = fetched(presigning(info, storage())).await;
        assert!(result.unwrap() == big(0), "{info}");
    }
}

#[tokio::test]
async fn storage_that_cannot_be_reached_is_gone_around_or_told() {
    let nowhere = || "http://127.0.0.1:9".to_owned();
    let (result, _) = fetched(presigning("{\"multipart_downloads_enabled\": true}", nowhere())).await;
    assert!(result.unwrap() == big(0));
    for info in ["{\"artifacts_presigned_only\": true}", "{\"other\": \"only\"}"] {
        let message = told(&fetched(presigning(info, nowhere())).await.0.unwrap_err());
        assert!(
            message.contains("127.0.0.1:9") || message.contains("presigned only"),
            "{message}"
        );
        assert!(!message.contains("hidden"), "{message}");
    }
}
