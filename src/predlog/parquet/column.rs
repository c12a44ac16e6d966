//! One column of a part while it is in memory.

use std::iter::repeat_n;
use std::ops::Range;

use parquet::basic::{Compression, Encoding, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::ByteArray;
use parquet::errors::Result;
use parquet::file::properties::WriterPropertiesBuilder;
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use super::super::json;
use super::kind::Kind;
use super::levels::Levels;
use crate::model::tensor::Elements;
use crate::model::value::Value;

/// How a column is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nesting {
    /// A value in every row.
    Required,
    /// A value or none.
    Optional,
    /// A list of values or none.
    List,
}

/// Levels of a row: nothing, a value; in lists an empty one, and an element that is nothing.
const ABSENT: i16 = 0;
pub(super) const PRESENT: i16 = 1;
const EMPTY: i16 = 1;
const NO_ELEMENT: i16 = 2;
pub(super) const ELEMENT: i16 = 3;

/// What was pushed.
#[derive(Debug)]
pub(super) enum Values {
    Bool(Vec<bool>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    /// All texts in a row, and where each ends.
    Text(Vec<u8>, Vec<usize>),
    /// The same of texts in which nothing comes again, so that to compress them takes time and saves little. Each has its
    /// length before it, as in a page.
    Random(Vec<u8>, Vec<usize>),
    /// Few texts that come again: each once, and which of them comes where.
    Words(Vec<ByteArray>, Vec<u32>),
    Ids(Vec<u8>),
}

/// One column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) nesting: Nesting,
    pub(super) values: Values,
    pub(super) definitions: Levels,
    pub(super) repetitions: Vec<i16>,
    /// The level of a value that is there.
    pub(super) there: i16,
    scratch: Vec<u8>,
}

/// Texts that are looked through for one that came before.
const MAX_WORDS: usize = 16;
/// Bytes of the length before a text.
pub(super) const LENGTH_BYTES: usize = 4;
/// Those of an id of a request as text.
const ID_BYTES: usize = 36;

impl Column {
    pub(super) fn new(name: impl Into<String>, kind: Kind, nesting: Nesting) -> Column {
        let values = match kind.physical() {
            Physical::BOOLEAN => Values::Bool(Vec::new()),
            Physical::INT32 => Values::I32(Vec::new()),
            Physical::INT64 | Physical::INT96 => Values::I64(Vec::new()),
            Physical::FLOAT => Values::F32(Vec::new()),
            Physical::DOUBLE => Values::F64(Vec::new()),
            Physical::BYTE_ARRAY => Values::Text(Vec::new(), Vec::new()),
            Physical::FIXED_LEN_BYTE_ARRAY => Values::Ids(Vec::new()),
        };
        let there = match nesting {
            Nesting::Required | Nesting::Optional => PRESENT,
            Nesting::List => ELEMENT,
        };
        Column {
            name: name.into(),
            kind,
            nesting,
            values,
            definitions: Levels::default(),
            repetitions: Vec::new(),
            there,
            scratch: Vec::new(),
        }
    }

    /// A column of texts in which nothing comes again.
    pub(super) fn of_random(name: &str, nesting: Nesting) -> Column {
        Column {
            values: Values::Random(Vec::new(), Vec::new()),
            ..Column::new(name, Kind::Text, nesting)
        }
    }

    /// A column of texts of which few differ.
    pub(super) fn of_words(name: &str, nesting: Nesting) -> Column {
        Column {
            values: Values::Words(Vec::new(), Vec::new()),
            ..Column::new(name, Kind::Text, nesting)
        }
    }

    /// The column in a schema.
    pub(super) fn schema(&self) -> Result<TypePtr> {
        let leaf = |name: &str, repetition| {
            let length = if self.kind == Kind::Id { 16 } else { -1 };
            Type::primitive_type_builder(name, self.kind.physical())
                .with_repetition(repetition)
                .with_logical_type(self.kind.logical())
                .with_length(length)
                .build()
                .map(TypePtr::new)
        };
        match self.nesting {
            Nesting::Required => leaf(&self.name, Repetition::REQUIRED),
            Nesting::Optional => leaf(&self.name, Repetition::OPTIONAL),
            Nesting::List => {
                let element = leaf("element", Repetition::OPTIONAL)?;
                let list = Type::group_type_builder("list")
                    .with_repetition(Repetition::REPEATED)
                    .with_fields(vec![TypePtr::new(element.as_ref().clone())])
                    .build()?;
                let group = Type::group_type_builder(&self.name)
                    .with_repetition(Repetition::OPTIONAL)
                    .with_logical_type(Some(LogicalType::List))
                    .with_fields(vec![TypePtr::new(list)])
                    .build()?;
                Ok(TypePtr::new(group))
            }
        }
    }

