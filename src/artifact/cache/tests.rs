//! What the cache survives: damage, other processes, sudden death, and a full disk.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;

const MLMODEL: &str = "flavors: {onnx: {data: model.onnx}}\n";
const BYTES: u64 = 1_000_000;

fn key(version: &str) -> Key {
    Key::new("here", "iris", version, "1")
}

/// Writes a model of `BYTES` and publishes it.
fn put(cache: &Cache, version: &str) -> Result<Cached, ArtifactError> {
    let workspace = cache.workspace(BYTES)?;
    let salt = version
        .as_bytes()
        .iter()
        .fold(1u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte));
    let rest = usize::try_from(BYTES).unwrap() - MLMODEL.len();
    fs::write(workspace.files().join("MLmodel"), MLMODEL).unwrap();
    fs::write(workspace.files().join("model.onnx"), vec![salt; rest]).unwrap();
    let digest = open(&workspace.files())?.digest()?;
    workspace.publish(&key(version), digest, "/somewhere")
}

fn has(cache: &Cache, version: &str) -> bool {
    cache.recall(&key(version)).unwrap().is_some()
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// Sets when a model was used last, as if long ago.
fn age(cached: Cached, hours: u64) {
    let lock = cached.dir.path().parent().unwrap().join("lock");
    drop(cached);
    let then = SystemTime::now() - Duration::from_secs(hours * 3600);
    File::open(lock).unwrap().set_modified(then).unwrap();
}

#[test]
fn the_longest_unused_goes_first_and_what_is_held_stays() {
    let folder = TempDir::new().unwrap();
    let cache = Cache::new(folder.path(), 3 * BYTES);
    let held = put(&cache, "held").unwrap();
    age(put(&cache, "old").unwrap(), 1);
    age(put(&cache, "older").unwrap(), 2);
    drop(put(&cache, "new").unwrap());
    assert_eq!(
        [has(&cache, "held"), has(&cache, "old"), has(&cache, "older")],
        [true, true, false]
    );
    assert_eq!(
        (count(&cache.models()), count(&cache.keys()), count(&cache.tmp())),
        (3, 3, 0)
    );

    // All are in use: there is no room, and nothing is taken from anybody.
    let others = ["old", "new"].map(|version| cache.recall(&key(version)).unwrap().unwrap());
    let error = put(&cache, "more").err().unwrap();
    assert!(
        error.to_string().contains("of which 3000000 are in use"),
        "{error}"
    );
    assert_eq!(count(&cache.models()), 3);
    drop((held, others));
    assert!(put(&cache, "more").is_ok());
}

#[test]
fn what_is_on_its_way_takes_room_as_well() {
    let folder = TempDir::new().unwrap();
    let cache = Cache::new(folder.path(), 2 * BYTES);
    let on_its_way = [cache.workspace(BYTES).unwrap(), cache.workspace(BYTES).unwrap()];
    assert!(matches!(put(&cache, "1"), Err(ArtifactError::CacheFull { .. })));
    drop(on_its_way);
    assert!(put(&cache, "1").is_ok());
}

#[test]
fn a_damaged_model_is_not_given_and_fetched_anew() {
    type Spoil = fn(&Path);
    let spoil: [(&str, Spoil); 5] = [
        ("a bit", |files| {
            let mut bytes = fs::read(files.join("model.onnx")).unwrap();
            bytes[500_000] ^= 1;
            fs::write(files.join("model.onnx"), bytes).unwrap();
        }),
        ("cut", |files| fs::write(files.join("model.onnx"), b"").unwrap()),
        ("a file gone", |files| {
            fs::remove_file(files.join("model.onnx")).unwrap()
        }),
        ("a file more", |files| fs::write(files.join("more"), b"").unwrap()),
        ("all gone", |files| fs::remove_dir_all(files).unwrap()),
    ];
    for (what, spoil) in spoil {
        let folder = TempDir::new().unwrap();
        let cache = Cache::new(folder.path(), 5 * BYTES);
        let files = put(&cache, "1").unwrap().dir.path().to_path_buf();
        assert!(has(&cache, "1"), "{what}");
        spoil(&files);
        assert!(!has(&cache, "1"), "{what}");
        assert_eq!((count(&cache.models()), count(&cache.tmp())), (0, 0), "{what}");
        drop(put(&cache, "1").unwrap());
        assert!(has(&cache, "1"), "{what}");
    }
}

#[test]
fn a_damaged_model_in_use_makes_way_for_a_whole_one() {
    let folder = TempDir::new().unwrap();
    let cache = Cache::new(folder.path(), 5 * BYTES);
    let held = put(&cache, "1").unwrap();
    fs::write(held.dir.path().join("model.onnx"), b"damaged").unwrap();
    // Found when the same contents come again under another key or from another process.
    let again = put(&cache, "1").unwrap();
    assert_eq!((again.digest, again.dir.size_bytes()), (held.digest, BYTES));
    assert_eq!((count(&cache.models()), count(&cache.tmp())), (1, 1));
    drop((held, again));
    drop(put(&cache, "2").unwrap());
    assert_eq!(count(&cache.tmp()), 0);
}

#[test]
fn a_model_without_its_lock_and_a_note_without_sense_are_replaced() {
    let folder = TempDir::new().unwrap();
    let cache = Cache::new(folder.path(), 5 * BYTES);
    let files = put(&cache, "1").unwrap().dir.path().to_path_buf();
    fs::remove_file(files.parent().unwrap().join("lock")).unwrap();
    assert!(!has(&cache, "1"));
    drop(put(&cache, "1").unwrap());
    assert!(has(&cache, "1"));
    let note = cache.keys().join(key("1").file_name());
    for text in ["", "{}", "null", "{\"digest\": \"sha256:../../x\"}"] {
        fs::write(&note, text).unwrap();
        assert!(!has(&cache, "1"), "{text}");
    }
    drop(put(&cache, "1").unwrap());
    assert!(has(&cache, "1"));
}

#[test]
fn a_cache_that_cannot_be_written_still_gives() {
    let folder = TempDir::new().unwrap();
    let cache = Cache::new(folder.path(), 5 * BYTES);
    drop(put(&cache, "1").unwrap());
    let read_only = |on: bool| {
        let set = Command::new("chmod")
            .args(["-R", if on { "a-w" } else { "u+w" }])
            .arg(folder.path())
            .status();
        assert!(set.unwrap().success());
    };
    read_only(true);
    let given = has(&cache, "1");
    read_only(false);
    assert!(given);
}

#[test]
fn a_note_is_for_people_too() {
    let folder = TempDir::new().unwrap();
    let cache = Cache::new(folder.path(), 5 * BYTES);
    let cached = put(&cache, "1").unwrap();
    let text = fs::read_to_string(cache.keys().join(key("1").file_name())).unwrap();
    for wanted in ["\"iris\"", "/somewhere", &cached.digest.to_string(), "1000000"] {
        assert!(text.contains(wanted), "{text}");
    }
}

// === other processes: this test program again, told by a file in its working folder what to do ===

const TASK: &str = "task.txt";

fn other_process(folder: &TempDir, task: &str) -> Child {
    // Not written again while others read it.
    if !folder.path().join(TASK).is_file() {
        fs::write(folder.path().join(TASK), task).unwrap();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "artifact::cache::tests::in_another_process",
            "--nocapture",
        ])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    command.spawn().unwrap()
}

