//! Models that were fetched, on disk: whole or not at all, whatever is killed when.
//!
//! ```text
//! v1/lock                        held while room is made and a workspace is begun
//! v1/models/sha256-<digest>/     a model: `files/`, and `lock` with its size, last touched when it was last used
//! v1/keys/<hash of key>.json     which digest a version of a registry has
//! v1/tmp/<random>/               a model on its way in or out, shaped as above
//! ```
//!
//! A model is written to `tmp`, asked onto the disk, and renamed. Its `lock` travels with it: whoever writes or uses
//! it holds the lock shared, whoever takes it away holds it alone, and the system lets go of the locks of the dead. So
//! what lies in `tmp` unlocked is nobody's, and is removed when room is made next. Everything here blocks.

mod key;
mod room;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use uuid::Uuid;

use super::files::reading;
use super::{ArtifactDir, ArtifactError, Digest};

pub use self::key::Key;
use self::key::Record;

/// Models on disk. Any number of processes may share the folder.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    root: PathBuf,
    max_bytes: u64,
}

/// A model in the cache, and what keeps it there.
pub(super) struct Cached {
    pub(super) dir: ArtifactDir,
    pub(super) digest: Digest,
    pub(super) fetched: Option<SystemTime>,
    pub(super) lease: Lease,
}

/// While it lives, nobody takes the model out of the cache.
#[derive(Debug)]
pub(super) struct Lease {
    lock: File,
}

impl Lease {
    fn new(lock: File) -> Lease {
        let lease = Lease { lock };
        lease.touch();
        lease
    }

    /// Notes that the model is in use now. A cache that cannot be written still serves, so that errors do not count.
    fn touch(&self) {
        let _ = self.lock.set_modified(SystemTime::now());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.touch();
    }
}

/// A folder for a model on its way. Dropped, it is removed.
pub(super) struct Workspace {
    cache: Cache,
    folder: PathBuf,
    /// `None` once it belongs to the model in the cache.
    lock: Option<File>,
}

impl Cache {
    pub(super) fn new(folder: &Path, max_bytes: u64) -> Cache {
        Cache {
            root: folder.join("v1"),
            max_bytes,
        }
    }

    /// The model of this key, when it is there and its contents are those that were fetched. Else nothing; a damaged
    /// one is moved away.
    pub(super) fn recall(&self, key: &Key) -> Result<Option<Cached>, ArtifactError> {
        let Some(record) = self.record(key)? else {
            return Ok(None);
        };
        self.verified(record.digest, record.fetched)
    }

    /// Begins a workspace for a model of so many bytes, and makes room for it.
    pub(super) fn workspace(&self, bytes: u64) -> Result<Workspace, ArtifactError> {
        for folder in [&self.root, &self.models(), &self.keys(), &self.tmp()] {
            make_folder(folder)?;
        }
        let (workspace, rubbish) = self.make_room(bytes)?;
        for folder in rubbish {
            folder.remove();
        }
        Ok(workspace)
    }

    /// The model with this digest, hashed anew.
    fn verified(&self, digest: Digest, fetched: Option<SystemTime>) -> Result<Option<Cached>, ArtifactError> {
        let folder = self.models().join(digest.folder_name());
        let Some(lock) = hold(&folder)? else {
            return Ok(None);
        };
        match check(&folder, digest) {
            Ok(dir) => {
                let lease = Lease::new(lock);
                Ok(Some(Cached {
                    dir,
                    digest,
                    fetched,
                    lease,
                }))
            }
            Err(problem) => {
                tracing::error!(folder = %folder.display(), problem, "a model in the cache is damaged; it is moved away");
                drop(lock);
                self.move_away(&folder);
                Ok(None)
            }
        }
    }

    /// Takes a damaged model out of the way; those who use it keep their open files.
    fn move_away(&self, folder: &Path) {
        let target = self.tmp().join(Uuid::new_v4().to_string());
        // It may have gone already, or the disk may be read-only: then it stays unused.
        if make_folder(&self.tmp()).is_ok()
            && fs::rename(folder, &target).is_ok()
            && let Some(rubbish) = room::Rubbish::claim(&target)
        {
            rubbish.remove();
        }
    }

    fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }
}

impl Workspace {
    /// Where the files go: an empty folder.
    pub(super) fn files(&self) -> PathBuf {
        self.folder.join("files")
    }

