//! Opens the one file of a native model, within its directory.

use std::path::{Component, Path};

use super::LoadError;

/// The largest file that is read; the libraries' own files of this size hold hundreds of millions of nodes.
const MAX_BYTES: u64 = 1 << 30;

/// The bytes of the file `name` of a model directory.
///
/// # Errors
/// When the name leads out of the directory, also by a symbolic link, or the file cannot be read or is too large.
pub fn read(dir: &Path, name: &str) -> Result<Vec<u8>, LoadError> {
    let relative = Path::new(name);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let outside = || LoadError::Refused(format!("`{name}` is not a path within the model directory"));
    if name.is_empty() || name.contains('\0') || !relative.components().all(plain) {
        return Err(outside());
    }
    let canonical = |path: &Path| {
        path.canonicalize().map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source,
        })
    };
    let (root, path) = (canonical(dir)?, canonical(&dir.join(relative))?);
    if !path.starts_with(&root) {
        return Err(outside());
    }
    let failed = |source| LoadError::Read {
        path: path.clone(),
        source,
    };
    let length = std::fs::metadata(&path).map_err(failed)?.len();
    if length > MAX_BYTES {
        return Err(LoadError::Refused(format!(
            "`{name}` has {length} bytes, at most {MAX_BYTES} are read"
        )));
    }
    std::fs::read(&path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_outside_the_directory_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("model"), b"bytes").unwrap();
        assert_eq!(read(dir.path(), "model").unwrap(), b"bytes");
        for name in ["", "../model", "/etc/hostname", "a/../model", "mo\0del", "absent"] {
            assert!(read(dir.path(), name).is_err(), "{name:?}");
        }
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("link")).unwrap();
        assert!(read(dir.path(), "link").is_err());
    }
}
