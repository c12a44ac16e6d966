//! A model's signature: the inputs it takes, the outputs it gives, the parameters it knows.
//!
//! The text form is the JSON inside `MLmodel`. Every form MLflow 1.x, 2.x and 3.x wrote is read: `required` (3.x, 2.10
//! and later) and `optional` (before), `type` and `dtype` in parameters, names or none.

mod parse;
pub mod text;

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::batch::{Name, Names};
use crate::model::tensor::DType;
use crate::model::value::Value;

pub use parse::SignatureError;

/// What a model takes and gives. Axis 0 of every tensor is rows; every column has one element a row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Signature {
    /// Inputs; `None` when the model declares none, and then nothing is enforced.
    pub inputs: Option<Schema>,
    /// Outputs, if declared.
    pub outputs: Option<Schema>,
    /// Parameters; `None` when the model declares none, and then `params` of a request is ignored.
    pub params: Option<Vec<ParamSpec>>,
}

/// One side of a signature.
#[derive(Debug, Clone, PartialEq)]
pub enum Schema {
    /// A table.
    Columns(ColumnSchema),
    /// Arrays.
    Tensors(Vec<TensorSpec>),
}

/// The columns of a table; either all are named or none is.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnSchema {
    columns: Vec<ColumnSpec>,
    names: Names,
    named: bool,
    /// Position of the first column of each name; a table may have thousands.
    positions: HashMap<Arc<str>, usize>,
}

impl ColumnSchema {
    /// A table of these columns; they count as named when every one has a name.
    pub fn new(columns: Vec<ColumnSpec>) -> ColumnSchema {
        let named = !columns.is_empty() && columns.iter().all(|column| column.name.is_some());
        let names = columns
            .iter()
            .enumerate()
            .map(|(position, column)| match &column.name {
                Some(name) => Name::Text(name.clone()),
                None => Name::Index(position as i64),
            })
            .collect();
        let mut positions = HashMap::with_capacity(columns.len());
        for (position, column) in columns.iter().enumerate() {
            if let Some(name) = &column.name {
                positions.entry(name.clone()).or_insert(position);
            }
        }
        ColumnSchema {
            columns,
            names,
            named,
            positions,
        }
    }

    /// The columns in the order of the signature.
    pub fn columns(&self) -> &[ColumnSpec] {
        &self.columns
    }

    /// Labels for a frame with exactly these columns, shared by every request.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Whether the columns are matched by name; else by position.
    pub fn named(&self) -> bool {
        self.named
    }

    /// Position of the column with this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnSpec {
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Type of its values.
    pub kind: ColumnType,
    /// Whether the column must be present. Says nothing about missing values.
    pub required: bool,
}

/// Type of the values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnType {
    /// One of MLflow's eight scalar types.
    Scalar(DataType),
    /// Lists of one type.
    Array(Box<ColumnType>),
    /// Objects with known properties.
    Object(Vec<Property>),
    /// Objects with text keys and values of one type.
    Map(Box<ColumnType>),
    /// No check.
    Any,
    /// A Spark ML vector.
    SparkMlVector,
}

/// One property of an [`ColumnType::Object`].
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Key.
    pub name: Arc<str>,
    /// Type of the value.
    pub kind: ColumnType,
    /// Whether the key must be present.
    pub required: bool,
}

/// MLflow's scalar column types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// `bool`
    Boolean,
    /// 32-bit signed integer
    Integer,
    /// 64-bit signed integer
    Long,
    /// 32-bit float
    Float,
    /// 64-bit float
    Double,
    /// text
    String,
    /// bytes
    Binary,
    /// nanoseconds since the epoch, no time zone
    Datetime,
}

impl DataType {
    /// Name in a signature.
    pub fn name(self) -> &'static str {
        match self {
            DataType::Boolean => "boolean",
            DataType::Integer => "integer",
            DataType::Long => "long",
            DataType::Float => "float",
            DataType::Double => "double",
            DataType::String => "string",
            DataType::Binary => "binary",
            DataType::Datetime => "datetime",
        }
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<DataType> {
        Some(match name {
            "boolean" => DataType::Boolean,
            "integer" => DataType::Integer,
            "long" => DataType::Long,
            "float" => DataType::Float,
            "double" => DataType::Double,
            "string" => DataType::String,
            "binary" => DataType::Binary,
            "datetime" => DataType::Datetime,
            _ => return None,
        })
    }

    /// Element type of a column of this type without missing values; bytes live in `object` columns.
    pub fn dtype(self) -> DType {
        match self {
            DataType::Boolean => DType::Bool,
            DataType::Integer => DType::I32,
            DataType::Long => DType::I64,
            DataType::Float => DType::F32,
            DataType::Double => DType::F64,
            DataType::String => DType::Str,
            DataType::Binary => DType::Object,
            DataType::Datetime => DType::Datetime,
        }
    }
}

/// One tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpec {
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Element type.
    pub dtype: DType,
    /// Extents; `-1` is any.
    pub shape: Vec<i64>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Type of its value, or of its elements.
    pub kind: ColumnType,
    /// Used when a request does not send the parameter.
    pub default: Value,
    /// Whether the value is a list (`shape: [-1]`).
    pub list: bool,
}