/// Does what `TASK` in the working folder says; without such a file, nothing.
#[test]
fn in_another_process() {
    let Ok(task) = fs::read_to_string(TASK) else {
        return;
    };
    let cache = Cache::new(Path::new("cache"), 3 * BYTES);
    match task.as_str() {
        "hold" => {
            let _held = put(&cache, "held").unwrap();
            fs::write("holding", "").unwrap();
            std::thread::sleep(Duration::from_secs(60));
        }
        "put for ever" => loop {
            for version in ["1", "2", "3", "4", "5"] {
                drop(put(&cache, version).unwrap());
            }
        },
        "put in place" => loop {
            // As a cache would that writes where it reads.
            let folder = cache.models().join("simple");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("MLmodel"), MLMODEL).unwrap();
            for piece in [&[1; 500_000], &[2; 500_000]] {
                let mut file = File::options()
                    .append(true)
                    .create(true)
                    .open(folder.join("model.onnx"))
                    .unwrap();
                file.write_all(piece).unwrap();
            }
            fs::remove_dir_all(&folder).unwrap();
        },
        // Room for as many as may be on their way at once.
        "put once" => drop(put(&Cache::new(Path::new("cache"), 9 * BYTES), "1").unwrap()),
        other => panic!("{other}"),
    }
}

