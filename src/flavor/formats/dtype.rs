//! NumPy's element types, and arrays of them from their bytes.

use std::sync::Arc;

use half::f16;

use crate::flavor::refusal::{Refusal, refuse};

use super::arena::Budget;
use super::object::{Array, ArrayElements, Object, Records};

/// Axes an array may have, as in NumPy.
const MAX_AXES: usize = 64;

/// How the elements of an array are stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Dtype {
    /// One number or text each.
    Plain(Plain),
    /// Named fields.
    Record {
        /// Bytes from one record to the next.
        size: usize,
        /// Name, type and place in the record.
        fields: Vec<(Arc<str>, Plain, usize)>,
    },
    /// References to Python objects.
    Object,
}

/// A type of plain elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plain {
    /// NumPy's letter: `b i u f U`, or one of what is not read (`S V M m c`).
    pub(super) kind: char,
    /// Bytes of an element.
    pub(super) size: usize,
    /// Whether the most significant byte is first.
    big: bool,
}

impl Dtype {
    /// The type that NumPy writes like this: `<f8`, `|b1`, `<U7`, `O`.
    ///
    /// # Errors
    /// When it is no such type.
    pub(super) fn parse(text: &str) -> Result<Dtype, Refusal> {
        let (big, rest) = match text.as_bytes().first() {
            Some(b'>') => (true, text.get(1..)),
            Some(b'<' | b'|' | b'=') => (false, text.get(1..)),
            _ => (false, Some(text)),
        };
        let mut letters = rest.unwrap_or_default().chars();
        let Some(kind) = letters.next() else {
            refuse!("a dtype without a name");
        };
        if kind == 'O' {
            return Ok(Dtype::Object);
        }
        let digits = letters.as_str();
        let count = if digits.is_empty() {
            Some(0)
        } else {
            digits.parse::<u32>().ok()
        };
        // Of a datetime the unit follows: `M8[ns]`.
        let count = match (count, kind) {
            (Some(count), 'b' | 'i' | 'u' | 'f' | 'U' | 'S' | 'a' | 'V' | 'c') => count as usize,
            (_, 'M' | 'm') => 8,
            _ => refuse!("dtype `{}`", text.chars().take(40).collect::<String>()),
        };
        let size = if kind == 'U' {
            count.saturating_mul(4)
        } else {
            count
        };
        Ok(Dtype::Plain(Plain { kind, size, big }))
    }

    /// The same type with a byte order that is told apart from it, and the size of an element if it is told too.
    pub(super) fn with_order(mut self, order: &str, size: Option<usize>) -> Dtype {
        if let Dtype::Plain(plain) = &mut self {
            plain.big = order == ">";
            if let (Some(size), 'U' | 'S' | 'V') = (size, plain.kind) {
                plain.size = size;
            }
        }
        self
    }

    /// Bytes of an element.
    pub(super) fn size(&self) -> usize {
        match self {
            Dtype::Plain(plain) => plain.size,
            Dtype::Record { size, .. } => *size,
            Dtype::Object => 8,
        }
    }
}

/// The number of elements of a shape.
///
/// # Errors
/// When it is beyond all memory.
pub(super) fn count(shape: &[usize]) -> Result<usize, Refusal> {
    if shape.len() > MAX_AXES {
        refuse!("an array of {} axes", shape.len());
    }
    if shape.contains(&0) {
        return Ok(0);
    }
    match shape
        .iter()
        .try_fold(1usize, |product, &extent| product.checked_mul(extent))
    {
        Some(count) => Ok(count),
        None => refuse!("an array of shape {shape:?}"),
    }
}

/// The array of this type and shape that `bytes` are; `None` for a type that is not read.
///
/// # Errors
/// When the bytes are not as many as the shape needs, are no text, or are too many.
pub(super) fn array(
    dtype: &Dtype,
    shape: Vec<usize>,
    fortran: bool,
    bytes: &[u8],
    budget: &mut Budget,
) -> Result<Option<Array>, Refusal> {
    let count = count(&shape)?;
    let size = dtype.size();
    if count > 0 && size == 0 {
        return Ok(None);
    }
    if count.checked_mul(size) != Some(bytes.len()) {
        refuse!(
            "{} bytes for an array of shape {shape:?} with {size} bytes an element",
            bytes.len()
        );
    }
    let elements = match dtype {
        Dtype::Object => refuse!("an object array given as bytes"),
        Dtype::Plain(plain) => Stored {
            bytes,
            stride: size,
            offset: 0,
            count,
        }
        .elements(*plain, budget)?,
        Dtype::Record { fields, .. } => {
            let mut read = Vec::with_capacity(fields.len());
            for (name, plain, offset) in fields {
                let stored = Stored {
                    bytes,
                    stride: size,
                    offset: *offset,
                    count,
                };
                match stored.elements(*plain, budget)? {
                    Some(ArrayElements::Text(_)) | None => {}
                    Some(elements) => read.push((Arc::clone(name), elements)),
                }
            }
            Some(ArrayElements::Records(Records { count, fields: read }))
        }
    };
    let Some(elements) = elements else { return Ok(None) };
    let elements = if fortran {
        in_c_order(&shape, elements)?
    } else {
        elements
    };
    Ok(Some(Array { shape, elements }))
}

/// The one element of an array without axes, as a value of its own.
pub(super) fn scalar(array: Option<Array>) -> Option<Object> {
    Some(match array?.elements {
        ArrayElements::Float(floats) => Object::Float(*floats.first()?),
        ArrayElements::Int(whole) => Object::Int(*whole.first()?),
        ArrayElements::Bool(truths) => Object::Bool(*truths.first()?),
        ArrayElements::Text(texts) => Object::Text(Arc::clone(texts.first()?)),
        ArrayElements::Object(_) | ArrayElements::Records(_) => return None,
    })
}

