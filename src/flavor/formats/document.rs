//! Documents: what JSON and its binary kin hold, with numbers kept compactly.
//!
//! A model of a hundred megabytes is nearly all arrays of numbers, so that each of them is one typed vector here. What
//! else there is has a bound ([`MAX_VALUES`]), whatever a file claims.

use crate::flavor::refusal::{Refusal, refuse};

/// How deep maps and lists may be nested.
pub const MAX_DEPTH: usize = 64;

/// Values a document may have apart from the members of [`Numbers`].
pub const MAX_VALUES: usize = 8 << 20;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// An integer
    Int(i64),
    /// Any other number
    Float(f64),
    /// Text
    Text(Box<str>),
    /// A list of numbers and booleans; an empty list too
    Numbers(Numbers),
    /// Any other list
    List(Vec<Document>),
    /// A map, in order; of a key that comes twice the last counts
    Map(Vec<(Box<str>, Document)>),
}

/// A list of numbers of one type.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// Bytes with sign
    I8(Vec<i8>),
    /// Bytes
    U8(Vec<u8>),
    /// Integers of 16 bits
    I16(Vec<i16>),
    /// Integers of 32 bits; booleans are 0 and 1
    I32(Vec<i32>),
    /// Integers of 64 bits
    I64(Vec<i64>),
    /// Singles; texts are rounded to them at once, not by way of double
    F32(Vec<f32>),
    /// Doubles
    F64(Vec<f64>),
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers::I32(Vec::new())
    }
}

impl Numbers {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Numbers::I8(numbers) => numbers.len(),
            Numbers::U8(numbers) => numbers.len(),
            Numbers::I16(numbers) => numbers.len(),
            Numbers::I32(numbers) => numbers.len(),
            Numbers::I64(numbers) => numbers.len(),
            Numbers::F32(numbers) => numbers.len(),
            Numbers::F64(numbers) => numbers.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an integer, making room for it where the type is too narrow.
    pub fn push_int(&mut self, number: i64) {
        match (&mut *self, i32::try_from(number)) {
            (Numbers::I32(numbers), Ok(number)) => numbers.push(number),
            (Numbers::I64(numbers), _) => numbers.push(number),
            (Numbers::F32(numbers), _) => numbers.push(number as f32),
            _ => {
                let mut wide = self.integers().unwrap_or_default();
                wide.push(number);
                *self = Numbers::I64(wide);
            }
        }
    }

    /// Adds a single; all others become singles too.
    pub fn push_single(&mut self, number: f32) {
        if let Numbers::F32(numbers) = self {
            numbers.push(number);
        } else {
            let mut singles = self.singles();
            singles.push(number);
            *self = Numbers::F32(singles);
        }
    }

    /// All as singles, each rounded once.
    pub fn singles(&self) -> Vec<f32> {
        match self {
            Numbers::I8(numbers) => numbers.iter().map(|&x| f32::from(x)).collect(),
            Numbers::U8(numbers) => numbers.iter().map(|&x| f32::from(x)).collect(),
            Numbers::I16(numbers) => numbers.iter().map(|&x| f32::from(x)).collect(),
            Numbers::I32(numbers) => numbers.iter().map(|&x| x as f32).collect(),
            Numbers::I64(numbers) => numbers.iter().map(|&x| x as f32).collect(),
            Numbers::F32(numbers) => numbers.clone(),
            Numbers::F64(numbers) => numbers.iter().map(|&x| x as f32).collect(),
        }
    }

    /// All as integers, unless they are floats.
    pub fn integers(&self) -> Option<Vec<i64>> {
        Some(match self {
            Numbers::I8(numbers) => numbers.iter().map(|&x| i64::from(x)).collect(),
            Numbers::U8(numbers) => numbers.iter().map(|&x| i64::from(x)).collect(),
            Numbers::I16(numbers) => numbers.iter().map(|&x| i64::from(x)).collect(),
            Numbers::I32(numbers) => numbers.iter().map(|&x| i64::from(x)).collect(),
            Numbers::I64(numbers) => numbers.clone(),
            Numbers::F32(_) | Numbers::F64(_) => return None,
        })
    }

