//! A walk over the protobuf of an ONNX model that finds what has to be known before an engine may open it.
//!
//! An ONNX file can name other files to read tensors from. Engines follow such names, so they are collected here
//! first, by a reader that looks at nothing else: it skips every field it has no use for, descends at most
//! 64 levels, and visits each byte of the file at most once a level.

/// Deepest nesting of messages that is followed; real models stay below 20.
const MAX_DEPTH: usize = 64;

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
}

/// Walks the bytes of a model file.
///
/// # Errors
/// When the bytes are no protobuf of the shape of an ONNX model.
pub fn walk(bytes: &[u8]) -> Result<Survey, WalkError> {
    let mut survey = Survey::default();
    let mut graphs = 0usize;
    for field in Fields(bytes) {
        let field = field?;
        if field.number == 7 {
            graphs += 1;
        }
        descend(Message::Model, field, MAX_DEPTH, &mut survey)?;
    }
    if graphs == 0 {
        return Err(WalkError::Empty);
    }
    Ok(survey)
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

fn descend(parent: Message, field: Field<'_>, depth: usize, survey: &mut Survey) -> Result<(), WalkError> {
    let Some(message) = child(parent, field.number) else {
        return Ok(());
    };
    let Payload::Bytes(bytes) = field.payload else {
        return Err(WalkError::Malformed);
    };
    match message {
        Message::Entry => entry(bytes, survey),
        // Ports of inner graphs are values of the graph around them, which the engines check.
        Message::Port if depth == MAX_DEPTH - 1 => port(bytes, survey),
        Message::Port => Ok(()),
        _ => {
            let Some(depth) = depth.checked_sub(1) else {
                return Err(WalkError::Deep);
            };
            Fields(bytes).try_for_each(|field| descend(message, field?, depth, survey))
        }
    }
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

/// The fields of one message; ends at the first error.
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
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| WalkError::Malformed)?;
        if number == 0 {
            return Err(WalkError::Malformed);
        }
        let payload = match key & 7 {
            0 => {
                self.varint()?;
                Payload::Number
            }
            1 => {
                self.take(8)?;
                Payload::Number
            }
            2 => {
                let length = self.varint()?;
                Payload::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Payload::Number
            }
            _ => return Err(WalkError::Malformed),
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
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = walk(&bytes);
            let _ = walk(&message(7, &bytes));
        }
    }
}
