//! What each slot served last and what it is pinned to, on disk, for the next start.
//!
//! One small file a slot, put in place by a rename. Losing one costs no more than a question to the registry.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::background;
use crate::model::version::VersionId;
use crate::registry::Wanted;

/// Files longer than this are none of ours.
const MAX_BYTES: u64 = 64 << 10;
/// Changes that may wait for the disk.
const WAITING: usize = 1024;
/// Versions remembered that passed the gate of a slot.
const MAX_PASSED: usize = 16;
/// Slots remembered.
const MAX_ENTRIES: usize = 10_000;

/// The folder of these files.
#[derive(Debug, Clone)]
pub struct Journal {
    folder: PathBuf,
    registry: String,
}

/// Writes in the background.
#[derive(Clone)]
pub struct Writer(SyncSender<Work>);

enum Work {
    /// What to remember, and whom to tell whether it is on disk.
    Write(Box<Entry>, Box<dyn FnOnce(bool) + Send>),
    Forget(String),
    Tell(Box<dyn FnOnce() + Send>),
}

impl Writer {
    /// Remembers; `done` is told whether it is on disk. Does not wait.
    pub fn write(&self, entry: Entry, done: impl FnOnce(bool) + Send + 'static) {
        if let Err(
            TrySendError::Full(Work::Write(entry, done))
            | TrySendError::Disconnected(Work::Write(entry, done)),
        ) = self.0.try_send(Work::Write(Box::new(entry), Box::new(done)))
        {
            tracing::warn!(
                slot = entry.slot,
                "the disk is too slow to remember what is served"
            );
            done(false);
        }
    }

    /// Tells once everything handed over before is done. Does not wait; without room, it never tells.
    pub fn after(&self, done: impl FnOnce() + Send + 'static) {
        let _ = self.0.try_send(Work::Tell(Box::new(done)));
    }

    /// Forgets a slot. Does not wait.
    pub fn forget(&self, slot: &str) {
        // One that is not forgotten is asked about at the next start; no harm.
        let _ = self.0.try_send(Work::Forget(slot.to_owned()));
    }
}

/// What is remembered of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Entry {
    /// The registry, as people call it.
    pub registry: String,
    /// Name of the slot.
    pub slot: String,
    /// What the slot was asked to serve.
    pub uri: String,
    /// What it served last.
    pub served: Option<Served>,
    /// The version it is pinned to.
    pub pinned: Option<String>,
    /// Whether the slot came from the registry (`--all-models`) and not from the command line.
    #[serde(default)]
    pub followed: bool,
    /// The version that its gate holds.
    #[serde(default)]
    pub held: Option<Held>,
    /// Versions that served behind a gate, the last one last: to go back to one of them is not tried again.
    #[serde(default)]
    pub passed: Vec<Served>,
    /// Whether the slot was added while the server ran.
    #[serde(default)]
    pub deployed: bool,
}

/// A version that the gate holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which, and when that was decided.
    pub version: Served,
    /// Why.
    pub reason: String,
    /// Whether it had been accepted, and had to go again.
    pub rolled_back: bool,
}

impl Entry {
    /// Notes that a version serves behind a gate.
    pub fn pass(&mut self, wanted: &Wanted) {
        self.fail(wanted);
        if self.passed.len() >= MAX_PASSED {
            self.passed.remove(0);
        }
        self.passed.push(Served::new(wanted, 0));
    }

    /// Notes that a version has to pass the gate again.
    pub fn fail(&mut self, wanted: &Wanted) {
        self.passed.retain(|passed| passed.wanted() != *wanted);
    }

    /// Whether a version has served behind a gate.
    pub fn has_passed(&self, wanted: &Wanted) -> bool {
        self.passed.iter().any(|passed| passed.wanted() == *wanted)
    }
}

/// A version that was served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Registered name.
    pub name: String,
    /// Version, if it has one.
    pub version: Option<String>,
    /// What tells its files from others of that name and version.
    pub revision: String,
    /// When the registry last said that it is the one, in seconds since the epoch.
    pub confirmed: u64,
}

impl Served {
    /// The version, confirmed at that time.
    pub fn new(wanted: &Wanted, confirmed: u64) -> Served {
        Served {
            name: wanted.id.name.to_string(),
            version: wanted.id.version.as_deref().map(str::to_owned),
            revision: wanted.revision.to_string(),
            confirmed,
        }
    }

    /// The version in the registry's terms.
    pub fn wanted(&self) -> Wanted {
        let id = match &self.version {
            Some(version) => VersionId::registered(&self.name, version),
            None => VersionId::unversioned(&self.name),
        };
        Wanted {
            id,
            revision: self.revision.as_str().into(),
        }
    }
}

impl Journal {
    /// The journal of one registry in this folder, which need not be there yet.
    pub fn new(folder: PathBuf, registry: &str) -> Journal {
        Journal {
            folder,
            registry: registry.to_owned(),
        }
    }

