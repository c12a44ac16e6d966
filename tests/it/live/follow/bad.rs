//! Versions that are broken or mean harm: each is rejected with its reason, and the old one answers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use super::{Site, changed, iris, live_after, serve};
use crate::hot_swap::{copy, get, status, wait_for};
use crate::support::repository;

/// The longest file that modelsd may write, in blocks of 512 bytes, in place of a disk that is full.
const MAX_FILE_BLOCKS: usize = 2048;
/// Its cache, in bytes.
const CACHE: &str = "64MiB";

/// What was done to the files in the store, the step that refuses them, and words of the reason.
type Case = (&'static str, fn(&Path), &'static str, &'static str);

const CASES: &[Case] = &[
    (
        "a graph cut off",
        |at| cut(&at.join("model.onnx")),
        "load",
        "cut off",
    ),
    (
        "a graph with other bytes in its middle",
        |at| scramble(&at.join("model.onnx")),
        "load",
        "cannot load",
    ),
    (
        "an empty graph",
        |at| write(at, "model.onnx", b""),
        "load",
        "model.onnx",
    ),
    (
        "no graph",
        |at| fs::remove_file(at.join("model.onnx")).unwrap(),
        "load",
        "model.onnx",
    ),
    (
        "no MLmodel",
        |at| fs::remove_file(at.join("MLmodel")).unwrap(),
        "fetch",
        "no `MLmodel`",
    ),
    (
        "MLmodel cut off",
        |at| cut(&at.join("MLmodel")),
        "fetch",
        "MLmodel",
    ),
    (
        "MLmodel of aliases that multiply",
        |at| write(at, "MLmodel", multiplying().as_bytes()),
        "fetch",
        "MLmodel",
    ),
    (
        "MLmodel whose data is ../../etc/passwd",
        |at| say_data(at, "../../etc/passwd"),
        "load",
        "not a path within the model directory",
    ),
    (
        "MLmodel whose data is /etc/passwd",
        |at| say_data(at, "/etc/passwd"),
        "load",
        "not a path within the model directory",
    ),
    (
        "a graph whose external data leads out",
        |at| external_at(at, &format!("../{}", "x".repeat(38))),
        "load",
        "not a path within the model directory",
    ),
    (
        "a flavor that is not served",
        |at| write(at, "MLmodel", b"flavors: {keras: {}}\n"),
        "load",
        "no flavor of this model can be served",
    ),
    (
        "an example that its signature refuses",
        |at| write(at, "serving_input_example.json", br#"{"inputs": [["red"]]}"#),
        "prove",
        "input example",
    ),
    (
        "a file name with a line break",
        |at| write(at, "a\nb", b"x"),
        "fetch",
        "control character",
    ),
    (
        "a file name with a bell",
        |at| write(at, "a\u{7}b", b"x"),
        "fetch",
        "control character",
    ),
    (
        "a file name with backslashes",
        |at| write(at, "..\\..\\x", b"x"),
        "fetch",
        "backslash",
    ),
    (
        "folders in folders",
        |at| fs::create_dir_all(at.join("d/".repeat(40))).unwrap(),
        "fetch",
        "deeper than",
    ),
    (
        "ten thousand files and some",
        |at| (0..10_001).for_each(|number| drop(File::create(at.join(number.to_string())).unwrap())),
        "fetch",
        "more than 10000 files",
    ),
    (
        "a file of a terabyte",
        |at| File::create(at.join("huge")).unwrap().set_len(1 << 40).unwrap(),
        "fetch",
        "--max-cache-bytes",
    ),
    (
        "a file for which the disk has no room",
        |at| write(at, "large", &vec![7; MAX_FILE_BLOCKS * 512 + 1]),
        "fetch",
        "no room to write",
    ),
];

fn write(at: &Path, name: &str, contents: &[u8]) {
    fs::write(at.join(name), contents).unwrap();
}

fn cut(file: &Path) {
    let bytes = fs::read(file).unwrap();
    fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}

fn scramble(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0xff);
    fs::write(file, bytes).unwrap();
}

fn say_data(at: &Path, path: &str) {
    let text = fs::read_to_string(at.join("MLmodel")).unwrap();
    write(
        at,
        "MLmodel",
        text.replace("data: model.onnx", &format!("data: {path}"))
            .as_bytes(),
    );
}

/// Nine levels, each of nine times the one below.
fn multiplying() -> String {
    let levels: String = (1..=9)
        .map(|level| {
            let nine = vec![format!("*l{}", level - 1); 9].join(", ");
            format!("l{level}: &l{level} [{nine}]\n")
        })
        .collect();
    format!("flavors: {{onnx: {{data: model.onnx}}}}\nl0: &l0 [x]\n{levels}")
}

/// A model with external data, which are now said to be at a path that is as long.
fn external_at(at: &Path, path: &str) {
    let data = "00000000-0000-1000-8000-000000000001.data";
    fs::remove_dir_all(at).unwrap();
    copy(&repository("tests/golden/models/onnx_external"), at);
    let mut graph = fs::read(at.join("model.onnx")).unwrap();
    let place = graph
        .windows(data.len())
        .position(|window| window == data.as_bytes())
        .unwrap();
    graph[place..place + data.len()].copy_from_slice(path.as_bytes());
    write(at, "model.onnx", &graph);
}

impl Site {
    /// Where the server keeps the files of a logged model.
    fn files_of(&self, model_id: &str) -> PathBuf {
        let experiments = fs::read_dir(self.store.path("artifacts")).unwrap();
        let places = experiments.map(|found| {
            found
                .unwrap()
                .path()
                .join("models")
                .join(model_id)
                .join("artifacts")
        });
        places.into_iter().find(|place| place.is_dir()).unwrap()
    }
}

/// The program with a disk that is soon full.
fn limited(program: &Command) -> Command {
    let mut command = Command::new("sh");
    // Without the trap the system would end who writes too much, as no full disk does.
    let script = format!("trap '' XFSZ; ulimit -f {MAX_FILE_BLOCKS}; exec \"$0\" \"$@\"");
    command.args(["-c", &script]).arg(program.get_program());
    like(&mut command, program);
    command
}

/// Gives a command the folder and the variables of another.
fn like(command: &mut Command, other: &Command) {
    command.current_dir(other.get_current_dir().unwrap());
    for (name, value) in other.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
}

/// The program with a cache on a small disk of its own, where the system lets us have one.
fn on_small_disk(program: &Command, cache: &Path) -> Option<Command> {
    let mut probe = Command::new("unshare");
    probe.args(["-rm", "mount", "-t", "tmpfs", "tmpfs"]).arg(cache);
    let may = probe.stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        println!("no disk of our own to fill: the limit on the length of files has to do");
        return None;
    }
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=2m tmpfs \"$MODELSD_CACHE_DIR\" && exec \"$0\" \"$@\"";
    command
        .args(["-rm", "sh", "-c", script])
        .arg(program.get_program());
    like(&mut command, program);
    command.env("MODELSD_CACHE_DIR", cache);
    Some(command)
}

