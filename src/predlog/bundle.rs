//! Predictions of one form, laid down one after the other by the threads of their requests.
//!
//! What goes from thread to thread as boxes is freed by another thread than the one that made it, and is no longer in the
//! caches when it is read. Here the request's thread copies the numbers and frees its own memory, and the writer reads bytes
//! that lie in a row. Who answered, the names, types and shapes stand once.

mod layout;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::record::{Assignment, Entry, Record, RequestId, Timing};
use crate::model::batch::Batch;
use crate::model::moment::Moment;
use crate::model::tensor::DType;
use layout::{Layout, Place};

/// Bytes that a bundle keeps for the next predictions when it is emptied.
const KEPT_BYTES: usize = 1 << 20;

/// Bytes of a prediction's values at most: more are not copied but handed on.
const MAX_VALUES: usize = 4 << 10;
/// A bundle with so many bytes of values takes no more; the next one does.
const FULL: usize = 4 << 20;

/// Predictions of one form: of one version, with batches that differ in their rows and values only. Those that failed, are
/// traced, are of a variant, are long or have an element without a fixed length are no part of it. Nor is a caller's trace: no sink
/// that takes bundles shows it.
#[derive(Debug)]
pub struct Bundle {
    /// Another prediction of this form.
    like: Box<Record>,
    inputs: Option<Layout>,
    outputs: Option<Layout>,
    heads: Vec<Head>,
    /// The elements of each prediction, inputs first.
    values: Vec<u8>,
    /// The requests' own ids, one after the other.
    request_ids: Vec<u8>,
    /// Of all predictions.
    rows: usize,
}

/// What a prediction has besides its values: no more than a line of the caches, for most are no longer in them when the next
/// prediction is laid down.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) id: Uuid,
    pub(super) time: Moment,
    pub(super) rows: u32,
    /// Nanoseconds of decoding, waiting, the model, encoding and all.
    pub(super) times: [u32; 5],
    /// Bytes of the request's own id, none where it has none.
    request_id: u8,
}

const _: () = assert!(size_of::<Head>() <= 64);

/// A side of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    #[cfg(any(feature = "parquet", test))]
    Inputs,
    Outputs,
}

/// What is asked of a prediction that may be a part of a bundle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain {
    pub(super) rows: u32,
    times: [u32; 5],
    request_id: u8,
}

/// Whether a prediction may be a part of a bundle, as far as its values do not tell: it has nothing but these, and took a
/// few seconds at most.
pub(super) fn plain(record: &Record) -> Option<Plain> {
    let plain = record.sampled
        && record.traced.is_none()
        && record.error.is_none()
        && record.routing_key.is_none()
        && record.assignment == Assignment::None
        && record.origin.variant.is_empty();
    if !plain || record.rows == 0 {
        return None;
    }
    let request_id = match &record.request_id {
        Some(id) if id.is_empty() => return None,
        Some(id) => u8::try_from(id.len()).ok()?,
        None => 0,
    };
    Some(Plain {
        rows: u32::try_from(record.rows).ok()?,
        times: nanoseconds(&record.timing)?,
        request_id,
    })
}

fn nanoseconds(timing: &Timing) -> Option<[u32; 5]> {
    let short = |time: Duration| match time.as_secs() {
        0..4 => Some(time.as_secs() as u32 * 1_000_000_000 + time.subsec_nanos()),
        _ => None,
    };
    Some([
        short(timing.decode)?,
        short(timing.queue)?,
        short(timing.predict)?,
        short(timing.encode)?,
        short(timing.total)?,
    ])
}

impl Bundle {
    /// An empty one for predictions like this, which is [`plain`]. `None` where an element has no fixed length, or there are
    /// many.
    pub(super) fn of(record: &Record) -> Option<Bundle> {
        // Before anything is allocated: what has no bundle is asked again with each prediction.
        let mut lengths = [&record.inputs, &record.outputs]
            .into_iter()
            .flatten()
            .map(layout::length);
        if lengths.try_fold(0usize, |all, length| all.checked_add(length?))? > MAX_VALUES {
            return None;
        }
        let layout = |batch: &Option<Batch>| match batch {
            Some(batch) => Layout::of(batch).map(Some),
            None => Some(None),
        };
        let (inputs, outputs) = (layout(&record.inputs)?, layout(&record.outputs)?);
        if inputs.is_none() && outputs.is_none() {
            return None;
        }
        Some(Bundle {
            like: Box::new(record.clone()),
            inputs,
            outputs,
            heads: Vec::new(),
            values: Vec::new(),
            request_ids: Vec::new(),
            rows: 0,
        })
    }

    /// What a prediction takes of memory here.
    pub(super) fn weight_of(&self, plain: Plain) -> usize {
        let values = self.row_bytes().saturating_mul(plain.rows as usize);
        size_of::<Head>() + values + usize::from(plain.request_id)
    }