    /// What is remembered of a slot; nothing when there is nothing to read. Blocking.
    pub fn read(&self, slot: &str) -> Entry {
        let found =
            read(&self.path(slot)).filter(|entry| entry.registry == self.registry && entry.slot == slot);
        found.unwrap_or_else(|| Entry {
            registry: self.registry.clone(),
            slot: slot.to_owned(),
            ..Entry::default()
        })
    }

    /// What is remembered of the slots that came from the registry. Blocking.
    pub fn followed(&self) -> Vec<Entry> {
        self.entries(|entry| entry.followed)
    }

    /// What is remembered of the slots that were added while a server ran. Blocking.
    pub fn deployed(&self) -> Vec<Entry> {
        self.entries(|entry| entry.deployed)
    }

    fn entries(&self, chosen: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let Ok(files) = fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let entries = files
            .flatten()
            .take(MAX_ENTRIES)
            .filter_map(|file| read(&file.path()));
        let mut entries: Vec<Entry> = entries
            .filter(|entry| chosen(entry) && entry.registry == self.registry)
            .collect();
        entries.sort_by(|one, other| one.slot.cmp(&other.slot));
        entries
    }

    /// Remembers. Blocking; asks the disk to keep it.
    ///
    /// # Errors
    /// When it cannot be written; what was remembered before stays.
    pub fn write(&self, entry: &Entry) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(".")
            .suffix(".tmp")
            .tempfile_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(entry)?)?;
        file.as_file().sync_all()?;
        file.persist(self.path(&entry.slot))
            .map_err(|error| error.error)?;
        Ok(())
    }

    /// Starts a thread that writes what it is handed, in order: a disk may take many milliseconds, in which a worker of
    /// the runtime would answer nobody.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn writer(&self) -> io::Result<Writer> {
        let journal = self.clone();
        let (sender, work) = sync_channel::<Work>(WAITING);
        let write = move || work.iter().for_each(|work| journal.carry_out(work));
        background::thread("modelsd-journal", write)?;
        Ok(Writer(sender))
    }

    fn carry_out(&self, work: Work) {
        match work {
            Work::Write(entry, done) => {
                let written = self.write(&entry);
                if let Err(error) = &written {
                    tracing::warn!(
                        slot = entry.slot,
                        %error,
                        "cannot remember what is served; a restart during an outage would not find it"
                    );
                }
                done(written.is_ok());
            }
            Work::Forget(slot) => self.forget(&slot),
            Work::Tell(done) => done(),
        }
    }

    /// Forgets a slot. Blocking.
    pub fn forget(&self, slot: &str) {
        // What cannot be removed is read once more and asked about; no harm.
        let _ = fs::remove_file(self.path(slot));
    }

    fn path(&self, slot: &str) -> PathBuf {
        let hash = Sha256::new()
            .chain_update(self.registry.as_bytes())
            .chain_update([0])
            .chain_update(slot.as_bytes())
            .finalize();
        let name: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{name}.json"))
    }
}

fn read(path: &Path) -> Option<Entry> {
    let mut text = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(MAX_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_by_the_same_registry_only() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path().join("state"), "http://a");
        assert_eq!(journal.read("iris").served, None);
        let wanted = Wanted {
            id: VersionId::registered("iris", "3"),
            revision: "r".into(),
        };
        let entry = Entry {
            served: Some(Served::new(&wanted, 7)),
            followed: true,
            ..journal.read("iris")
        };
        journal.write(&entry).unwrap();
        assert_eq!(journal.read("iris"), entry);
        assert_eq!(journal.read("iris").served.unwrap().wanted(), wanted);
        assert_eq!(journal.followed(), [entry]);
        let other = Journal::new(folder.path().join("state"), "http://b");
        assert_eq!(other.read("iris").served, None);
        assert!(other.followed().is_empty());
        journal.forget("iris");
        assert_eq!(journal.read("iris").served, None);
    }

    #[test]
    fn a_version_that_passed_is_known_until_sixteen_others_have() {
        let version = |number: usize| Wanted {
            id: VersionId::registered("iris", &number.to_string()),
            revision: "r".into(),
        };
        let mut entry = Entry::default();
        (0..16).for_each(|number| entry.pass(&version(number)));
        entry.pass(&version(0));
        assert!(entry.has_passed(&version(0)) && entry.has_passed(&version(1)));
        entry.pass(&version(16));
        assert!(entry.has_passed(&version(0)) && !entry.has_passed(&version(1)));
        entry.fail(&version(0));
        assert!(!entry.has_passed(&version(0)));
        assert_eq!(entry.passed.len(), 15);
    }

    #[test]
    fn damaged_files_are_forgotten_slots() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path().into(), "r");
        for text in ["", "{", r#"{"slot": 1}"#] {
            fs::write(journal.path("iris"), text).unwrap();
            assert_eq!(journal.read("iris").served, None);
            assert!(journal.followed().is_empty());
        }
    }
}
