//! The way to the files breaks: now and then, all the time, and for good.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use modelsd::artifact::ArtifactDir;
use serde_json::Value;

use super::{Site, changed, iris, live_after, serve};
use crate::hot_swap::{status, wait_for};
use crate::live::proxy::{Mood, Proxy};

/// Bytes of the large file; those of one that is cut off, of which there are several to it.
const LARGE: usize = 8 << 20;
const PART: usize = 3 << 19;

fn large(folder: &Path) {
    let bytes: Vec<u8> = (0..LARGE).map(|at| (at % 251) as u8).collect();
    fs::write(folder.join("large.bin"), bytes).unwrap();
}

impl Site {
    /// modelsd for which the registry answers all the time, and the files come through the proxy.
    fn behind(&self, proxy: &Proxy) -> Command {
        let mut command = self.modelsd();
        command.env("MLFLOW_REGISTRY_URI", &self.server.url);
        command.env("MLFLOW_TRACKING_URI", &proxy.url);
        command
    }
}

#[test]
fn a_version_is_served_whatever_breaks_on_its_way() {
    let mut site = Site::new();
    let folder = changed(&iris(2), large);
    let digest = ArtifactDir::open(folder.path()).unwrap().digest().unwrap();
    site.log("iris", &iris(1));
    for _ in 2..=5 {
        site.log("iris", folder.path());
    }
    site.promote("iris", 1);
    let proxy = Proxy::start(&site.server.url);
    let flags = ["-m", "models:/iris/Production", "--poll-interval", "0.5"];
    let server = serve(site.behind(&proxy), &flags);
    proxy.counts();

    // Again and again in the middle of a file: each part is fetched once.
    proxy.becomes(Mood::CutsAfter(PART));
    let took = site.swap(&server, 2);
    let (cuts, bytes) = proxy.counts();
    println!("{LARGE} bytes that broke off {cuts} times came as {bytes} bytes, live after {took:?}");
    assert!(
        cuts >= 4 && bytes < LARGE + (1 << 20),
        "{cuts} cuts, {bytes} bytes"
    );
    assert_eq!(status(&server, "iris")["serving"]["digest"], digest.to_string());

    // No part that is worth the name comes through; then the way is clear again.
    proxy.becomes(Mood::CutsAfter(20 << 10));
    site.promote("iris", 3);
    wait_for("several breaks", || proxy_cuts(&proxy) >= 1);
    wait_for("more breaks", || proxy_cuts(&proxy) >= 1);
    let now = status(&server, "iris");
    assert_eq!(
        (&now["serving"]["version"], &now["loading"]["step"]),
        (&Value::from("2"), &Value::from("fetch")),
        "{now}"
    );
    live_after(&server, 2);
    // Killed at that moment, it leaves nothing that could be taken for a version; what served last serves at once.
    drop(server);
    proxy.becomes(Mood::Refuses);
    let server = serve(site.behind(&proxy), &flags);
    live_after(&server, 2);
    let now = status(&server, "iris");
    assert_eq!(
        (&now["wanted"]["version"], &now["last_error"]["version"]),
        (&Value::from("3"), &Value::from("3")),
        "{now}"
    );
    proxy.becomes(Mood::Clear);
    live_after(&server, 3);
    assert_eq!(status(&server, "iris")["serving"]["digest"], digest.to_string());

    // Nothing comes through at all: the old version serves, and the new one comes when it can.
    proxy.becomes(Mood::Refuses);
    site.promote("iris", 4);
    wait_for("an outage", || {
        status(&server, "iris")["last_error"]["version"] == "4"
    });
    println!(
        "the store is down: {}",
        status(&server, "iris")["last_error"]["reason"]
    );
    live_after(&server, 3);
    assert!(server.metrics().contains("outcome=\"outage\""));
    proxy.becomes(Mood::Clear);
    let took = live_after(&server, 4);
    println!("live {took:?} after the store was back");
    assert!(took < Duration::from_secs(60));

    // A start while the store takes connections and never answers: what served last serves, and does not wait for that.
    site.promote("iris", 5);
    proxy.becomes(Mood::Silent);
    wait_for("the registry is followed", || {
        status(&server, "iris")["wanted"]["version"] == "5"
    });
    drop(server);
    let began = Instant::now();
    let server = serve(site.behind(&proxy), &flags);
    live_after(&server, 4);
    println!(
        "started while the store hangs: first answer after {:?}",
        began.elapsed()
    );
    let now = status(&server, "iris");
    assert_eq!(
        (
            &now["wanted"]["version"],
            &now["loading"]["version"],
            &now["loading"]["step"]
        ),
        (&Value::from("5"), &Value::from("5"), &Value::from("fetch")),
        "{now}"
    );
    assert!(now["last_error"].is_null(), "{now}");
    proxy.becomes(Mood::Clear);
    live_after(&server, 5);
}

fn proxy_cuts(proxy: &Proxy) -> usize {
    proxy.counts().0
}
