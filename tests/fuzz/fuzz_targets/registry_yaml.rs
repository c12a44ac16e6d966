//! `registry.yaml` of the embedded registry: an entry or an error; and what is read is what a change writes again.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use modelsd::registry::embedded;
use modelsd_fuzz::{check_error, folder};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = folder();
    std::fs::create_dir(folder.path().join("m")).expect("a new folder");
    folder
});

fuzz_target!(|input: &[u8]| {
    std::fs::write(FOLDER.path().join("m/registry.yaml"), input).expect("the folder is ours");
    let registry = embedded(FOLDER.path());
    let mut read = match registry.show("m") {
        Ok(entry) => entry,
        Err(error) => return check_error(&error, "\u{0}"),
    };
    let Some(version) = read.versions.keys().next().copied() else {
        return;
    };
    match registry.set_alias("m", "fuzzed", version) {
        Ok(_) => {
            let mut written = registry.show("m").expect("what was written can be read");
            for entry in [&mut read, &mut written] {
                entry.aliases.retain(|(alias, _)| alias != "fuzzed");
            }
            assert_eq!(read, written);
        }
        Err(error) => check_error(&error, "\u{0}"),
    }
});
