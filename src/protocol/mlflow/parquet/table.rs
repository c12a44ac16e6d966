//! A file's columns as a table.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::ColumnChunkMetaData;
use ::parquet::file::reader::FileReader;
use ::parquet::file::serialized_reader::SerializedFileReader;
use bytes::Bytes;

use crate::model::signature::Schema;
use crate::model::tensor::Elements;
use crate::protocol::mlflow::cast::{Column, Table};
use crate::protocol::mlflow::python::Raised;
use crate::serve::error::{Error, Kind};

use super::column::{Meaning, Stored, meaning};
use super::pages::unpacked_bytes;
use super::pandas::Notes;

/// A file of a few bytes can repeat a value as often as it likes: how many cells any body may hold, and how many more
/// for each of its bytes.
const CELLS: (usize, usize) = (4 << 20, 16);

/// The same for the bytes that the pages of a body may become, and again for the bytes of its texts.
const UNPACKED: (usize, usize) = (64 << 20, 16);

/// Reads the columns a model with this schema wants; of others only the names.
pub(super) fn read(body: &[u8], schema: Option<&Schema>) -> Result<Table, Raised> {
    check_footer(body)?;
    // The reader asserts here and there what a file says of itself; a bad file must be an answer like any other.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        read_table(Bytes::copy_from_slice(body), schema)
    }));
    match outcome {
        Ok(result) => result.map_err(|error| match error {
            ParquetError::General(text) | ParquetError::EOF(text) => refusal(text),
            other => refusal(other.to_string()),
        }),
        Err(_) => Err(refusal("the file contradicts itself")),
    }
}

/// What MLflow answers when pandas raises.
pub(super) fn refused(raised: Raised) -> Error {
    let message = format!(
        "Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid Parquet Pandas DataFrame \
         produced using the `pandas.DataFrame.to_parquet()` method. Error: '{}'",
        raised.message
    );
    Error::new(Kind::InvalidInput, message).with_detail(format!(
        "{}: {}",
        raised.class,
        raised.message.trim_end()
    ))
}

fn refusal(message: impl Into<String>) -> Raised {
    Raised::new("pyarrow.lib.ArrowInvalid", message)
}

/// The checks of pyarrow on what is not a Parquet file at all, with its words.
fn check_footer(body: &[u8]) -> Result<(), Raised> {
    let size = body.len();
    let problem = if size == 0 {
        "Parquet file size is 0 bytes".to_owned()
    } else if size < 8 {
        format!("Parquet file size is {size} bytes, smaller than the minimum file footer (8 bytes)")
    } else if !body.ends_with(b"PAR1") && !body.ends_with(b"PARE") {
        "Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file."
            .to_owned()
    } else {
        let footer = body
            .get(size - 8..size - 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u32::from_le_bytes);
        if footer as usize <= size - 8 {
            return Ok(());
        }
        format!(
            "Parquet file size is {size} bytes, smaller than the size reported by footer's ({footer}bytes)"
        )
    };
    Err(refusal(format!(
        "Could not open Parquet input source '<Buffer>': {problem}"
    )))
}

fn read_table(body: Bytes, schema: Option<&Schema>) -> Result<Table, ParquetError> {
    let reader = SerializedFileReader::new(body.clone())?;
    let file = reader.metadata().file_metadata();
    let notes = Notes::new(file);
    let descriptor = file.schema_descr();
    let mut rows: usize = 0;
    for group in reader.metadata().row_groups() {
        let more = usize::try_from(group.num_rows()).ok();
        rows = more
            .and_then(|more| rows.checked_add(more))
            .ok_or_else(|| general("a row group has no row count"))?;
    }
    let fields = descriptor.root_schema().get_fields();
    if rows.saturating_mul(fields.len()) > allowance(CELLS, &body) {
        return Err(general(format!(
            "{rows} rows of {} columns are more than a body may hold",
            fields.len()
        )));
    }
    let mut unpacked = allowance(UNPACKED, &body);
    let mut text = unpacked;
    let mut columns = Vec::with_capacity(fields.len());
    for (root, field) in fields.iter().enumerate() {
        let Some(name) = notes.name(field.name()) else {
            continue;
        };
        if !wanted(schema, field.name()) {
            // Enforcement looks at the name of a column it does not know, never at its values.
            columns.push(Column {
                name,
                values: Elements::Bool(vec![false; rows]),
                zoned: false,
                text: false,
            });
            continue;
        }
        let mut leaves =
            (0..descriptor.num_columns()).filter(|&leaf| descriptor.get_column_root_idx(leaf) == root);
        let leaf = match leaves.next() {
            Some(leaf) if field.is_primitive() && descriptor.column(leaf).max_rep_level() == 0 => leaf,
            _ => {
                return Err(general(format!(
                    "column `{}` is nested, which is not supported",
                    field.name()
                )));
            }
        };
        let column = descriptor.column(leaf);
        let Some(meaning) = meaning(&column) else {
            let kind = column
                .logical_type_ref()
                .map_or_else(|| column.converted_type().to_string(), |kind| format!("{kind:?}"));
            return Err(general(format!(
                "column `{}` is of type {kind}, which is not supported",
                field.name()
            )));
        };
        let mut stored = Stored::new(column.physical_type());
        for (position, group) in reader.metadata().row_groups().iter().enumerate() {
            check_chunk(group.columns().get(leaf), &body, &mut unpacked)?;
            let group_reader = reader.get_row_group(position)?;
            let group_rows = usize::try_from(group.num_rows()).unwrap_or(0);
            stored.read(
                group_reader.get_column_reader(leaf)?,
                group_rows,
                column.max_def_level() > 0,
                &mut text,
            )?;
        }
        let values = stored.into_elements(meaning, rows).ok_or_else(|| {
            general(format!(
                "column `{}` has a value that its type does not allow",
                field.name()
            ))
        })?;
        let zoned = matches!(meaning, Meaning::Moment { zoned: true, .. });
        columns.push(Column {
            name,
            values,
            zoned,
            text: meaning == Meaning::Text,
        });
    }
    Ok(Table { rows, columns })
}

fn allowance((any, per_byte): (usize, usize), body: &Bytes) -> usize {
    body.len().saturating_mul(per_byte).saturating_add(any)
}

/// Whether the schema looks at the values of a column: named columns are picked by name, others by position.
fn wanted(schema: Option<&Schema>, name: &str) -> bool {
    match schema {
        Some(Schema::Columns(columns)) if columns.named() => columns.position(name).is_some(),
        _ => true,
    }
}

/// Checks that a column chunk lies within the body, and takes what it claims to become from what is left.
fn check_chunk(
    chunk: Option<&ColumnChunkMetaData>,
    body: &Bytes,
    left: &mut usize,
) -> Result<(), ParquetError> {
    let bytes = chunk.and_then(|chunk| {
        let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        let start = usize::try_from(start).ok()?;
        let length = usize::try_from(chunk.compressed_size()).ok()?;
        body.get(start..start.checked_add(length)?)
    });
    let bytes = bytes.ok_or_else(|| general("a column is not within the file"))?;
    let claimed = unpacked_bytes(bytes).map_err(|error| general(error.to_string()))?;
    let rest = usize::try_from(claimed)
        .ok()
        .and_then(|claimed| left.checked_sub(claimed));
    *left = rest.ok_or_else(|| general("the columns unpack to more bytes than a body may hold"))?;
    Ok(())
}

fn general(message: impl Into<String>) -> ParquetError {
    ParquetError::General(message.into())
}
