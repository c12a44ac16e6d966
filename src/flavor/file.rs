//! The file of a native model.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use super::LoadError;

/// Bytes a file may have.
const MAX_BYTES: u64 = 1 << 30;

/// Reads the file `name` of a model directory.
///
/// # Errors
/// When it is not there or not below the directory, is no file, or has more than [`MAX_BYTES`].
pub(crate) fn read(dir: &Path, name: &str) -> Result<Vec<u8>, LoadError> {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if name.is_empty() || name.contains('\0') || !Path::new(name).components().all(plain) {
        return Err(outside(name));
    }
    let path = dir.join(name);
    let failed = |source| LoadError::Read {
        path: path.clone(),
        source,
    };
    let root = dir.canonicalize().map_err(failed)?;
    let real = path.canonicalize().map_err(failed)?;
    if !real.starts_with(&root) {
        return Err(outside(name));
    }
    if !real.is_file() {
        return Err(LoadError::Refused(format!("`{name}` is not a file")));
    }
    let file = File::open(&real).map_err(failed)?;
    let mut bytes = Vec::new();
    // One more than allowed, for a file that grows meanwhile.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(LoadError::Refused(format!(
            "`{name}` has more than {MAX_BYTES} bytes"
        )));
    }
    Ok(bytes)
}

fn outside(name: &str) -> LoadError {
    LoadError::Refused(format!("`{name}` is not a path within the model directory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_out_of_the_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("model"), "x").unwrap();
        assert_eq!(read(dir.path(), "model").unwrap(), b"x");
        for name in ["../model", "/etc/hostname", "", "a\0b", "."] {
            assert!(
                matches!(read(dir.path(), name), Err(LoadError::Refused(_))),
                "{name}"
            );
        }
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("link")).unwrap();
        assert!(matches!(read(dir.path(), "link"), Err(LoadError::Refused(_))));
        assert!(matches!(read(dir.path(), "missing"), Err(LoadError::Read { .. })));
    }
}