    /// Makes the files the model of this digest, and notes that the key means it.
    pub(super) fn publish(
        mut self,
        key: &Key,
        digest: Digest,
        source: &str,
    ) -> Result<Cached, ArtifactError> {
        // Before it counts: what cannot be served shall not be kept.
        open(&self.files())?;
        sync(&self.folder)?;
        let target = self.cache.models().join(digest.folder_name());
        let cached = self.place(&target, digest)?;
        sync(&self.cache.models())?;
        self.cache.note(key, &Record::new(key, &cached, source))?;
        Ok(cached)
    }

    /// Renames the folder, or finds the same model there already, from another key or another process.
    fn place(&mut self, target: &Path, digest: Digest) -> Result<Cached, ArtifactError> {
        let mut attempts = 0;
        loop {
            let failure = match fs::rename(&self.folder, target) {
                Ok(()) => break,
                Err(error) => error,
            };
            attempts += 1;
            let taken = matches!(
                failure.kind(),
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
            );
            if !taken || attempts > 3 {
                return Err(cache_error(target, failure));
            }
            // What is found damaged is moved away, and what is not found was just removed: both make place.
            if let Some(mut cached) = self.cache.verified(digest, None)? {
                cached.fetched = Some(SystemTime::now());
                return Ok(cached);
            }
            if fs::metadata(target.join("lock")).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                // Somebody removed its lock, so that nobody can ever use it.
                self.cache.move_away(target);
            }
        }
        let Some(lock) = self.lock.take() else {
            return Err(cache_error(target, io::ErrorKind::NotFound.into()));
        };
        Ok(Cached {
            dir: open(&target.join("files"))?,
            digest,
            fetched: Some(SystemTime::now()),
            lease: Lease::new(lock),
        })
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        let rubbish = room::Rubbish::of(self.folder.clone(), lock);
        // Dropped with a future, on a thread that shall not block.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || rubbish.remove())),
            Err(_) => rubbish.remove(),
        }
    }
}

/// Opens and holds the lock of a model folder; `None` when the folder is not there or on its way out.
fn hold(folder: &Path) -> Result<Option<File>, ArtifactError> {
    let path = folder.join("lock");
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cache_error(&path, error)),
    };
    match lock.try_lock_shared() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(error)) => return Err(cache_error(&path, error)),
    }
    // Between opening and locking it may have been moved out.
    let same = |there: fs::Metadata| {
        lock.metadata()
            .is_ok_and(|held| identity(&held) == identity(&there))
    };
    Ok(fs::metadata(&path).is_ok_and(same).then_some(lock))
}

fn identity(kind: &fs::Metadata) -> (u64, u64) {
    (kind.dev(), kind.ino())
}

/// Whether the files of a model folder are those of the digest.
fn check(folder: &Path, digest: Digest) -> Result<ArtifactDir, String> {
    let dir = open(&folder.join("files")).map_err(|error| error.to_string())?;
    match dir.digest() {
        Ok(found) if found == digest => Ok(dir),
        Ok(found) => Err(format!("its contents have the digest {found}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Opens the model in a folder: a model directory, or the one bare `.onnx` file in it.
fn open(folder: &Path) -> Result<ArtifactDir, ArtifactError> {
    let entries: Vec<_> = fs::read_dir(folder).map_err(reading(folder))?.take(2).collect();
    match entries.as_slice() {
        [Ok(only)]
            if only
                .path()
                .extension()
                .is_some_and(|end| end.eq_ignore_ascii_case("onnx")) =>
        {
            ArtifactDir::open(&only.path())
        }
        _ => ArtifactDir::open(folder),
    }
}

/// Makes a folder that only we may enter, and those it lies in.
fn make_folder(folder: &Path) -> Result<(), ArtifactError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| cache_error(folder, source))
}

/// Writes a file whole and onto the disk.
fn write(path: &Path, contents: &[u8]) -> Result<File, ArtifactError> {
    let written = File::create_new(path).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()?;
        Ok(file)
    });
    written.map_err(|source| cache_error(path, source))
}

/// Asks the disk to keep the names in a folder.
fn sync(folder: &Path) -> Result<(), ArtifactError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| cache_error(folder, source))
}

fn cache_error(path: &Path, source: io::Error) -> ArtifactError {
    match ArtifactError::writing(path, source) {
        ArtifactError::Write { path, source } => ArtifactError::Cache { path, source },
        no_room => no_room,
    }
}

#[cfg(test)]
mod tests;
