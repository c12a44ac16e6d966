//! Start, look, start again, stop, and start with what was there before.

use std::fs;
use std::process::Command;

use super::{Platform, ask, lives, run};
use crate::live::server::{MlflowServer, Options, Store};
use crate::security::certificates::{Authority, Place};
use crate::support::repository;

/// Another MLflow, behind a user and a password; and modelsd with TLS and tokens, which the scripts have to know of.
#[test]
fn a_server_elsewhere_is_followed_and_one_with_tls_and_tokens_is_asked() {
    let store = Store::new();
    let mlflow = MlflowServer::start(&store, &Options::default());
    let platform = Platform::new();
    let certificates = tempfile::tempdir().unwrap();
    let (place, authority) = (Place::new(certificates.path()), Authority::new("ours"));
    place.put(&authority.sign());
    let trusted = certificates.path().join("ca.pem");
    fs::write(&trusted, &authority.pem).unwrap();
    let (token, line) = crate::security::token("read", "scripts", &[]);
    let tokens = certificates.path().join("tokens");
    fs::write(&tokens, line).unwrap();
    let known = |mut command: Command| {
        command.env("MODELSD_TLS_CERT", &place.certificate);
        command.env("MODELSD_TLS_KEY", &place.key);
        command.env("MODELSD_TLS_CA", &trusted);
        command.env("MODELSD_TOKEN_FILE", &tokens);
        command.env(
            "MLFLOW_TRACKING_URI",
            mlflow.url.replace("://", "://me:hid%2Fden@"),
        );
        command
    };
    let started = run(&mut known(platform.start(&[])));
    assert_eq!(started.status, Some(0), "{started:?}");
    assert!(
        started
            .out
            .contains(&format!("modelsd  https://127.0.0.1:{}\n", platform.modelsd)),
        "{started:?}"
    );
    assert!(
        started.err.contains("set MODELSD_TOKEN to one of the role read"),
        "{started:?}"
    );
    assert!(!format!("{started:?}").contains("hid"), "{started:?}");
    let unasked = run(&mut known(platform.script("health-check.sh")));
    assert_eq!(unasked.status, Some(0), "{unasked:?}");
    assert!(unasked.err.contains("set MODELSD_TOKEN"), "{unasked:?}");

    // A folder has no version.
    assert_eq!(run(&mut platform.script("stop.sh")).status, Some(0));
    let model = repository("models/iris/1");
    let route = format!(
        "[routes.flower]\nvariants.only = {{ model = '{}' }}\n",
        model.display()
    );
    fs::write(platform.path("modelsd.toml"), route).unwrap();
    let started = run(known(platform.start(&[])).env("MODELSD_TOKEN", &token));
    assert!(
        started.status == Some(0) && !started.err.contains("MODELSD_TOKEN"),
        "{started:?}"
    );
    let asked = run(known(platform.script("health-check.sh")).env("MODELSD_TOKEN", &token));
    assert_eq!(asked.status, Some(0), "{asked:?}");
    assert!(asked.out.contains("model flower.only: version none"), "{asked:?}");
}

/// What a running program loads its parts from must not go before there is something in its place.
#[test]
fn an_environment_stays_until_another_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // A package with a program, for which nobody has to be asked.
    let wheel = path("hello-1.0-py3-none-any.whl");
    let making = r#"
import sys, zipfile
info = "hello-1.0.dist-info/"
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("hello.py", "import sys\ndef main():\n    print(sys.prefix)\n")
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "entry_points.txt", "[console_scripts]\nhello = hello:main\n")
    wheel.writestr(info + "RECORD", "".join(name + ",,\n" for name in [*wheel.namelist(), info + "RECORD"]))
