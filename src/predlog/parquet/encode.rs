//! How a column becomes a chunk of a row group: laid down as it is where it is regular, by the parquet crate's writer where
//! it is not.

use std::fs::File;

use bytes::Bytes;
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, FloatType,
    Int32Type, Int64Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedColumnWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{Chunk, PAGE_BYTES, Room};
use super::column::{Column, ELEMENT, LENGTH_BYTES, Nesting, PRESENT, Values};
use super::kind::Kind;

/// Elements of all lists that are laid down as one page; a page is cut between rows only.
const MAX_LISTED: usize = 4 * PAGE_BYTES / 8;

impl Column {
    /// Writes what was pushed as the next column of a row group, and forgets it.
    pub(super) fn write(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, File>,
        described: &ColumnDescPtr,
        room: &mut Room,
    ) -> Result<()> {
        match self.laid(described, room)? {
            Some((bytes, close)) => {
                group.append_column(&bytes, close)?;
                room.take_back(bytes);
            }
            None => {
                let mut out = group
                    .next_column()?
                    .ok_or_else(|| ParquetError::General("a column too many".into()))?;
                self.encode(&mut out)?;
                out.close()?;
            }
        }
        self.clear();
        Ok(())
    }

    /// The chunk of a column that is regular.
    fn laid(&self, described: &ColumnDescPtr, room: &mut Room) -> Result<Option<(Bytes, ColumnCloseResult)>> {
        let mut chunk = Chunk::new(described, room);
        match (self.nesting, self.definitions.uniform()) {
            (Nesting::Required, _) => {}
            (Nesting::Optional, Some((PRESENT, _))) => {}
            (Nesting::Optional, Some((_, rows))) => {
                chunk.page(rows, false, |_| {})?;
                return chunk.finish().map(Some);
            }
            (Nesting::List, Some((ELEMENT, _))) => return self.laid_lists(chunk),
            _ => return chunk.leave(),
        }
        match &self.values {
            Values::F64(values) => numbers(&mut chunk, values, |value| value.to_bits().to_le_bytes())?,
            Values::F32(values) => numbers(&mut chunk, values, |value| value.to_bits().to_le_bytes())?,
            Values::I64(values) if self.kind == Kind::Micros => {
                let (least, most) = (values.iter().min(), values.iter().max());
                chunk.note(Statistics::int64(
                    least.copied(),
                    most.copied(),
                    None,
                    Some(0),
                    false,
                ));
                numbers(&mut chunk, values, |value| value.to_le_bytes())?;
            }
            // Others are smaller as differences.
            Values::I64(values) if are_same(values) => {
                numbers(&mut chunk, values, |value| value.to_le_bytes())?;
            }
            Values::I32(values) if are_same(values) => {
                numbers(&mut chunk, values, |value| value.to_le_bytes())?;
            }
            Values::Bool(values) => {
                for piece in values.chunks(PAGE_BYTES) {
                    let bits = |byte: &[bool]| {
                        let bits = byte.iter().rev();
                        bits.fold(0, |all: u8, &flag| all << 1 | u8::from(flag))
                    };
                    chunk.page(piece.len(), true, |out| out.extend(piece.chunks(8).map(bits)))?;
                }
            }
            Values::Ids(all) => {
                for piece in all.as_chunks::<16>().0.chunks(PAGE_BYTES / 16) {
                    chunk.page(piece.len(), true, |out| {
                        out.extend_from_slice(piece.as_flattened())
                    })?;
                }
            }
            Values::Random(all, ends) => texts(&mut chunk, all, ends)?,
            Values::Words(words, places) => match words.as_slice() {
                [word] => chunk.constant(places.len(), |out| {
                    out.extend(u32::try_from(word.len()).unwrap_or(u32::MAX).to_le_bytes());
                    out.extend_from_slice(word.data());
                })?,
                _ => return chunk.leave(),
            },
            _ => return chunk.leave(),
        }
        chunk.finish().map(Some)
    }

    /// The chunk of lists of floats, if they are not too long for one page.
    fn laid_lists(&self, mut chunk: Chunk<'_>) -> Result<Option<(Bytes, ColumnCloseResult)>> {
        let count = self.repetitions.len();
        if count > MAX_LISTED {
            return chunk.leave();
        }
        let rows = self.repetitions.iter().filter(|level| **level == 0).count();
        let firsts = self.repetitions.iter().map(|level| *level == 0);
        match &self.values {
            Values::F64(values) => {
                chunk.lists(rows, firsts, |out| {
                    lay(out, values, |value| value.to_bits().to_le_bytes());
                })?;
            }
            Values::F32(values) => {
                chunk.lists(rows, firsts, |out| {
                    lay(out, values, |value| value.to_bits().to_le_bytes());
                })?;
            }
            _ => return chunk.leave(),
        }
        chunk.finish().map(Some)
    }

