//! Changes of a registry that lies in a folder, as the system reports them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::Reconciler;

/// A folder under watch, until dropped.
pub(super) struct Watch {
    folder: PathBuf,
    _watcher: RecommendedWatcher,
}

impl Watch {
    fn new(folder: PathBuf, nudge: Arc<Notify>) -> notify::Result<Watch> {
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // Reading changes nothing; errors, such as too many events to report, may hide a change.
            if !matches!(
                event,
                Ok(Event {
                    kind: EventKind::Access(_),
                    ..
                })
            ) {
                nudge.notify_one();
            }
        })?;
        watcher.watch(&folder, RecursiveMode::Recursive)?;
        Ok(Watch {
            folder,
            _watcher: watcher,
        })
    }
}

fn is_there(folder: &Path) -> bool {
    std::fs::metadata(folder).is_ok()
}

impl Reconciler {
    /// Watches the registry's folder, if it has one and it can be watched; where not, there is still the poll. Called at
    /// each poll, for the folder may come later, or come anew.
    pub(super) fn watch_folder(&mut self) {
        let Some(folder) = self.installer.registry().folder() else {
            return;
        };
        if self.watch.as_ref().is_some_and(|watch| !is_there(&watch.folder)) {
            self.watch = None;
        }
        if self.watch.is_none() && is_there(folder) {
            match Watch::new(folder.to_path_buf(), Arc::clone(&self.nudge)) {
                Ok(watch) => self.watch = Some(watch),
                Err(error) => {
                    tracing::debug!(folder = %folder.display(), %error, "cannot watch the registry's folder, so it is polled only");
                }
            }
        }
    }
}
