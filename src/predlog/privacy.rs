//! What sinks do not see: columns that are left out, columns that are hashed, text that is cut.
//!
//! A column is found by its name wherever it has one: a column of a table, a named array, a key of an object at any depth,
//! a parameter. `routing_key`, `request_id` and `trace_id` name those of the record; of the last there is no hash. Where anything is hidden, the messages of errors
//! are left out too, since they may show values.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::model::batch::{Batch, Body, Columns, Frame, Name};
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;

use super::json;
use super::record::Entry;

/// Bytes of a hash that are shown: 32 characters.
const SHOWN: usize = 16;

/// What is hidden. Nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Privacy {
    /// Columns that are left out.
    pub drop: Vec<Box<str>>,
    /// Columns whose values are replaced: by the first 16 bytes, in hex, of the SHA-256 of the salt and the value's text.
    pub hash: Vec<Box<str>>,
    /// Goes before every value that is hashed.
    pub salt: Salt,
    /// Bytes of a text that are kept.
    pub truncate: Option<usize>,
}

/// A secret that goes before what is hashed: without it nobody can try values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Salt(pub Vec<u8>);

impl fmt::Debug for Salt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Salt(..)")
    }
}

/// What becomes of a column.
enum Fate {
    Keep,
    Drop,
    Hash,
}

impl Privacy {
    /// Whether there is nothing to do.
    pub(super) fn is_nothing(&self) -> bool {
        self.drop.is_empty() && self.hash.is_empty() && self.truncate.is_none()
    }

    /// Hides what is to be hidden.
    pub(super) fn apply(&self, entries: &mut [Entry]) {
        if self.is_nothing() {
            return;
        }
        for entry in entries {
            match entry {
                Entry::Prediction(record) => {
                    for batch in [&mut record.inputs, &mut record.outputs].into_iter().flatten() {
                        self.apply_to(batch);
                    }
                    if let Some(error) = &mut record.error {
                        if !(self.drop.is_empty() && self.hash.is_empty()) {
                            error.message.clear();
                        }
                        self.cut(&mut error.message);
                    }
                    if let Some(key) = record.routing_key.take() {
                        record.routing_key = match self.fate("routing_key") {
                            Fate::Keep => Some(self.cut_boxed(key)),
                            Fate::Drop => None,
                            Fate::Hash => Some(self.digest(key.as_bytes()).into()),
                        };
                    }
                    if !matches!(self.fate("trace_id"), Fate::Keep) {
                        record.trace = None;
                    }
                    if let Some(id) = record.request_id.take() {
                        record.request_id = match self.fate("request_id") {
                            Fate::Keep => Some(id),
                            Fate::Drop => None,
                            Fate::Hash => Some(self.digest(&id).into_bytes().into()),
                        };
                    }
                }
                Entry::Feedback(feedback) => self.apply_to_value(&mut feedback.value),
            }
        }
    }

    fn fate(&self, name: &str) -> Fate {
        if self.drop.iter().any(|dropped| **dropped == *name) {
            Fate::Drop
        } else if self.hash.iter().any(|hashed| **hashed == *name) {
            Fate::Hash
        } else {
            Fate::Keep
        }
    }

    fn fate_of(&self, name: &Name) -> Fate {
        match name {
            Name::Text(name) => self.fate(name),
            Name::Index(index) => self.fate(itoa::Buffer::new().format(*index)),
        }
    }

    fn apply_to(&self, batch: &mut Batch) {
        match &mut batch.body {
            Body::Frame(frame) => self.apply_to_frame(frame),
            Body::Array(tensor) => self.apply_to_tensor(tensor),
            Body::Named(members) => {
                members.retain_mut(|(name, tensor)| match self.fate(name) {
                    Fate::Drop => false,
                    Fate::Hash => {
                        *tensor = self.digest_rows(tensor);
                        true
                    }
                    Fate::Keep => {
                        self.apply_to_tensor(tensor);
                        true
                    }
                });
            }
            Body::Value(value) => self.apply_to_value(value),
        }
        batch.params.retain_mut(|(name, value)| self.keeps(name, value));
    }

    fn apply_to_frame(&self, frame: &mut Frame) {
        let untouched = frame
            .names()
            .iter()
            .all(|name| matches!(self.fate_of(name), Fate::Keep));
        let empty = || Frame::new(0, Vec::new().into(), Columns::Separate(Vec::new()));
        let Ok(nothing) = empty() else { return };
        let (rows, names, columns) = std::mem::replace(frame, nothing).into_parts();
        let (names, columns) = match columns {
            Columns::Matrix(mut matrix) if untouched => {
                self.apply_to_tensor(&mut matrix);
                (names, Columns::Matrix(matrix))
            }
            Columns::Matrix(matrix) => {
                let width = names.len();
                let columns = (0..width).filter_map(|column| column_of(&matrix, column, width));
                self.separate(&names, columns.collect())
            }
            Columns::Separate(columns) => self.separate(&names, columns),
        };
        // Columns keep their rows, so that this cannot fail; without them there is nothing that should be hidden.
        if let Ok(hidden) = Frame::new(rows, names, columns) {
            *frame = hidden;
        }
    }