    /// Writes what was pushed by the crate's writer.
    fn encode(&mut self, out: &mut SerializedColumnWriter<'_>) -> Result<()> {
        let levels = (self.nesting != Nesting::Required).then(|| self.definitions.each());
        let definitions = levels.as_deref();
        let repetitions = (self.nesting == Nesting::List).then_some(self.repetitions.as_slice());
        match &mut self.values {
            Values::Bool(values) => out
                .typed::<BoolType>()
                .write_batch(values, definitions, repetitions),
            Values::I32(values) => out
                .typed::<Int32Type>()
                .write_batch(values, definitions, repetitions),
            Values::I64(values) => out
                .typed::<Int64Type>()
                .write_batch(values, definitions, repetitions),
            Values::F32(values) => out
                .typed::<FloatType>()
                .write_batch(values, definitions, repetitions),
            Values::F64(values) => out
                .typed::<DoubleType>()
                .write_batch(values, definitions, repetitions),
            Values::Text(all, ends) => {
                out.typed::<ByteArrayType>()
                    .write_batch(&slices(all, ends, 0), definitions, repetitions)
            }
            Values::Random(all, ends) => out.typed::<ByteArrayType>().write_batch(
                &slices(all, ends, LENGTH_BYTES),
                definitions,
                repetitions,
            ),
            Values::Words(words, places) => {
                let word = |&place: &u32| words.get(place as usize).cloned().unwrap_or_default();
                let values: Vec<ByteArray> = places.iter().map(word).collect();
                out.typed::<ByteArrayType>()
                    .write_batch(&values, definitions, repetitions)
            }
            Values::Ids(all) => {
                let all = Bytes::from(std::mem::take(all));
                let ids = (0..all.len() / 16).map(|id| all.slice(id * 16..id * 16 + 16));
                let values: Vec<FixedLenByteArray> = ids
                    .map(|id| FixedLenByteArray::from(ByteArray::from(id)))
                    .collect();
                out.typed::<FixedLenByteArrayType>()
                    .write_batch(&values, definitions, repetitions)
            }
        }?;
        Ok(())
    }
}

fn are_same<T: PartialEq>(values: &[T]) -> bool {
    let pairs = values.iter().zip(values.get(1..).unwrap_or_default());
    pairs.into_iter().all(|(one, next)| one == next)
}

/// Numbers in their own form, or one where they are all the same to the last bit.
fn numbers<T: Copy, const WIDTH: usize>(
    chunk: &mut Chunk<'_>,
    values: &[T],
    bytes: impl Fn(T) -> [u8; WIDTH],
) -> Result<()> {
    if let Some(&first) = values.first()
        && values.iter().all(|&value| bytes(value) == bytes(first))
    {
        return chunk.constant(values.len(), |out| out.extend(bytes(first)));
    }
    for piece in values.chunks(PAGE_BYTES / WIDTH) {
        chunk.page(piece.len(), true, |out| lay(out, piece, &bytes))?;
    }
    Ok(())
}

/// Appends numbers.
fn lay<T: Copy, const WIDTH: usize>(out: &mut Vec<u8>, values: &[T], bytes: impl Fn(T) -> [u8; WIDTH]) {
    let start = out.len();
    out.resize(start + values.len() * WIDTH, 0);
    let room = out.get_mut(start..).unwrap_or_default();
    for (place, value) in room.as_chunks_mut().0.iter_mut().zip(values) {
        *place = bytes(*value);
    }
}

/// Texts that have their lengths before them already.
fn texts(chunk: &mut Chunk<'_>, all: &[u8], ends: &[usize]) -> Result<()> {
    let (mut start, mut rest) = (0, ends);
    while let Some(&first) = rest.first() {
        // At least one, however long it is.
        let limit = first.max(start + PAGE_BYTES);
        let count = rest.partition_point(|end| *end <= limit);
        let end = rest.get(count - 1).copied().unwrap_or(first);
        let page = all.get(start..end).unwrap_or_default();
        chunk.page(count, true, |out| out.extend_from_slice(page))?;
        start = end;
        rest = rest.get(count..).unwrap_or_default();
    }
    Ok(())
}

/// Texts, each but for the first so many bytes of it.
fn slices(all: &mut Vec<u8>, ends: &[usize], skip: usize) -> Vec<ByteArray> {
    let all = Bytes::from(std::mem::take(all));
    let mut start = 0;
    let slice = |&end: &usize| {
        let text = ByteArray::from(all.slice(start + skip..end));
        start = end;
        text
    };
    ends.iter().map(slice).collect()
}
