//! A part: one file of rows of one shape, of one version and day.
//!
//! Rows wait in memory until they make a row group. After each row group comes a footer that has all until then, so that
//! the file is whole up to there whatever happens to the process; the next row group follows after it. Readers look for
//! the footer at the end only.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataWriter};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, Type};

use super::super::files::{Kind, Partial};
use super::chunk::Room;
use super::column::Column;
use super::repair;

/// The file of a part, once it has one.
struct Opened {
    partial: Partial,
    writer: SerializedFileWriter<File>,
    described: Vec<ColumnDescPtr>,
    groups: usize,
    /// Entries in its row groups.
    entries: u64,
}

/// A part in memory and on the disk.
pub(super) struct Part {
    pub(super) columns: Vec<Column>,
    notes: Vec<KeyValue>,
    opened: Option<Opened>,
    began: SystemTime,
    /// Rows and entries in memory, about how many bytes they take, and since when.
    rows: usize,
    entries: u64,
    bytes: usize,
    since: SystemTime,
}

/// A row group has about so many rows.
const GROUP_ROWS: usize = 65_536;
/// And takes about so much memory.
const GROUP_BYTES: usize = 32 << 20;
/// Footers grow with the row groups, and each row group has one.
const MAX_GROUPS: usize = 32;
/// What a row takes at least.
const ROW_BYTES: usize = 160;

/// What became of entries when something failed.
pub(super) struct Lost {
    pub(super) entries: u64,
    pub(super) error: ParquetError,
}

impl Part {
    pub(super) fn new(columns: Vec<Column>, notes: Vec<(String, String)>, now: SystemTime) -> Part {
        let notes = notes.into_iter().map(|(key, value)| KeyValue::new(key, value));
        Part {
            columns,
            notes: notes.collect(),
            opened: None,
            began: now,
            rows: 0,
            entries: 0,
            bytes: 0,
            since: now,
        }
    }

    /// Notes that so many rows of so many entries were pushed, and says whether they make a row group.
    pub(super) fn note(&mut self, rows: usize, entries: u64, weight: usize, now: SystemTime) -> bool {
        if self.rows == 0 {
            self.since = now;
        }
        self.rows += rows;
        self.entries += entries;
        self.bytes = self
            .bytes
            .saturating_add(weight)
            .saturating_add(rows.saturating_mul(ROW_BYTES));
        self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES
    }

    /// About how much is in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the rows in memory have waited this long.
    pub(super) fn waited(&self, now: SystemTime, long: Duration) -> bool {
        self.rows > 0
            && now
                .duration_since(self.since)
                .map_or(true, |waited| waited >= long)
    }

    /// Whether the file is due to be closed.
    pub(super) fn is_due(&self, now: SystemTime, max_age: Duration, max_bytes: u64) -> bool {
        let old = now.duration_since(self.began).map_or(true, |age| age >= max_age);
        let full = self.opened.as_ref().is_some_and(|opened| {
            opened.groups >= MAX_GROUPS || opened.writer.bytes_written() as u64 >= max_bytes
        });
        old || full
    }

    /// Whether the file is still where it was made.
    pub(super) fn is_there(&self) -> bool {
        self.opened
            .as_ref()
            .is_none_or(|opened| opened.partial.is_there())
    }

    /// Entries that are in memory only.
    pub(super) fn waiting(&self) -> u64 {
        self.entries
    }

    /// Entries that go with the part, if its file is gone.
    pub(super) fn all_entries(&self) -> u64 {
        self.entries + self.opened.as_ref().map_or(0, |opened| opened.entries)
    }

    /// Writes the rows in memory as a row group. After a failure they are lost, and the part must be left.
    pub(super) fn flush(
        &mut self,
        folder: &Path,
        kind: Kind,
        room: &mut Room,
    ) -> std::result::Result<(), Lost> {
        if self.rows == 0 {
            return Ok(());
        }
        let entries = std::mem::take(&mut self.entries);
        self.rows = 0;
        self.bytes = 0;
        self.write_group(folder, kind, entries, room)
            .map_err(|error| Lost { entries, error })
    }