#[test]
fn a_bad_version_in_a_real_registry_is_rejected_with_its_reason() {
    let mut site = Site::new();
    let good = site.log("iris", &iris(1));
    site.promote("iris", good);
    let flags = [
        "-m",
        "models:/iris/Production",
        "--poll-interval",
        "0.3",
        "--max-cache-bytes",
        CACHE,
    ];
    let server = serve(limited(&site.modelsd()), &flags);
    live_after(&server, good);
    for (what, harm, step, words) in CASES {
        let logged = site
            .python
            .ask("log", json!({ "name": "iris", "folder": iris(2) }));
        harm(&site.files_of(logged["model_id"].as_str().unwrap()));
        let version = logged["version"].as_u64().unwrap();
        let label = json!(version.to_string());
        site.promote("iris", version);
        wait_for(what, || {
            let now = status(&server, "iris");
            assert_eq!(now["serving"]["version"], "1", "{what} is served");
            now["last_error"]["version"] == label
        });
        let error = status(&server, "iris")["last_error"].clone();
        println!(
            "{what}: {}: {}",
            error["step"].as_str().unwrap(),
            error["reason"].as_str().unwrap()
        );
        assert!(
            error["step"] == *step && error["reason"].as_str().unwrap().contains(words),
            "{what}: {step}, {words} in {error}"
        );
        live_after(&server, good);
        assert_eq!(get(&server, "/health/ready").status, 200);
    }

    // How far people come with such names by the server's own API.
    for name in ["a\nb", "..\\x", "a\u{7}b"] {
        let folder = changed(&iris(2), |at| write(at, name, b"x"));
        let logged = json!({ "name": "iris", "folder": folder.path() });
        match site.python.try_ask("log", logged) {
            Ok(_) => println!("the server takes a file named {name:?}"),
            Err(error) => println!("the server refuses a file named {name:?}: {error}"),
        }
    }

    // Started again while the registry wants a bad version, it serves what it served last.
    drop(server);
    let server = serve(limited(&site.modelsd()), &flags);
    live_after(&server, good);
    let now = status(&server, "iris");
    assert!(
        now["wanted"]["version"] != "1" && !now["last_error"].is_null(),
        "{now}"
    );

    // Names that look odd and mean no harm are served, and nothing of the others stays behind.
    let odd = changed(&iris(2), |at| write(at, "100% ü~&=;%41 x", b"x"));
    let version = site.log("iris", odd.path());
    let took = site.swap(&server, version);
    println!(
        "a good version after {} bad ones was live after {took:?}",
        CASES.len()
    );
    assert!(status(&server, "iris")["last_error"].is_null());
    let left = fs::read_dir(site.cache.path().join("v1/tmp")).unwrap().count();
    assert_eq!(left, 0, "workspaces left in the cache");

    // A disk that is really full.
    let disk = tempfile::tempdir().unwrap();
    if let Some(command) = on_small_disk(&site.modelsd(), disk.path()) {
        let server = serve(command, &flags);
        let large = changed(&iris(2), |at| write(at, "large", &vec![7; 3 << 20]));
        let too_large = site.log("iris", large.path());
        site.promote("iris", too_large);
        wait_for("no room", || !status(&server, "iris")["last_error"].is_null());
        let reason = status(&server, "iris")["last_error"]["reason"].clone();
        println!("a full disk: {reason}");
        assert!(
            reason.as_str().unwrap().contains("No space left on device"),
            "{reason}"
        );
        live_after(&server, version);
        let small = site.log("iris", &iris(2));
        site.swap(&server, small);
    }
}
