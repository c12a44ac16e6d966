//! One flat column, in the type pandas gives it.

use ::parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{AsBytes, DataType};
use ::parquet::errors::ParquetError;
use ::parquet::schema::types::ColumnDescriptor;
use half::f16;

use crate::model::tensor::Elements;
use crate::model::value::Value;

/// What a stored value stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Bool,
    Int {
        bits: u8,
        signed: bool,
    },
    Float,
    Double,
    Half,
    Text,
    Bytes,
    Moment {
        per_second: i64,
        zoned: bool,
    },
    Int96,
    /// A column of nothing but missing values, which has no type.
    Null,
}

/// What the values of a column stand for; `None` for what no table of a model holds.
pub(super) fn meaning(column: &ColumnDescriptor) -> Option<Meaning> {
    let logical = column.logical_type_ref();
    let converted = column.converted_type();
    if logical == Some(&LogicalType::Unknown) {
        return Some(Meaning::Null);
    }
    Some(match column.physical_type() {
        Type::BOOLEAN => Meaning::Bool,
        Type::FLOAT => Meaning::Float,
        Type::DOUBLE => Meaning::Double,
        Type::INT96 => Meaning::Int96,
        Type::INT32 | Type::INT64 => match (logical, converted) {
            (Some(LogicalType::Integer(kind)), _) => Meaning::Int {
                bits: u8::try_from(kind.bit_width).ok()?,
                signed: kind.is_signed,
            },
            (Some(LogicalType::Timestamp(kind)), _) => {
                let per_second = match kind.unit {
                    TimeUnit::MILLIS => 1_000,
                    TimeUnit::MICROS => 1_000_000,
                    TimeUnit::NANOS => 1_000_000_000,
                };
                Meaning::Moment {
                    per_second,
                    zoned: kind.is_adjusted_to_u_t_c,
                }
            }
            (None, ConvertedType::TIMESTAMP_MILLIS) => Meaning::Moment {
                per_second: 1_000,
                zoned: true,
            },
            (None, ConvertedType::TIMESTAMP_MICROS) => Meaning::Moment {
                per_second: 1_000_000,
                zoned: true,
            },
            (None, ConvertedType::INT_8) => Meaning::Int {
                bits: 8,
                signed: true,
            },
            (None, ConvertedType::INT_16) => Meaning::Int {
                bits: 16,
                signed: true,
            },
            (None, ConvertedType::UINT_8) => Meaning::Int {
                bits: 8,
                signed: false,
            },
            (None, ConvertedType::UINT_16) => Meaning::Int {
                bits: 16,
                signed: false,
            },
            (None, ConvertedType::UINT_32) => Meaning::Int {
                bits: 32,
                signed: false,
            },
            (None, ConvertedType::UINT_64) => Meaning::Int {
                bits: 64,
                signed: false,
            },
            (None, ConvertedType::NONE | ConvertedType::INT_32 | ConvertedType::INT_64) => {
                let bits = if column.physical_type() == Type::INT32 {
                    32
                } else {
                    64
                };
                Meaning::Int { bits, signed: true }
            }
            _ => return None,
        },
        Type::BYTE_ARRAY => match (logical, converted) {
            (Some(LogicalType::String | LogicalType::Enum | LogicalType::Json), _)
            | (None, ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON) => Meaning::Text,
            (None | Some(LogicalType::Bson), ConvertedType::NONE | ConvertedType::BSON) => Meaning::Bytes,
            _ => return None,
        },
        Type::FIXED_LEN_BYTE_ARRAY => match (logical, converted) {
            (Some(LogicalType::Float16), _) => Meaning::Half,
            (None | Some(LogicalType::Uuid), ConvertedType::NONE) => Meaning::Bytes,
            _ => return None,
        },
    })
}

/// The values of a column as they are stored, and which rows have one.
#[derive(Debug)]
pub(super) enum Stored {
    Bool(Cells<bool>),
    Int32(Cells<i32>),
    Int64(Cells<i64>),
    Float(Cells<f32>),
    Double(Cells<f64>),
    Bytes(Cells<Vec<u8>>),
    Int96(Cells<i64>),
}

/// Values of the rows that have one.
#[derive(Debug)]
pub(super) struct Cells<T> {
    values: Vec<T>,
    /// Whether each row has a value; empty when all do by the schema.
    present: Vec<bool>,
}