    /// How the column is written: nothing is compressed that would not get smaller by it.
    pub(super) fn properties(&self, builder: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
        let parts = match self.nesting {
            Nesting::List => vec![self.name.clone(), "list".into(), "element".into()],
            Nesting::Required | Nesting::Optional => vec![self.name.clone()],
        };
        let path = ColumnPath::new(parts);
        match &self.values {
            Values::Words(..) => builder.set_column_dictionary_enabled(path, true),
            Values::Text(..) => {
                let level = ZstdLevel::try_new(1).map_or(Compression::SNAPPY, Compression::ZSTD);
                builder.set_column_compression(path, level)
            }
            Values::I32(_) | Values::I64(_) => {
                builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
            }
            Values::Bool(_) | Values::F32(_) | Values::F64(_) | Values::Ids(_) | Values::Random(..) => {
                builder
            }
        }
    }

    // === pushing ===

    #[inline]
    fn define(&mut self, level: i16) {
        if self.nesting != Nesting::Required {
            self.definitions.push(level, 1);
        }
    }

    pub(super) fn absent(&mut self) {
        self.define(if self.there == ELEMENT { NO_ELEMENT } else { ABSENT });
    }

    /// A row without a value.
    pub(super) fn push_null(&mut self) {
        self.push_nulls(1);
    }

    /// So many of them.
    pub(super) fn push_nulls(&mut self, count: usize) {
        if self.nesting != Nesting::Required {
            self.definitions.push(ABSENT, count);
        }
        if self.nesting == Nesting::List {
            self.repetitions.extend(repeat_n(0, count));
        }
    }

    /// Whether one is true.
    pub(super) fn push_bool(&mut self, flag: bool) {
        self.define(self.there);
        if let Values::Bool(values) = &mut self.values {
            values.push(flag);
        }
    }

    /// An integer of at most 32 bits; unsigned ones by their bits.
    pub(super) fn push_i32(&mut self, int: i32) {
        self.define(self.there);
        if let Values::I32(values) = &mut self.values {
            values.push(int);
        }
    }

    /// An integer of 64 bits; unsigned ones by their bits.
    pub(super) fn push_i64(&mut self, int: i64) {
        self.define(self.there);
        if let Values::I64(values) = &mut self.values {
            values.push(int);
        }
    }

    fn push_f32(&mut self, float: f32) {
        self.define(self.there);
        if let Values::F32(values) = &mut self.values {
            values.push(float);
        }
    }

    /// A double.
    pub(super) fn push_f64(&mut self, float: f64) {
        self.define(self.there);
        if let Values::F64(values) = &mut self.values {
            values.push(float);
        }
    }

    /// An id.
    pub(super) fn push_id(&mut self, id: &[u8; 16]) {
        self.define(self.there);
        if let Values::Ids(values) = &mut self.values {
            values.extend_from_slice(id);
        }
    }

    /// A text, or bytes.
    pub(super) fn push_text(&mut self, text: &[u8]) {
        self.push_texts(text, 1);
    }

    /// The same text so many times.
    pub(super) fn push_texts(&mut self, text: &[u8], count: usize) {
        if self.nesting != Nesting::Required {
            self.definitions.push(self.there, count);
        }
        match &mut self.values {
            Values::Text(all, ends) => {
                for _ in 0..count {
                    all.extend_from_slice(text);
                    ends.push(all.len());
                }
            }
            Values::Random(all, ends) => {
                let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
                // Ids of ours are written as one piece of a known length.
                if let Ok(text) = <&[u8; ID_BYTES]>::try_from(text) {
                    let mut piece = [0; LENGTH_BYTES + ID_BYTES];
                    piece[..LENGTH_BYTES].copy_from_slice(&length);
                    piece[LENGTH_BYTES..].copy_from_slice(text);
                    for _ in 0..count {
                        all.extend_from_slice(&piece);
                        ends.push(all.len());
                    }
                    return;
                }
                for _ in 0..count {
                    all.extend_from_slice(&length);
                    all.extend_from_slice(text);
                    ends.push(all.len());
                }
            }
            Values::Words(words, places) => {
                let is_it = |place: &u32| {
                    let word = words.get(*place as usize);
                    word.is_some_and(|word| word.data() == text)
                };
                let last = places.last().copied().filter(is_it);
                let from = words.len().saturating_sub(MAX_WORDS) as u32;
                let known = last.or_else(|| (from..words.len() as u32).find(is_it));
                let place = known.unwrap_or_else(|| {
                    words.push(ByteArray::from(text.to_vec()));
                    words.len() as u32 - 1
                });
                places.extend(repeat_n(place, count));
            }
            _ => {}
        }
    }

