//! Finding and loading `libonnxruntime`, once a process.
//!
//! The library cannot be unloaded or replaced, and the crate panics when it has to look for it by itself; so nothing of
//! the crate is touched before a library is loaded here.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;

/// ONNX Runtime, ready to make sessions.
#[derive(Debug)]
pub(super) struct Runtime {
    /// Kept for the life of the process: there can be one only.
    pub(super) environment: Environment,
    /// `onnxruntime 1.31.1`
    pub(super) engine: String,
}

/// Why there is no ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Absent {
    /// None of the candidates exists.
    #[error("libonnxruntime is not found; looked at {0}")]
    NotFound(String),
    /// One exists and does not work.
    #[error("cannot use `{path}` as ONNX Runtime: {why}")]
    Broken { path: String, why: String },
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

/// ONNX Runtime from the first candidate that exists; after the first success always the same.
///
/// A candidate without a folder (`libonnxruntime.so`) is left to the system's search path.
pub(super) fn runtime(candidates: &[PathBuf]) -> Result<&'static Runtime, Absent> {
    let mut looked = Vec::new();
    for candidate in candidates {
        let bare = candidate
            .parent()
            .is_none_or(|folder| folder.as_os_str().is_empty());
        if bare || candidate.try_exists().unwrap_or(false) {
            match load(candidate) {
                Ok(runtime) => return Ok(runtime),
                // The system does not have it either.
                Err(_) if bare => {}
                Err(why) => {
                    return Err(Absent::Broken {
                        path: candidate.display().to_string(),
                        why,
                    });
                }
            }
        }
        looked.push(format!("`{}`", candidate.display()));
    }
    Err(Absent::NotFound(if looked.is_empty() {
        "nothing".into()
    } else {
        looked.join(", ")
    }))
}

fn load(path: &Path) -> Result<&'static Runtime, String> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    // A panic while loading cannot leave anything half done behind this lock.
    let _only_one = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let builder = ort::init_from(path).map_err(|error| error.to_string())?;
    let environment = builder
        .with_name("modelsd")
        .with_telemetry(false)
        .with_logger(Arc::new(log))
        .build()
        .map_err(|error| error.to_string())?;
    environment.set_log_level(LogLevel::Error);
    let engine = format!(
        "onnxruntime {}",
        version(path).unwrap_or_else(|| format!("1.{}", ort::MINOR_VERSION))
    );
    tracing::info!(%engine, path = %path.display(), "loaded ONNX Runtime");
    Ok(RUNTIME.get_or_init(|| Runtime { environment, engine }))
}

/// What ONNX Runtime logs goes where our own log goes. Its errors are also returned to whoever called, and many are a
/// client's mistake, so they do not count as errors of ours here.
fn log(level: LogLevel, _category: &str, session: &str, place: &str, message: &str) {
    match level {
        LogLevel::Fatal => tracing::error!(session, place, message, "onnxruntime"),
        _ => tracing::debug!(session, place, message, "onnxruntime"),
    }
}

/// What is read of the library at once, in bytes.
const PIECE: usize = 16 << 10;
/// Longer than any version tag, in bytes: so much of a piece is looked at again with the next one.
const TAG: usize = 64;

/// The library's version. The crate offers no way to ask for it, so it is read from the version tag of the library's
/// own symbols (`VERS_1.31.1`), which lies near the start of the file.
///
/// In pieces, since what is allocated here stays in the memory of the process until the allocator gives it back.
fn version(path: &Path) -> Option<String> {
    let mut head = std::fs::File::open(path).ok()?.take(4 << 20);
    let mut window = Vec::with_capacity(TAG + PIECE);
    while head.by_ref().take(PIECE as u64).read_to_end(&mut window).ok()? > 0 {
        let found = version_in(&window);
        if found.is_some() {
            return found;
        }
        window.drain(..window.len().saturating_sub(TAG));
    }
    None
}

fn version_in(window: &[u8]) -> Option<String> {
    const MARK: &[u8] = b"VERS_";
    let at = memchr::memmem::find(window, MARK)?;
    let tag = window.get(at + MARK.len()..)?;
    let end = tag
        .iter()
        .position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
    let version = std::str::from_utf8(tag.get(..end)?).ok()?;
    version.contains('.').then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_look_at_is_no_panic() {
        assert_eq!(runtime(&[]).unwrap_err(), Absent::NotFound("nothing".into()));
        let error = runtime(&["/nowhere/libonnxruntime.so".into()])
            .unwrap_err()
            .to_string();
        assert!(error.contains("`/nowhere/libonnxruntime.so`"), "{error}");
    }
    #[test]
    fn the_version_is_found_wherever_a_piece_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libonnxruntime.so");
        let tag = b"\0VERS_1.31.1\0";
        for before in PIECE - tag.len()..=PIECE + TAG {
            let mut library = vec![0; before];
            library.extend_from_slice(tag);
            library.extend_from_slice(&[0; 3 * PIECE]);
            std::fs::write(&path, library).unwrap();
            assert_eq!(version(&path).as_deref(), Some("1.31.1"), "after {before} bytes");
        }
        std::fs::write(&path, vec![0; 5 * PIECE]).unwrap();
        assert_eq!(version(&path), None);
    }
}
