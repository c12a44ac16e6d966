//! `text/csv` bodies: what `pandas.read_csv` makes of them.

mod cell;
mod forced;
mod header;
mod infer;
mod tokens;

use crate::model::batch::{Batch, Name};
use crate::model::signature::{ColumnType, DataType, Schema, Signature};
use crate::model::tensor::{DType, Elements};
use crate::protocol::mlflow::cast::{Column, Table};
use crate::protocol::mlflow::enforce::{Details, finish_table};
use crate::protocol::mlflow::python::{Raised, repr_bytes};
use crate::protocol::{Codec, Decoded, Limits, Reply};
use crate::serve::error::{Error, Kind};

use header::Label;
use tokens::Tokens;

/// Cells that padding may add to those a body has: a short body of few wide and many short rows must not become
/// gigabytes.
const MAX_PADDING: usize = 4 << 20;

/// The codec of `text/csv`.
#[derive(Debug, Clone, Copy, Default)]
pub struct CsvCodec {
    /// Whether messages about the schema stay general (`MLFLOW_DISABLE_SCHEMA_DETAILS`).
    pub disable_schema_details: bool,
}

impl Codec for CsvCodec {
    fn decode(&self, body: &[u8], signature: &Signature, _limits: Limits) -> Result<Decoded, Error> {
        if body.len() > tokens::MAX_BYTES {
            return Err(Error::new(
                Kind::TooLarge,
                format!("CSV is read up to {} bytes", tokens::MAX_BYTES),
            ));
        }
        let text = std::str::from_utf8(body).map_err(|error| not_utf8(body, error))?;
        let table = read(text, signature.inputs.as_ref()).map_err(refused)?;
        finish_table(
            table,
            signature,
            Details {
                hidden: self.disable_schema_details,
            },
        )
    }

    fn encode(&self, output: &Batch, reply: Reply, out: &mut Vec<u8>) -> Result<(), Error> {
        super::encode::encode(output, reply, out)
    }
}

fn read(text: &str, schema: Option<&Schema>) -> Result<Table, Raised> {
    let kinds = Kinds::new(schema)?;
    let tokens = Tokens::new(text)?;
    let header = tokens.header().unwrap_or_default();
    if header.is_empty() {
        return Err(Raised::new(
            "pandas.errors.EmptyDataError",
            "No columns to parse from file",
        ));
    }
    let rows = tokens.rows();
    let cells = rows.saturating_mul(tokens.width());
    if cells > text.len().saturating_add(MAX_PADDING) {
        let message = format!(
            "{rows} rows padded to {} columns are more than a body may be",
            tokens.width()
        );
        return Err(Raised::new("ValueError", message));
    }
    // Fields a row has beyond the header stand before it, as row labels.
    let labels_before = tokens.width().saturating_sub(header.len());
    let labels = header::labels(&header);
    if rows == 0 {
        kinds.check_positions(labels.len())?;
    }
    if rows > 0 {
        kinds.check_row_labels(&tokens, labels_before)?;
    }
    let mut columns = Vec::with_capacity(labels.len());
    for (index, label) in labels.into_iter().enumerate() {
        let position = labels_before + index;
        let cells = tokens.column(position);
        let (values, text) = match kinds.of(&label, position) {
            // Enforcement looks at the name of a column it does not know, never at its values.
            Wanted::Ignored => (Elements::Bool(vec![false; rows]), false),
            Wanted::Inferred if rows == 0 => (Elements::Object(Vec::new()), false),
            Wanted::Inferred => infer::infer(cells).into_elements(),
            Wanted::Forced(kind) if rows == 0 => (forced::empty(kind), false),
            Wanted::Forced(kind) => (forced::read(kind, cells, position)?, false),
            Wanted::Tensor(dtype) => (tensor_column(dtype, cells, position)?, false),
        };
        columns.push(Column {
            name: Name::Text(label.name.into()),
            values,
            zoned: false,
            text,
        });
    }
    Ok(Table { rows, columns })
}

/// What a column is read as.
enum Wanted {
    /// Whatever its texts are.
    Inferred,
    /// A type of the signature.
    Forced(DataType),
    /// The elements of a tensor.
    Tensor(DType),
    /// Nothing: the signature does not know the column.
    Ignored,
}

