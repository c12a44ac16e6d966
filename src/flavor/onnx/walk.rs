//! A walk over the protobuf of an ONNX model that finds what has to be known before an engine may open it.
//!
//! An ONNX file can name other files to read tensors from. Engines follow such names, so they are collected here
//! first, by a reader that looks at nothing else: it skips every field it has no use for, tensors above all, descends at
//! most 64 levels, and holds no more than one small field in memory. It asks the system for little at a time: while a
//! read of a large file is under way in the kernel, nothing else may run on that core.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek};

/// Deepest nesting of messages that is followed; real models stay below 20.
const MAX_DEPTH: usize = 64;

/// Longest field that is read as a whole: the type of a graph's input, or the place of a tensor.
const MAX_SMALL: u64 = 1 << 20;

/// Bytes asked for at a time.
const PIECE: usize = 64 << 10;

/// What a model file says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Distinct paths of external tensor data, as written.
    pub external: Vec<String>,
    /// Names and kinds of graph inputs or outputs that are neither tensors, nor lists of tensors or maps, nor maps.
    pub exotic: Vec<(String, &'static str)>,
}

/// Why bytes are not an ONNX model that can be walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// A field ends after its message does.
    #[error("the file is cut off or is not an ONNX model")]
    Truncated,
    /// A field has a kind that protobuf does not have, or is of another kind than in ONNX.
    #[error("the file is not an ONNX model")]
    Malformed,
    /// Nested deeper than any real model.
    #[error("the graph is nested deeper than {MAX_DEPTH} levels")]
    Deep,
    /// No graph in it.
    #[error("the file holds no graph")]
    Empty,
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Read(ErrorKind),
}

impl From<io::Error> for WalkError {
    fn from(error: io::Error) -> WalkError {
        match error.kind() {
            ErrorKind::UnexpectedEof => WalkError::Truncated,
            kind => WalkError::Read(kind),
        }
    }
}

/// Walks a model file of that many bytes.
///
/// # Errors
/// When it is no protobuf of the shape of an ONNX model, or cannot be read.
pub fn walk(file: impl Read + Seek, length: u64) -> Result<Survey, WalkError> {
    let mut walker = Walker {
        reader: BufReader::with_capacity(PIECE, file),
        at: 0,
        survey: Survey::default(),
        graphs: 0,
    };
    walker.message(Message::Model, length, MAX_DEPTH)?;
    if walker.graphs == 0 {
        return Err(WalkError::Empty);
    }
    Ok(walker.survey)
}

struct Walker<R> {
    reader: BufReader<R>,
    /// Position in the file.
    at: u64,
    survey: Survey,
    graphs: usize,
}

impl<R: Read + Seek> Walker<R> {
    /// Goes through the fields of a message that ends there.
    fn message(&mut self, message: Message, end: u64, depth: usize) -> Result<(), WalkError> {
        while self.at < end {
            let (number, wire) = key(self.varint(end)?)?;
            let child = child(message, number);
            let length = match wire {
                Wire::Varint | Wire::Fixed(_) if child.is_some() => return Err(WalkError::Malformed),
                Wire::Varint => {
                    self.varint(end)?;
                    continue;
                }
                Wire::Fixed(length) => {
                    self.skip(length, end)?;
                    continue;
                }
                Wire::Bytes => self.varint(end)?,
            };
            if message == Message::Model && number == 7 {
                self.graphs += 1;
            }
            match child {
                Some(child) => self.child(child, length, end, depth)?,
                None => self.skip(length, end)?,
            }
        }
        Ok(())
    }

    fn child(&mut self, message: Message, length: u64, end: u64, depth: usize) -> Result<(), WalkError> {
        match message {
            Message::Entry => entry(&self.small(length, end)?, &mut self.survey),
            // Ports of inner graphs are values of the graph around them, which the engines check.
            Message::Port if depth == MAX_DEPTH - 1 => port(&self.small(length, end)?, &mut self.survey),
            Message::Port => self.skip(length, end),
            _ => {
                let depth = depth.checked_sub(1).ok_or(WalkError::Deep)?;
                let end = self.end_of(length, end)?;
                self.message(message, end, depth)
            }
        }
    }

    /// Where a field of that length ends, which its message must not do before.
    fn end_of(&self, length: u64, end: u64) -> Result<u64, WalkError> {
        let own = self.at.checked_add(length).ok_or(WalkError::Truncated)?;
        if own > end {
            return Err(WalkError::Truncated);
        }
        Ok(own)
    }

