//! The registry goes away and comes back, under load and over restarts of modelsd.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::{Site, invoke, iris, live_after, problem, serve};
use crate::hot_swap::{ROW, get, serving, status, wait_for};
use crate::live::proxy::{Mood, Proxy};
use crate::support::Server;

/// Does something while requests go on without a break on some connections; how many were answered, every one with 200.
fn under_load(server: &Server, work: impl FnOnce()) -> usize {
    struct Stops<'a>(&'a AtomicBool);
    impl Drop for Stops<'_> {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    let (stop, answered, failed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        // Also when the work panics, lest the threads go on for ever.
        let _stops = Stops(&stop);
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    let good = server.invoke(ROW).status == 200;
                    answered.fetch_add(1, SeqCst);
                    failed.fetch_add(usize::from(!good), SeqCst);
                    // The registry needs a core to start.
                    std::thread::sleep(Duration::from_millis(2));
                }
            });
        }
        work();
    });
    assert_eq!(failed.into_inner(), 0, "failed requests");
    answered.into_inner()
}

#[test]
fn what_served_last_is_served_while_the_registry_is_away() {
    let mut site = Site::new();
    for version in 1..=2 {
        site.log("iris", &iris(version));
    }
    site.promote("iris", 1);
    // This one comes with the stage, and nobody names it.
    site.log("other", &iris(1));
    site.promote("other", 1);
    let flags = [
        "-m",
        "models:/iris/Production",
        "--all-models",
        "Production",
        "--poll-interval",
        "0.5",
    ];
    let server = site.serve(&flags);
    wait_for("the other", || serving(&server, "other") == "1");
    let Site { server: registry, .. } = &mut site;

    let answered = under_load(&server, || {
        assert!(problem(&server, "iris").is_null());
        registry.kill();
        wait_for("the status shows the outage", || {
            problem(&server, "iris")["outage"] == true
        });
        println!(
            "while the registry is down: {}",
            status(&server, "iris")["registry"]
        );
        std::thread::sleep(Duration::from_secs(1));
        registry.restart();
        wait_for("the status shows its end", || problem(&server, "iris").is_null());
        live_after(&server, 1);
    });
    println!("{answered} requests while the registry was killed and started again, none failed");
    assert!(answered > 100, "{answered} requests are no load");
    let took = site.swap(&server, 2);
    println!("a version promoted after that was live after {took:?}");

    // modelsd starts while the registry is down.
    server.terminate();
    assert!(server.wait().0.success());
    site.server.kill();
    std::thread::sleep(Duration::from_secs(2));
    let began = Instant::now();
    let server = site.serve(&flags);
    assert_eq!(server.invoke(ROW).header("x-model-version"), Some("2"));
    println!("started in an outage: first answer after {:?}", began.elapsed());
    wait_for("the other", || invoke(&server, "other").status == 200);
    let now = status(&server, "iris");
    println!("the status: {now}");
    let age = now["registry"]["confirmed_seconds_ago"].as_u64().unwrap();
    assert!((2..300).contains(&age) && now["registry"]["problem"]["outage"] == true);
    assert!(!now["serving"]["fetched_at"].is_null());
    assert_eq!(get(&server, "/health/ready").status, 200);
    let metrics = server.metrics();
    assert!(
        metrics.contains("modelsd_registry_confirmed_timestamp_seconds{slot=\"iris\"}"),
        "{metrics}"
    );
    site.server.restart();
    wait_for("the end of the outage", || problem(&server, "iris").is_null());
    site.swap(&server, 1);
}

#[test]
fn a_registry_that_takes_connections_and_never_answers_holds_up_no_start() {
    let mut site = Site::new();
    site.log("iris", &iris(1));
    site.promote("iris", 1);
    let proxy = Proxy::start(&site.server.url);
    let start = || {
        let mut command = site.modelsd();
        command.env("MLFLOW_TRACKING_URI", &proxy.url);
        serve(
            command,
            &["-m", "models:/iris/Production", "--poll-interval", "0.5"],
        )
    };
    let server = start();
    // Killed before that, it would remember nothing.
    let state = site.cache.path().join("v1/state");
    let remembers = || {
        fs::read_dir(&state).is_ok_and(|mut files| {
            files.any(|file| file.unwrap().path().extension().is_some_and(|end| end == "json"))
        })
    };
    wait_for("what is served is on disk", remembers);
    drop(server);
    proxy.becomes(Mood::Silent);
    let began = Instant::now();
    let server = start();
    assert_eq!(serving(&server, "iris"), "1");
    live_after(&server, 1);
    println!(
        "started while the registry hangs: first answer after {:?}",
        began.elapsed()
    );
    wait_for("the registry is given up", || {
        problem(&server, "iris")["outage"] == true
    });
    proxy.becomes(Mood::Clear);
    wait_for("the end of the outage", || problem(&server, "iris").is_null());
}
