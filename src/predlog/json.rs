//! Entries as JSON text, in the shapes of MLflow's protocol: `inputs` is a body that `/invocations` takes, `outputs` is
//! what `predictions` is in an answer. Numbers are written as Python writes them, `NaN` and `Infinity` too.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use crate::model::batch::{Batch, Body, Columns, Frame, Name, Params};
use crate::model::moment::Moment;
use crate::model::number::{write_f64, write_i64, write_iso, write_u64};
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;

use super::record::{Entry, Feedback, Record, Timing};

/// Appends an entry as one object, without a line break.
pub(super) fn write_entry(out: &mut Vec<u8>, entry: &Entry) {
    match entry {
        Entry::Prediction(record) => write_record(out, record),
        Entry::Feedback(feedback) => write_feedback(out, feedback),
    }
}

fn write_record(out: &mut Vec<u8>, record: &Record) {
    out.extend_from_slice(b"{\"type\": \"prediction\", \"prediction_id\": \"");
    write_id(out, record.id);
    out.extend_from_slice(b"\", \"time\": \"");
    write_time(out, record.time);
    out.push(b'"');
    for (key, text) in [
        (&b", \"route\": "[..], &record.origin.route),
        (b", \"variant\": ", &record.origin.variant),
        (b", \"model\": ", &record.origin.model),
        (b", \"version\": ", &record.origin.version),
        (b", \"digest\": ", &record.origin.digest),
    ] {
        out.extend_from_slice(key);
        write_str(out, text);
    }
    out.extend_from_slice(b", \"shadow\": ");
    write_bool(out, record.origin.shadow);
    out.extend_from_slice(b", \"rows\": ");
    write_u64(out, record.rows as u64);
    out.extend_from_slice(b", \"request_id\": ");
    match &record.request_id {
        Some(id) => write_str(out, &String::from_utf8_lossy(id)),
        None => out.extend_from_slice(b"null"),
    }
    if let Some(trace) = &record.trace {
        out.extend_from_slice(b", \"trace_id\": ");
        write_str(out, &trace.to_string());
    }
    out.extend_from_slice(b", \"assignment\": ");
    match record.assignment.label() {
        Some(label) => write_str(out, label),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b", \"routing_key\": ");
    match &record.routing_key {
        Some(key) => write_str(out, key),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b", \"inputs\": ");
    match &record.inputs {
        Some(batch) => write_input(out, batch),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b", \"outputs\": ");
    match &record.outputs {
        Some(batch) => write_output(out, batch),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b", \"error\": ");
    match &record.error {
        Some(error) => {
            out.extend_from_slice(b"{\"kind\": ");
            write_str(out, error.kind);
            out.extend_from_slice(b", \"message\": ");
            write_str(out, &error.message);
            out.push(b'}');
        }
        None => out.extend_from_slice(b"null"),
    }
    write_timing(out, &record.timing);
    out.push(b'}');
}

fn write_timing(out: &mut Vec<u8>, timing: &Timing) {
    for (key, time) in [
        (&b", \"decode_us\": "[..], timing.decode),
        (b", \"queue_us\": ", timing.queue),
        (b", \"predict_us\": ", timing.predict),
        (b", \"encode_us\": ", timing.encode),
        (b", \"total_us\": ", timing.total),
    ] {
        out.extend_from_slice(key);
        write_f64(out, microseconds(time));
    }
}

fn write_feedback(out: &mut Vec<u8>, feedback: &Feedback) {
    out.extend_from_slice(b"{\"type\": \"feedback\", \"prediction_id\": \"");
    write_id(out, feedback.prediction_id);
    out.extend_from_slice(b"\", \"time\": \"");
    write_time(out, feedback.time);
    out.push(b'"');
    for (key, text) in [
        (&b", \"route\": "[..], &feedback.route),
        (b", \"variant\": ", &feedback.variant),
        (b", \"model\": ", &feedback.model),
        (b", \"version\": ", &feedback.version),
    ] {
        out.extend_from_slice(key);
        write_str(out, text);
    }
    out.extend_from_slice(b", \"kind\": ");
    write_str(out, &feedback.kind);
    out.extend_from_slice(b", \"value\": ");
    write_value(out, &feedback.value);
    out.push(b'}');
}

