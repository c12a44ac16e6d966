//! Files that want to harm: refused with a reason, or harmless.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use modelsd::flavor::Config;
use serde_json::Value as Json;

use super::golden;
use super::replay::Model;

#[test]
fn hostile_files_are_refused_with_a_reason() {
    let mut seen = 0;
    for dir in std::fs::read_dir(golden().join("hostile")).unwrap() {
        let dir = dir.unwrap().path();
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        let expect: Json =
            serde_json::from_str(&std::fs::read_to_string(dir.join("expect.json")).unwrap()).unwrap();
        let mark = expect["must_not_exist"].as_str().map(Path::new);
        if let Some(mark) = mark {
            assert!(
                !mark.try_exists().unwrap(),
                "{} is there before the test",
                mark.display()
            );
        }
        let began = Instant::now();
        let opened = catch_unwind(AssertUnwindSafe(|| Model::open(&dir, &Config::default())));
        let Ok(opened) = opened else {
            panic!("{name}: panicked");
        };
        match (expect["expect"].as_str().unwrap(), opened) {
            ("refuse", Ok(_)) => panic!("{name}: served, although {}", expect["why"]),
            ("refuse", Err(why)) => {
                println!("{name} ({}): {why}", expect["why"]);
                assert!(why.len() < 2000, "{name}: {why}");
                // Refused for what it is, not because nobody reads such files.
                assert!(!why.contains("no flavor of this model"), "{name}: {why}");
            }
            ("no_crash", _) => {}
            other => panic!("{name}: {:?}", other.0),
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{name}: {:?}",
            began.elapsed()
        );
        if let Some(mark) = mark {
            assert!(!mark.try_exists().unwrap(), "{name}: its code was run");
        }
        seen += 1;
    }
    assert_eq!(seen, 40);
}
