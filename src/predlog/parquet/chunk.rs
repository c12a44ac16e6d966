//! Chunks of columns that are laid down as they are: numbers and texts without nulls, columns that are the same in every row
//! or null in every row.
//!
//! The writer of the parquet crate looks at each value and each level on its own, for it can do much more; that was most of
//! what a record cost the writer's thread. Here a column of doubles is one copy, and a column that says the same in every row
//! is a few bytes. The crate still writes the headers of pages, the metadata and the footer.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriter as _};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

/// About how many bytes a page has.
pub(super) const PAGE_BYTES: usize = 1 << 20;

/// Bytes that a [`Room`] keeps for the next page and the next chunk. Few are longer, but a row may be as long as a request.
const KEPT_BYTES: usize = 4 * PAGE_BYTES;

/// Memory for one chunk after the other: to be given it anew by the system costs more than what is written to it.
#[derive(Default)]
pub(super) struct Room {
    page: Vec<u8>,
    chunk: Vec<u8>,
}

/// A chunk as it is written: its pages in a row, and what is said of them.
pub(super) struct Chunk<'room> {
    column: ColumnDescPtr,
    out: TrackedWrite<Vec<u8>>,
    room: &'room mut Room,
    rows: u64,
    /// Of lists, all their elements.
    values: u64,
    encodings: Vec<Encoding>,
    dictionary: bool,
    /// Where the first page of rows begins.
    data: usize,
    statistics: Option<Statistics>,
}

impl Room {
    /// Takes back the memory of a chunk.
    pub(super) fn take_back(&mut self, chunk: Bytes) {
        self.chunk = kept(chunk);
    }
}

/// The memory of these bytes, as far as it is kept.
fn kept(bytes: Bytes) -> Vec<u8> {
    let mut memory = Vec::from(bytes);
    memory.clear();
    memory.shrink_to(KEPT_BYTES);
    memory
}