/// Elements that were stored with the first axis running fastest, with the last one running fastest.
///
/// # Errors
/// When the elements are not as many as the shape says.
pub(super) fn in_c_order(shape: &[usize], elements: ArrayElements) -> Result<ArrayElements, Refusal> {
    fn turned<T: Clone>(shape: &[usize], from: Vec<T>) -> Option<Vec<T>> {
        if shape.len() < 2 {
            return Some(from);
        }
        let mut steps = Vec::with_capacity(shape.len());
        let mut step = 1usize;
        for extent in shape {
            steps.push(step);
            step = step.saturating_mul(*extent);
        }
        let mut place = vec![0usize; shape.len()];
        let mut at = 0usize;
        let mut into = Vec::with_capacity(from.len());
        for _ in 0..from.len() {
            into.push(from.get(at)?.clone());
            for ((place, extent), step) in place.iter_mut().zip(shape).zip(&steps).rev() {
                *place += 1;
                at += step;
                if *place < *extent {
                    break;
                }
                at -= step * *place;
                *place = 0;
            }
        }
        Some(into)
    }
    let turned = match elements {
        ArrayElements::Float(floats) => turned(shape, floats).map(ArrayElements::Float),
        ArrayElements::Int(whole) => turned(shape, whole).map(ArrayElements::Int),
        ArrayElements::Bool(truths) => turned(shape, truths).map(ArrayElements::Bool),
        ArrayElements::Text(texts) => turned(shape, texts).map(ArrayElements::Text),
        ArrayElements::Object(ids) => turned(shape, ids).map(ArrayElements::Object),
        ArrayElements::Records(records) => (shape.len() < 2).then_some(ArrayElements::Records(records)),
    };
    match turned {
        Some(turned) => Ok(turned),
        None => refuse!("an array of shape {shape:?} in Fortran order"),
    }
}

/// Elements among other bytes: one in every `stride`, `offset` after its start.
struct Stored<'b> {
    bytes: &'b [u8],
    stride: usize,
    offset: usize,
    count: usize,
}

impl<'b> Stored<'b> {
    /// The elements as this type; `None` for one that is not read.
    fn elements(&self, plain: Plain, budget: &mut Budget) -> Result<Option<ArrayElements>, Refusal> {
        let width = match plain.kind {
            'U' => 2 * size_of::<Arc<str>>() + plain.size,
            'b' => 1,
            _ => 8,
        };
        budget.spend(self.count.saturating_mul(width))?;
        let floats = |floats: Option<Vec<f64>>| floats.map(ArrayElements::Float);
        let whole = |whole: Option<Vec<i64>>| whole.map(ArrayElements::Int);
        let big = plain.big;
        Ok(match (plain.kind, plain.size) {
            ('f', 2) => floats(self.each(big, |bytes| f16::from_le_bytes(bytes).to_f64())),
            ('f', 4) => floats(self.each(big, |bytes| f64::from(f32::from_le_bytes(bytes)))),
            ('f', 8) => floats(self.each(big, f64::from_le_bytes)),
            ('i', 1) => whole(self.each(big, |bytes| i64::from(i8::from_le_bytes(bytes)))),
            ('i', 2) => whole(self.each(big, |bytes| i64::from(i16::from_le_bytes(bytes)))),
            ('i', 4) => whole(self.each(big, |bytes| i64::from(i32::from_le_bytes(bytes)))),
            ('i', 8) => whole(self.each(big, i64::from_le_bytes)),
            ('u', 1) => whole(self.each(big, |[byte]| i64::from(byte))),
            ('u', 2) => whole(self.each(big, |bytes| i64::from(u16::from_le_bytes(bytes)))),
            ('u', 4) => whole(self.each(big, |bytes| i64::from(u32::from_le_bytes(bytes)))),
            ('u', 8) => {
                let wide = self.each(big, |bytes| i64::try_from(u64::from_le_bytes(bytes)).ok());
                whole(wide.and_then(|wide| wide.into_iter().collect()))
            }
            ('b', 1) => self.each(big, |[byte]| byte != 0).map(ArrayElements::Bool),
            ('U', _) => Some(ArrayElements::Text(self.texts(plain)?)),
            _ => None,
        })
    }

    /// Each element from its bytes, least significant first.
    fn each<const N: usize, T>(&self, big: bool, read: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
        let items = self.bytes.chunks_exact(self.stride.max(1)).take(self.count);
        items
            .map(|item| {
                let mut bytes = *item.get(self.offset..)?.first_chunk::<N>()?;
                if big {
                    bytes.reverse();
                }
                Some(read(bytes))
            })
            .collect()
    }

    /// Each element as text of UTF-32, padded with NUL.
    fn texts(&self, plain: Plain) -> Result<Vec<Arc<str>>, Refusal> {
        let items = self.bytes.chunks_exact(self.stride.max(1)).take(self.count);
        items
            .map(|item| {
                let bytes = item
                    .get(self.offset..)
                    .and_then(|item| item.get(..plain.size))
                    .unwrap_or_default();
                let text: Option<String> = bytes
                    .chunks_exact(4)
                    .map(|letter| {
                        let mut letter = *letter.first_chunk::<4>()?;
                        if plain.big {
                            letter.reverse();
                        }
                        char::from_u32(u32::from_le_bytes(letter))
                    })
                    .collect();
                match text {
                    Some(text) => Ok(Arc::from(text.trim_end_matches('\0'))),
                    None => refuse!("an array of text that is no Unicode"),
                }
            })
            .collect()
    }
}