impl<T> Cells<T> {
    fn new() -> Cells<T> {
        Cells {
            values: Vec::new(),
            present: Vec::new(),
        }
    }

    fn any_missing(&self) -> bool {
        self.present.len() > self.values.len()
    }

    /// One element a row, `missing` where there is no value.
    fn spread<U: Clone>(self, convert: impl Fn(T) -> U, missing: U) -> Vec<U> {
        if !self.any_missing() {
            return self.values.into_iter().map(convert).collect();
        }
        let mut values = self.values.into_iter();
        let cell = |present| {
            if present {
                values.next().map(&convert)
            } else {
                None
            }
        };
        self.present
            .into_iter()
            .map(cell)
            .map(|value| value.unwrap_or_else(|| missing.clone()))
            .collect()
    }
}

impl Stored {
    /// Room for the values of a physical type.
    pub(super) fn new(kind: Type) -> Stored {
        match kind {
            Type::BOOLEAN => Stored::Bool(Cells::new()),
            Type::INT32 => Stored::Int32(Cells::new()),
            Type::INT64 => Stored::Int64(Cells::new()),
            Type::INT96 => Stored::Int96(Cells::new()),
            Type::FLOAT => Stored::Float(Cells::new()),
            Type::DOUBLE => Stored::Double(Cells::new()),
            Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => Stored::Bytes(Cells::new()),
        }
    }

    /// Appends the values of one row group. `budget` is how many bytes of text may still be read.
    ///
    /// # Errors
    /// The reader's; when there are fewer values than rows; when the budget is spent.
    pub(super) fn read(
        &mut self,
        reader: ColumnReader,
        rows: usize,
        optional: bool,
        budget: &mut usize,
    ) -> Result<(), ParquetError> {
        match (self, reader) {
            (Stored::Bool(cells), ColumnReader::BoolColumnReader(reader)) => {
                append(cells, reader, rows, optional, Ok)
            }
            (Stored::Int32(cells), ColumnReader::Int32ColumnReader(reader)) => {
                append(cells, reader, rows, optional, Ok)
            }
            (Stored::Int64(cells), ColumnReader::Int64ColumnReader(reader)) => {
                append(cells, reader, rows, optional, Ok)
            }
            (Stored::Float(cells), ColumnReader::FloatColumnReader(reader)) => {
                append(cells, reader, rows, optional, Ok)
            }
            (Stored::Double(cells), ColumnReader::DoubleColumnReader(reader)) => {
                append(cells, reader, rows, optional, Ok)
            }
            (Stored::Int96(cells), ColumnReader::Int96ColumnReader(reader)) => {
                append(cells, reader, rows, optional, |value| Ok(value.to_nanos()))
            }
            (Stored::Bytes(cells), ColumnReader::ByteArrayColumnReader(reader)) => {
                append(cells, reader, rows, optional, |value| {
                    within(budget, value.as_bytes())
                })
            }
            (Stored::Bytes(cells), ColumnReader::FixedLenByteArrayColumnReader(reader)) => {
                append(cells, reader, rows, optional, |value| {
                    within(budget, value.as_bytes())
                })
            }
            _ => Err(ParquetError::General(
                "a row group differs from the schema".into(),
            )),
        }
    }

