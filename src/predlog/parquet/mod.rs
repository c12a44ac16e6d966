//! `parquet:DIR`: tables that are read as one, `model=NAME/version=V/date=YYYY-MM-DD/part-….parquet`, and feedback in
//! `_feedback/date=YYYY-MM-DD/`.
//!
//! One row a row of a prediction; a prediction without values has one. Columns of inputs and outputs are typed as their
//! values are, so that versions differ in them; batches that differ within a version go to different files, the fifth and
//! all further kinds as JSON text, for else a client could make a file of each request.
//!
//! A part is written under a name that begins with a dot, which readers of folders skip, and gets its own when it is
//! closed: by age, by size, or because too many are open. A process that dies loses the rows that were in memory: those of
//! the last seconds, or the last 65,536. What it had written is finished at the next start.

mod bundles;
mod chunk;
mod column;
mod encode;
mod kind;
mod levels;
mod part;
pub(super) mod read;
mod repair;
mod rows;
mod run;
mod side;

use std::io;
use std::time::{Duration, SystemTime};

use super::bundle::Bundle;
use super::files::{self, Config, Kind, Partial};
use super::record::Entry;
use super::{Sink, SinkError, Standing};
use chunk::Room;
use part::Lost;
use rows::{Like, MICROS_A_DAY, Open};
use run::Run;

/// Its files.
pub(super) const KIND: Kind = Kind {
    stem: "part",
    extension: "parquet",
    hidden: true,
};

/// Rows wait at most so long for their row group, or for a thirtieth of the age of a file.
const GROUP_AGE: Duration = Duration::from_secs(5);
const GROUPS_A_FILE: u32 = 30;
/// Kinds of batches of a version that have columns of their own.
const MAX_SHAPES: usize = 4;
/// Files that are open; those that were not written to for longest are closed.
const MAX_OPEN: usize = 64;
/// About how much memory the rows of all parts take; the largest are written.
const MAX_BYTES: usize = 128 << 20;
const RETENTION: Duration = Duration::from_secs(60);
const PRESENCE: Duration = Duration::from_secs(1);

/// The sink.
pub(super) struct Parquet {
    config: Config,
    /// The one that was written to last is the first.
    parts: Vec<Open>,
    room: Room,
    retained: SystemTime,
    looked: SystemTime,
}

impl Parquet {
    /// Makes the folder ready: finishes what a dead process left, and removes what is kept no longer.
    ///
    /// # Errors
    /// When the folder cannot be made, read or written.
    pub(super) fn open(config: Config, now: SystemTime) -> io::Result<Parquet> {
        std::fs::create_dir_all(&config.dir)?;
        // What cannot be written shall be seen at the start.
        Partial::create(&config.dir, KIND, now)?.discard();
        files::recover(&files::folders(&config.dir, true)?, KIND, repair::whole)?;
        files::retain(&config, KIND, true, now)?;
        Ok(Parquet {
            config,
            parts: Vec::new(),
            room: Room::default(),
            retained: now,
            looked: now,
        })
    }

    /// Appends predictions to the part that takes the first of them, and writes that when it is full.
    fn push(&mut self, run: &Run<'_>, now: SystemTime, losses: &mut Losses) {
        self.bring(run.first().into(), now, losses);
        let full = self.parts.first_mut().is_some_and(|open| open.push(run, now));
        if full {
            self.flush(0, losses);
        }
    }

    /// The same for feedback.
    fn push_feedback(&mut self, entry: &Entry, now: SystemTime, losses: &mut Losses) {
        self.bring(entry.into(), now, losses);
        let full = self
            .parts
            .first_mut()
            .is_some_and(|open| open.push_feedback(entry, now));
        if full {
            self.flush(0, losses);
        }
    }

    /// The same for a bundle.
    fn push_bundle(&mut self, bundle: &Bundle, now: SystemTime, losses: &mut Losses) {
        let times: Vec<i64> = bundle.heads().iter().map(|head| head.time.micros()).collect();
        let mut days = times.iter().map(|time| time.div_euclid(MICROS_A_DAY));
        let day = days.next();
        let full = if days.all(|other| Some(other) == day) {
            self.bring(Like::Prediction(bundle.like()), now, losses);
            let open = self.parts.first_mut();
            open.and_then(|open| open.push_bundle(bundle, &times, now))
        } else {
            None
        };
        match full {
            Some(true) => self.flush(0, losses),
            Some(false) => {}
            // Those of two days, and those whose values are text here.
            None => {
                for run in run::runs(bundle.unpack().iter()) {
                    self.push(&run, now, losses);
                }
            }
        }
    }

