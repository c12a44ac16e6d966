//! Reads what sinks wrote, of every kind that a folder holds: entries as fields of JSON text.
//!
//! Lines of JSON are one entry a line, also those of a file that is still written; of Parquet only closed files are read,
//! and a prediction is one entry a row.

mod lines;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::files;
use crate::model::moment::Moment;

/// Why a folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file or folder cannot be read.
    #[error("cannot read `{path}`")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is no Parquet file.
    #[error("cannot read `{path}` as Parquet: {problem}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// There is nothing that a sink wrote.
    #[error("there are no records in `{0}`")]
    Nothing(PathBuf),
}

/// One entry, or one row of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Names and values as JSON text, in order.
    pub fields: Vec<(String, String)>,
}

impl Row {
    /// The JSON text of a field, unless it is missing or `null`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(field, _)| field == name);
        field
            .map(|(_, value)| value.as_str())
            .filter(|value| *value != "null")
    }

    /// A field that is text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(|value| serde_json::from_str(value).ok())
    }

    /// When the entry was made, in microseconds since the epoch.
    pub fn time(&self) -> Option<i64> {
        let time: jiff::Timestamp = self.text("time")?.parse().ok()?;
        Some(time.as_microsecond())
    }
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Not before.
    pub since: Option<SystemTime>,
    /// Before.
    pub until: Option<SystemTime>,
    /// Of this route.
    pub route: Option<String>,
    /// Of this variant.
    pub variant: Option<String>,
    /// Of this model.
    pub model: Option<String>,
    /// Of this version.
    pub version: Option<String>,
}

impl Filter {
    /// Whether an entry is wanted.
    pub fn takes(&self, row: &Row) -> bool {
        let words = [
            ("route", &self.route),
            ("variant", &self.variant),
            ("model", &self.model),
            ("version", &self.version),
        ];
        let same = |(name, wanted): (&str, &Option<String>)| match wanted {
            Some(wanted) => row.text(name).is_some_and(|found| found == *wanted),
            None => true,
        };
        if !words.into_iter().all(same) {
            return false;
        }
        let time = || row.time().unwrap_or(i64::MIN);
        self.since
            .is_none_or(|since| time() >= Moment::from(since).micros())
            && self
                .until
                .is_none_or(|until| time() < Moment::from(until).micros())
    }
}

/// A form that entries have in files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// The names of the files.
    pub(super) kind: files::Kind,
    /// Whether they lie in folders of models, versions and days.
    pub(super) partitioned: bool,
    /// Whether a file is read while it is written.
    pub(super) grows: bool,
    /// Reads the entries of a file from a position on, as long as it is told to; says where it stopped.
    pub(super) read: ReadFile,
}

/// How a file is read.
pub(super) type ReadFile = fn(&Path, u64, &mut dyn FnMut(Row) -> bool) -> Result<u64, ReadError>;

pub(super) use lines::read as read_lines;

/// A file that was found.
#[derive(Debug, Clone)]
struct Found {
    path: PathBuf,
    form: Form,
    changed: SystemTime,
    number: (u64, u64),
}

impl Found {
    fn read(&self, start: u64, each: &mut dyn FnMut(Row) -> bool) -> Result<u64, ReadError> {
        match (self.form.read)(&self.path, start, each) {
            // Its sink removed it meanwhile.
            Err(ReadError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(start),
            read => read,
        }
    }
}

/// The records of a folder.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    forms: Vec<Form>,
}

impl Reader {
    /// Those of these forms.
    pub(super) fn of(dir: &Path, forms: Vec<Form>) -> Reader {
        let dir = dir.to_owned();
        Reader { dir, forms }
    }