    fn varint(&mut self, end: u64) -> Result<u64, WalkError> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            if self.at >= end {
                return Err(WalkError::Truncated);
            }
            let &byte = self.reader.fill_buf()?.first().ok_or(WalkError::Truncated)?;
            self.reader.consume(1);
            self.at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WalkError::Malformed)
    }

    fn skip(&mut self, length: u64, end: u64) -> Result<(), WalkError> {
        self.at = self.end_of(length, end)?;
        let length = i64::try_from(length).map_err(|_| WalkError::Truncated)?;
        Ok(self.reader.seek_relative(length)?)
    }

    fn small(&mut self, length: u64, end: u64) -> Result<Vec<u8>, WalkError> {
        self.at = self.end_of(length, end)?;
        let length = usize::try_from(length.min(MAX_SMALL + 1)).map_err(|_| WalkError::Malformed)?;
        if length as u64 > MAX_SMALL {
            return Err(WalkError::Malformed);
        }
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// The messages of ONNX that can hold a tensor, or hold one that can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Function,
    Training,
    Graph,
    Node,
    Attribute,
    Sparse,
    Tensor,
    /// An entry of `TensorProto.external_data`.
    Entry,
    /// `ValueInfoProto` of a graph input or output.
    Port,
}

/// The message a field holds, when it is one that is followed.
fn child(message: Message, field: u32) -> Option<Message> {
    Some(match (message, field) {
        (Message::Model, 7) | (Message::Training, 1 | 2) | (Message::Attribute, 6 | 11) => Message::Graph,
        (Message::Model, 20) => Message::Training,
        (Message::Model, 25) => Message::Function,
        (Message::Function, 7) | (Message::Graph, 1) => Message::Node,
        (Message::Function, 11) | (Message::Node, 5) => Message::Attribute,
        (Message::Graph, 5) | (Message::Attribute, 5 | 10) | (Message::Sparse, 1 | 2) => Message::Tensor,
        (Message::Graph, 15) | (Message::Attribute, 22 | 23) => Message::Sparse,
        (Message::Graph, 11 | 12) => Message::Port,
        (Message::Tensor, 13) => Message::Entry,
        _ => return None,
    })
}

/// `StringStringEntryProto { key = 1; value = 2; }`
fn entry(bytes: &[u8], survey: &mut Survey) -> Result<(), WalkError> {
    let (mut key, mut value) = (&b""[..], &b""[..]);
    for field in Fields(bytes) {
        match field? {
            Field {
                number: 1,
                payload: Payload::Bytes(text),
            } => key = text,
            Field {
                number: 2,
                payload: Payload::Bytes(text),
            } => value = text,
            _ => {}
        }
    }
    if key == b"location" {
        // An engine would open the bytes as they are; a path that is not UTF-8 cannot be checked faithfully.
        let path = std::str::from_utf8(value).map_err(|_| WalkError::Malformed)?;
        if !survey.external.iter().any(|known| known == path) {
            survey.external.push(path.to_owned());
        }
    }
    Ok(())
}

/// `ValueInfoProto { name = 1; type = 2; }` of the main graph.
fn port(bytes: &[u8], survey: &mut Survey) -> Result<(), WalkError> {
    let (mut name, mut kind) = (&b""[..], None);
    for field in Fields(bytes) {
        match field? {
            Field {
                number: 1,
                payload: Payload::Bytes(text),
            } => name = text,
            Field {
                number: 2,
                payload: Payload::Bytes(bytes),
            } => kind = exotic(bytes, true)?.or(kind),
            _ => {}
        }
    }
    if let Some(kind) = kind {
        survey
            .exotic
            .push((String::from_utf8_lossy(name).into_owned(), kind));
    }
    Ok(())
}

/// The name of a `TypeProto` that has no place in a request or an answer.
fn exotic(bytes: &[u8], outermost: bool) -> Result<Option<&'static str>, WalkError> {
    let mut found = None;
    for field in Fields(bytes) {
        let Field {
            number,
            payload: Payload::Bytes(bytes),
        } = field?
        else {
            continue;
        };
        found = match number {
            // tensor, map
            1 | 5 => found,
            4 if outermost => {
                let mut inner = Some("sequence of nothing");
                for field in Fields(bytes) {
                    if let Field {
                        number: 1,
                        payload: Payload::Bytes(bytes),
                    } = field?
                    {
                        inner = exotic(bytes, false)?;
                    }
                }
                inner.or(found)
            }
            4 => Some("sequence of sequences"),
            7 => Some("opaque value"),
            8 => Some("sparse tensor"),
            9 => Some("optional value"),
            _ => found,
        };
    }
    Ok(found)
}

