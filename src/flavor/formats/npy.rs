//! The `.npy` format of NumPy, versions 1.0 to 3.0.

use std::sync::Arc;

use crate::flavor::refusal::{Refusal, refuse};

use super::arena::Budget;
use super::dtype::{self, Dtype};
use super::object::Array;

/// Nested brackets of a header; a record's type needs three.
const MAX_DEPTH: usize = 8;

/// The longest header that is read; one of a few fields has some hundred bytes.
const MAX_HEADER: usize = 1 << 20;

/// The array in these bytes; `None` if its elements are of no type that is read.
///
/// # Errors
/// When the header is broken, the elements are pickled objects, or the bytes are not as many as the shape needs.
pub(super) fn read(bytes: &[u8], budget: &mut Budget) -> Result<Option<Array>, Refusal> {
    let (start, length) = match bytes {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, low, high, ..] => {
            (10, usize::from(u16::from_le_bytes([*low, *high])))
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, a, b, c, d, ..] => {
            (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize)
        }
        _ => refuse!("no array of NumPy"),
    };
    let Some(header) = bytes
        .get(start..start + length.min(MAX_HEADER))
        .filter(|_| length <= MAX_HEADER)
    else {
        refuse!("the header of the array is cut or too long");
    };
    let header = String::from_utf8_lossy(header);
    let mut words = Words { rest: &header };
    let Some(Literal::Dict(entries)) = words.literal(0) else {
        refuse!("the header of the array cannot be read");
    };
    let entry = |wanted: &str| {
        entries
            .iter()
            .find(|(key, _)| key == wanted)
            .map(|(_, value)| value)
    };
    let (Some(descr), Some(Literal::Bool(fortran)), Some(Literal::Sequence(shape))) =
        (entry("descr"), entry("fortran_order"), entry("shape"))
    else {
        refuse!("the header of the array lacks something");
    };
    let shape: Option<Vec<usize>> = shape
        .iter()
        .map(|extent| match extent {
            Literal::Int(extent) => Some(*extent),
            _ => None,
        })
        .collect();
    let Some(shape) = shape else {
        refuse!("the shape of the array cannot be read");
    };
    let Some(dtype) = dtype_of(descr)? else {
        return Ok(None);
    };
    if dtype == Dtype::Object {
        refuse!("an array of pickled objects inside the file");
    }
    dtype::array(
        &dtype,
        shape,
        *fortran,
        bytes.get(start + length..).unwrap_or_default(),
        budget,
    )
}

/// The type that a header describes; `None` for records of records and the like.
fn dtype_of(descr: &Literal) -> Result<Option<Dtype>, Refusal> {
    let fields = match descr {
        Literal::Text(text) => return Dtype::parse(text).map(Some),
        Literal::Sequence(fields) => fields,
        _ => refuse!("the type of the array cannot be read"),
    };
    let mut read = Vec::new();
    let mut size = 0usize;
    for field in fields {
        let Literal::Sequence(field) = field else {
            refuse!("the type of the array cannot be read");
        };
        let [Literal::Text(name), Literal::Text(kind)] = field.as_slice() else {
            return Ok(None);
        };
        let Dtype::Plain(plain) = Dtype::parse(kind)? else {
            refuse!("an array of pickled objects inside the file");
        };
        read.push((Arc::from(name.as_str()), plain, size));
        size = size.saturating_add(plain.size);
    }
    Ok(Some(Dtype::Record { size, fields: read }))
}

/// A literal of Python, as far as headers have them.
#[derive(Debug)]
enum Literal {
    Text(String),
    Int(usize),
    Bool(bool),
    Sequence(Vec<Literal>),
    Dict(Vec<(String, Literal)>),
}

/// What is left of a header.
struct Words<'h> {
    rest: &'h str,
}

impl Words<'_> {
    fn skip(&mut self, sign: char) -> bool {
        let rest = self.rest.trim_start();
        let found = rest.strip_prefix(sign);
        self.rest = found.unwrap_or(rest);
        found.is_some()
    }

    fn literal(&mut self, depth: usize) -> Option<Literal> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.rest = self.rest.trim_start();
        for quote in ['\'', '"'] {
            if let Some(rest) = self.rest.strip_prefix(quote) {
                let (text, rest) = rest.split_once(quote)?;
                self.rest = rest;
                return (!text.contains('\\')).then(|| Literal::Text(text.to_owned()));
            }
        }
        for (word, truth) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Some(Literal::Bool(truth));
            }
        }
        if self.skip('{') {
            let mut entries = Vec::new();
            while !self.skip('}') {
                let Literal::Text(key) = self.literal(depth + 1)? else {
                    return None;
                };
                if !self.skip(':') {
                    return None;
                }
                entries.push((key, self.literal(depth + 1)?));
                if !self.skip(',') && !self.rest.starts_with('}') {
                    return None;
                }
            }
            return Some(Literal::Dict(entries));
        }
        for (open, close) in [('(', ')'), ('[', ']')] {
            if self.skip(open) {
                let mut members = Vec::new();
                while !self.skip(close) {
                    members.push(self.literal(depth + 1)?);
                    if !self.skip(',') && !self.rest.starts_with(close) {
                        return None;
                    }
                }
                return Some(Literal::Sequence(members));
            }
        }
        let end = self
            .rest
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        // Python 2 wrote `3L`.
        self.rest = rest.strip_prefix('L').unwrap_or(rest);
        digits.parse().ok().map(Literal::Int)
    }
}
