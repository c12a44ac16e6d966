//! Files that are read again when they change: tokens and certificates.
//!
//! They are looked at, not watched: secrets are often mounted as links that are exchanged as a whole, which a watch on a
//! file does not see.

use std::error::Error;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;

use crate::telemetry::names;

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Something that is made of files.
pub trait OfFiles: Send + Sync + 'static {
    /// Its word in metrics and logs.
    fn kind(&self) -> &'static str;
    /// Reads them again, and says what is there now. Blocking.
    ///
    /// # Errors
    /// When they are bad; then nothing has changed.
    fn reread(&self) -> Result<String, Box<dyn Error + Send + Sync>>;
    /// Called at each look, for what changes by time alone.
    fn tick(&self) {}
}

/// What tells a file from its next state: where it lies, its length, and when it and its entry changed.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    place: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// `None` of a file that is not there.
    fn of(path: &PathBuf) -> Option<Stamp> {
        let file = fs::metadata(path).ok()?;
        Some(Stamp {
            place: (file.dev(), file.ino()),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

/// Reads these again whenever one of their files changes, and at each SIGHUP. Ends only where there are none.
///
/// How the files were has to be noted before they are read first, so that no change between the two is missed.
pub async fn follow(all: Vec<(Arc<dyn OfFiles>, Changes)>, mut hangups: Signal) {
    let mut all = all;
    while !all.is_empty() {
        let told = tokio::select! {
            told = hangups.recv() => told.is_some(),
            () = tokio::time::sleep(PERIOD) => false,
        };
        for (of_files, changes) in &mut all {
            of_files.tick();
            // A folder of another machine may be slow to say anything.
            let files = Arc::clone(&changes.files);
            let looked = tokio::task::spawn_blocking(move || stamps(&files)).await;
            let changed = looked.is_ok_and(|now| changes.differ_from(now));
            if changed || told {
                let of_files = Arc::clone(of_files);
                // Keys are checked against their certificates, which is work.
                let _ = tokio::task::spawn_blocking(move || report(&*of_files)).await;
            }
        }
    }
}

fn report(of_files: &dyn OfFiles) {
    let kind = of_files.kind();
    let outcome = match of_files.reread() {
        Ok(found) => {
            tracing::info!(kind, found, "read again");
            "ok"
        }
        Err(error) => {
            let problem = causes(&*error);
            tracing::error!(
                kind,
                problem,
                "a changed file is bad; what was read before stays in force"
            );
            "rejected"
        }
    };
    metrics::counter!(names::CREDENTIALS_READ_TOTAL, names::KIND => kind, names::OUTCOME => outcome)
        .increment(1);
}

fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// How files were when they were looked at last.
#[derive(Debug)]
pub struct Changes {
    files: Arc<[PathBuf]>,
    stamps: Vec<Option<Stamp>>,
}

/// How files are now. Blocking.
fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(Stamp::of).collect()
}

impl Changes {
    /// As they are now. Blocking, for a moment.
    pub fn new(files: Vec<PathBuf>) -> Changes {
        Changes {
            stamps: stamps(&files),
            files: files.into(),
        }
    }

    /// Whether one is another now than at the last look.
    fn differ_from(&mut self, now: Vec<Option<Stamp>>) -> bool {
        let differ = now != self.stamps;
        self.stamps = now;
        differ
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_change_a_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("one"), "a").unwrap();
        fs::write(path("two"), "b").unwrap();
        std::os::unix::fs::symlink(path("one"), path("link")).unwrap();
        let mut changes = Changes::new(vec![path("link"), path("later")]);
        let mut seen = || changes.differ_from(stamps(&changes.files.clone()));
        assert!(!seen());
        fs::write(path("one"), "longer").unwrap();
        assert!(seen() && !seen());
        fs::write(path("later"), "").unwrap();
        assert!(seen() && !seen());
        std::os::unix::fs::symlink(path("two"), path("next")).unwrap();
        fs::rename(path("next"), path("link")).unwrap();
        assert!(seen() && !seen());
        fs::remove_file(path("two")).unwrap();
        assert!(seen() && !seen());
    }
}
