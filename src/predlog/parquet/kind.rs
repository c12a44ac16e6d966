//! Types of columns, and what Parquet calls them.

use parquet::basic::{LogicalType, TimeUnit, Type as Physical};

use crate::model::tensor::DType;

/// Type of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    Text,
    /// Nanoseconds since the epoch, without a time zone.
    Nanos,
    /// Microseconds since the epoch, of UTC.
    Micros,
    Bytes,
    /// Any value, as JSON text.
    Json,
    /// Sixteen bytes.
    Id,
}

impl Kind {
    /// That of a tensor's elements; half floats are widened, for few readers know them.
    pub(super) fn of(dtype: DType) -> Kind {
        match dtype {
            DType::Bool => Kind::Bool,
            DType::I8 => Kind::I8,
            DType::I16 => Kind::I16,
            DType::I32 => Kind::I32,
            DType::I64 => Kind::I64,
            DType::U8 => Kind::U8,
            DType::U16 => Kind::U16,
            DType::U32 => Kind::U32,
            DType::U64 => Kind::U64,
            DType::F16 | DType::F32 => Kind::F32,
            DType::F64 => Kind::F64,
            DType::Str => Kind::Text,
            DType::Datetime => Kind::Nanos,
            DType::Object => Kind::Json,
        }
    }

    pub(super) fn physical(self) -> Physical {
        match self {
            Kind::Bool => Physical::BOOLEAN,
            Kind::I8 | Kind::I16 | Kind::I32 | Kind::U8 | Kind::U16 | Kind::U32 => Physical::INT32,
            Kind::I64 | Kind::U64 | Kind::Nanos | Kind::Micros => Physical::INT64,
            Kind::F32 => Physical::FLOAT,
            Kind::F64 => Physical::DOUBLE,
            Kind::Text | Kind::Bytes | Kind::Json => Physical::BYTE_ARRAY,
            Kind::Id => Physical::FIXED_LEN_BYTE_ARRAY,
        }
    }

    pub(super) fn logical(self) -> Option<LogicalType> {
        Some(match self {
            Kind::I8 => LogicalType::integer(8, true),
            Kind::I16 => LogicalType::integer(16, true),
            Kind::U8 => LogicalType::integer(8, false),
            Kind::U16 => LogicalType::integer(16, false),
            Kind::U32 => LogicalType::integer(32, false),
            Kind::U64 => LogicalType::integer(64, false),
            Kind::Text => LogicalType::String,
            Kind::Json => LogicalType::Json,
            Kind::Nanos => LogicalType::timestamp(false, TimeUnit::NANOS),
            Kind::Micros => LogicalType::timestamp(true, TimeUnit::MICROS),
            Kind::Id => LogicalType::Uuid,
            Kind::Bool | Kind::I32 | Kind::I64 | Kind::F32 | Kind::F64 | Kind::Bytes => return None,
        })
    }
}