// === the wire format ===

/// How the value of a field is written.
enum Wire {
    Varint,
    Fixed(u64),
    /// A length, and so many bytes.
    Bytes,
}

/// The number of a field and how its value is written.
fn key(key: u64) -> Result<(u32, Wire), WalkError> {
    let number = u32::try_from(key >> 3).map_err(|_| WalkError::Malformed)?;
    if number == 0 {
        return Err(WalkError::Malformed);
    }
    let wire = match key & 7 {
        0 => Wire::Varint,
        1 => Wire::Fixed(8),
        2 => Wire::Bytes,
        5 => Wire::Fixed(4),
        _ => return Err(WalkError::Malformed),
    };
    Ok((number, wire))
}

#[derive(Debug, Clone, Copy)]
enum Payload<'a> {
    Bytes(&'a [u8]),
    /// A number of any width; none is of use here.
    Number,
}

#[derive(Debug, Clone, Copy)]
struct Field<'a> {
    number: u32,
    payload: Payload<'a>,
}

/// The fields of one message in memory; ends at the first error.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64, WalkError> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(WalkError::Truncated)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WalkError::Malformed)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], WalkError> {
        let length = usize::try_from(length).map_err(|_| WalkError::Truncated)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(WalkError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<Field<'a>, WalkError> {
        let (number, wire) = key(self.varint()?)?;
        let payload = match wire {
            Wire::Varint => {
                self.varint()?;
                Payload::Number
            }
            Wire::Fixed(length) => {
                self.take(length)?;
                Payload::Number
            }
            Wire::Bytes => {
                let length = self.varint()?;
                Payload::Bytes(self.take(length)?)
            }
        };
        Ok(Field { number, payload })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WalkError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn walk(bytes: &[u8]) -> Result<Survey, WalkError> {
        super::walk(io::Cursor::new(bytes), bytes.len() as u64)
    }

    /// A field that holds `bytes`.
    fn message(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        // Two bytes of length are enough for these tests.
        out.extend([bytes.len() as u8 | 0x80, (bytes.len() >> 7) as u8]);
        out.extend(bytes);
        out
    }

    fn tensor_at(location: &str) -> Vec<u8> {
        message(
            13,
            &[message(1, b"location"), message(2, location.as_bytes())].concat(),
        )
    }

    #[test]
    fn external_data_is_found_wherever_a_tensor_can_be() {
        let initializer = message(5, &tensor_at("a"));
        let attribute = message(1, &message(5, &message(5, &tensor_at("b"))));
        let inner = message(1, &message(5, &message(6, &message(5, &tensor_at("c")))));
        let again = message(5, &tensor_at("a"));
        let model = message(7, &[initializer, attribute, inner, again].concat());
        assert_eq!(walk(&model).unwrap().external, ["a", "b", "c"]);
    }

    #[test]
    fn nesting_is_bounded() {
        let mut graph = Vec::new();
        for _ in 0..100 {
            graph = message(1, &message(5, &message(6, &graph)));
        }
        assert_eq!(walk(&message(7, &graph)), Err(WalkError::Deep));
    }

    #[test]
    fn optional_outputs_are_named() {
        let port = message(12, &[message(1, b"o"), message(2, &message(9, b""))].concat());
        assert_eq!(
            walk(&message(7, &port)).unwrap().exotic,
            [("o".to_owned(), "optional value")]
        );
    }

    #[test]
    fn what_is_no_model_says_so() {
        assert_eq!(walk(b""), Err(WalkError::Empty));
        assert_eq!(walk(b"not a model at all"), Err(WalkError::Malformed));
        assert_eq!(walk(&message(7, b"abc")[..4]), Err(WalkError::Truncated));
        // A graph of another kind than a message; a length that leads out of the file, and round.
        assert_eq!(walk(&[7 << 3, 1]), Err(WalkError::Malformed));
        let endless = [&[7 << 3 | 2][..], &[0xff; 9], &[1]].concat();
        assert_eq!(walk(&endless), Err(WalkError::Truncated));
        // The file became shorter since its length was learnt.
        let model = message(7, &message(5, &[0; 100]));
        let cut = super::walk(io::Cursor::new(&model[..9]), model.len() as u64);
        assert!(
            matches!(cut, Err(WalkError::Truncated | WalkError::Malformed)),
            "{cut:?}"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = walk(&bytes);
            let _ = walk(&message(7, &bytes));
        }
    }
}