    /// The members as values of their own.
    pub fn values(&self) -> Vec<Document> {
        match (self, self.integers()) {
            (_, Some(integers)) => integers.into_iter().map(Document::Int).collect(),
            (Numbers::F64(numbers), _) => numbers.iter().map(|&x| Document::Float(x)).collect(),
            _ => self
                .singles()
                .into_iter()
                .map(|x| Document::Float(f64::from(x)))
                .collect(),
        }
    }
}

impl Document {
    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Document::Null => "null",
            Document::Bool(_) => "a boolean",
            Document::Int(_) | Document::Float(_) => "a number",
            Document::Text(_) => "text",
            Document::Numbers(_) | Document::List(_) => "a list",
            Document::Map(_) => "a map",
        }
    }

    /// The value under a key, if it is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Document> {
        match self {
            Document::Map(entries) => entries
                .iter()
                .rev()
                .find(|(name, _)| &**name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The value under a key.
    ///
    /// # Errors
    /// When there is none.
    pub fn field(&self, key: &str) -> Result<&Document, Refusal> {
        match self.get(key) {
            Some(value) => Ok(value),
            None => refuse!("`{key}` is missing"),
        }
    }

    /// The text it is.
    pub fn text(&self) -> Option<&str> {
        match self {
            Document::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The members of a list; numbers become values of their own.
    ///
    /// # Errors
    /// When it is none.
    pub fn into_members(self) -> Result<Vec<Document>, Refusal> {
        match self {
            Document::List(members) => Ok(members),
            Document::Numbers(numbers) => Ok(numbers.values()),
            other => refuse!("{} where a list is expected", other.kind()),
        }
    }

    /// Takes the value under a key out of a map.
    ///
    /// # Errors
    /// When there is none.
    pub fn take(&mut self, key: &str) -> Result<Document, Refusal> {
        if let Document::Map(entries) = self
            && let Some((_, value)) = entries.iter_mut().rev().find(|(name, _)| &**name == key)
        {
            return Ok(std::mem::replace(value, Document::Null));
        }
        refuse!("`{key}` is missing")
    }

    /// The numbers of a list of integers under a key.
    ///
    /// # Errors
    /// When there is none.
    pub fn integers(&self, key: &str) -> Result<Vec<i64>, Refusal> {
        match self.field(key)? {
            Document::Numbers(numbers) => match numbers.integers() {
                Some(integers) => Ok(integers),
                None => refuse!("`{key}` holds numbers that are no integers"),
            },
            other => refuse!("`{key}` is {}, expected a list of integers", other.kind()),
        }
    }

    /// The numbers of a list under a key, as singles.
    ///
    /// # Errors
    /// When there is none.
    pub fn singles(&self, key: &str) -> Result<Vec<f32>, Refusal> {
        match self.field(key)? {
            Document::Numbers(numbers) => Ok(numbers.singles()),
            other => refuse!("`{key}` is {}, expected a list of numbers", other.kind()),
        }
    }
}

/// A list that is being read: numbers as long as there are only numbers.
#[derive(Debug)]
pub(super) enum Listing {
    Numbers(Numbers),
    Values(Vec<Document>),
}

impl Default for Listing {
    fn default() -> Listing {
        Listing::Numbers(Numbers::default())
    }
}

impl Listing {
    /// Adds a value. The budget counts those that are not compact.
    pub(super) fn push(&mut self, value: Document, budget: &mut Budget) -> Result<(), Refusal> {
        if let Listing::Numbers(numbers) = self {
            match value {
                Document::Int(number) => numbers.push_int(number),
                Document::Bool(truth) => numbers.push_int(i64::from(truth)),
                Document::Float(number) => numbers.push_single(number as f32),
                other => {
                    budget.spend(numbers.len())?;
                    let mut values = numbers.values();
                    values.push(other);
                    *self = Listing::Values(values);
                }
            }
            return Ok(());
        }
        if let Listing::Values(values) = self {
            values.push(value);
        }
        Ok(())
    }

    /// The list.
    pub(super) fn finish(self) -> Document {
        match self {
            Listing::Numbers(numbers) => Document::Numbers(numbers),
            Listing::Values(values) => Document::List(values),
        }
    }
}

/// How many values may still be read.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new() -> Budget {
        Budget(MAX_VALUES)
    }

    pub(super) fn spend(&mut self, values: usize) -> Result<(), Refusal> {
        match self.0.checked_sub(values) {
            Some(left) => self.0 = left,
            None => refuse!("more than {MAX_VALUES} values"),
        }
        Ok(())
    }
}
