//! What the cache knows a version by, and what it notes of it.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Cache, Cached, cache_error, sync, write};
use crate::artifact::{ArtifactError, Digest};

/// Longest note that is read.
const MAX_BYTES: u64 = 64 << 10;

/// Identifies the files of a version: of which registry, which model, which version, and which revision of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    registry: String,
    model: String,
    version: String,
    revision: String,
}

impl Key {
    /// A key of its parts. They are written down in the cache, so that the name of the registry must hold no password.
    pub fn new(registry: &str, model: &str, version: &str, revision: &str) -> Key {
        Key {
            registry: registry.to_owned(),
            model: model.to_owned(),
            version: version.to_owned(),
            revision: revision.to_owned(),
        }
    }

    /// The name of its file: any text may be part of a key.
    pub(super) fn file_name(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.registry, &self.model, &self.version, &self.revision] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{hex}.json")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} of {}", self.model, self.version, self.registry)
    }
}

/// What a key means.
pub(super) struct Record {
    pub(super) digest: Digest,
    pub(super) fetched: Option<SystemTime>,
    text: Note,
}

/// The file of a key, for people as well.
#[derive(Serialize, Deserialize)]
struct Note {
    registry: String,
    model: String,
    version: String,
    revision: String,
    digest: String,
    bytes: u64,
    fetched_ms: u64,
    source: String,
}

impl Record {
    pub(super) fn new(key: &Key, cached: &Cached, source: &str) -> Record {
        let since = cached
            .fetched
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let key = key.clone();
        let text = Note {
            registry: key.registry,
            model: key.model,
            version: key.version,
            revision: key.revision,
            digest: cached.digest.to_string(),
            bytes: cached.dir.size_bytes(),
            fetched_ms: since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0)),
            source: source.to_owned(),
        };
        Record {
            digest: cached.digest,
            fetched: cached.fetched,
            text,
        }
    }
}

impl Cache {
    /// What the key means, when it was noted.
    pub(super) fn record(&self, key: &Key) -> Result<Option<Record>, ArtifactError> {
        let path = self.keys().join(key.file_name());
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cache_error(&path, error)),
        };
        let mut text = Vec::new();
        let read = file.take(MAX_BYTES).read_to_end(&mut text);
        read.map_err(|error| cache_error(&path, error))?;
        let record = parse(&text);
        if record.is_none() {
            tracing::warn!(file = %path.display(), "a note of the cache makes no sense and is not used");
        }
        Ok(record)
    }

    /// Notes what a key means, from now on.
    pub(super) fn note(&self, key: &Key, record: &Record) -> Result<(), ArtifactError> {
        let path = self.keys().join(key.file_name());
        let text =
            serde_json::to_vec_pretty(&record.text).map_err(|error| cache_error(&path, error.into()))?;
        let new = self.keys().join(format!("{}.new", Uuid::new_v4()));
        write(&new, &text)?;
        fs::rename(&new, &path).map_err(|error| cache_error(&path, error))?;
        sync(&self.keys())
    }

    /// Removes notes of models that are gone, and those that were never finished an hour ago.
    pub(super) fn forget_keys(&self, kept: impl Fn(&Digest) -> bool) {
        let Ok(entries) = fs::read_dir(self.keys()) else {
            return;
        };
        let old = |path: &PathBuf| {
            let modified = fs::metadata(path).and_then(|kind| kind.modified());
            modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > Duration::from_secs(3600)))
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let finished = path.extension().is_some_and(|end| end == "json");
            let digest = || parse(&fs::read(&path).ok()?).map(|record| record.digest);
            let gone = if finished {
                !digest().is_some_and(|digest| kept(&digest))
            } else {
                old(&path)
            };
            if gone {
                // Whatever cannot be removed does no harm.
                let _ = fs::remove_file(&path);
            }
        }
    }
}

fn parse(text: &[u8]) -> Option<Record> {
    let text: Note = serde_json::from_slice(text).ok()?;
    Some(Record {
        digest: Digest::parse(&text.digest)?,
        fetched: UNIX_EPOCH.checked_add(Duration::from_millis(text.fetched_ms)),
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_other_parts_have_other_names() {
        let name =
            |registry, model, version, revision| Key::new(registry, model, version, revision).file_name();
        let one = name("a", "b", "1", "r");
        for other in [
            name("ab", "", "1", "r"),
            name("a", "b1", "", "r"),
            name("a", "b", "1", "s"),
            name("", "ab", "1", "r"),
        ] {
            assert_ne!(one, other);
        }
        assert_eq!(name("http://h/../..", "a/b\0", "", "ü").len(), 64 + 5);
    }
}
