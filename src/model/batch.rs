//! A batch: the rows one call of a model takes, and those it gives back.

use std::fmt;
use std::sync::Arc;

use crate::model::tensor::{DType, Tensor};
use crate::model::value::Value;

/// The label of a column: text, or its position where the client named none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// A named column.
    Text(Arc<str>),
    /// A column known by an integer label, as pandas gives to unnamed ones.
    Index(i64),
}

impl Name {
    /// The text label, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Name::Text(text) => Some(text),
            Name::Index(_) => None,
        }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Name {
        Name::Text(Arc::from(text))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Text(text) => out.write_str(text),
            Name::Index(index) => write!(out, "{index}"),
        }
    }
}

/// The names of a frame's columns, shared with the signature so that a request copies a pointer only.
pub type Names = Arc<[Name]>;

/// The columns of a frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Columns {
    /// All columns of one element type, as one `[rows, columns]` row-major tensor.
    Matrix(Tensor),
    /// One tensor a column, each with `rows` on axis 0; usually of one axis.
    Separate(Vec<Tensor>),
}

/// A table with named columns (Python: a pandas `DataFrame`).
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    rows: usize,
    names: Names,
    columns: Columns,
}

/// Why columns do not make a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The number of names is not the number of columns.
    #[error("{names} column names for {columns} columns")]
    Names {
        /// Number of names.
        names: usize,
        /// Number of columns.
        columns: usize,
    },
    /// A column has another number of rows.
    #[error("column {column} has {got} rows, the frame has {rows}")]
    Rows {
        /// Position of the column.
        column: usize,
        /// Its rows.
        got: usize,
        /// The frame's rows.
        rows: usize,
    },
    /// A matrix has not two axes.
    #[error("a matrix of columns has two axes, got {0}")]
    Axes(usize),
}

impl Frame {
    /// A frame of `rows` rows.
    pub fn new(rows: usize, names: Names, columns: Columns) -> Result<Frame, FrameError> {
        match &columns {
            Columns::Matrix(matrix) => {
                let [got, width] = *matrix.shape() else {
                    return Err(FrameError::Axes(matrix.shape().len()));
                };
                if width != names.len() {
                    return Err(FrameError::Names {
                        names: names.len(),
                        columns: width,
                    });
                }
                if got != rows {
                    return Err(FrameError::Rows { column: 0, got, rows });
                }
            }
            Columns::Separate(separate) => {
                if separate.len() != names.len() {
                    return Err(FrameError::Names {
                        names: names.len(),
                        columns: separate.len(),
                    });
                }
                for (column, tensor) in separate.iter().enumerate() {
                    if tensor.shape().is_empty() || tensor.rows() != rows {
                        return Err(FrameError::Rows {
                            column,
                            got: tensor.rows(),
                            rows,
                        });
                    }
                }
            }
        }
        Ok(Frame { rows, names, columns })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.names.len()
    }

    /// Column names, in order.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The columns.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Takes the frame apart.
    pub fn into_parts(self) -> (usize, Names, Columns) {
        (self.rows, self.names, self.columns)
    }

    /// Position of the column with this text label.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|label| label.as_text() == Some(name))
    }

    /// Element type of the column at `index`.
    pub fn dtype(&self, index: usize) -> Option<DType> {
        match &self.columns {
            Columns::Matrix(matrix) => (index < self.width()).then(|| matrix.dtype()),
            Columns::Separate(separate) => separate.get(index).map(Tensor::dtype),
        }
    }
}

/// What a model is handed, or hands back.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A table (Python: `DataFrame`).
    Frame(Frame),
    /// One unnamed array (Python: `ndarray`).
    Array(Tensor),
    /// Named arrays (Python: `dict` of `ndarray`).
    Named(Vec<(Arc<str>, Tensor)>),
    /// Anything else: a list of records, a chat request, a bare scalar.
    Value(Value),
}

/// Parameters of a call, by name, defaults filled in; empty for a model without a parameter schema.
pub type Params = Vec<(Arc<str>, Value)>;

/// The input or the output of one call of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The rows.
    pub body: Body,
    /// Parameters of the call; empty on outputs.
    pub params: Params,
}

impl Batch {
    /// A batch without parameters.
    pub fn new(body: Body) -> Batch {
        Batch {
            body,
            params: Params::new(),
        }
    }

    /// Number of rows: axis 0 of the members, 1 for what has no axis.
    pub fn rows(&self) -> usize {
        match &self.body {
            Body::Frame(frame) => frame.rows(),
            Body::Array(tensor) => tensor.rows(),
            Body::Named(members) => members.iter().map(|(_, tensor)| tensor.rows()).max().unwrap_or(0),
            Body::Value(Value::List(items)) => items.len(),
            Body::Value(_) => 1,
        }
    }
}
