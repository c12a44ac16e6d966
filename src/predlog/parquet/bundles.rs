//! How bundles become rows: a column at a time, right from the bytes that requests have laid down.

use std::iter::repeat_n;

use half::f16;

use super::super::bundle::{Bundle, Head, Side};
use super::column::{Column, Nesting, Values};
use crate::model::tensor::DType;

/// Appends what a prediction has besides its values.
pub(super) fn push_fixed(columns: &mut [Column], bundle: &Bundle, times: &[i64]) {
    let [
        id,
        row,
        time,
        route,
        variant,
        shadow,
        digest,
        rows,
        request_id,
        assignment,
        routing_key,
        error_kind,
        error,
        durations @ ..,
    ] = columns
    else {
        return;
    };
    let (origin, count) = (&bundle.like().origin, bundle.rows());
    let int = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    route.push_texts(origin.route.as_bytes(), count);
    variant.push_texts(origin.variant.as_bytes(), count);
    digest.push_texts(origin.digest.as_bytes(), count);
    for nothing in [assignment, routing_key, error_kind, error] {
        nothing.push_nulls(count);
    }
    shadow.push_all(count, |values| {
        if let Values::Bool(all) = values {
            all.extend(repeat_n(origin.shadow, count));
        }
    });
    id.push_all(count, |values| {
        if let Values::Ids(all) = values {
            all.reserve(count * 16);
            for head in bundle.heads() {
                (0..head.rows).for_each(|_| all.extend_from_slice(head.id.as_bytes()));
            }
        }
    });
    row.push_all(count, |values| {
        if let Values::I32(all) = values {
            match bundle.is_of_single_rows() {
                true => all.extend(repeat_n(0, count)),
                false => {
                    let heads = bundle.heads().iter();
                    heads.for_each(|head| all.extend((0..head.rows).map(int)));
                }
            }
        }
    });
    rows.push_all(count, |values| {
        if let Values::I32(all) = values {
            spread(all, bundle, bundle.heads().iter().map(|head| int(head.rows)));
        }
    });
    time.push_all(count, |values| {
        if let Values::I64(all) = values {
            spread(all, bundle, times.iter().copied());
        }
    });
    match bundle.request_ids() {
        None => request_id.push_nulls(count),
        Some(ids) => {
            for (id, head) in ids.zip(bundle.heads()) {
                let rows = head.rows as usize;
                match id {
                    Some(id) if id.is_ascii() => request_id.push_texts(id, rows),
                    // A text in Parquet is UTF-8; a header need not be.
                    Some(id) => request_id.push_texts(String::from_utf8_lossy(id).as_bytes(), rows),
                    None => request_id.push_nulls(rows),
                }
            }
        }
    }
    let (durations, more) = durations.split_at_mut_checked(5).unwrap_or_default();
    for (at, column) in durations.iter_mut().enumerate() {
        let micros = |head: &Head| head.times.get(at).map_or(0.0, |nanos| f64::from(*nanos) / 1e3);
        column.push_all(count, |values| {
            if let Values::F64(all) = values {
                spread(all, bundle, bundle.heads().iter().map(micros));
            }
        });
    }
    if let Some(params) = more.first_mut() {
        params.push_nulls(count);
    }
}

/// Appends what each prediction has, once a row.
fn spread<T: Copy>(all: &mut Vec<T>, bundle: &Bundle, each: impl ExactSizeIterator<Item = T>) {
    if bundle.is_of_single_rows() {
        all.extend(each);
    } else {
        for (value, head) in each.zip(bundle.heads()) {
            all.extend(repeat_n(value, head.rows as usize));
        }
    }
}

impl Column {
    /// So many values in rows of their own, which are all there; `push` appends them.
    fn push_all(&mut self, count: usize, push: impl FnOnce(&mut Values)) {
        if self.nesting != Nesting::Required {
            self.definitions.push(self.there, count);
        }
        push(&mut self.values);
    }

    /// The rows of a column of a bundle, or as many nulls.
    pub(super) fn push_bundle(&mut self, bundle: &Bundle, side: Side, at: Option<usize>) {
        let column = at.and_then(|at| Some((at, bundle.column(side, at)?)));
        let Some((at, (dtype, count))) = column else {
            self.push_nulls(bundle.rows());
            return;
        };
        let all = bundle.rows().saturating_mul(count);
        if self.nesting == Nesting::List {
            for _ in 0..bundle.rows() {
                self.repetitions.push(0);
                self.repetitions.extend(repeat_n(1, count - 1));
            }
        }
        macro_rules! push {
            ($values:path, $of:expr) => {
                self.push_all(all, |values| {
                    if let $values(values) = values {
                        values.reserve(all);
                        match bundle.singles(side, at) {
                            Some(singles) => values.extend(singles.map($of)),
                            None => bundle.each(side, at, |bytes| {
                                values.extend(bytes.as_chunks().0.iter().map(|bytes| $of(*bytes)));
                            }),
                        }
                    }
                })
            };
        }
        match dtype {
            DType::F64 => push!(Values::F64, f64::from_ne_bytes),
            DType::F32 => push!(Values::F32, f32::from_ne_bytes),
            DType::F16 => push!(Values::F32, |bytes| f16::from_ne_bytes(bytes).to_f32()),
            DType::I64 | DType::U64 => push!(Values::I64, i64::from_ne_bytes),
            DType::I32 | DType::U32 => push!(Values::I32, i32::from_ne_bytes),
            DType::I16 => push!(Values::I32, |bytes| i32::from(i16::from_ne_bytes(bytes))),
            DType::U16 => push!(Values::I32, |bytes| i32::from(u16::from_ne_bytes(bytes))),
            DType::I8 => push!(Values::I32, |bytes| i32::from(i8::from_ne_bytes(bytes))),
            DType::U8 => push!(Values::I32, |bytes| i32::from(u8::from_ne_bytes(bytes))),
            DType::Bool => push!(Values::Bool, |[byte]: [u8; 1]| byte != 0),
            DType::Datetime => bundle.each(side, at, |bytes| {
                for moment in bytes.as_chunks().0 {
                    match i64::from_ne_bytes(*moment) {
                        i64::MIN => self.absent(),
                        moment => self.push_i64(moment),
                    }
                }
            }),
            // They have no fixed length, and are in no bundle.
            DType::Str | DType::Object => self.push_nulls(bundle.rows()),
        }
    }
}
