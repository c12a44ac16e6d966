//! What a prediction is in fields of text and numbers.

use crate::model::batch::{Batch, Body, Columns, Frame};
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;

use super::super::json;

/// Columns of a table that are fields of their own; of wider ones the table is one.
const MAX_COLUMNS: usize = 90;
/// What a field is called that has no name.
const INPUTS: &str = "inputs";
const PREDICTION: &str = "prediction";

/// The inputs as names and texts: a field a column, whose text is its value in one row, or a list of those of all rows.
pub(super) fn texts(batch: &Batch) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    match &batch.body {
        Body::Frame(frame) if frame.width() <= MAX_COLUMNS => {
            for (column, name) in frame.names().iter().enumerate() {
                fields.push((name.to_string(), column_text(frame, column)));
            }
        }
        Body::Named(members) if members.len() <= MAX_COLUMNS => {
            for (name, tensor) in members {
                fields.push((name.to_string(), tensor_text(tensor)));
            }
        }
        Body::Array(tensor) => fields.push((INPUTS.to_owned(), tensor_text(tensor))),
        Body::Value(value) => fields.push((INPUTS.to_owned(), text(|out| json::write_value(out, value)))),
        // What `/invocations` would take again.
        Body::Frame(_) | Body::Named(_) => {
            let body = &Batch::new(batch.body.clone());
            fields.push((INPUTS.to_owned(), text(|out| json::write_input(out, body))));
        }
    }
    for (name, value) in &batch.params {
        fields.push((format!("params.{name}"), value_text(value)));
    }
    fields
}

/// The predictions as names, rows and numbers, at most so many numbers; and whether something is no number.
pub(super) fn numbers(batch: &Batch, limit: usize) -> (Vec<(String, usize, f64)>, bool) {
    let mut found = Found {
        numbers: Vec::new(),
        others: false,
        limit,
    };
    match &batch.body {
        Body::Array(tensor) => found.add(PREDICTION, tensor),
        Body::Named(members) => {
            for (name, tensor) in members {
                found.add(&member(name, members.len()), tensor);
            }
        }
        Body::Frame(frame) => {
            for (column, name) in frame.names().iter().enumerate() {
                let name = member(&name.to_string(), frame.width());
                match frame.columns() {
                    Columns::Matrix(matrix) => {
                        let width = frame.width();
                        for row in 0..frame.rows() {
                            found.add_one(&name, row, matrix.elements(), row * width + column);
                        }
                    }
                    Columns::Separate(columns) => {
                        if let Some(column) = columns.get(column) {
                            found.add(&name, column);
                        }
                    }
                }
            }
        }
        Body::Value(value) => match number_of(value) {
            Some(number) => found.numbers.push((PREDICTION.to_owned(), 0, number)),
            None => found.others = true,
        },
    }
    (found.numbers, found.others)
}

/// The name of one of several outputs; one alone is the prediction.
fn member(name: &str, of: usize) -> String {
    match of {
        1 => PREDICTION.to_owned(),
        _ => format!("{PREDICTION}.{name}"),
    }
}

struct Found {
    numbers: Vec<(String, usize, f64)>,
    others: bool,
    limit: usize,
}

impl Found {
    fn add(&mut self, name: &str, tensor: &Tensor) {
        let width = tensor.row_len();
        let rows = if tensor.shape().is_empty() {
            1
        } else {
            tensor.rows()
        };
        for row in 0..rows {
            for position in 0..width {
                if self.numbers.len() >= self.limit {
                    return;
                }
                let at = row * width + position;
                match width {
                    1 => self.add_one(name, row, tensor.elements(), at),
                    _ => self.add_one(&format!("{name}.{position}"), row, tensor.elements(), at),
                }
            }
        }
    }

    fn add_one(&mut self, name: &str, row: usize, elements: &Elements, at: usize) {
        if self.numbers.len() >= self.limit {
            return;
        }
        match number(elements, at) {
            Some(number) => self.numbers.push((name.to_owned(), row, number)),
            None => self.others = true,
        }
    }
}

/// The element as a number, if it is one.
fn number(elements: &Elements, at: usize) -> Option<f64> {
    match elements {
        Elements::Bool(all) => all.get(at).map(|flag| f64::from(u8::from(*flag))),
        Elements::I8(all) => all.get(at).map(|int| f64::from(*int)),
        Elements::I16(all) => all.get(at).map(|int| f64::from(*int)),
        Elements::I32(all) => all.get(at).map(|int| f64::from(*int)),
        Elements::I64(all) => all.get(at).map(|int| *int as f64),
        Elements::U8(all) => all.get(at).map(|int| f64::from(*int)),
        Elements::U16(all) => all.get(at).map(|int| f64::from(*int)),
        Elements::U32(all) => all.get(at).map(|int| f64::from(*int)),
        Elements::U64(all) => all.get(at).map(|int| *int as f64),
        Elements::F16(all) => all.get(at).map(|float| float.to_f64()),
        Elements::F32(all) => all.get(at).map(|float| f64::from(*float)),
        Elements::F64(all) => all.get(at).copied(),
        Elements::Object(all) => all.get(at).and_then(number_of),
        Elements::Str(_) | Elements::Datetime(_) => None,
    }
}

fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Int(int) => Some(*int as f64),
        Value::Float(float) => Some(*float),
        _ => None,
    }
}

fn column_text(frame: &Frame, column: usize) -> String {
    if let Columns::Separate(columns) = frame.columns() {
        return columns.get(column).map(tensor_text).unwrap_or_default();
    }
    text(|out| match frame.rows() {
        1 => json::write_cell(out, frame, 0, column),
        rows => {
            for row in 0..rows {
                out.extend_from_slice(if row == 0 { b"[" } else { b", " });
                json::write_cell(out, frame, row, column);
            }
            out.push(b']');
        }
    })
}

/// A tensor of one row as that row, texts without quotes; others as a list.
fn tensor_text(tensor: &Tensor) -> String {
    match (tensor.elements(), tensor.shape()) {
        (Elements::Str(texts), [1]) => texts.first().cloned().unwrap_or_default(),
        (Elements::Object(values), [1]) => values.first().map(value_text).unwrap_or_default(),
        (_, [1]) => text(|out| json::write_row(out, tensor, 0)),
        _ => text(|out| json::write_tensor(out, tensor)),
    }
}

/// A value; text without quotes.
fn value_text(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        value => text(|out| json::write_value(out, value)),
    }
}

/// What is written, as text.
pub(super) fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap_or_default()
}
