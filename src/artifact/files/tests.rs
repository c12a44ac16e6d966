//! Good, bad and hostile directories.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;

const MLMODEL: &str = "flavors: {onnx: {data: model.onnx}}\nmlflow_version: 3.17.2\n";

fn model() -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("MLmodel"), MLMODEL).unwrap();
    fs::write(dir.path().join("model.onnx"), b"graph").unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    fs::write(dir.path().join("data/w.bin"), [7; 1000]).unwrap();
    dir
}

/// Makes a model, spoils it, and gives what `open` says.
#[track_caller]
fn refusal(spoil: impl FnOnce(&Path)) -> String {
    let dir = model();
    spoil(dir.path());
    let start = Instant::now();
    let error = ArtifactDir::open(dir.path()).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[track_caller]
fn check(wanted: &str, spoil: impl FnOnce(&Path)) {
    let message = refusal(spoil);
    assert!(message.contains(wanted), "{message}");
}

#[test]
fn a_model_directory_is_listed_and_sized() {
    let dir = model();
    let artifact = ArtifactDir::open(dir.path()).unwrap();
    let paths: Vec<&str> = artifact.files().iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["MLmodel", "data/w.bin", "model.onnx"]);
    assert_eq!(artifact.size_bytes(), MLMODEL.len() as u64 + 5 + 1000);
    assert_eq!(artifact.mlmodel().mlflow_version.as_deref(), Some("3.17.2"));
    assert!(!artifact.is_bare());
}

#[test]
fn the_digest_is_that_of_the_contents() {
    let (one, two) = (model(), model());
    let digest = |dir: &TempDir| ArtifactDir::open(dir.path()).unwrap().digest().unwrap();
    assert_eq!(digest(&one), digest(&two));
    assert!(digest(&one).to_string().starts_with("sha256:") && digest(&one).to_string().len() == 71);
    fs::write(two.path().join("data/w.bin"), [8; 1000]).unwrap();
    assert_ne!(digest(&one), digest(&two));
    fs::write(two.path().join("data/w.bin"), [7; 1000]).unwrap();
    fs::rename(two.path().join("data/w.bin"), two.path().join("data/v.bin")).unwrap();
    assert_ne!(digest(&one), digest(&two));
}

#[test]
fn a_file_that_changes_is_noticed() {
    let dir = model();
    let artifact = ArtifactDir::open(dir.path()).unwrap();
    fs::write(dir.path().join("model.onnx"), b"another graph").unwrap();
    assert!(
        artifact
            .digest()
            .unwrap_err()
            .to_string()
            .contains("changed while it was read")
    );
}

#[test]
fn a_bare_onnx_file_is_a_model_of_one_file() {
    let dir = model();
    let artifact = ArtifactDir::open(&dir.path().join("model.onnx")).unwrap();
    assert_eq!(artifact.path(), dir.path());
    assert_eq!(
        artifact.files(),
        [FileEntry {
            path: "model.onnx".into(),
            bytes: 5
        }]
    );
    assert_eq!(
        artifact.mlmodel().flavor("onnx"),
        Some(&json!({"data": "model.onnx"}))
    );
    assert!(artifact.is_bare() && artifact.mlmodel().signature.inputs.is_none());
}

#[test]
fn what_is_no_model_says_what_is_there() {
    let dir = model();
    let open = |path: &str| ArtifactDir::open(&dir.path().join(path)).unwrap_err().to_string();
    assert!(open("MLmodel").contains("name the folder"));
    assert!(open("data/w.bin").contains("only `.onnx`"));
    assert!(open("nowhere").contains("cannot read"));
    assert!(open("data").ends_with("it has no `MLmodel`"));
    check("name the file `model.onnx` itself", |dir| {
        fs::remove_file(dir.join("MLmodel")).unwrap()
    });
    check("its folder `data` has", |dir| {
        fs::rename(dir.join("MLmodel"), dir.join("data/MLmodel")).unwrap()
    });
}