impl<'room> Chunk<'room> {
    pub(super) fn new(column: &ColumnDescPtr, room: &'room mut Room) -> Chunk<'room> {
        let out = std::mem::take(&mut room.chunk);
        Chunk {
            column: column.clone(),
            out: TrackedWrite::new(out),
            room,
            rows: 0,
            values: 0,
            encodings: vec![Encoding::PLAIN, Encoding::RLE],
            dictionary: false,
            data: 0,
            statistics: None,
        }
    }

    /// Says what is known of the values.
    pub(super) fn note(&mut self, statistics: Statistics) {
        self.statistics = Some(statistics);
    }

    /// A page of rows that have values, laid down by `lay`, or all none.
    pub(super) fn page(&mut self, rows: usize, present: bool, lay: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut body = self.levels(rows, present);
        lay(&mut body);
        self.write(rows, rows, Encoding::PLAIN, body)
    }

    /// A page of lists of values, none of which is null or empty; `firsts` says of each value whether a list begins with it.
    pub(super) fn lists(
        &mut self,
        rows: usize,
        firsts: impl ExactSizeIterator<Item = bool>,
        lay: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        let count = firsts.len();
        let mut levels = Vec::with_capacity(count / 8 + 16);
        // Groups of eight levels of a bit, twice their number and one: the lowest bit is the first, and says that it goes on.
        number(&mut levels, ((count as u64).div_ceil(8) << 1) | 1);
        let (mut bits, mut at) = (0u8, 0);
        for first in firsts {
            bits |= u8::from(!first) << at;
            at += 1;
            if at == 8 {
                levels.push(bits);
                (bits, at) = (0, 0);
            }
        }
        if at > 0 {
            levels.push(bits);
        }
        let mut body = self.body();
        with_length(&mut body, &levels);
        levels.clear();
        run(&mut levels, count, 3);
        with_length(&mut body, &levels);
        lay(&mut body);
        self.write(rows, count, Encoding::PLAIN, body)
    }

    /// The same value in all rows.
    pub(super) fn constant(&mut self, rows: usize, lay: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut value = Vec::new();
        lay(&mut value);
        self.put(Page::DictionaryPage {
            buf: value.into(),
            num_values: 1,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        })?;
        self.dictionary = true;
        self.encodings.push(Encoding::RLE_DICTIONARY);
        self.data = self.out.bytes_written();
        let mut body = self.levels(rows, true);
        // Places in the dictionary have a bit, and all are the first.
        body.push(1);
        run(&mut body, rows, 0);
        self.write(rows, rows, Encoding::RLE_DICTIONARY, body)
    }

    /// An empty page.
    fn body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.room.page)
    }

    /// A page with definition levels, where the column has any: a run of one.
    fn levels(&mut self, rows: usize, present: bool) -> Vec<u8> {
        let mut body = self.body();
        if self.column.max_def_level() > 0 {
            let mut levels = Vec::new();
            run(&mut levels, rows, u8::from(present));
            with_length(&mut body, &levels);
        }
        body
    }

    fn write(&mut self, rows: usize, values: usize, encoding: Encoding, body: Vec<u8>) -> Result<()> {
        self.rows += rows as u64;
        self.values += values as u64;
        let body = Bytes::from(body);
        self.put(Page::DataPage {
            buf: body.clone(),
            num_values: u32::try_from(values).unwrap_or(u32::MAX),
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        })?;
        self.room.page = kept(body);
        Ok(())
    }

    fn put(&mut self, page: Page) -> Result<()> {
        let length = page.buffer().len();
        SerializedPageWriter::new(&mut self.out).write_page(CompressedPage::new(page, length))?;
        Ok(())
    }

    /// Leaves the column to the crate's writer.
    pub(super) fn leave<T>(self) -> Result<Option<T>> {
        self.room.chunk = self.out.into_inner()?;
        Ok(None)
    }

    /// The bytes, whose memory goes back to the room afterwards, and what the row group is told of them.
    pub(super) fn finish(self) -> Result<(Bytes, ColumnCloseResult)> {
        let length = self.out.bytes_written();
        let size = i64::try_from(length).unwrap_or(i64::MAX);
        let builder = ColumnChunkMetaData::builder(self.column)
            .set_compression(Compression::UNCOMPRESSED)
            .set_encodings(self.encodings)
            .set_total_compressed_size(size)
            .set_total_uncompressed_size(size)
            .set_num_values(i64::try_from(self.values).unwrap_or(i64::MAX))
            .set_data_page_offset(i64::try_from(self.data).unwrap_or(i64::MAX))
            .set_dictionary_page_offset(self.dictionary.then_some(0));
        let builder = match self.statistics {
            Some(statistics) => builder.set_statistics(statistics),
            None => builder,
        };
        let close = ColumnCloseResult {
            bytes_written: length as u64,
            rows_written: self.rows,
            metadata: builder.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok((Bytes::from(self.out.into_inner()?), close))
    }
}

/// Appends levels after their length.
fn with_length(out: &mut Vec<u8>, levels: &[u8]) {
    let length = u32::try_from(levels.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(levels);
}

/// A run of one number of at most eight bits: twice how often, and which.
fn run(out: &mut Vec<u8>, count: usize, value: u8) {
    number(out, (count as u64) << 1);
    out.push(value);
}

/// A number in groups of seven bits, the lowest first.
fn number(out: &mut Vec<u8>, mut rest: u64) {
    while rest > 0x7f {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_up_to_a_bound() {
        let mut room = Room::default();
        let mut filled = |length: usize| {
            let mut chunk = std::mem::take(&mut room.chunk);
            assert!(chunk.is_empty());
            let before = chunk.as_ptr();
            chunk.resize(length, 1);
            let same = chunk.as_ptr() == before;
            room.take_back(chunk.into());
            (same, room.chunk.capacity())
        };
        filled(1_000);
        assert_eq!(filled(1_000), (true, 1_000));
        let (_, kept) = filled(3 * KEPT_BYTES);
        assert_eq!(kept, KEPT_BYTES);
    }
}