    fn separate(&self, names: &[Name], columns: Vec<Tensor>) -> (Arc<[Name]>, Columns) {
        let mut kept = Vec::with_capacity(columns.len());
        let mut labels = Vec::with_capacity(columns.len());
        for (name, mut column) in names.iter().zip(columns) {
            match self.fate_of(name) {
                Fate::Drop => continue,
                Fate::Hash => column = self.digest_rows(&column),
                Fate::Keep => self.apply_to_tensor(&mut column),
            }
            kept.push(column);
            labels.push(name.clone());
        }
        (labels.into(), Columns::Separate(kept))
    }

    fn apply_to_tensor(&self, tensor: &mut Tensor) {
        if !matches!(tensor.elements(), Elements::Str(_) | Elements::Object(_)) {
            return;
        }
        let scalar = Tensor::vector(Elements::Bool(Vec::new()));
        let (shape, mut elements) = std::mem::replace(tensor, scalar).into_parts();
        match &mut elements {
            Elements::Str(texts) => texts.iter_mut().for_each(|text| self.cut(text)),
            Elements::Object(values) => values.iter_mut().for_each(|value| self.apply_to_value(value)),
            _ => {}
        }
        // As many elements as before fit the shape.
        if let Ok(hidden) = Tensor::new(shape, elements) {
            *tensor = hidden;
        }
    }

    fn apply_to_value(&self, value: &mut Value) {
        match value {
            Value::Str(text) => *text = self.cut_boxed(std::mem::take(text)),
            Value::Bytes(bytes) => bytes.truncate(self.truncate.unwrap_or(usize::MAX)),
            Value::Tensor(tensor) => self.apply_to_tensor(tensor),
            Value::List(items) => items.iter_mut().for_each(|item| self.apply_to_value(item)),
            Value::Map(entries) => entries.retain_mut(|(name, value)| self.keeps(name, value)),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {}
        }
    }

    /// Whether a named value is kept; it is changed as its name demands.
    fn keeps(&self, name: &str, value: &mut Value) -> bool {
        match self.fate(name) {
            Fate::Drop => return false,
            Fate::Hash => {
                let digest = match &*value {
                    Value::Str(text) => self.digest(text.as_bytes()),
                    Value::Bytes(bytes) => self.digest(bytes),
                    other => {
                        let mut text = Vec::new();
                        json::write_value(&mut text, other);
                        self.digest(&text)
                    }
                };
                *value = Value::Str(digest.into());
            }
            Fate::Keep => self.apply_to_value(value),
        }
        true
    }

    /// One hash a row.
    fn digest_rows(&self, tensor: &Tensor) -> Tensor {
        let mut text = Vec::new();
        let rows = (0..tensor.rows()).map(|row| match tensor.elements() {
            // A text is hashed without quotes, as it would be in a column of another type.
            Elements::Str(texts) if tensor.row_len() == 1 => {
                self.digest(texts.get(row).map_or(&[], String::as_bytes))
            }
            Elements::Object(values) if tensor.row_len() == 1 => {
                match values.get(row).unwrap_or(&Value::Null) {
                    Value::Str(text) => self.digest(text.as_bytes()),
                    Value::Bytes(bytes) => self.digest(bytes),
                    other => {
                        text.clear();
                        json::write_value(&mut text, other);
                        self.digest(&text)
                    }
                }
            }
            _ => {
                text.clear();
                json::write_row(&mut text, tensor, row);
                self.digest(&text)
            }
        });
        Tensor::vector(Elements::Str(rows.collect()))
    }

