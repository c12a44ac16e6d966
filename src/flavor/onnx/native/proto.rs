//! An ONNX file as nodes, attributes and tensors: as much of its protobuf as graphs of covered operators have.
//!
//! What is not read is refused where it would matter: graphs within nodes, functions, tensors in other files, sparse
//! ones. Nothing nests deeper than the messages named here.

use crate::flavor::refusal::{Refusal, refuse};

/// A model's main graph, and the versions of the operators.
#[derive(Debug, Default)]
pub(super) struct Model<'a> {
    /// Version of the operators by domain.
    pub(super) versions: Vec<(&'a str, i64)>,
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) initializers: Vec<Tensor<'a>>,
    pub(super) inputs: Vec<Port<'a>>,
    pub(super) outputs: Vec<Port<'a>>,
}

/// One operator.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub(super) operator: &'a str,
    pub(super) domain: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// A parameter of an operator; only the fields of its type are filled.
#[derive(Debug, Default)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) float: f32,
    pub(super) int: i64,
    pub(super) text: &'a [u8],
    pub(super) tensor: Option<Tensor<'a>>,
    pub(super) floats: Vec<f32>,
    pub(super) ints: Vec<i64>,
    pub(super) texts: Vec<&'a [u8]>,
    /// It holds a graph, a sparse tensor, a type, or stands for a parameter of a function.
    pub(super) other: bool,
}

/// A constant.
#[derive(Debug, Default)]
pub(super) struct Tensor<'a> {
    pub(super) name: &'a str,
    pub(super) shape: Vec<i64>,
    /// Number of the element type.
    pub(super) element: i32,
    pub(super) floats: Vec<f32>,
    pub(super) doubles: Vec<f64>,
    /// Of all narrower integers.
    pub(super) ints: Vec<i64>,
    pub(super) texts: Vec<&'a [u8]>,
    pub(super) raw: Option<&'a [u8]>,
    /// The elements are in another file.
    pub(super) external: bool,
}

/// An input or output of the graph.
#[derive(Debug, Default)]
pub(super) struct Port<'a> {
    pub(super) name: &'a str,
    /// Number of the element type, when it is a tensor.
    pub(super) element: Option<i32>,
    /// Extents, -1 for any; nothing for an unknown rank.
    pub(super) shape: Option<Vec<i64>>,
}

/// Decodes a model.
///
/// # Errors
/// When the bytes are no protobuf of an ONNX model, or it has functions.
pub(super) fn decode(bytes: &[u8]) -> Result<Model<'_>, Refusal> {
    let mut model = Model::default();
    each(bytes, |number, value| {
        match (number, value) {
            (7, Value::Bytes(graph)) => return graph_into(graph, &mut model),
            (8, Value::Bytes(entry)) => {
                let (mut domain, mut version) = ("", 0);
                each(entry, |number, value| {
                    match (number, value) {
                        (1, Value::Bytes(bytes)) => domain = text(bytes)?,
                        (2, Value::Number(number)) => version = number as i64,
                        _ => {}
                    }
                    Ok(())
                })?;
                model.versions.push((domain, version));
            }
            (25, _) => refuse!("the model has functions of its own"),
            _ => {}
        }
        Ok(())
    })?;
    Ok(model)
}

fn graph_into<'a>(bytes: &'a [u8], model: &mut Model<'a>) -> Result<(), Refusal> {
    each(bytes, |number, value| {
        let Value::Bytes(bytes) = value else {
            return Ok(());
        };
        match number {
            1 => model.nodes.push(node(bytes)?),
            5 => model.initializers.push(tensor(bytes)?),
            11 => model.inputs.push(port(bytes)?),
            12 => model.outputs.push(port(bytes)?),
            15 => refuse!("the graph has sparse constants"),
            _ => {}
        }
        Ok(())
    })
}

fn node(bytes: &[u8]) -> Result<Node<'_>, Refusal> {
    let mut node = Node::default();
    each(bytes, |number, value| {
        let Value::Bytes(bytes) = value else {
            return Ok(());
        };
        match number {
            1 => node.inputs.push(text(bytes)?),
            2 => node.outputs.push(text(bytes)?),
            4 => node.operator = text(bytes)?,
            5 => node.attributes.push(attribute(bytes)?),
            7 => node.domain = text(bytes)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(node)
}

fn attribute(bytes: &[u8]) -> Result<Attribute<'_>, Refusal> {
    let mut found = Attribute::default();
    each(bytes, |number, value| {
        match (number, value) {
            (1, Value::Bytes(bytes)) => found.name = text(bytes)?,
            (2, Value::Fixed4(bits)) => found.float = f32::from_bits(bits),
            (3, Value::Number(number)) => found.int = number as i64,
            (4, Value::Bytes(bytes)) => found.text = bytes,
            (5, Value::Bytes(bytes)) => found.tensor = Some(tensor(bytes)?),
            (7, value) => floats(value, &mut found.floats)?,
            (8, value) => ints(value, &mut found.ints)?,
            (9, Value::Bytes(bytes)) => found.texts.push(bytes),
            (6 | 10 | 11 | 14 | 15 | 21 | 22 | 23, _) => found.other = true,
            _ => {}
        }
        Ok(())
    })?;
    Ok(found)
}

fn tensor(bytes: &[u8]) -> Result<Tensor<'_>, Refusal> {
    let mut found = Tensor::default();
    each(bytes, |number, value| {
        match (number, value) {
            (1, value) => ints(value, &mut found.shape)?,
            (2, Value::Number(number)) => found.element = number as i32,
            (4, value) => floats(value, &mut found.floats)?,
            (5 | 7, value) => ints(value, &mut found.ints)?,
            (6, Value::Bytes(bytes)) => found.texts.push(bytes),
            (8, Value::Bytes(bytes)) => found.name = text(bytes)?,
            (9, Value::Bytes(bytes)) => found.raw = Some(bytes),
            (10, value) => doubles(value, &mut found.doubles)?,
            (13, _) => found.external = true,
            (14, Value::Number(number)) => found.external |= number != 0,
            _ => {}
        }
        Ok(())
    })?;
    Ok(found)
}