"#;
    let made = run(Command::new("python3").args(["-c", making]).arg(&wheel));
    assert_eq!(made.status, Some(0), "{made:?}");
    let make = |requirements: &str| {
        fs::write(path("wanted.txt"), requirements).unwrap();
        let mut command = Command::new(repository("scripts/python-env.sh"));
        command
            .args([path("venv"), path("wanted.txt")])
            .env("PIP_NO_INDEX", "1");
        run(&mut command)
    };
    let hello = || run(&mut Command::new(path("venv/bin/hello"))).out;
    let own = format!("{}\n", path("venv").display());
    let good = format!("{}\n", wheel.display());
    assert_eq!(make(&good).status, Some(0));
    assert_eq!(hello(), own);
    let failed = make("there-is-no-such-package==1\n");
    assert_eq!(failed.status, Some(69), "{failed:?}");
    assert_eq!(hello(), own);
    assert_eq!(make(&format!("# another\n{good}")).status, Some(0));
    assert_eq!(hello(), own);
    let again = make(&format!("# another\n{good}"));
    assert!(again.status == Some(0) && again.err.is_empty(), "{again:?}");
    let mut left: Vec<_> = fs::read_dir(path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(
        left,
        ["hello-1.0-py3-none-any.whl", "venv", "venv.lock", "wanted.txt"]
    );
}

#[test]
fn a_platform_is_started_once_and_stopped_with_its_data_kept() {
    let platform = Platform::new();
    let started = run(&mut platform.start(&[]));
    assert_eq!(started.status, Some(0), "{started:?}");
    let addresses = format!(
        "MLflow   {}\nmodelsd  {}\n",
        platform.mlflow_url(),
        platform.modelsd_url()
    );
    assert_eq!(started.out, addresses);
    let healthy = run(&mut platform.script("health-check.sh"));
    assert_eq!(healthy.status, Some(0), "{healthy:?}");
    let line = |part: &str| healthy.out.lines().find(|line| line.starts_with(part)).unwrap();
    assert!(
        line("mlflow").contains(" ok ") && line("modelsd").contains(" ok "),
        "{healthy:?}"
    );

    // Once more: nothing is started, and a wish for another port is told why it is not met.
    let (mlflow, modelsd) = (platform.process("mlflow"), platform.process("modelsd"));
    let again = run(platform.start(&[]).args(["--port", "1"]));
    assert_eq!((again.status, &again.out), (Some(0), &addresses), "{again:?}");
    assert!(
        again.err.contains("MLflow runs already") && again.err.contains("not on port 1"),
        "{again:?}"
    );
    assert_eq!(
        (platform.process("mlflow"), platform.process("modelsd")),
        (mlflow.clone(), modelsd.clone())
    );

    // A part that has died is told from one that runs, and started again alone.
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &modelsd])
        .status()
        .unwrap();
    assert!(killed.success());
    crate::house::wait_for("its end", || !lives(&modelsd));
    let ill = run(&mut platform.script("health-check.sh"));
    assert_eq!(ill.status, Some(1), "{ill:?}");
    assert!(ill.out.contains("its process has ended"), "{ill:?}");
    assert_eq!(run(&mut platform.start(&[])).status, Some(0));
    assert_eq!(platform.process("mlflow"), mlflow);
    let modelsd = platform.process("modelsd");

    let trained = platform.example(&["sensor_clusters.py", "run"]);
    assert_eq!(trained["served"], "1", "{trained}");

    let stopped = run(&mut platform.script("stop.sh"));
    assert_eq!(stopped.status, Some(0), "{stopped:?}");
    assert!(!lives(&mlflow) && !lives(&modelsd));
    let down = run(&mut platform.script("health-check.sh"));
    assert_eq!(down.status, Some(1));
    assert!(down.out.contains("not started"), "{down:?}");
    let nothing = run(&mut platform.script("stop.sh"));
    assert!(
        nothing.status == Some(0) && nothing.err.contains("nothing runs"),
        "{nothing:?}"
    );

    // With the data, what was in Production is served as soon as the start is over.
    assert_eq!(run(&mut platform.start(&[])).status, Some(0));
    let healthy = run(&mut platform.script("health-check.sh"));
    assert!(
        healthy.out.contains("model sensor-clusters: version 1"),
        "{healthy:?}"
    );
    assert_eq!(ask(platform.modelsd, "/health/ready").status, 200);

    // What is not its own stays when the data goes.
    fs::write(platform.path("mine.txt"), "mine").unwrap();
    let reset = run(platform.script("stop.sh").arg("--reset"));
    assert_eq!(reset.status, Some(0), "{reset:?}");
    let mut left: Vec<_> = fs::read_dir(platform.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["lock", "mine.txt"]);
}
