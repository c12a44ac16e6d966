//! The first column of an answer: its labels, or its numbers.

use crate::model::batch::{Batch, Body, Columns};
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;

/// Rows of one call that are looked at, evenly spread over it: a call of a million rows must not hold up others.
pub(super) const MAX_ROWS: usize = 1024;
/// Magnitude from which numbers are not counted: their squares have no place in a double.
pub(super) const TOO_LARGE: f64 = 1e150;

/// What is told of each row. Text, booleans and integers are labels; floats are numbers, and so are integers.
pub(super) trait Visit {
    /// Text, a boolean, or an integer that is too large for the others.
    fn label(&mut self, label: &str);
    /// A label that is a number.
    fn integer<T: Integer>(&mut self, value: T);
    /// A number, not too large.
    fn float(&mut self, value: f64);
    /// A null, NaN, infinity, or what is neither label nor number.
    fn missing(&mut self);
}

/// What has a nearest double.
pub(super) trait Integer: itoa::Integer + Copy {
    /// That double.
    fn nearest(self) -> f64;
}

macro_rules! integer {
    ($($integer:ty)*) => {
        $(impl Integer for $integer {
            fn nearest(self) -> f64 {
                self as f64
            }
        })*
    };
}
integer!(i8 i16 i32 i64 u8 u16 u32 u64);

/// Tells of the first column of an answer.
pub(super) fn visit(output: &Batch, seen: &mut impl Visit) {
    match &output.body {
        Body::Frame(frame) => match frame.columns() {
            Columns::Matrix(matrix) => first_of_rows(matrix, seen),
            Columns::Separate(columns) => {
                if let Some(column) = columns.first() {
                    first_of_rows(column, seen);
                }
            }
        },
        Body::Array(tensor) => first_of_rows(tensor, seen),
        Body::Named(members) => {
            if let Some((_, tensor)) = members.first() {
                first_of_rows(tensor, seen);
            }
        }
        Body::Value(Value::List(items)) => {
            for item in items.iter().step_by(stride(items.len())) {
                cell(item, seen);
            }
        }
        Body::Value(value) => cell(value, seen),
    }
}

fn first_of_rows(tensor: &Tensor, seen: &mut impl Visit) {
    let every = tensor.row_len().max(1).saturating_mul(stride(tensor.rows()));
    elements(tensor.elements(), every, usize::MAX, seen);
}

/// Tells of every so manieth element, and of so many.
fn elements(elements: &Elements, every: usize, most: usize, seen: &mut impl Visit) {
    fn each<T>(elements: &[T], every: usize, most: usize, tell: impl FnMut(&T)) {
        elements.iter().step_by(every).take(most).for_each(tell);
    }
    match elements {
        Elements::Bool(all) => each(all, every, most, |value| seen.label(bool_name(*value))),
        Elements::I8(all) => each(all, every, most, |value| seen.integer(*value)),
        Elements::I16(all) => each(all, every, most, |value| seen.integer(*value)),
        Elements::I32(all) => each(all, every, most, |value| seen.integer(*value)),
        Elements::I64(all) => each(all, every, most, |value| seen.integer(*value)),
        Elements::U8(all) => each(all, every, most, |value| seen.integer(*value)),
        Elements::U16(all) => each(all, every, most, |value| seen.integer(*value)),
        Elements::U32(all) => each(all, every, most, |value| seen.integer(*value)),
        Elements::U64(all) => each(all, every, most, |value| seen.integer(*value)),
        Elements::F16(all) => each(all, every, most, |value| float(value.to_f64(), seen)),
        Elements::F32(all) => each(all, every, most, |value| float(f64::from(*value), seen)),
        Elements::F64(all) => each(all, every, most, |value| float(*value, seen)),
        Elements::Str(all) => each(all, every, most, |value| seen.label(value)),
        // Moments of time are all different: their range is what there is to see.
        Elements::Datetime(all) => each(all, every, most, |value| match *value {
            i64::MIN => seen.missing(),
            nanoseconds => float(nanoseconds as f64, seen),
        }),
        Elements::Object(all) => each(all, every, most, |value| cell(value, seen)),
    }
}

/// Tells of a value alone, or of the first member of what has several.
fn cell(value: &Value, seen: &mut impl Visit) {
    match value {
        Value::Bool(value) => seen.label(bool_name(*value)),
        Value::Int(value) => seen.integer(*value),
        Value::BigInt(digits) => seen.label(digits),
        Value::Float(value) => float(*value, seen),
        Value::Str(text) => seen.label(text),
        Value::Tensor(tensor) => match tensor.elements() {
            // An element may be a tensor again; those of objects are not followed.
            Elements::Object(_) => seen.missing(),
            all if all.is_empty() => seen.missing(),
            all => elements(all, 1, 1, seen),
        },
        Value::List(items) => scalar(items.first(), seen),
        Value::Map(entries) => scalar(entries.first().map(|(_, value)| value), seen),
        Value::Null | Value::Bytes(_) => seen.missing(),
    }
}

/// Tells of what is no list, map or tensor: nothing is followed deeper than once.
fn scalar(value: Option<&Value>, seen: &mut impl Visit) {
    match value {
        None | Some(Value::List(_) | Value::Map(_) | Value::Tensor(_)) => seen.missing(),
        Some(value) => cell(value, seen),
    }
}

fn float(value: f64, seen: &mut impl Visit) {
    if value.abs() < TOO_LARGE {
        seen.float(value);
    } else {
        seen.missing();
    }
}

/// So that at most [`MAX_ROWS`] rows are looked at.
fn stride(rows: usize) -> usize {
    rows.div_ceil(MAX_ROWS).max(1)
}

fn bool_name(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}
