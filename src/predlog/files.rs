//! The files of a sink: their names, how they come to their names, what is kept of those of a process that died, and how
//! long they are kept.
//!
//! A file is written under a partial name, locked, and gets its own name when it is whole; so that whoever reads by name
//! reads whole files. The lock goes with the process, however it ends: a partial file that can be locked has nobody.
//! Only names that [`Kind`] recognises are ever touched.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// How the time of a name is written: sorted as text, names are sorted by time.
const STAMP: &str = "%Y%m%dT%H%M%S.%3fZ";
/// Characters of it: `20260131T235959.123Z`.
const STAMP_LENGTH: usize = 20;
/// What a partial name ends with.
const PARTIAL: &str = ".partial";
/// Names of one moment and process that are tried.
const TRIES: usize = 16;

/// Where files are written, and how long they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Config {
    /// The sink's folder.
    pub(super) dir: PathBuf,
    /// A file is closed when it has this many bytes.
    pub(super) max_file_bytes: u64,
    /// A file is closed this long after it was opened.
    pub(super) max_file_age: Duration,
    /// Bytes of all closed files; the oldest go.
    pub(super) keep_bytes: Option<u64>,
    /// How long closed files are kept.
    pub(super) keep_age: Option<Duration>,
}

/// A kind of file: `STEM-20260131T235959.123Z-PID-N.EXTENSION`, and `.partial` after it while it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// What the name begins with.
    pub(super) stem: &'static str,
    /// What it ends with, without the dot.
    pub(super) extension: &'static str,
    /// Whether a partial name begins with a dot: readers of whole folders skip those.
    pub(super) hidden: bool,
}

/// Tells names of one moment apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Kind {
    fn name(self, now: SystemTime) -> String {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let stamp = timestamp(now).strftime(STAMP);
        let process = std::process::id();
        format!("{}-{stamp}-{process}-{number}.{}", self.stem, self.extension)
    }

    fn partial_name(self, name: &str) -> String {
        format!("{}{name}{PARTIAL}", if self.hidden { "." } else { "" })
    }

    /// The moment in the name of a closed file of this kind; `None` for all other names.
    pub(super) fn moment(self, name: &str) -> Option<SystemTime> {
        let rest = name.strip_prefix(self.stem)?.strip_prefix('-')?;
        let (stamp, rest) = rest.split_at_checked(STAMP_LENGTH)?;
        let rest = rest.strip_suffix(self.extension)?.strip_suffix('.')?;
        let (process, number) = rest.strip_prefix('-')?.split_once('-')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(process) || !digits(number) {
            return None;
        }
        let moment = DateTime::strptime(STAMP, stamp).ok()?;
        Some(SystemTime::from(moment.to_zoned(TimeZone::UTC).ok()?.timestamp()))
    }

    /// The closed name that a partial one will get; `None` for all other names.
    pub(super) fn closed_name(self, partial: &str) -> Option<&str> {
        let name = partial.strip_suffix(PARTIAL)?;
        let name = if self.hidden {
            name.strip_prefix('.')?
        } else {
            name
        };
        self.moment(name).map(|_| name)
    }
}

/// The moment as the calendar has it; what is beyond the year 9999 is its end.
pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX)
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) file: File,
    path: PathBuf,
    closed: PathBuf,
    opened: SystemTime,
}

