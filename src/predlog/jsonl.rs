//! `jsonl:DIR`: one JSON object a line, predictions and feedback in order.
//!
//! Lines are written as they come, so that a process that dies loses what its queue had, and perhaps the end of its last
//! line; readers skip a line without an end, and the next process cuts it off.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::time::{Duration, SystemTime};

use super::files::{self, Config, Kind, Partial};
use super::json;
use super::record::Entry;
use super::{Sink, SinkError};

/// Its files.
pub(super) const KIND: Kind = Kind {
    stem: "records",
    extension: "jsonl",
    hidden: false,
};

/// Text that is gathered before it is written.
const PIECE: usize = 1 << 20;
/// Between two looks at what is kept.
const RETENTION: Duration = Duration::from_secs(60);
/// Between two looks whether the file is still there.
const PRESENCE: Duration = Duration::from_secs(1);

/// The sink.
pub(super) struct Jsonl {
    config: Config,
    open: Option<Open>,
    text: Vec<u8>,
    retained: SystemTime,
}

struct Open {
    partial: Partial,
    /// Bytes of whole lines.
    length: u64,
    /// Their number.
    entries: u64,
    looked: SystemTime,
}

impl Jsonl {
    /// Makes the folder ready: finishes what a dead process left, and removes what is kept no longer.
    ///
    /// # Errors
    /// When the folder cannot be made, read or written.
    pub(super) fn open(config: Config, now: SystemTime) -> io::Result<Jsonl> {
        std::fs::create_dir_all(&config.dir)?;
        // What cannot be written shall be seen at the start.
        Partial::create(&config.dir, KIND, now)?.discard();
        files::recover(&files::folders(&config.dir, false)?, KIND, whole_lines)?;
        files::retain(&config, KIND, false, now)?;
        Ok(Jsonl {
            config,
            open: None,
            text: Vec::new(),
            retained: now,
        })
    }

    /// Writes the text at hand. After a failure the file ends with its last whole line.
    fn write_text(&mut self, entries: u64) -> Result<(), SinkError> {
        if self.text.is_empty() {
            return Ok(());
        }
        let written = self.append(entries);
        self.text.clear();
        self.text.shrink_to(4 * PIECE);
        written.map_err(|error| {
            let attempt = format!("write records in `{}`", self.config.dir.display());
            // The next attempt is in a file of its own: this one may have become as large as files can be.
            SinkError::new(attempt, error).losing(self.abandon())
        })
    }

    fn append(&mut self, entries: u64) -> io::Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            none => {
                let now = SystemTime::now();
                none.insert(Open {
                    partial: Partial::create(&self.config.dir, KIND, now)?,
                    length: 0,
                    entries: 0,
                    looked: now,
                })
            }
        };
        open.partial.file.write_all(&self.text)?;
        open.length += self.text.len() as u64;
        open.entries += entries;
        Ok(())
    }

    /// Ends the file with its last whole line, after a failure; says how many entries of it are lost.
    fn abandon(&mut self) -> u64 {
        let Some(open) = self.open.take() else { return 0 };
        if open.length == 0 {
            open.partial.discard();
            return 0;
        }
        // The folder may have been removed since somebody last looked.
        let is_there = open.partial.is_there();
        let cut = open.partial.file.set_len(open.length);
        match cut.and_then(|()| open.partial.finish()) {
            Ok(()) => 0,
            Err(error) => {
                tracing::debug!(%error, is_there, "a file of records is left to the next start, if it is there");
                if is_there { 0 } else { open.entries }
            }
        }
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let path = open.partial.path().display().to_string();
        open.partial
            .finish()
            .map_err(|error| SinkError::new(format!("close `{path}`"), error).losing(open.entries))
    }
}

impl Sink for Jsonl {
    fn name(&self) -> &str {
        "jsonl"
    }

    fn write(&mut self, entries: &[Entry]) -> Result<(), SinkError> {
        let losing = |error: SinkError, left: u64| {
            let lost = error.lost + left;
            error.losing(lost)
        };
        let mut left = entries.iter().filter(|entry| entry.is_for_files()).count() as u64;
        let mut gathered = 0;
        for entry in entries.iter().filter(|entry| entry.is_for_files()) {
            json::write_entry(&mut self.text, entry);
            self.text.push(b'\n');
            gathered += 1;
            if self.text.len() >= PIECE {
                self.write_text(gathered).map_err(|error| losing(error, left))?;
                left -= gathered;
                gathered = 0;
            }
        }
        self.write_text(gathered).map_err(|error| losing(error, left))?;
        match &self.open {
            Some(open) if open.length >= self.config.max_file_bytes => self.finish(),
            _ => Ok(()),
        }
    }

    fn tick(&mut self, now: SystemTime) -> Result<(), SinkError> {
        let age = self.config.max_file_age;
        if let Some(open) = &mut self.open {
            if open.partial.is_older(now, age) {
                self.finish()?;
            } else if now
                .duration_since(open.looked)
                .map_or(true, |since| since >= PRESENCE)
            {
                open.looked = now;
                if !open.partial.is_there() {
                    let lost = open.entries;
                    let attempt = format!("find `{}` where it was made", open.partial.path().display());
                    self.open = None;
                    let gone = io::Error::from(io::ErrorKind::NotFound);
                    return Err(SinkError::new(attempt, gone).losing(lost));
                }
            }
        }
        if now
            .duration_since(self.retained)
            .map_or(true, |since| since >= RETENTION)
        {
            self.retained = now;
            files::retain(&self.config, KIND, false, now).map_err(|error| {
                SinkError::new(
                    format!("remove old records in `{}`", self.config.dir.display()),
                    error,
                )
            })?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.finish()
    }
}

/// The length up to the last line that has an end.
fn whole_lines(mut file: &File) -> io::Result<u64> {
    const STEP: u64 = 64 << 10;
    let mut end = file.metadata()?.len();
    let mut piece = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        piece.clear();
        file.take(end - start).read_to_end(&mut piece)?;
        if let Some(last) = memchr::memrchr(b'\n', &piece) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