/// A duration in microseconds, to the nanosecond.
pub(super) fn microseconds(time: Duration) -> f64 {
    // Times of less than 104 days are exact; by 128 bits it takes ten times as long.
    let nanos = time.as_secs().saturating_mul(1_000_000_000);
    nanos.saturating_add(u64::from(time.subsec_nanos())) as f64 / 1e3
}

/// Appends a moment of UTC to the microsecond.
fn write_time(out: &mut Vec<u8>, time: Moment) {
    write_iso(out, time.micros().saturating_mul(1_000));
    out.push(b'Z');
}

/// Appends a moment of UTC, given in microseconds since the epoch, as text.
#[cfg(feature = "parquet")]
pub(super) fn write_time_of(out: &mut Vec<u8>, micros: i64) {
    out.push(b'"');
    write_iso(out, micros.saturating_mul(1_000));
    out.extend_from_slice(b"Z\"");
}

fn write_id(out: &mut Vec<u8>, id: Uuid) {
    let mut buffer = Uuid::encode_buffer();
    out.extend_from_slice(id.hyphenated().encode_lower(&mut buffer).as_bytes());
}

/// Appends a body that `/invocations` takes.
pub(super) fn write_input(out: &mut Vec<u8>, batch: &Batch) {
    match &batch.body {
        Body::Frame(frame) => {
            out.extend_from_slice(b"{\"dataframe_split\": ");
            write_split(out, frame);
        }
        Body::Array(tensor) => {
            out.extend_from_slice(b"{\"inputs\": ");
            write_tensor(out, tensor);
        }
        Body::Named(members) => {
            out.extend_from_slice(b"{\"inputs\": ");
            write_named(out, members);
        }
        Body::Value(value) => {
            out.extend_from_slice(b"{\"inputs\": ");
            write_value(out, value);
        }
    }
    if !batch.params.is_empty() {
        out.extend_from_slice(b", \"params\": ");
        write_params(out, &batch.params);
    }
    out.push(b'}');
}

/// Appends parameters as an object.
pub(super) fn write_params(out: &mut Vec<u8>, params: &Params) {
    object(
        out,
        params.iter().map(|(name, value)| (&**name, value)),
        write_value,
    );
}

/// Appends what `predictions` is in an answer: a list of one object a row for a table.
pub(super) fn write_output(out: &mut Vec<u8>, batch: &Batch) {
    match &batch.body {
        Body::Frame(frame) => list(out, 0..frame.rows(), |out, row| write_frame_row(out, frame, row)),
        Body::Array(tensor) => write_tensor(out, tensor),
        Body::Named(members) => write_named(out, members),
        Body::Value(value) => write_value(out, value),
    }
}

/// Appends one row of a table as an object.
pub(super) fn write_frame_row(out: &mut Vec<u8>, frame: &Frame, row: usize) {
    out.push(b'{');
    for (column, name) in frame.names().iter().enumerate() {
        separate(out, column);
        write_name_key(out, name);
        write_cell(out, frame, row, column);
    }
    out.push(b'}');
}

/// Appends one row of named arrays as an object; those that have fewer rows are left out.
#[cfg(feature = "parquet")]
pub(super) fn write_named_row(out: &mut Vec<u8>, members: &[(std::sync::Arc<str>, Tensor)], row: usize) {
    out.push(b'{');
    let with_row = members.iter().filter(|(_, tensor)| row < tensor.rows());
    for (position, (name, tensor)) in with_row.enumerate() {
        separate(out, position);
        write_str(out, name);
        out.extend_from_slice(b": ");
        write_row(out, tensor, row);
    }
    out.push(b'}');
}

fn write_split(out: &mut Vec<u8>, frame: &Frame) {
    out.extend_from_slice(b"{\"columns\": ");
    list(out, frame.names().iter(), |out, name| match name {
        Name::Text(name) => write_str(out, name),
        Name::Index(index) => write_i64(out, *index),
    });
    out.extend_from_slice(b", \"data\": ");
    list(out, 0..frame.rows(), |out, row| {
        list(out, 0..frame.width(), |out, column| {
            write_cell(out, frame, row, column);
        });
    });
    out.push(b'}');
}

fn write_name_key(out: &mut Vec<u8>, name: &Name) {
    match name {
        Name::Text(name) => write_str(out, name),
        Name::Index(index) => {
            out.push(b'"');
            write_i64(out, *index);
            out.push(b'"');
        }
    }
    out.extend_from_slice(b": ");
}

