//! Answers: `{"predictions": …}`, byte for byte as Python's `json.dump` writes it.

mod element;
mod frame;
pub(crate) mod text;

use crate::model::batch::{Batch, Body};
use crate::model::number;
use crate::model::tensor::{Elements, Tensor, each_elements};
use crate::model::value::Value;
use crate::protocol::Reply;
use crate::serve::error::{Error, Kind};

use element::Element;

/// Lists of a model's output may nest this deep; the bound keeps a hostile model from exhausting the stack.
const MAX_DEPTH: usize = 256;

/// Appends the answer to `out`. When it fails, `out` is as it was.
///
/// # Errors
/// [`Kind::Internal`] for values nested deeper than any answer can be.
pub fn encode(output: &Batch, reply: Reply, out: &mut Vec<u8>) -> Result<(), Error> {
    let start = out.len();
    out.reserve(expected_bytes(&output.body));
    let result = write_answer(&output.body, reply, out);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn write_answer(body: &Body, reply: Reply, out: &mut Vec<u8>) -> Result<(), Error> {
    if reply == Reply::Wrapped {
        out.extend_from_slice(b"{\"predictions\": ");
    }
    match body {
        Body::Frame(table) => frame::write(table, out)?,
        Body::Array(tensor) => write_tensor(tensor, 0, out)?,
        Body::Named(members) => {
            out.push(b'{');
            for (position, (name, tensor)) in members.iter().enumerate() {
                separate(position, out);
                text::write_str(out, name);
                out.extend_from_slice(b": ");
                write_tensor(tensor, 0, out)?;
            }
            out.push(b'}');
        }
        Body::Value(value) => write_value(value, 0, out)?,
    }
    if reply == Reply::Wrapped {
        out.push(b'}');
    }
    Ok(())
}

/// A guess of the answer's length that is seldom too small for numbers, so that the vector rarely grows.
fn expected_bytes(body: &Body) -> usize {
    const ENVELOPE: usize = 32;
    let members = match body {
        Body::Frame(table) => {
            let keys: usize = table
                .names()
                .iter()
                .map(|name| name.as_text().map_or(4, str::len) + 6)
                .sum();
            table.rows().saturating_mul(keys + 22 * table.width())
        }
        Body::Array(tensor) => tensor_bytes(tensor),
        Body::Named(members) => members
            .iter()
            .map(|(name, tensor)| name.len() + 6 + tensor_bytes(tensor))
            .sum(),
        Body::Value(_) => 64,
    };
    // A guess must not become a way to ask for all memory.
    ENVELOPE + members.min(64 << 20)
}

fn tensor_bytes(tensor: &Tensor) -> usize {
    let element = match tensor.elements() {
        Elements::F64(_) | Elements::F32(_) | Elements::F16(_) | Elements::Datetime(_) => 22,
        _ => 8,
    };
    tensor
        .elements()
        .len()
        .saturating_mul(element)
        .saturating_add(tensor.rows().saturating_mul(4))
}

/// Appends nested lists; a tensor without axes is its one element. Moments become integers, as NumPy's `tolist` has it.
fn write_tensor(tensor: &Tensor, depth: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    each_elements!(tensor.elements(), vector => write_nested(tensor.shape(), vector, depth, out))
}

/// Appends one row of a tensor with rows on axis 0: nested lists of the other axes, or the element.
fn write_row(tensor: &Tensor, row: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    let inner = tensor.shape().get(1..).unwrap_or_default();
    let stride = tensor.row_len();
    each_elements!(tensor.elements(), vector => {
        write_nested(inner, vector.get(row * stride..(row + 1) * stride).unwrap_or_default(), 1, out)
    })
}

fn write_nested<T: Element>(
    shape: &[usize],
    elements: &[T],
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    let Some((&extent, inner)) = shape.split_first() else {
        return elements
            .first()
            .map_or(Ok(()), |element| element.write(depth, out));
    };
    out.push(b'[');
    if inner.is_empty() {
        for (position, element) in elements.iter().enumerate() {
            separate(position, out);
            element.write(depth, out)?;
        }
    } else {
        let stride = elements.len().checked_div(extent).unwrap_or(0);
        for position in 0..extent {
            separate(position, out);
            let part = elements
                .get(position * stride..(position + 1) * stride)
                .unwrap_or_default();
            write_nested(inner, part, depth + 1, out)?;
        }
    }
    out.push(b']');
    Ok(())
}

pub(super) fn write_value(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Int(int) => number::write_i64(out, *int),
        Value::BigInt(digits) => out.extend_from_slice(digits.as_bytes()),
        Value::Float(float) => number::write_f64(out, *float),
        Value::Str(text) => text::write_str(out, text),
        Value::Bytes(bytes) => text::write_bytes(out, bytes),
        Value::Tensor(tensor) => write_tensor(tensor, depth + 1, out)?,
        Value::List(items) => {
            out.push(b'[');
            for (position, item) in items.iter().enumerate() {
                separate(position, out);
                write_value(item, depth + 1, out)?;
            }
            out.push(b']');
        }
        Value::Map(entries) => {
            out.push(b'{');
            for (position, (key, item)) in entries.iter().enumerate() {
                separate(position, out);
                text::write_str(out, key);
                out.extend_from_slice(b": ");
                write_value(item, depth + 1, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Appends the comma before every member but the first.
fn separate(position: usize, out: &mut Vec<u8>) {
    if position > 0 {
        out.extend_from_slice(b", ");
    }
}

#[cold]
fn too_deep() -> Error {
    Error::new(
        Kind::Internal,
        format!("the model's output nests more than {MAX_DEPTH} lists"),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn check(body: Body, expected: &str) {
        let mut out = Vec::new();
        encode(&Batch::new(body), Reply::Bare, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn axes_without_extent_are_empty_lists() {
        check(
            Body::Array(Tensor::new([0].as_slice(), Elements::F32(vec![])).unwrap()),
            "[]",
        );
        check(
            Body::Array(Tensor::new([2, 0].as_slice(), Elements::F32(vec![])).unwrap()),
            "[[], []]",
        );
        check(
            Body::Array(Tensor::new([0, 3].as_slice(), Elements::F32(vec![])).unwrap()),
            "[]",
        );
    }

    #[test]
    fn three_axes_nest_three_lists() {
        let tensor = Tensor::new([2, 1, 2].as_slice(), Elements::I64(vec![1, 2, 3, 4])).unwrap();
        check(Body::Array(tensor), "[[[1, 2]], [[3, 4]]]");
    }

    #[test]
    fn named_arrays_are_an_object() {
        let member = Tensor::vector(Elements::F16(vec![half::f16::from_f32(0.1)]));
        check(
            Body::Named(vec![(Arc::from("é"), member)]),
            r#"{"\u00e9": [0.0999755859375]}"#,
        );
    }

    #[test]
    fn an_object_array_holds_anything() {
        let values = vec![
            Value::Null,
            Value::Bytes(b"ab".to_vec()),
            Value::BigInt("123456789012345678901234567890".into()),
            Value::Map(vec![("0".into(), Value::Float(0.98))]),
            Value::Tensor(Box::new(Tensor::vector(Elements::Bool(vec![true])))),
        ];
        let expected = r#"[null, "YWI=\n", 123456789012345678901234567890, {"0": 0.98}, [true]]"#;
        check(Body::Array(Tensor::vector(Elements::Object(values))), expected);
    }

    #[test]
    fn a_bottomless_value_is_refused_and_leaves_nothing_behind() {
        let mut value = Value::Null;
        for _ in 0..1_000 {
            value = Value::List(vec![value]);
        }
        let mut out = b"kept".to_vec();
        let error = encode(&Batch::new(Body::Value(value)), Reply::Wrapped, &mut out).unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        assert_eq!(out, b"kept");
    }
}
