//! Whether files on this machine are still the ones they were, without reading them; and where it is right to wait for
//! a disk.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::RegistryError;

/// Does what may wait for a disk on a thread that may wait: another program's flush can hold up even the opening of a
/// small file for many milliseconds, in which a worker of the runtime would answer nobody.
///
/// # Errors
/// Those of the work, or that the runtime is ending.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RegistryError> + Send + 'static,
) -> Result<T, RegistryError> {
    let ending = |_| RegistryError::Unsupported("the program is ending".into());
    tokio::task::spawn_blocking(work).await.map_err(ending)?
}

/// Entries looked at; a model directory with more is refused when it is opened.
const MAX_ENTRIES: usize = 10_000;

/// A text that changes when a file below `path`, or `path` itself, appears, goes, grows or is written to. What cannot
/// be read counts as it looks: the error comes when it is opened. Blocking, asks for names, sizes and times only.
pub(super) fn revision(path: &Path) -> String {
    let mut found = Vec::new();
    let mut pending = vec![path.to_path_buf()];
    while let Some(path) = pending.pop() {
        // Links are followed: versions and files may lie elsewhere.
        let Ok(kind) = fs::metadata(&path) else { continue };
        if kind.is_dir() && found.len() + pending.len() < MAX_ENTRIES {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            pending.extend(entries.take(MAX_ENTRIES).map(|entry| entry.path()));
        }
        if kind.is_file() {
            let since = |time: std::time::SystemTime| time.duration_since(UNIX_EPOCH).ok();
            let changed = kind.modified().ok().and_then(since).unwrap_or_default();
            found.push((path, kind.len(), changed));
        }
        if found.len() > MAX_ENTRIES {
            break;
        }
    }
    found.sort();
    let mut hash = Sha256::new();
    for (path, bytes, changed) in found {
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update([0]);
        hash.update(bytes.to_le_bytes());
        hash.update(changed.as_nanos().to_le_bytes());
    }
    hash.finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_the_files_shows() {
        let folder = tempfile::tempdir().unwrap();
        let mut seen = vec![revision(folder.path())];
        let mut changed = |change: &dyn Fn()| {
            change();
            let now = revision(folder.path());
            assert!(!seen.contains(&now));
            assert_eq!(now, revision(folder.path()));
            seen.push(now);
        };
        let inner = folder.path().join("a/b");
        changed(&|| {
            fs::create_dir_all(&inner).unwrap();
            fs::write(inner.join("x"), "1").unwrap();
        });
        changed(&|| fs::write(inner.join("x"), "22").unwrap());
        changed(&|| fs::write(folder.path().join("y"), "").unwrap());
        changed(&|| fs::rename(inner.join("x"), inner.join("z")).unwrap());
    }

    #[test]
    fn links_in_a_circle_end() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("round")).unwrap();
        revision(folder.path());
    }
}
