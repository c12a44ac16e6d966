//! What cannot be started is told with a cause and a next step, and what was not started here is never stopped.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::{Platform, lives, run};
use crate::support::repository;

/// What `start.sh` says when it refuses.
#[track_caller]
fn refused(command: &mut Command, status: i32, cause: &str) {
    let said = run(command);
    assert_eq!(said.status, Some(status), "{said:?}");
    assert!(said.err.contains(cause), "no `{cause}` in {said:?}");
    assert!(
        status == 64 || said.err.contains("\n  next: ") || said.err.contains("apt install"),
        "{said:?}"
    );
}

#[test]
fn every_refusal_has_a_cause_and_a_next_step() {
    let platform = Platform::new();
    refused(&mut platform.start(&["--nothing"]), 64, "`--nothing`");
    refused(&mut platform.start(&["--port", "x"]), 64, "`x` is no port");
    let both = platform.mlflow.to_string();
    refused(
        &mut platform.start(&["--port", &both]),
        64,
        "cannot both have port",
    );

    let taken = TcpListener::bind(("127.0.0.1", platform.mlflow)).unwrap();
    refused(
        &mut platform.start(&[]),
        69,
        &format!("port {}, which MLflow should have, is taken", platform.mlflow),
    );
    drop(taken);
    refused(
        platform
            .start(&[])
            .env("MLFLOW_TRACKING_URI", "http://me:hidden@127.0.0.1:9"),
        69,
        "MLFLOW_TRACKING_URI is http://127.0.0.1:9, where no MLflow server answers",
    );
    refused(
        platform
            .start(&[])
            .env("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db"),
        69,
        "no address of a server",
    );
    // Not this machine's usual address, so that none is started there.
    let closed = TcpListener::bind("127.0.0.2:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut down = platform.start(&[]);
    for (name, value) in [
        ("USER", "u"),
        ("PASSWORD", "hidden"),
        ("DB", "d"),
        ("HOST", "127.0.0.2"),
    ] {
        down.env(format!("POSTGRES_{name}"), value);
    }
    down.env("POSTGRES_PORT", closed.to_string());
    refused(&mut down, 69, "Connection refused");
    assert!(!run(&mut down).err.contains("hidden"));

    // A Python without pip and ensurepip, as Debian's is without python3-venv.
    let python = platform.path("python");
    fs::write(
        &python,
        "#!/bin/sh\ncase $2 in *pip*) exit 1 ;; esac\nexec python3 \"$@\"\n",
    )
    .unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    refused(
        platform
            .start(&[])
            .env("PYTHON", &python)
            .env("PLATFORM_VENV", platform.path("venv")),
        69,
        "apt install python3-venv",
    );

    // Variables of a file count where the environment has none; nothing in them is run.
    let file = platform.path("env");
    fs::write(
        &file,
        "# a comment\nexport MLFLOW_TRACKING_URI='http://127.0.0.1:9/$(id)'\nMODELSD_PORT=\"not one\"\n",
    )
    .unwrap();
    refused(
        platform.start(&[]).env("PLATFORM_ENV_FILE", &file),
        69,
        "http://127.0.0.1:9/$(id)",
    );
    let mut command = platform.script("start.sh");
    refused(
        command.env("PLATFORM_ENV_FILE", &file),
        64,
        "`not one` is no port",
    );
    // None of all these has left anything running.
    let stopped = run(&mut platform.script("stop.sh"));
    assert!(stopped.err.contains("nothing runs"), "{stopped:?}");
}

#[test]
fn a_program_that_ends_is_told_with_the_end_of_its_log() {
    let platform = Platform::new();
    let program = platform.path("broken");
    fs::write(&program, "#!/bin/sh\necho the disk is on fire\nexit 3\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut start = platform.start(&[]);
    start.env("MODELSD_BIN", &program);
    refused(&mut start, 69, "modelsd has ended");
    assert!(run(&mut start).err.contains("| the disk is on fire"));
    refused(
        platform.start(&[]).env("MODELSD_BIN", "/none/modelsd"),
        69,
        "MODELSD_BIN is /none/modelsd",
    );
}

#[test]
fn a_stranger_with_the_number_of_a_process_that_was_ours_is_left_alone() {
    let platform = Platform::new();
    let mut stranger = Command::new("sleep")
        .arg("600")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let number = stranger.id().to_string();
    fs::write(
        platform.path("modelsd.pid"),
        format!("{number}\n00000000-0000-0000-0000-000000000000 1234\n"),
    )
    .unwrap();
    fs::write(platform.path("mlflow.pid"), "not a number\n").unwrap();
    let stopped = run(&mut platform.script("stop.sh"));
    assert!(
        stopped.status == Some(0) && stopped.err.contains("nothing runs"),
        "{stopped:?}"
    );
    assert!(lives(&number) && stranger.try_wait().unwrap().is_none());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn every_script_says_what_it_does_from_any_folder() {
    let platform = Platform::new();
    for name in [
        "start.sh",
        "stop.sh",
        "health-check.sh",
        "python-env.sh",
        "serve-model.sh",
    ] {
        let said = run(platform.script(name).arg("-h"));
        assert_eq!(said.status, Some(0), "{name}: {said:?}");
        assert!(said.out.contains(&format!("usage: scripts/{name}")), "{said:?}");
    }
    // What the example of variables names is what the scripts read.
    let example = fs::read_to_string(repository(".env.example")).unwrap();
    let help = run(platform.script("start.sh").arg("-h")).out;
    for line in example.lines().filter_map(|line| line.strip_prefix('#')) {
        if let Some((name, _)) = line.split_once('=').filter(|(name, _)| !name.contains(' ')) {
            assert!(help.contains(name), "start.sh does not tell of {name}");
        }
    }
}