/// The types a signature forces.
enum Kinds<'a> {
    None,
    Named(Vec<(&'a str, DataType)>),
    Positional(Vec<DataType>),
    OneTensor(DType),
    Tensors(Vec<(&'a str, DType)>),
}

impl<'a> Kinds<'a> {
    fn new(schema: Option<&'a Schema>) -> Result<Kinds<'a>, Raised> {
        let columns = match schema {
            None => return Ok(Kinds::None),
            Some(Schema::Tensors(tensors)) => {
                // MLflow has no CSV for models that take tensors; a table of numbers has one reading only.
                return Ok(match tensors.as_slice() {
                    [only] if only.name.is_none() => Kinds::OneTensor(only.dtype),
                    named => Kinds::Tensors(
                        named
                            .iter()
                            .map(|spec| (spec.name.as_deref().unwrap_or_default(), spec.dtype))
                            .collect(),
                    ),
                });
            }
            Some(Schema::Columns(columns)) => columns,
        };
        let scalars: Option<Vec<DataType>> = columns
            .columns()
            .iter()
            .map(|column| match column.kind {
                ColumnType::Scalar(kind) => Some(kind),
                _ => None,
            })
            .collect();
        let Some(scalars) = scalars else {
            return Err(Raised::new(
                "mlflow.exceptions.MlflowException",
                "Failed to get pandas types as some of the inputs types are not DataType.",
            ));
        };
        if !columns.named() {
            return Ok(Kinds::Positional(scalars));
        }
        let names = columns
            .columns()
            .iter()
            .map(|column| column.name.as_deref().unwrap_or_default());
        Ok(Kinds::Named(names.zip(scalars).collect()))
    }

    /// What to read a column as, which stands at `position` of the table.
    fn of(&self, label: &Label, position: usize) -> Wanted {
        match self {
            Kinds::None => Wanted::Inferred,
            Kinds::OneTensor(dtype) => Wanted::Tensor(*dtype),
            Kinds::Tensors(tensors) => find(tensors, label).map_or(Wanted::Ignored, Wanted::Tensor),
            Kinds::Named(kinds) => find(kinds, label).map_or(Wanted::Ignored, Wanted::Forced),
            // Enforcement counts columns from the first: with row labels before it, those of no type are read too.
            Kinds::Positional(kinds) => kinds
                .get(position)
                .map_or(Wanted::Inferred, |kind| Wanted::Forced(*kind)),
        }
    }

    /// Types go by the position of a column, row labels included: those are read too, and then not used.
    fn check_row_labels(&self, tokens: &Tokens<'_>, labels: usize) -> Result<(), Raised> {
        let Kinds::Positional(kinds) = self else {
            return Ok(());
        };
        for (position, kind) in kinds.iter().enumerate().take(labels) {
            forced::read(*kind, tokens.column(position), position)?;
        }
        Ok(())
    }

    /// An empty table must have as many columns as the signature counts.
    fn check_positions(&self, columns: usize) -> Result<(), Raised> {
        match self {
            Kinds::Positional(kinds) if kinds.len() > columns => {
                Err(Raised::new("IndexError", "list index out of range"))
            }
            _ => Ok(()),
        }
    }
}

/// The type of a column by its name, or by the name it had before it was made unique.
fn find<T: Copy>(kinds: &[(&str, T)], label: &Label) -> Option<T> {
    let by_name = |name: &str| {
        kinds
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| *kind)
    };
    by_name(&label.name).or_else(|| by_name(label.copy_of.as_deref()?))
}

/// Reads a column of numbers in a tensor's element type; of other types as it comes.
fn tensor_column<'a>(
    dtype: DType,
    cells: impl Iterator<Item = &'a str> + Clone,
    position: usize,
) -> Result<Elements, Raised> {
    let out_of_range = || {
        Raised::new(
            "OverflowError",
            format!("a value of column {position} is out of bounds for {dtype}"),
        )
    };
    macro_rules! narrow {
        ($variant:ident, $kind:ty) => {{
            let Elements::I64(values) = forced::read(DataType::Long, cells, position)? else {
                return Err(out_of_range());
            };
            let values: Result<Vec<$kind>, _> = values.into_iter().map(<$kind>::try_from).collect();
            Elements::$variant(values.map_err(|_| out_of_range())?)
        }};
    }
    Ok(match dtype {
        DType::F64 => forced::read(DataType::Double, cells, position)?,
        DType::F32 => forced::read(DataType::Float, cells, position)?,
        DType::F16 => match forced::read(DataType::Double, cells, position)? {
            Elements::F64(values) => Elements::F16(values.into_iter().map(half::f16::from_f64).collect()),
            other => other,
        },
        DType::I64 => forced::read(DataType::Long, cells, position)?,
        DType::I32 => forced::read(DataType::Integer, cells, position)?,
        DType::I16 => narrow!(I16, i16),
        DType::I8 => narrow!(I8, i8),
        DType::U64 => narrow!(U64, u64),
        DType::U32 => narrow!(U32, u32),
        DType::U16 => narrow!(U16, u16),
        DType::U8 => narrow!(U8, u8),
        DType::Bool => forced::read(DataType::Boolean, cells, position)?,
        DType::Str => forced::read(DataType::String, cells, position)?,
        DType::Datetime => forced::read(DataType::Datetime, cells, position)?,
        DType::Object => infer::infer(cells).into_elements().0,
    })
}

/// What MLflow answers when pandas raises.
fn refused(raised: Raised) -> Error {
    let message = format!(
        "Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid CSV-formatted Pandas DataFrame \
         produced using the `pandas.DataFrame.to_csv()` method. Error: '{}'",
        raised.message
    );
    Error::new(Kind::InvalidInput, message).with_detail(format!(
        "{}: {}",
        raised.class,
        raised.message.trim_end()
    ))
}

fn not_utf8(body: &[u8], error: std::str::Utf8Error) -> Error {
    /// More of a body does not help anybody.
    const SHOWN: usize = 1_000;
    let start = error.valid_up_to();
    let (end, reason) = match error.error_len() {
        None => (body.len(), "unexpected end of data"),
        Some(1)
            if body
                .get(start)
                .is_some_and(|byte| matches!(byte, 0x80..=0xc1 | 0xf5..)) =>
        {
            (start + 1, "invalid start byte")
        }
        Some(length) => (start + length, "invalid continuation byte"),
    };
    let shown = repr_bytes(body, SHOWN);
    Error::new(
        Kind::InvalidInput,
        format!(
            "Invalid input. Ensure that input is a valid UTF-8 encoded string. Error: 'UnicodeDecodeError('utf-8', \
             {shown}, {start}, {end}, '{reason}')'"
        ),
    )
}