fn wait_for(what: &str, ready: impl Fn() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < Duration::from_secs(20), "no {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_another_process_holds_stays() {
    let folder = TempDir::new().unwrap();
    let cache = Cache::new(&folder.path().join("cache"), 3 * BYTES);
    let mut other = other_process(&folder, "hold");
    wait_for("model held elsewhere", || folder.path().join("holding").is_file());
    let put_many = || (1..=4).for_each(|number| drop(put(&cache, &number.to_string()).unwrap()));
    put_many();
    assert!(has(&cache, "held"));
    // The dead hold nothing.
    other.kill().unwrap();
    other.wait().unwrap();
    put_many();
    put_many();
    assert!(!has(&cache, "held"));
}

/// Kills a process that is at it, again and again; counts how often the cache then holds something not whole.
fn half_made_after_kills(task: &str, rounds: u64, half_made: impl Fn(&Cache) -> bool) -> u64 {
    let folder = TempDir::new().unwrap();
    let cache = Cache::new(&folder.path().join("cache"), 3 * BYTES);
    let mut found = 0;
    for round in 0..rounds {
        let mut other = other_process(&folder, task);
        wait_for("models", || cache.models().is_dir());
        std::thread::sleep(Duration::from_millis(20 + round * 7 % 40));
        other.kill().unwrap();
        assert_eq!(other.wait().unwrap().signal(), Some(9));
        found += u64::from(half_made(&cache));
    }
    found
}

#[test]
fn sudden_death_leaves_nothing_half_made() {
    let half_made = |cache: &Cache| {
        let models = fs::read_dir(cache.models())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let bad = models.filter(|folder| {
            let name = folder
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .replacen('-', ":", 1);
            check(folder, Digest::parse(&name).unwrap()).is_err()
        });
        // Nor is anything in the way of the next one, and what the dead left is gone.
        let next = put(cache, "next").is_ok();
        bad.count() > 0 || !next || count(&cache.tmp()) > 0
    };
    assert_eq!(half_made_after_kills("put for ever", 25, half_made), 0);
}

#[test]
fn control_sudden_death_is_noticed_where_models_are_written_in_place() {
    let half_made = |cache: &Cache| {
        let size = fs::metadata(cache.models().join("simple/model.onnx"));
        let bad = size.is_ok_and(|file| file.len() < BYTES);
        let _ = fs::remove_dir_all(cache.models());
        bad
    };
    assert!(half_made_after_kills("put in place", 25, half_made) > 0);
}

#[test]
fn processes_that_bring_the_same_model_all_end_well() {
    let folder = TempDir::new().unwrap();
    let mut others: Vec<Child> = (0..4).map(|_| other_process(&folder, "put once")).collect();
    for other in &mut others {
        assert!(other.wait().unwrap().success());
    }
    let cache = Cache::new(&folder.path().join("cache"), 3 * BYTES);
    assert!(has(&cache, "1"));
    assert_eq!((count(&cache.models()), count(&cache.tmp())), (1, 0));
}