    /// JSON text of what `write` writes.
    pub(super) fn push_json(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut text = std::mem::take(&mut self.scratch);
        text.clear();
        write(&mut text);
        self.push_text(&text);
        text.shrink_to(1 << 16);
        self.scratch = text;
    }

    /// The elements from `start` on as one row: one of them, or a list.
    pub(super) fn push_row(&mut self, elements: &Elements, start: usize, count: usize) {
        let list = self.nesting == Nesting::List;
        let count = if list { count } else { 1 };
        let row = start..start.saturating_add(count);
        if count > 0 && self.copy(elements, row) {
            if self.nesting != Nesting::Required {
                self.definitions.push(self.there, count);
            }
            if list {
                self.repetitions.push(0);
                self.repetitions.extend(repeat_n(1, count - 1));
            }
            return;
        }
        if !list {
            self.push_element(elements, start);
            return;
        }
        if count == 0 {
            self.define(EMPTY);
            self.repetitions.push(0);
        }
        for position in 0..count {
            self.repetitions.push(i16::from(position > 0));
            self.push_element(elements, start + position);
        }
    }

    /// Appends the values that are there and are kept as they are, and says whether it did.
    fn copy(&mut self, elements: &Elements, row: Range<usize>) -> bool {
        fn copied<T: Copy>(all: &mut Vec<T>, row: Option<&[T]>) -> bool {
            let Some(row) = row else { return false };
            all.extend_from_slice(row);
            true
        }
        match (&mut self.values, elements) {
            (Values::F64(all), Elements::F64(vector)) => copied(all, vector.get(row)),
            (Values::F32(all), Elements::F32(vector)) => copied(all, vector.get(row)),
            (Values::I64(all), Elements::I64(vector)) => copied(all, vector.get(row)),
            (Values::I32(all), Elements::I32(vector)) => copied(all, vector.get(row)),
            (Values::Bool(all), Elements::Bool(vector)) => copied(all, vector.get(row)),
            _ => false,
        }
    }

    fn push_element(&mut self, elements: &Elements, at: usize) {
        macro_rules! push {
            ($vector:ident, |$element:ident| $push:expr) => {
                match $vector.get(at) {
                    Some($element) => $push,
                    None => self.absent(),
                }
            };
        }
        match elements {
            Elements::F64(vector) => push!(vector, |float| self.push_f64(*float)),
            Elements::F32(vector) => push!(vector, |float| self.push_f32(*float)),
            Elements::F16(vector) => push!(vector, |float| self.push_f32(float.to_f32())),
            Elements::I64(vector) => push!(vector, |int| self.push_i64(*int)),
            Elements::I32(vector) => push!(vector, |int| self.push_i32(*int)),
            Elements::I16(vector) => push!(vector, |int| self.push_i32(i32::from(*int))),
            Elements::I8(vector) => push!(vector, |int| self.push_i32(i32::from(*int))),
            Elements::U64(vector) => push!(vector, |int| self.push_i64(int.cast_signed())),
            Elements::U32(vector) => push!(vector, |int| self.push_i32(int.cast_signed())),
            Elements::U16(vector) => push!(vector, |int| self.push_i32(i32::from(*int))),
            Elements::U8(vector) => push!(vector, |int| self.push_i32(i32::from(*int))),
            Elements::Bool(vector) => push!(vector, |flag| self.push_bool(*flag)),
            Elements::Str(vector) => push!(vector, |text| self.push_text(text.as_bytes())),
            Elements::Datetime(vector) => push!(vector, |moment| if *moment == i64::MIN {
                self.absent();
            } else {
                self.push_i64(*moment);
            }),
            Elements::Object(vector) => push!(vector, |value| self.push_value(value)),
        }
    }

    fn push_value(&mut self, value: &Value) {
        match (self.kind, value) {
            (_, Value::Null) => self.absent(),
            (Kind::Text | Kind::Bytes, Value::Str(text)) => self.push_text(text.as_bytes()),
            (Kind::Bytes, Value::Bytes(bytes)) => self.push_text(bytes),
            (_, other) => self.push_json(|out| json::write_value(out, other)),
        }
    }

    // === writing ===

    /// Forgets what was pushed.
    pub(super) fn clear(&mut self) {
        self.definitions.clear();
        self.repetitions.clear();
        match &mut self.values {
            Values::Bool(values) => values.clear(),
            Values::I32(values) => values.clear(),
            Values::I64(values) => values.clear(),
            Values::F32(values) => values.clear(),
            Values::F64(values) => values.clear(),
            Values::Text(all, ends) | Values::Random(all, ends) => {
                all.clear();
                ends.clear();
            }
            Values::Words(words, places) => {
                words.clear();
                places.clear();
            }
            Values::Ids(all) => all.clear(),
        }
    }
}
