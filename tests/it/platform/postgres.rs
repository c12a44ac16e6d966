//! The same on PostgreSQL, which is started as well.

use std::fs;

use super::{Platform, lives, run};

#[test]
fn with_postgres_a_cluster_is_started_and_kept() {
    let platform = Platform::new();
    let started = run(&mut platform.start(&["--postgres"]));
    assert_eq!(started.status, Some(0), "{started:?}");
    let healthy = run(&mut platform.script("health-check.sh"));
    assert_eq!(healthy.status, Some(0), "{healthy:?}");
    assert_eq!(
        healthy.out.lines().filter(|line| line.contains(" ok ")).count(),
        3,
        "{healthy:?}"
    );
    // The password is nowhere for others to see.
    let password = fs::read_to_string(platform.path("postgres.password")).unwrap();
    assert!(password.len() >= 30);
    for text in [&started.out, &started.err, &healthy.out] {
        assert!(!text.contains(&password));
    }
    for part in ["mlflow", "modelsd", "postgres"] {
        let process = platform.process(part);
        let words = fs::read(format!("/proc/{process}/cmdline")).unwrap();
        assert!(!String::from_utf8_lossy(&words).contains(&password), "{part}");
    }
    let printed = platform.example(&["01_basic_tracking.py"]);
    assert!(!platform.path("mlflow.db").try_exists().unwrap());

    let processes = ["modelsd", "mlflow", "postgres"].map(|part| platform.process(part));
    let stopped = run(&mut platform.script("stop.sh"));
    assert_eq!(stopped.status, Some(0), "{stopped:?}");
    assert!(!processes.iter().any(|process| lives(process)), "{stopped:?}");

    let again = run(&mut platform.start(&["--postgres"]));
    assert_eq!(again.status, Some(0), "{again:?}");
    let id = printed["run_id"].as_str().unwrap();
    let kept = super::ask(platform.mlflow, &format!("/api/2.0/mlflow/runs/get?run_id={id}"));
    assert_eq!(kept.status, 200, "{}", kept.text());

    // Another user of this very cluster: a password that is wrong is told, without being shown.
    let cluster = fs::read_to_string(platform.path("postgres.url")).unwrap();
    let (_, port) = cluster.trim().rsplit_once(':').unwrap();
    let other = Platform::new();
    let wrong = run(other
        .start(&[])
        .env("POSTGRES_USER", "mlflow")
        .env("POSTGRES_PASSWORD", "not-this-one")
        .env("POSTGRES_DB", "mlflow")
        .env("POSTGRES_PORT", port));
    assert_eq!(wrong.status, Some(69), "{wrong:?}");
    assert!(
        wrong.err.contains("password authentication failed") && wrong.err.contains("next:"),
        "{wrong:?}"
    );
    assert!(!wrong.err.contains("not-this-one"), "{wrong:?}");
    // With the right one it is used, and stays when what used it stops.
    let right = run(other
        .start(&[])
        .env("POSTGRES_USER", "mlflow")
        .env("POSTGRES_PASSWORD", &password)
        .env("POSTGRES_DB", "mlflow")
        .env("POSTGRES_PORT", port));
    assert_eq!(right.status, Some(0), "{right:?}");
    assert_eq!(run(&mut other.script("stop.sh")).status, Some(0));
    assert!(lives(&platform.process("postgres")));
}