    /// The column as pandas has it; `None` when a value is not what the schema says: text that is not UTF-8, a moment
    /// out of range. Integers with missing values are doubles, booleans with missing values objects.
    pub(super) fn into_elements(self, meaning: Meaning, rows: usize) -> Option<Elements> {
        Some(match (meaning, self) {
            (Meaning::Null, _) => Elements::Object(vec![Value::Null; rows]),
            (Meaning::Bool, Stored::Bool(cells)) if cells.any_missing() => {
                Elements::Object(cells.spread(Value::Bool, Value::Null))
            }
            (Meaning::Bool, Stored::Bool(cells)) => Elements::Bool(cells.values),
            (Meaning::Float, Stored::Float(cells)) => Elements::F32(cells.spread(|value| value, f32::NAN)),
            (Meaning::Double, Stored::Double(cells)) => Elements::F64(cells.spread(|value| value, f64::NAN)),
            (Meaning::Half, Stored::Bytes(cells)) => {
                let half = |bytes: Vec<u8>| bytes.try_into().map_or(f16::NAN, f16::from_le_bytes);
                Elements::F16(cells.spread(half, f16::NAN))
            }
            (Meaning::Int { bits, signed }, Stored::Int32(cells)) => {
                integers(cells, bits, signed, i64::from)?
            }
            (Meaning::Int { bits, signed }, Stored::Int64(cells)) => {
                integers(cells, bits, signed, |value| value)?
            }
            (Meaning::Moment { per_second, .. }, Stored::Int64(cells)) => {
                let scale = 1_000_000_000 / per_second;
                let moments = cells.spread(|value| value.checked_mul(scale), Some(i64::MIN));
                Elements::Datetime(moments.into_iter().collect::<Option<_>>()?)
            }
            (Meaning::Int96, Stored::Int96(cells)) => {
                Elements::Datetime(cells.spread(|value| value, i64::MIN))
            }
            (Meaning::Text, Stored::Bytes(cells)) => {
                if !cells.any_missing() {
                    let texts = cells.values.into_iter().map(String::from_utf8);
                    return texts.collect::<Result<_, _>>().ok().map(Elements::Str);
                }
                let text = |bytes| String::from_utf8(bytes).ok().map(|text| Value::Str(text.into()));
                let texts = cells.spread(text, Some(Value::Float(f64::NAN)));
                Elements::Object(texts.into_iter().collect::<Option<_>>()?)
            }
            (Meaning::Bytes, Stored::Bytes(cells)) => {
                Elements::Object(cells.spread(Value::Bytes, Value::Null))
            }
            _ => return None,
        })
    }
}

/// Integers of a width, or doubles when some are missing. Parquet stores narrow ones, and unsigned ones, in the bits of
/// wider signed ones.
fn integers<T>(cells: Cells<T>, bits: u8, signed: bool, widen: impl Fn(T) -> i64) -> Option<Elements> {
    if cells.any_missing() {
        let double = |value: T| {
            let value = widen(value);
            match (bits, signed) {
                (32, false) => f64::from(value as u32),
                (64, false) => value as u64 as f64,
                _ => value as f64,
            }
        };
        return Some(Elements::F64(cells.spread(double, f64::NAN)));
    }
    let values = cells.values.into_iter().map(widen);
    Some(match (bits, signed) {
        (8, true) => Elements::I8(values.map(|value| value as i8).collect()),
        (16, true) => Elements::I16(values.map(|value| value as i16).collect()),
        (32, true) => Elements::I32(values.map(|value| value as i32).collect()),
        (64, true) => Elements::I64(values.collect()),
        (8, false) => Elements::U8(values.map(|value| value as u8).collect()),
        (16, false) => Elements::U16(values.map(|value| value as u16).collect()),
        (32, false) => Elements::U32(values.map(|value| value as u32).collect()),
        (64, false) => Elements::U64(values.map(|value| value as u64).collect()),
        _ => return None,
    })
}

fn within(budget: &mut usize, bytes: &[u8]) -> Result<Vec<u8>, ParquetError> {
    match budget.checked_sub(bytes.len()) {
        Some(left) => *budget = left,
        None => {
            return Err(ParquetError::General(
                "the text of the columns is longer than a body may be".into(),
            ));
        }
    }
    Ok(bytes.to_vec())
}

/// Values are read in steps, so that what a file claims is not reserved before it is seen.
const STEP: usize = 64 << 10;

fn append<T: DataType, U>(
    cells: &mut Cells<U>,
    mut reader: ColumnReaderImpl<T>,
    rows: usize,
    optional: bool,
    mut convert: impl FnMut(T::T) -> Result<U, ParquetError>,
) -> Result<(), ParquetError> {
    let mut left = rows;
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    while left > 0 {
        values.clear();
        levels.clear();
        let definitions = optional.then_some(&mut levels);
        let (records, _, _) = reader.read_records(left.min(STEP), definitions, None, &mut values)?;
        if records == 0 {
            return Err(ParquetError::EOF(format!(
                "{left} values are missing from a column"
            )));
        }
        left -= records.min(left);
        for value in values.drain(..) {
            cells.values.push(convert(value)?);
        }
        cells.present.extend(levels.iter().map(|&level| level > 0));
    }
    Ok(())
}