    fn write_group(&mut self, folder: &Path, kind: Kind, entries: u64, room: &mut Room) -> Result<()> {
        let opened = match &mut self.opened {
            Some(opened) => opened,
            none => none.insert(open(&self.columns, self.notes.clone(), folder, kind)?),
        };
        let mut group = opened.writer.next_row_group()?;
        for (column, described) in self.columns.iter_mut().zip(&opened.described) {
            column.write(&mut group, described, room)?;
        }
        group.close()?;
        let footer = footer(&opened.writer, &self.notes)?;
        opened.writer.write_all(&footer)?;
        opened.writer.flush()?;
        opened.groups += 1;
        opened.entries += entries;
        Ok(())
    }

    /// Gives the file its name. The rows in memory must be written before.
    pub(super) fn finish(self) -> std::result::Result<(), Lost> {
        let Some(opened) = self.opened else {
            return Ok(());
        };
        drop(opened.writer);
        let entries = opened.entries;
        opened.partial.finish().map_err(|error| Lost {
            entries,
            error: error.into(),
        })
    }

    /// Gives the file its name with what is whole of it, after a failure; says how many entries of it are lost.
    pub(super) fn salvage(self) -> u64 {
        let Some(opened) = self.opened else { return 0 };
        // It writes what it still has, which is cut off then.
        drop(opened.writer);
        // The folder may have been removed since somebody last looked.
        let is_there = opened.partial.is_there();
        let file = &opened.partial.file;
        let cut = repair::whole(file).and_then(|whole| file.set_len(whole).map(|()| whole));
        let finished = match cut {
            Ok(0) => {
                opened.partial.discard();
                Ok(())
            }
            Ok(_) => opened.partial.finish(),
            Err(error) => Err(error),
        };
        match finished {
            Ok(()) => 0,
            Err(error) => {
                tracing::debug!(%error, is_there, "a part is left to the next start, if it is there");
                if is_there { 0 } else { opened.entries }
            }
        }
    }
}

fn open(columns: &[Column], notes: Vec<KeyValue>, folder: &Path, kind: Kind) -> Result<Opened> {
    let fields: Result<Vec<_>> = columns.iter().map(Column::schema).collect();
    let schema = Type::group_type_builder("prediction")
        .with_fields(fields?)
        .build()?;
    let builder = WriterProperties::builder()
        .set_created_by(concat!("modelsd ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled("time".into(), EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(notes));
    let properties = columns
        .iter()
        .fold(builder, |builder, column| column.properties(builder));
    let partial = Partial::create(folder, kind, SystemTime::now())?;
    let file: io::Result<File> = partial.file.try_clone();
    let writer = SerializedFileWriter::new(file?, Arc::new(schema), Arc::new(properties.build()))?;
    Ok(Opened {
        partial,
        described: writer.schema_descr().columns().to_vec(),
        writer,
        groups: 0,
        entries: 0,
    })
}

/// A footer of all row groups until now.
fn footer(writer: &SerializedFileWriter<File>, notes: &[KeyValue]) -> Result<Vec<u8>> {
    let groups = writer.flushed_row_groups();
    let rows = groups.iter().map(|group| group.num_rows()).sum();
    let properties = writer.properties();
    let file = FileMetaData::new(
        properties.writer_version().as_num(),
        rows,
        Some(properties.created_by().to_owned()),
        Some(notes.to_vec()),
        Arc::new(writer.schema_descr().clone()),
        None,
    );
    let metadata = ParquetMetaData::new(file, groups.to_vec());
    let mut footer = Vec::new();
    ParquetMetaDataWriter::new(&mut footer, &metadata).finish()?;
    Ok(footer)
}

#[cfg(test)]
mod tests;