    fn digest(&self, value: &[u8]) -> String {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let hash = Sha256::new().chain_update(&self.salt.0).chain_update(value);
        let digit = |nibble: u8| char::from(HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'));
        let shown = hash.finalize().into_iter().take(SHOWN);
        shown
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
            .collect()
    }

    fn cut(&self, text: &mut String) {
        if let Some(keep) = self.truncate {
            text.truncate(text.floor_char_boundary(keep));
        }
    }

    fn cut_boxed(&self, text: Box<str>) -> Box<str> {
        match self.truncate {
            Some(keep) if text.len() > keep => {
                let mut text = String::from(text);
                self.cut(&mut text);
                text.into()
            }
            _ => text,
        }
    }
}

/// One column of a matrix of this width.
fn column_of(matrix: &Tensor, column: usize, width: usize) -> Option<Tensor> {
    macro_rules! pick {
        ($($kind:ident)*) => {
            match matrix.elements() {
                $(Elements::$kind(vector) => {
                    Elements::$kind(vector.iter().skip(column).step_by(width).cloned().collect())
                })*
            }
        };
    }
    if column >= width {
        return None;
    }
    let elements = pick!(Bool I8 I16 I32 I64 U8 U16 U32 U64 F16 F32 F64 Str Datetime Object);
    Some(Tensor::vector(elements))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::record::{Failure, Record, Timing};
    use super::*;
    use crate::model::origin::Origin;

    fn privacy() -> Privacy {
        Privacy {
            drop: vec!["secret".into()],
            hash: vec!["user".into(), "1".into(), "routing_key".into()],
            salt: Salt(b"salt".to_vec()),
            truncate: Some(5),
        }
    }

    fn hidden(body: Body) -> Batch {
        let mut batch = Batch::new(body);
        batch.params = vec![("secret".into(), Value::Int(1)), ("user".into(), Value::Int(12))];
        privacy().apply_to(&mut batch);
        let digest = Value::Str(privacy().digest(b"12").into());
        assert_eq!(batch.params, vec![("user".into(), digest)]);
        batch
    }

    #[test]
    fn the_hash_is_that_of_the_salt_and_the_text() {
        let digest = privacy().digest(b"12");
        assert_eq!(digest.len(), 32);
        assert_ne!(digest, Privacy::default().digest(b"12"));
        assert_eq!(Privacy::default().digest(b"salt12"), digest);
        // printf abc | sha256sum
        let known = Privacy::default().digest(b"abc");
        assert_eq!(known, "ba7816bf8f01cfea414140de5dae2223");
    }

    #[test]
    fn columns_of_tables_are_dropped_hashed_and_cut() {
        let names: Arc<[Name]> = vec!["secret".into(), Name::Index(1), "text".into()].into();
        let columns = vec![
            Tensor::vector(Elements::I64(vec![1, 2])),
            Tensor::vector(Elements::F32(vec![0.5, 2.0])),
            Tensor::vector(Elements::Str(vec!["aaaa\u{e9}".into(), "b".into()])),
        ];
        let frame = Frame::new(2, names, Columns::Separate(columns)).unwrap();
        let Body::Frame(frame) = hidden(Body::Frame(frame)).body else {
            panic!("a table expected")
        };
        assert_eq!(&frame.names()[..], &[Name::Index(1), "text".into()]);
        let hashes = [b"0.5", b"2.0"].map(|text| privacy().digest(text)).to_vec();
        let expected = vec![
            Tensor::vector(Elements::Str(hashes)),
            Tensor::vector(Elements::Str(vec!["aaaa".into(), "b".into()])),
        ];
        assert_eq!(frame.columns(), &Columns::Separate(expected));
    }

    #[test]
    fn a_matrix_with_a_hidden_column_comes_apart() {
        let matrix = Tensor::new([2, 2].as_slice(), Elements::I32(vec![1, 2, 3, 4])).unwrap();
        let frame = Frame::new(
            2,
            vec!["a".into(), "secret".into()].into(),
            Columns::Matrix(matrix),
        )
        .unwrap();
        let Body::Frame(frame) = hidden(Body::Frame(frame)).body else {
            panic!("a table expected")
        };
        let expected = Columns::Separate(vec![Tensor::vector(Elements::I32(vec![1, 3]))]);
        assert_eq!(frame.columns(), &expected);
    }

    #[test]
    fn keys_are_found_at_any_depth() {
        let map = Value::Map(vec![
            ("secret".into(), Value::Null),
            ("user".into(), Value::Str("me".into())),
            ("text".into(), Value::Str("123456".into())),
        ]);
        let value = Value::List(vec![Value::Map(vec![("in".into(), map)])]);
        let Body::Value(Value::List(items)) = hidden(Body::Value(value)).body else {
            panic!("a list expected")
        };
        let inner = items[0].get("in").unwrap();
        assert_eq!(inner.get("secret"), None);
        let digest = Value::Str(privacy().digest(b"me").into());
        assert_eq!(inner.get("user"), Some(&digest));
        assert_eq!(inner.get("text"), Some(&Value::Str("12345".into())));
    }

    #[test]
    fn keys_and_messages_of_the_record_are_hidden() {
        let record = Record {
            id: uuid::Uuid::nil(),
            time: SystemTime::UNIX_EPOCH.into(),
            origin: Arc::new(Origin {
                route: "r".into(),
                variant: "".into(),
                shadow: false,
                model: "m".into(),
                version: "1".into(),
                digest: "d".into(),
                ..Origin::default()
            }),
            rows: 1,
            inputs: None,
            outputs: None,
            error: Some(Failure {
                kind: "invalid_input",
                message: "cannot read `me`".into(),
            }),
            timing: Timing::default(),
            request_id: Some(b"id"[..].into()),
            assignment: crate::predlog::Assignment::None,
            routing_key: Some("me".into()),
            sampled: true,
            trace: None,
            traced: None,
        };
        let mut entries = [Entry::Prediction(Box::new(record))];
        privacy().apply(&mut entries);
        let [Entry::Prediction(record)] = &entries else {
            panic!("a prediction expected")
        };
        assert_eq!(record.error.as_ref().unwrap().message, "");
        assert_eq!(
            record.routing_key.as_deref(),
            Some(privacy().digest(b"me").as_str())
        );
        assert_eq!(record.request_id.as_deref(), Some(&b"id"[..]));
    }
}
