//! How far the files of a model have come: for the status, the log, and a terminal.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two lines in the log.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Counts files and bytes as they arrive. Clones count together; anybody may look at any time.
#[derive(Debug, Clone)]
pub struct Progress(Arc<State>);

#[derive(Debug)]
struct State {
    label: String,
    files: AtomicU64,
    of_files: AtomicU64,
    bytes: AtomicU64,
    of_bytes: AtomicU64,
    begun: Instant,
    /// Milliseconds after `begun` of the last line in the log.
    logged_ms: AtomicU64,
    bar: Option<ProgressBar>,
}

/// What has arrived, of how much. All zero until the store has listed its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Files that are whole.
    pub files: u64,
    /// Files in all.
    pub of_files: u64,
    /// Bytes that are here.
    pub bytes: u64,
    /// Bytes in all.
    pub of_bytes: u64,
}

impl Progress {
    /// Counts for the log and whoever looks; the label is what the log calls it.
    pub fn new(label: &str) -> Progress {
        Progress::with_bar(label, None)
    }

    /// The same, and a bar when stderr is a terminal; the log keeps quiet then.
    pub fn on_terminal(label: &str) -> Progress {
        if !io::stderr().is_terminal() {
            return Progress::new(label);
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(5));
        let style = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        // A template that cannot be read leaves the default style.
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(label.to_owned());
        Progress::with_bar(label, Some(bar))
    }

    fn with_bar(label: &str, bar: Option<ProgressBar>) -> Progress {
        Progress(Arc::new(State {
            label: label.to_owned(),
            files: AtomicU64::new(0),
            of_files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            of_bytes: AtomicU64::new(0),
            begun: Instant::now(),
            logged_ms: AtomicU64::new(0),
            bar,
        }))
    }

    /// What has arrived until now.
    pub fn counts(&self) -> Counts {
        let state = &*self.0;
        Counts {
            files: state.files.load(Relaxed),
            of_files: state.of_files.load(Relaxed),
            bytes: state.bytes.load(Relaxed),
            of_bytes: state.of_bytes.load(Relaxed),
        }
    }

    /// The files are listed: from here on so many are to come, and nothing has.
    pub(super) fn begin(&self, files: u64, bytes: u64) {
        let state = &*self.0;
        state.files.store(0, Relaxed);
        state.bytes.store(0, Relaxed);
        state.of_files.store(files, Relaxed);
        state.of_bytes.store(bytes, Relaxed);
        if let Some(bar) = &state.bar {
            // An attempt before this one may have ended it.
            bar.reset();
            bar.set_length(bytes);
        }
    }

    /// Bytes of a file have arrived.
    pub(super) fn more(&self, bytes: u64) {
        let state = &*self.0;
        let now = state.bytes.fetch_add(bytes, Relaxed) + bytes;
        match &state.bar {
            Some(bar) => bar.set_position(now),
            None => self.log(u64::try_from(state.begun.elapsed().as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// Bytes that had arrived do not count after all: their file is begun anew.
    pub(super) fn less(&self, bytes: u64) {
        self.0.bytes.fetch_sub(bytes, Relaxed);
    }

    /// A file is whole.
    pub(super) fn file(&self) {
        self.0.files.fetch_add(1, Relaxed);
    }

    /// Nothing more comes, whether all has arrived or not.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.0.bar {
            bar.finish_and_clear();
        }
    }

    /// Writes a line, unless one was written a moment ago.
    fn log(&self, now_ms: u64) {
        let last = self.0.logged_ms.load(Relaxed);
        let due = Duration::from_millis(now_ms.saturating_sub(last)) >= LOG_EVERY;
        // Of two that are due at once, one writes.
        if due
            && self
                .0
                .logged_ms
                .compare_exchange(last, now_ms, Relaxed, Relaxed)
                .is_ok()
        {
            let Counts {
                files,
                of_files,
                bytes,
                of_bytes,
            } = self.counts();
            tracing::info!(what = %self.0.label, files, of_files, bytes, of_bytes, "fetching the files of a model");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_is_counted_by_all_clones() {
        let progress = Progress::new("iris 1");
        let other = progress.clone();
        progress.begin(2, 100);
        other.more(60);
        other.less(20);
        other.file();
        let wanted = Counts {
            files: 1,
            of_files: 2,
            bytes: 40,
            of_bytes: 100,
        };
        assert_eq!(progress.counts(), wanted);
        progress.begin(1, 5);
        assert_eq!(
            other.counts(),
            Counts {
                of_files: 1,
                of_bytes: 5,
                ..Counts::default()
            }
        );
    }

    #[test]
    fn lines_in_the_log_keep_their_distance() {
        let progress = Progress::new("iris 1");
        let logged = |now| {
            progress.log(now);
            progress.0.logged_ms.load(Relaxed)
        };
        assert_eq!(
            [4_999, 5_000, 9_999, 10_000].map(logged),
            [0, 5_000, 5_000, 10_000]
        );
    }
}