impl Partial {
    /// Opens a file in this folder, which is made where it is missing.
    pub(super) fn create(folder: &Path, kind: Kind, now: SystemTime) -> io::Result<Partial> {
        fs::create_dir_all(folder)?;
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..TRIES {
            let name = kind.name(now);
            let path = folder.join(kind.partial_name(&name));
            match OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&path)
            {
                Ok(file) => {
                    // Another process may have found the file before it was locked, and have taken it for a dead one's.
                    if file.try_lock().is_ok() && is_at(&file, &path) {
                        let closed = folder.join(name);
                        return Ok(Partial {
                            file,
                            path,
                            closed,
                            opened: now,
                        });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// The partial name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file has been open for this long; also when the clock was set back.
    pub(super) fn is_older(&self, now: SystemTime, age: Duration) -> bool {
        now.duration_since(self.opened).map_or(true, |open| open >= age)
    }

    /// Whether the file is still where it was made: a folder may be removed at any time.
    pub(super) fn is_there(&self) -> bool {
        is_at(&self.file, &self.path)
    }

    /// Gives the file its own name, once what is in it is on the disk.
    pub(super) fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.closed)?;
        sync_folder(&self.closed);
        Ok(())
    }

    /// Removes the file.
    pub(super) fn discard(self) {
        // Whoever looks for partial files of dead processes will remove it otherwise.
        let _ = fs::remove_file(&self.path);
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let at = fs::metadata(path);
    match (file.metadata(), at) {
        (Ok(file), Ok(at)) => (file.dev(), file.ino()) == (at.dev(), at.ino()),
        _ => false,
    }
}

/// A new name is on the disk when its folder is. Not all file systems can say so, and the name is there without.
fn sync_folder(file: &Path) {
    if let Some(folder) = file.parent() {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}

/// What is in a folder, sorted by name; nothing where there is none.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in listing {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str() {
            found.push((name.to_owned(), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// The folders that files of a sink lie in: itself, or `model=…/version=…/date=…` and `_feedback/date=…` under it.
pub(super) fn folders(dir: &Path, partitioned: bool) -> io::Result<Vec<PathBuf>> {
    if !partitioned {
        return Ok(vec![dir.to_owned()]);
    }
    let below = |folders: &[PathBuf], start: &str| -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for folder in folders {
            // No links: they lead elsewhere.
            let inside = entries(folder)?.into_iter();
            found.extend(
                inside
                    .filter(|(name, path)| name.starts_with(start) && is_folder(path))
                    .map(|(_, path)| path),
            );
        }
        Ok(found)
    };
    let models = below(&[dir.to_owned()], "model=")?;
    let versions = below(&models, "version=")?;
    let mut dates = below(&versions, "date=")?;
    dates.extend(below(&[dir.join(FEEDBACK)], "date=")?);
    Ok(dates)
}

/// Folder of the feedback in a partitioned sink; readers of the whole folder skip a name that begins so, since feedback
/// has other columns.
pub(super) const FEEDBACK: &str = "_feedback";

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Finishes the files that a process which died was writing. `repair` says how many bytes of one are whole: none, and
/// the file goes.
pub(super) fn recover(
    folders: &[PathBuf],
    kind: Kind,
    repair: fn(&File) -> io::Result<u64>,
) -> io::Result<()> {
    for folder in folders {
        for (name, path) in entries(folder)? {
            let Some(closed) = kind.closed_name(&name) else {
                continue;
            };
            let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) else {
                continue;
            };
            if file.try_lock().is_err() || !is_at(&file, &path) {
                continue;
            }
            let whole = repair(&file)?;
            if whole == 0 {
                fs::remove_file(&path)?;
                continue;
            }
            file.set_len(whole)?;
            file.sync_all()?;
            fs::rename(&path, folder.join(closed))?;
            sync_folder(&path);
            tracing::info!(file = %folder.join(closed).display(), bytes = whole, "finished a file of a process that died");
        }
    }
    Ok(())
}

/// A closed file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Closed {
    /// When it was opened.
    pub(super) moment: SystemTime,
    /// Where it is.
    pub(super) path: PathBuf,
    /// Its size.
    pub(super) bytes: u64,
}

/// The closed files of these folders, the oldest first.
pub(super) fn closed(folders: &[PathBuf], kind: Kind) -> io::Result<Vec<Closed>> {
    let mut found = Vec::new();
    for folder in folders {
        for (name, path) in entries(folder)? {
            let Some(moment) = kind.moment(&name) else {
                continue;
            };
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_file() => found.push(Closed {
                    moment,
                    path,
                    bytes: metadata.len(),
                }),
                // Links are nobody's, and somebody else may have removed the file meanwhile.
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Removes the oldest closed files beyond what is kept, and the folders of days that are empty then.
pub(super) fn retain(config: &Config, kind: Kind, partitioned: bool, now: SystemTime) -> io::Result<()> {
    if config.keep_bytes.is_none() && config.keep_age.is_none() {
        return Ok(());
    }
    let files = closed(&folders(&config.dir, partitioned)?, kind)?;
    let mut total: u64 = files.iter().map(|file| file.bytes).sum();
    for file in files {
        let too_many = config.keep_bytes.is_some_and(|keep| total > keep);
        let age = now.duration_since(file.moment).unwrap_or_default();
        // A file may have been written to as long as files are open.
        let too_old = config
            .keep_age
            .is_some_and(|keep| age > keep.saturating_add(config.max_file_age));
        if !too_many && !too_old {
            continue;
        }
        match fs::remove_file(&file.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        total = total.saturating_sub(file.bytes);
        let folder = file.path.parent();
        let of_day = |folder: &&Path| {
            let name = folder.file_name().and_then(OsStr::to_str);
            partitioned && name.is_some_and(|name| name.starts_with("date="))
        };
        if let Some(folder) = folder.filter(of_day) {
            // Fails on a folder with anything in it, which is meant.
            let _ = fs::remove_dir(folder);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const KIND: Kind = Kind {
        stem: "part",
        extension: "bin",
        hidden: true,
    };

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn config(dir: &Path) -> Config {
        Config {
            dir: dir.to_owned(),
            max_file_bytes: 100,
            max_file_age: Duration::from_secs(10),
            keep_bytes: None,
            keep_age: None,
        }
    }

    fn write(dir: &Path, now: SystemTime, bytes: usize) {
        let partial = Partial::create(dir, KIND, now).unwrap();
        io::Write::write_all(&mut &partial.file, &vec![0; bytes]).unwrap();
        partial.finish().unwrap();
    }

    fn names(dir: &Path) -> Vec<String> {
        entries(dir).unwrap().into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn names_are_recognised_and_others_are_not() {
        let name = KIND.name(at(1));
        assert_eq!(KIND.moment(&name), Some(at(1)), "{name}");
        assert_eq!(KIND.closed_name(&format!(".{name}.partial")), Some(name.as_str()));
        for other in [
            "part.bin",
            "part-20260131T235959.123Z-1-2.binx",
            "part-20261331T235959.123Z-1-2.bin",
            "part-20260131T235959.123Z-1-.bin",
            "xpart-20260131T235959.123Z-1-2.bin",
            "part-20260131T235959.123Z-1-2-3.bin",
            "part-\u{e9}",
            "",
        ] {
            assert_eq!(KIND.moment(other), None, "{other}");
        }
        assert_eq!(KIND.closed_name(&name), None);
        assert_eq!(KIND.closed_name(&format!("{name}.partial")), None);
    }

    #[test]
    fn a_file_in_use_is_not_recovered_and_a_dead_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let folders = [dir.path().to_owned()];
        let whole = |file: &File| file.metadata().map(|metadata| metadata.len() / 10 * 10);
        let partial = Partial::create(dir.path(), KIND, at(0)).unwrap();
        io::Write::write_all(&mut &partial.file, &[0; 25]).unwrap();
        recover(&folders, KIND, whole).unwrap();
        assert!(partial.is_there());
        let closed_path = partial.closed.clone();
        drop(partial);
        let empty = Partial::create(dir.path(), KIND, at(0)).unwrap();
        drop(empty);
        recover(&folders, KIND, whole).unwrap();
        assert_eq!(fs::metadata(closed_path).unwrap().len(), 20);
        assert_eq!(names(dir.path()).len(), 1);
    }

    #[test]
    fn the_oldest_go_and_strangers_stay() {
        let dir = tempfile::tempdir().unwrap();
        for second in 0..5 {
            write(dir.path(), at(second * 100), 10);
        }
        fs::write(dir.path().join("mine.bin"), [0; 1000]).unwrap();
        let by_size = Config {
            keep_bytes: Some(30),
            ..config(dir.path())
        };
        retain(&by_size, KIND, false, at(500)).unwrap();
        let files = closed(&[dir.path().to_owned()], KIND).unwrap();
        assert_eq!(files.first().unwrap().moment, at(200));
        assert_eq!(names(dir.path()).len(), 4);
        let by_age = Config {
            keep_age: Some(Duration::from_secs(150)),
            ..config(dir.path())
        };
        retain(&by_age, KIND, false, at(500)).unwrap();
        assert_eq!(names(dir.path()).len(), 2, "{:?}", names(dir.path()));
        assert!(dir.path().join("mine.bin").try_exists().unwrap());
    }

    #[test]
    fn days_that_are_empty_go_with_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let day = dir.path().join("model=a/version=1/date=2027-01-15");
        write(&day, at(0), 10);
        let config = Config {
            keep_age: Some(Duration::ZERO),
            ..config(dir.path())
        };
        retain(&config, KIND, true, at(5)).unwrap();
        assert!(day.try_exists().unwrap());
        retain(&config, KIND, true, at(11)).unwrap();
        assert!(!day.try_exists().unwrap());
    }
}