    /// All files, those that were written to first before the others.
    fn files(&self) -> Result<Vec<Found>, ReadError> {
        let failed = |source| ReadError::Io {
            path: self.dir.clone(),
            source,
        };
        // A folder that is missing is a mistake here, not one without files.
        fs::read_dir(&self.dir).map_err(failed)?;
        let mut found = Vec::new();
        for form in &self.forms {
            for folder in files::folders(&self.dir, form.partitioned).map_err(failed)? {
                for (name, path) in files::entries(&folder).map_err(failed)? {
                    let open = || form.grows && form.kind.closed_name(&name).is_some();
                    if form.kind.moment(&name).is_none() && !open() {
                        continue;
                    }
                    // A file that went meanwhile was removed by its sink.
                    if let Ok(metadata) = fs::symlink_metadata(&path)
                        && metadata.is_file()
                    {
                        found.push(Found {
                            path,
                            form: *form,
                            changed: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                            number: (metadata.dev(), metadata.ino()),
                        });
                    }
                }
            }
        }
        found.sort_by(|one, other| (one.changed, &one.path).cmp(&(other.changed, &other.path)));
        Ok(found)
    }

    /// Calls `each` with every wanted entry until it returns false.
    ///
    /// # Errors
    /// When a file cannot be read, or when there are none.
    pub fn each(&self, filter: &Filter, mut each: impl FnMut(Row) -> bool) -> Result<(), ReadError> {
        let files = self.files()?;
        if files.is_empty() {
            return Err(ReadError::Nothing(self.dir.clone()));
        }
        for file in files {
            let mut more = true;
            file.read(0, &mut |row| {
                if filter.takes(&row) {
                    more = each(row);
                }
                more
            })?;
            if !more {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The last wanted entries, the oldest first.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn last(&self, filter: &Filter, count: usize) -> Result<Vec<Row>, ReadError> {
        let mut kept: Vec<(i64, Row)> = Vec::new();
        for file in self.files()?.into_iter().rev() {
            // What is in a file is no younger than the file.
            let oldest = kept.first().map_or(i64::MIN, |(time, _)| *time);
            if kept.len() >= count && Moment::from(file.changed).micros() < oldest {
                break;
            }
            file.read(0, &mut |row| {
                if filter.takes(&row) {
                    kept.push((row.time().unwrap_or(i64::MIN), row));
                }
                if kept.len() > count.saturating_mul(2).max(1024) {
                    keep_last(&mut kept, count);
                }
                true
            })?;
            keep_last(&mut kept, count);
        }
        Ok(kept.into_iter().map(|(_, row)| row).collect())
    }

    /// Follows the folder from now on.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn follow(self) -> Result<Tail, ReadError> {
        let mut tail = Tail {
            reader: self,
            ends: HashMap::new(),
        };
        for file in tail.reader.files()? {
            let end = if file.form.grows {
                file.read(0, &mut |_| true)?
            } else {
                0
            };
            tail.ends.insert(file.number, end);
        }
        Ok(tail)
    }
}

fn keep_last(kept: &mut Vec<(i64, Row)>, count: usize) {
    kept.sort_by_key(|(time, _)| *time);
    kept.drain(..kept.len().saturating_sub(count));
}

/// What comes to a folder.
#[derive(Debug)]
pub struct Tail {
    reader: Reader,
    /// How far each file was read; it keeps its number when it gets its name.
    ends: HashMap<(u64, u64), u64>,
}

impl Tail {
    /// Calls `each` with the wanted entries that came since the last time.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn next(&mut self, filter: &Filter, mut each: impl FnMut(Row)) -> Result<(), ReadError> {
        let files = self.reader.files()?;
        let there: HashSet<(u64, u64)> = files.iter().map(|file| file.number).collect();
        self.ends.retain(|number, _| there.contains(number));
        for file in files {
            let known = self.ends.get(&file.number).copied();
            if !file.form.grows && known.is_some() {
                continue;
            }
            let end = file.read(known.unwrap_or(0), &mut |row| {
                if filter.takes(&row) {
                    each(row);
                }
                true
            })?;
            self.ends.insert(file.number, end);
        }
        Ok(())
    }
}
