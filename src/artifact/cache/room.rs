//! Room for another model: what nobody uses goes, the longest unused first.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use uuid::Uuid;

use super::{Cache, Workspace, cache_error, make_folder, write};
use crate::artifact::{ArtifactError, Digest};

/// A folder that is on its way out and ours alone.
pub(super) struct Rubbish {
    folder: PathBuf,
    _lock: Option<File>,
}

/// A folder of `models` or `tmp`.
struct Held {
    folder: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl Cache {
    /// Begins a workspace for so many bytes; gives what is to be removed for it, which already lies in `tmp`.
    pub(super) fn make_room(&self, bytes: u64) -> Result<(Workspace, Vec<Rubbish>), ArtifactError> {
        let _lock = self.lock()?;
        let mut rubbish = Vec::new();
        let mut on_their_way: u64 = 0;
        for folder in folders(&self.tmp())? {
            match Rubbish::claim(&folder) {
                Some(left_behind) => rubbish.push(left_behind),
                None => on_their_way = on_their_way.saturating_add(size(&folder)),
            }
        }
        let mut models: Vec<Held> = folders(&self.models())?.into_iter().map(Held::of).collect();
        models.sort_by_key(|model| model.used);
        let sum = |sum: u64, model: &Held| sum.saturating_add(model.bytes);
        let mut total = models.iter().fold(on_their_way, sum).saturating_add(bytes);
        for model in &models {
            if total <= self.max_bytes {
                break;
            }
            if let Some(out) = self.evict(&model.folder) {
                rubbish.push(out);
                total = total.saturating_sub(model.bytes);
                tracing::info!(folder = %model.folder.display(), bytes = model.bytes, "removed a model from the cache");
            }
        }
        if !rubbish.is_empty() {
            let there = |digest: &Digest| fs::metadata(self.models().join(digest.folder_name())).is_ok();
            self.forget_keys(there);
        }
        if total > self.max_bytes {
            let used = total.saturating_sub(bytes);
            return Err(ArtifactError::CacheFull {
                needed: bytes,
                limit: self.max_bytes,
                held: format!(", of which {used} are in use"),
            });
        }
        Ok((self.begin(bytes)?, rubbish))
    }

    /// One process at a time makes room or begins a workspace.
    fn lock(&self) -> Result<File, ArtifactError> {
        let path = self.root.join("lock");
        let opened = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let locked = opened.and_then(|lock| lock.lock().map(|()| lock));
        locked.map_err(|source| cache_error(&path, source))
    }

    /// Moves a model that nobody uses to `tmp`.
    fn evict(&self, folder: &Path) -> Option<Rubbish> {
        let claimed = Rubbish::claim(folder)?;
        let target = self.tmp().join(Uuid::new_v4().to_string());
        fs::rename(folder, &target).ok()?;
        Some(Rubbish {
            folder: target,
            ..claimed
        })
    }

    fn begin(&self, bytes: u64) -> Result<Workspace, ArtifactError> {
        let folder = self.tmp().join(Uuid::new_v4().to_string());
        make_folder(&folder.join("files"))?;
        let path = folder.join("lock");
        let lock = write(&path, bytes.to_string().as_bytes())?;
        lock.lock_shared().map_err(|source| cache_error(&path, source))?;
        Ok(Workspace {
            cache: self.clone(),
            folder,
            lock: Some(lock),
        })
    }
}

impl Rubbish {
    /// The folder, when nobody else uses it.
    pub(super) fn claim(folder: &Path) -> Option<Rubbish> {
        let lock = match File::open(folder.join("lock")) {
            Ok(lock) => match lock.try_lock() {
                Ok(()) => Some(lock),
                Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return None,
            },
            // Its removal or its making was broken off.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => return None,
        };
        Some(Rubbish {
            folder: folder.into(),
            _lock: lock,
        })
    }

    /// A folder whose lock we hold.
    pub(super) fn of(folder: PathBuf, lock: File) -> Rubbish {
        Rubbish {
            folder,
            _lock: Some(lock),
        }
    }

    /// Removes it from the disk; what cannot be removed now is tried again when room is made next.
    pub(super) fn remove(self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::debug!(folder = %self.folder.display(), %error, "rubbish of the cache stays for now");
        }
    }
}

impl Held {
    fn of(folder: PathBuf) -> Held {
        let used = fs::metadata(folder.join("lock")).and_then(|lock| lock.modified());
        Held {
            bytes: size(&folder),
            used: used.unwrap_or(SystemTime::UNIX_EPOCH),
            folder,
        }
    }
}

/// Bytes of the model in a folder, as its lock says.
fn size(folder: &Path) -> u64 {
    let text = fs::read_to_string(folder.join("lock")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

fn folders(within: &Path) -> Result<Vec<PathBuf>, ArtifactError> {
    let entries = fs::read_dir(within).map_err(|source| cache_error(within, source))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}