#[test]
fn a_bad_mlmodel_is_refused() {
    let set = |text: &[u8]| {
        let text = text.to_vec();
        move |dir: &Path| fs::write(dir.join("MLmodel"), text).unwrap()
    };
    check("not UTF-8", set(b"flavors: \xff"));
    check("no `flavors`", set(b"{}"));
    check("cannot be read", set(b"[["));
    check("at most", |dir| {
        // Ten gigabytes that take no room.
        File::create(dir.join("MLmodel"))
            .unwrap()
            .set_len(10 << 30)
            .unwrap();
    });
}

#[test]
fn what_is_neither_file_nor_folder_is_refused_without_waiting() {
    let pipe = |path: PathBuf| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    check("neither file nor folder", |dir| {
        fs::remove_file(dir.join("MLmodel")).unwrap();
        pipe(dir.join("MLmodel"));
    });
    check("neither file nor folder", |dir| pipe(dir.join("data/pipe")));
    check("neither file nor folder", |dir| {
        drop(UnixListener::bind(dir.join("socket")).unwrap())
    });
    check("it is a link out of the model, to `/dev/zero`", |dir| {
        symlink("/dev/zero", dir.join("w.bin")).unwrap()
    });
    let dir = model();
    let path = dir.path().join("graph.onnx");
    pipe(path.clone());
    assert!(
        ArtifactDir::open(&path)
            .unwrap_err()
            .to_string()
            .contains("neither file nor folder")
    );
}

#[test]
fn links_that_lead_out_are_refused() {
    check("a link out of the model", |dir| {
        symlink("/etc/passwd", dir.join("data/x")).unwrap()
    });
    check("a link out of the model", |dir| {
        symlink("..", dir.join("up")).unwrap()
    });
    check("cannot read", |dir| {
        symlink("nowhere", dir.join("broken")).unwrap()
    });
    check("cannot read", |dir| symlink("loop", dir.join("loop")).unwrap());
    check("a link out of the model", |dir| {
        fs::remove_file(dir.join("MLmodel")).unwrap();
        symlink("/etc/passwd", dir.join("MLmodel")).unwrap();
    });
}

#[test]
fn links_within_are_files_and_circles_end() {
    let dir = model();
    symlink("model.onnx", dir.path().join("alias.onnx")).unwrap();
    symlink(".", dir.path().join("data/circle")).unwrap();
    let artifact = ArtifactDir::open(dir.path()).unwrap();
    assert_eq!(artifact.files().len(), 4);
    let into = TempDir::new().unwrap();
    let message = artifact.copy_to(into.path()).unwrap_err().to_string();
    assert!(message.contains("a link to a folder is not copied"), "{message}");
}

#[test]
fn depth_and_number_have_bounds() {
    check("nest deeper than 32", |dir| {
        fs::create_dir_all(dir.join("a/".repeat(40))).unwrap()
    });
    check("more than 10000", |dir| {
        for number in 0..MAX_FILES {
            File::create(dir.join(number.to_string())).unwrap();
        }
    });
}

#[test]
fn a_name_that_is_not_utf8_is_refused() {
    check("not UTF-8", |dir| {
        File::create(dir.join(std::ffi::OsStr::from_bytes(b"w\xff"))).unwrap();
    });
}

#[test]
fn a_copy_is_the_same_model() {
    let dir = model();
    symlink("model.onnx", dir.path().join("alias.onnx")).unwrap();
    let artifact = ArtifactDir::open(dir.path()).unwrap();
    let into = TempDir::new().unwrap();
    artifact.copy_to(into.path()).unwrap();
    let copy = ArtifactDir::open(into.path()).unwrap();
    assert_eq!(copy.digest().unwrap(), artifact.digest().unwrap());
    assert!(
        !fs::symlink_metadata(into.path().join("alias.onnx"))
            .unwrap()
            .is_symlink()
    );
    assert!(matches!(
        artifact.copy_to(into.path()).unwrap_err(),
        ArtifactError::Write { .. }
    ));
}