pub(super) fn write_cell(out: &mut Vec<u8>, frame: &Frame, row: usize, column: usize) {
    match frame.columns() {
        Columns::Matrix(matrix) => write_element(out, matrix.elements(), row * frame.width() + column),
        Columns::Separate(columns) => match columns.get(column) {
            Some(column) => write_row(out, column, row),
            None => out.extend_from_slice(b"null"),
        },
    }
}

fn write_named(out: &mut Vec<u8>, members: &[(std::sync::Arc<str>, Tensor)]) {
    object(
        out,
        members.iter().map(|(name, tensor)| (&**name, tensor)),
        write_tensor,
    );
}

/// Appends a tensor as nested lists; one without axes as its element.
pub(super) fn write_tensor(out: &mut Vec<u8>, tensor: &Tensor) {
    write_axes(out, tensor.elements(), tensor.shape(), 0);
}

/// Appends one row of a tensor.
pub(super) fn write_row(out: &mut Vec<u8>, tensor: &Tensor, row: usize) {
    let inner = tensor.shape().get(1..).unwrap_or_default();
    write_axes(
        out,
        tensor.elements(),
        inner,
        row.saturating_mul(tensor.row_len()),
    );
}

/// Appends the elements from `start` on that have this shape.
fn write_axes(out: &mut Vec<u8>, elements: &Elements, shape: &[usize], start: usize) {
    let Some((&extent, inner)) = shape.split_first() else {
        write_element(out, elements, start);
        return;
    };
    let step = crate::model::tensor::element_count(inner);
    list(out, 0..extent, |out, position| {
        write_axes(out, elements, inner, start + position * step);
    });
}

/// Appends one element.
pub(super) fn write_element(out: &mut Vec<u8>, elements: &Elements, at: usize) {
    /// The element, or `null` beyond the end.
    fn one<T>(out: &mut Vec<u8>, vector: &[T], at: usize, write: impl FnOnce(&mut Vec<u8>, &T)) {
        match vector.get(at) {
            Some(element) => write(out, element),
            None => out.extend_from_slice(b"null"),
        }
    }
    match elements {
        Elements::Bool(vector) => one(out, vector, at, |out, flag| write_bool(out, *flag)),
        Elements::I8(vector) => one(out, vector, at, |out, int| write_i64(out, i64::from(*int))),
        Elements::I16(vector) => one(out, vector, at, |out, int| write_i64(out, i64::from(*int))),
        Elements::I32(vector) => one(out, vector, at, |out, int| write_i64(out, i64::from(*int))),
        Elements::I64(vector) => one(out, vector, at, |out, int| write_i64(out, *int)),
        Elements::U8(vector) => one(out, vector, at, |out, int| write_u64(out, u64::from(*int))),
        Elements::U16(vector) => one(out, vector, at, |out, int| write_u64(out, u64::from(*int))),
        Elements::U32(vector) => one(out, vector, at, |out, int| write_u64(out, u64::from(*int))),
        Elements::U64(vector) => one(out, vector, at, |out, int| write_u64(out, *int)),
        Elements::F16(vector) => one(out, vector, at, |out, float| write_f64(out, float.to_f64())),
        Elements::F32(vector) => one(out, vector, at, |out, float| write_f64(out, f64::from(*float))),
        Elements::F64(vector) => one(out, vector, at, |out, float| write_f64(out, *float)),
        Elements::Str(vector) => one(out, vector, at, |out, text| write_str(out, text)),
        Elements::Datetime(vector) => one(out, vector, at, |out, moment| write_moment(out, *moment)),
        Elements::Object(vector) => one(out, vector, at, write_value),
    }
}

fn write_moment(out: &mut Vec<u8>, nanoseconds: i64) {
    if nanoseconds == i64::MIN {
        out.extend_from_slice(b"null");
        return;
    }
    out.push(b'"');
    write_iso(out, nanoseconds);
    out.push(b'"');
}