fn port(bytes: &[u8]) -> Result<Port<'_>, Refusal> {
    let mut port = Port::default();
    each(bytes, |number, value| {
        match (number, value) {
            (1, Value::Bytes(bytes)) => port.name = text(bytes)?,
            // type → tensor_type → (elem_type, shape)
            (2, Value::Bytes(bytes)) => each(bytes, |number, value| match (number, value) {
                (1, Value::Bytes(bytes)) => each(bytes, |number, value| {
                    match (number, value) {
                        (1, Value::Number(element)) => port.element = Some(element as i32),
                        (2, Value::Bytes(bytes)) => port.shape = Some(extents(bytes)?),
                        _ => {}
                    }
                    Ok(())
                }),
                _ => Ok(()),
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(port)
}

fn extents(bytes: &[u8]) -> Result<Vec<i64>, Refusal> {
    let mut shape = Vec::new();
    each(bytes, |number, value| {
        if let (1, Value::Bytes(bytes)) = (number, value) {
            let mut extent = -1;
            each(bytes, |number, value| {
                if let (1, Value::Number(number)) = (number, value) {
                    extent = i64::try_from(number).unwrap_or(-1);
                }
                Ok(())
            })?;
            shape.push(extent);
        }
        Ok(())
    })?;
    Ok(shape)
}

// === the wire format ===

#[derive(Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Fixed4(u32),
    Fixed8(u64),
    Bytes(&'a [u8]),
}

/// Calls `found` with each field of a message.
fn each<'a>(
    mut bytes: &'a [u8],
    mut found: impl FnMut(u32, Value<'a>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)?),
            1 => Value::Fixed8(u64::from_le_bytes(chunk(&mut bytes)?)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).unwrap_or(usize::MAX);
                let Some((taken, rest)) = bytes.split_at_checked(length) else {
                    refuse!("the file is cut off");
                };
                bytes = rest;
                Value::Bytes(taken)
            }
            5 => Value::Fixed4(u32::from_le_bytes(chunk(&mut bytes)?)),
            _ => refuse!("the file is not an ONNX model"),
        };
        found(u32::try_from(key >> 3).unwrap_or(0), value)?;
    }
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Refusal> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let Some((&byte, rest)) = bytes.split_first() else {
            refuse!("the file is cut off");
        };
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    refuse!("the file is not an ONNX model");
}

fn chunk<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Refusal> {
    match bytes.split_first_chunk::<N>() {
        Some((chunk, rest)) => {
            *bytes = rest;
            Ok(*chunk)
        }
        None => refuse!("the file is cut off"),
    }
}

fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(_) => refuse!("a name in the file is no UTF-8"),
    }
}

/// Repeated numbers, packed or one by one.
fn ints(value: Value<'_>, into: &mut Vec<i64>) -> Result<(), Refusal> {
    match value {
        Value::Number(number) => into.push(number as i64),
        Value::Bytes(mut bytes) => {
            while !bytes.is_empty() {
                into.push(varint(&mut bytes)? as i64);
            }
        }
        _ => refuse!("the file is not an ONNX model"),
    }
    Ok(())
}

fn floats(value: Value<'_>, into: &mut Vec<f32>) -> Result<(), Refusal> {
    match value {
        Value::Fixed4(bits) => into.push(f32::from_bits(bits)),
        Value::Bytes(mut bytes) => {
            while !bytes.is_empty() {
                into.push(f32::from_le_bytes(chunk(&mut bytes)?));
            }
        }
        _ => refuse!("the file is not an ONNX model"),
    }
    Ok(())
}

fn doubles(value: Value<'_>, into: &mut Vec<f64>) -> Result<(), Refusal> {
    match value {
        Value::Fixed8(bits) => into.push(f64::from_bits(bits)),
        Value::Bytes(mut bytes) => {
            while !bytes.is_empty() {
                into.push(f64::from_le_bytes(chunk(&mut bytes)?));
            }
        }
        _ => refuse!("the file is not an ONNX model"),
    }
    Ok(())
}