    /// Makes the part that takes an entry the first.
    fn bring(&mut self, like: Like<'_>, now: SystemTime, losses: &mut Losses) {
        let mut shapes = 0;
        let found = self
            .parts
            .iter_mut()
            .position(|open| open.takes(like, &mut shapes));
        let open = match found {
            Some(0) => return,
            Some(at) => self.parts.remove(at),
            None => {
                if self.parts.len() >= MAX_OPEN
                    && let Some(last) = self.parts.pop()
                {
                    losses.add(last.close(&mut self.room));
                }
                Open::new(like, shapes < MAX_SHAPES, &self.config, now)
            }
        };
        self.parts.insert(0, open);
    }

    /// Writes the rows of a part; after a failure it is ended.
    fn flush(&mut self, at: usize, losses: &mut Losses) {
        let Some(open) = self.parts.get_mut(at) else {
            return;
        };
        if let Err(lost) = open.flush(&mut self.room) {
            losses.add(Err(self.parts.remove(at).salvage(lost)));
        }
    }

    /// Writes the parts with most rows until there is room for more.
    fn bound_memory(&mut self, losses: &mut Losses) {
        while self.parts.iter().map(Open::bytes).sum::<usize>() > MAX_BYTES {
            let largest = self.parts.iter().enumerate().max_by_key(|(_, open)| open.bytes());
            let Some((at, _)) = largest else { return };
            self.flush(at, losses);
        }
    }

    fn outcome(&self, losses: Losses) -> Result<(), SinkError> {
        match losses.0 {
            None => Ok(()),
            Some(lost) => {
                let attempt = format!("write records in `{}`", self.config.dir.display());
                Err(SinkError::new(attempt, lost.error).losing(lost.entries))
            }
        }
    }
}

impl Sink for Parquet {
    fn name(&self) -> &str {
        "parquet"
    }

    fn standing(&self) -> Standing {
        Standing {
            waiting: self.parts.iter().map(Open::waiting).sum(),
            lost: 0,
        }
    }

    fn write(&mut self, entries: &[Entry]) -> Result<(), SinkError> {
        let now = SystemTime::now();
        let mut losses = Losses::default();
        let for_files = || entries.iter().filter(|entry| entry.is_for_files());
        for run in run::runs(for_files()) {
            self.push(&run, now, &mut losses);
        }
        for entry in for_files().filter(|entry| matches!(entry, Entry::Feedback(_))) {
            self.push_feedback(entry, now, &mut losses);
        }
        self.bound_memory(&mut losses);
        self.outcome(losses)
    }

    fn takes_bundles(&self) -> bool {
        true
    }

    fn write_bundles(&mut self, bundles: &[&Bundle]) -> Result<(), SinkError> {
        let now = SystemTime::now();
        let mut losses = Losses::default();
        for bundle in bundles {
            self.push_bundle(bundle, now, &mut losses);
        }
        self.bound_memory(&mut losses);
        self.outcome(losses)
    }

    fn tick(&mut self, now: SystemTime) -> Result<(), SinkError> {
        let mut losses = Losses::default();
        let since = |moment: SystemTime, long| now.duration_since(moment).map_or(true, |since| since >= long);
        if since(self.looked, PRESENCE) {
            self.looked = now;
            self.parts.retain(|open| match open.lost() {
                None => true,
                Some(lost) => {
                    losses.add(Err(lost));
                    false
                }
            });
        }
        let group_age = GROUP_AGE.max(self.config.max_file_age / GROUPS_A_FILE);
        let mut at = 0;
        while let Some(open) = self.parts.get(at) {
            if open.is_due(now, &self.config) {
                losses.add(self.parts.remove(at).close(&mut self.room));
                continue;
            }
            let before = self.parts.len();
            if open.waited(now, group_age) {
                self.flush(at, &mut losses);
            }
            // A part that failed has gone, and the next is in its place.
            at += usize::from(self.parts.len() == before);
        }
        if since(self.retained, RETENTION) {
            self.retained = now;
            let retained = files::retain(&self.config, KIND, true, now);
            losses.add(retained.map_err(|error| Lost {
                entries: 0,
                error: error.into(),
            }));
        }
        self.outcome(losses)
    }

    fn close(&mut self) -> Result<(), SinkError> {
        let mut losses = Losses::default();
        for open in self.parts.drain(..) {
            losses.add(open.close(&mut self.room));
        }
        self.outcome(losses)
    }
}

/// The sum of what was lost, with the first reason.
#[derive(Default)]
struct Losses(Option<Lost>);

impl Losses {
    fn add(&mut self, result: Result<(), Lost>) {
        match (result, &mut self.0) {
            (Ok(()), _) => {}
            (Err(lost), Some(before)) => before.entries += lost.entries,
            (Err(lost), none) => *none = Some(lost),
        }
    }
}

#[cfg(test)]
mod tests;