/// Appends a value. Bytes are base64.
pub(super) fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(flag) => write_bool(out, *flag),
        Value::Int(int) => write_i64(out, *int),
        Value::BigInt(digits) => out.extend_from_slice(digits.as_bytes()),
        Value::Float(float) => write_f64(out, *float),
        Value::Str(text) => write_str(out, text),
        Value::Bytes(bytes) => write_str(out, &STANDARD.encode(bytes)),
        Value::Tensor(tensor) => write_tensor(out, tensor),
        Value::List(items) => list(out, items.iter(), write_value),
        Value::Map(entries) => object(
            out,
            entries.iter().map(|(key, value)| (&**key, value)),
            write_value,
        ),
    }
}

fn write_bool(out: &mut Vec<u8>, flag: bool) {
    out.extend_from_slice(if flag { b"true" } else { b"false" });
}

fn separate(out: &mut Vec<u8>, position: usize) {
    if position > 0 {
        out.extend_from_slice(b", ");
    }
}

fn list<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, write: impl Fn(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (position, item) in items.enumerate() {
        separate(out, position);
        write(out, item);
    }
    out.push(b']');
}

fn object<'a, T: 'a>(
    out: &mut Vec<u8>,
    entries: impl Iterator<Item = (&'a str, &'a T)>,
    write: impl Fn(&mut Vec<u8>, &T),
) {
    out.push(b'{');
    for (position, (key, value)) in entries.enumerate() {
        separate(out, position);
        write_str(out, key);
        out.extend_from_slice(b": ");
        write(out, value);
    }
    out.push(b'}');
}

/// Appends a string literal in UTF-8: only what JSON demands is escaped.
pub(super) fn write_str(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text.as_bytes();
    // Runs of plain bytes are copied whole; every byte of a longer character is one.
    while let Some(position) = rest
        .iter()
        .position(|&byte| byte < b' ' || byte == b'"' || byte == b'\\')
    {
        let (plain, from) = rest.split_at(position);
        out.extend_from_slice(plain);
        if let Some((&byte, after)) = from.split_first() {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                _ => {
                    let low = HEX.get(usize::from(byte & 0xf)).copied().unwrap_or(b'0');
                    out.extend_from_slice(b"\\u00");
                    out.push(b'0' + (byte >> 4));
                    out.push(low);
                }
            }
            rest = after;
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn inputs_are_bodies_and_outputs_predictions() {
        let matrix = Tensor::new([2, 2].as_slice(), Elements::F32(vec![0.5, 1.0, 2.0, f32::NAN])).unwrap();
        let names = vec!["a".into(), Name::Index(1)].into();
        let frame = Frame::new(2, names, Columns::Matrix(matrix.clone())).unwrap();
        let batch = Batch::new(Body::Frame(frame));
        assert_eq!(
            text(|out| write_input(out, &batch)),
            r#"{"dataframe_split": {"columns": ["a", 1], "data": [[0.5, 1.0], [2.0, NaN]]}}"#
        );
        assert_eq!(
            text(|out| write_output(out, &batch)),
            r#"[{"a": 0.5, "1": 1.0}, {"a": 2.0, "1": NaN}]"#
        );
        let mut batch = Batch::new(Body::Named(vec![("x".into(), matrix)]));
        batch.params.push(("top_k".into(), Value::Int(3)));
        assert_eq!(
            text(|out| write_input(out, &batch)),
            r#"{"inputs": {"x": [[0.5, 1.0], [2.0, NaN]]}, "params": {"top_k": 3}}"#
        );
        assert_eq!(
            text(|out| write_output(out, &batch)),
            r#"{"x": [[0.5, 1.0], [2.0, NaN]]}"#
        );
    }

    #[test]
    fn odd_values_have_a_form() {
        let moments = Tensor::vector(Elements::Datetime(vec![0, i64::MIN]));
        let value = Value::List(vec![
            Value::Bytes(vec![0, 255]),
            Value::BigInt("123456789012345678901".into()),
            Value::Tensor(Box::new(moments)),
            Value::Map(vec![("k\n".into(), Value::Null)]),
        ]);
        assert_eq!(
            text(|out| write_value(out, &value)),
            r#"["AP8=", 123456789012345678901, ["1970-01-01T00:00:00", null], {"k\n": null}]"#
        );
    }

    proptest! {
        #[test]
        fn text_reads_back_as_itself(any in any::<String>()) {
            let written = text(|out| write_str(out, &any));
            prop_assert!(!written.contains('\n'));
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), any);
        }
    }
}