    /// What all predictions take.
    pub(super) fn weight(&self) -> usize {
        self.heads.len() * size_of::<Head>() + self.values.len() + self.request_ids.len()
    }

    /// Bytes of a row.
    fn row_bytes(&self) -> usize {
        let bytes = |layout: &Option<Layout>| layout.as_ref().map_or(0, |layout| layout.bytes);
        bytes(&self.inputs) + bytes(&self.outputs)
    }

    /// Appends the values of a prediction, and says whether it has this form; else nothing is appended.
    pub(super) fn lay(&mut self, record: &Record, rows: u32) -> bool {
        let before = self.values.len();
        let length = self.row_bytes().saturating_mul(rows as usize);
        if !Arc::ptr_eq(&self.like.origin, &record.origin) || length > MAX_VALUES || before > FULL {
            return false;
        }
        let values = &mut self.values;
        let mut fits = |layout: &Option<Layout>, batch: &Option<Batch>| match (layout, batch) {
            (Some(layout), Some(batch)) => layout.lay(values, batch, rows as usize),
            (layout, batch) => layout.is_none() && batch.is_none(),
        };
        let fits = fits(&self.inputs, &record.inputs) && fits(&self.outputs, &record.outputs);
        if !fits {
            self.values.truncate(before);
        }
        fits
    }

    /// Appends the prediction whose values were appended.
    pub(super) fn push(&mut self, record: &Record, plain: Plain) {
        let Plain {
            rows,
            times,
            request_id,
        } = plain;
        if let Some(id) = &record.request_id {
            self.request_ids.extend_from_slice(id);
        }
        if self.heads.is_empty() {
            self.like.time = record.time;
        }
        self.heads.push(Head {
            id: record.id,
            time: record.time,
            rows,
            times,
            request_id,
        });
        self.rows += rows as usize;
    }

    /// Takes back the last prediction.
    pub(super) fn take_back(&mut self, plain: Plain) {
        let rows = plain.rows as usize;
        let less = |length: usize, by: usize| length.saturating_sub(by);
        self.heads.pop();
        self.values
            .truncate(less(self.values.len(), self.row_bytes() * rows));
        self.request_ids
            .truncate(less(self.request_ids.len(), plain.request_id.into()));
        self.rows = less(self.rows, rows);
    }

    /// Forgets all predictions.
    pub(super) fn clear(&mut self) {
        self.heads.clear();
        self.values.clear();
        self.request_ids.clear();
        self.rows = 0;
        self.heads.shrink_to(KEPT_BYTES / size_of::<Head>());
        self.values.shrink_to(KEPT_BYTES);
        self.request_ids.shrink_to(KEPT_BYTES);
    }

    /// Number of predictions.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there are no predictions.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Rows of all predictions.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A prediction of this form: who answered, and what its batches are.
    pub fn like(&self) -> &Record {
        &self.like
    }

    #[cfg(any(feature = "parquet", test))]
    pub(super) fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The requests' own ids, in the order of the heads; `None` where no request has one.
    #[cfg(any(feature = "parquet", test))]
    pub(super) fn request_ids(&self) -> Option<impl Iterator<Item = Option<&[u8]>>> {
        (!self.request_ids.is_empty()).then(|| self.each_request_id())
    }

    fn each_request_id(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut rest = self.request_ids.as_slice();
        self.heads.iter().map(move |head| {
            let (id, more) = rest.split_at_checked(head.request_id.into())?;
            rest = more;
            (!id.is_empty()).then_some(id)
        })
    }

    /// Whether each prediction has one row.
    pub(super) fn is_of_single_rows(&self) -> bool {
        self.rows == self.heads.len()
    }

    /// The first number of each answer. `None` where an answer has several rows, or its first column no numbers.
    pub fn first_numbers(&self) -> Option<Vec<f64>> {
        if !self.is_of_single_rows() {
            return None;
        }
        let place = self.outputs.as_ref()?.column(0)?;
        let mut numbers = Vec::with_capacity(self.rows);
        macro_rules! read {
            ($kind:ty, $of:expr) => {
                self.each_at(Side::Outputs, place, |bytes| {
                    let first = bytes.first_chunk().copied().unwrap_or_default();
                    numbers.push($of(<$kind>::from_ne_bytes(first)));
                })
            };
        }
        match place.dtype {
            DType::F64 => read!(f64, |value| value),
            DType::F32 => read!(f32, f64::from),
            DType::I64 => read!(i64, |value| value as f64),
            DType::I32 => read!(i32, f64::from),
            DType::I16 => read!(i16, f64::from),
            DType::I8 => read!(i8, f64::from),
            DType::U64 => read!(u64, |value| value as f64),
            DType::U32 => read!(u32, f64::from),
            DType::U16 => read!(u16, f64::from),
            DType::U8 => read!(u8, f64::from),
            DType::F16 | DType::Bool | DType::Datetime | DType::Str | DType::Object => return None,
        }
        Some(numbers)
    }

    /// Type of a column's elements, and how many of them a row has.
    #[cfg(any(feature = "parquet", test))]
    pub(super) fn column(&self, side: Side, column: usize) -> Option<(DType, usize)> {
        let place = self.layout(side)?.column(column)?;
        Some((place.dtype, place.count()?))
    }

    /// The elements of a column that has one a row, where each prediction has one row.
    #[cfg(any(feature = "parquet", test))]
    #[inline]
    pub(super) fn singles<const SIZE: usize>(
        &self,
        side: Side,
        column: usize,
    ) -> Option<impl ExactSizeIterator<Item = [u8; SIZE]>> {
        let place = self.layout(side)?.column(column)?;
        if !self.is_of_single_rows() || place.bytes != SIZE {
            return None;
        }
        let start = self.before(side, place) + place.within;
        let values = self.values.chunks_exact(self.row_bytes().max(1));
        Some(values.map(move |values| {
            let bytes = values.get(start..).and_then(|rest| rest.first_chunk());
            bytes.copied().unwrap_or([0; SIZE])
        }))
    }

    /// Bytes of a row before those of a column's tensor.
    fn before(&self, side: Side, place: Place) -> usize {
        match side {
            #[cfg(any(feature = "parquet", test))]
            Side::Inputs => place.before,
            Side::Outputs => self.inputs.as_ref().map_or(0, |layout| layout.bytes) + place.before,
        }
    }

    /// Tells of the bytes of each row of a column.
    #[cfg(any(feature = "parquet", test))]
    #[inline]
    pub(super) fn each(&self, side: Side, column: usize, tell: impl FnMut(&[u8])) {
        if let Some(place) = self.layout(side).and_then(|layout| layout.column(column)) {
            self.each_at(side, place, tell);
        }
    }

    #[inline]
    fn each_at(&self, side: Side, place: Place, mut tell: impl FnMut(&[u8])) {
        let (whole, before) = (self.row_bytes(), self.before(side, place));
        if self.is_of_single_rows() {
            let start = before + place.within;
            for values in self.values.chunks_exact(whole.max(1)) {
                if let Some(bytes) = values.get(start..start + place.bytes) {
                    tell(bytes);
                }
            }
            return;
        }
        let mut rest = self.values.as_slice();
        for head in &self.heads {
            let rows = head.rows as usize;
            let Some((values, more)) = rest.split_at_checked(rows * whole) else {
                return;
            };
            rest = more;
            let start = rows * before + place.within;
            for row in 0..rows {
                let start = start + row * place.pitch;
                if let Some(bytes) = values.get(start..start + place.bytes) {
                    tell(bytes);
                }
            }
        }
    }

    #[cfg(any(feature = "parquet", test))]
    fn layout(&self, side: Side) -> Option<&Layout> {
        match side {
            Side::Inputs => self.inputs.as_ref(),
            Side::Outputs => self.outputs.as_ref(),
        }
    }

    /// The predictions as they were.
    pub fn unpack(&self) -> Vec<Entry> {
        let (inputs, whole) = (
            self.inputs.as_ref().map_or(0, |layout| layout.bytes),
            self.row_bytes(),
        );
        let mut rest = self.values.as_slice();
        let one = |(head, request_id): (&Head, Option<&[u8]>)| {
            let rows = head.rows as usize;
            let (values, more) = rest.split_at_checked(rows * whole).unwrap_or_default();
            rest = more;
            let (ins, outs) = values.split_at_checked(rows * inputs).unwrap_or_default();
            let batch = |layout: &Option<Layout>, like: &Option<Batch>, bytes: &[u8]| {
                layout.as_ref()?.batch(like.as_ref()?, rows, bytes)
            };
            let [decode, queue, predict, encode, total] =
                head.times.map(|time| Duration::from_nanos(u64::from(time)));
            Entry::Prediction(Box::new(Record {
                id: head.id,
                time: head.time,
                origin: Arc::clone(&self.like.origin),
                rows,
                inputs: batch(&self.inputs, &self.like.inputs, ins),
                outputs: batch(&self.outputs, &self.like.outputs, outs),
                error: None,
                timing: Timing {
                    decode,
                    queue,
                    predict,
                    encode,
                    total,
                },
                request_id: request_id.map(RequestId::from_slice),
                trace: None,
                assignment: Assignment::None,
                routing_key: None,
                sampled: true,
                traced: None,
            }))
        };
        self.heads.iter().zip(self.each_request_id()).map(one).collect()
    }
}

#[cfg(test)]
pub(super) mod tests;
