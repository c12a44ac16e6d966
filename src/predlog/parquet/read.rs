//! Reads parts, row by row, as fields of JSON text.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::basic::LogicalType;
use parquet::errors::Result;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use super::super::json::{write_str, write_time_of, write_value};
use super::super::read::{ReadError, Row};
use crate::model::number::{write_f64, write_i64, write_iso, write_u64};
use crate::model::value::Value;

/// What the values of a column mean where their type does not say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Plain,
    Json,
    Nanos,
    Id,
}

/// Calls `each` with the rows of a file as long as it returns true. A file that is closed is read whole.
///
/// # Errors
/// When the file cannot be read.
pub(in crate::predlog) fn read(
    path: &Path,
    start: u64,
    each: &mut dyn FnMut(Row) -> bool,
) -> std::result::Result<u64, ReadError> {
    let file = File::open(path).map_err(|source| ReadError::Io {
        path: path.to_owned(),
        source,
    })?;
    // The reader is known to panic on some damaged files.
    let done = catch_unwind(AssertUnwindSafe(|| rows(file, each)));
    let problem = match done {
        Ok(Ok(())) => return Ok(start),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the file is damaged".to_owned(),
    };
    Err(ReadError::Parquet {
        path: path.to_owned(),
        problem,
    })
}

fn rows(file: File, each: &mut dyn FnMut(Row) -> bool) -> Result<()> {
    let reader = SerializedFileReader::new(file)?;
    let metadata = reader.metadata().file_metadata();
    let notes = metadata.key_value_metadata().map_or(&[][..], Vec::as_slice);
    let literal = |text: &str| {
        let mut out = Vec::new();
        write_str(&mut out, text);
        text_of(out)
    };
    let meanings: Vec<Meaning> = metadata
        .schema()
        .get_fields()
        .iter()
        .map(|field| meaning(field))
        .collect();
    // A prediction says in its file what it is of; feedback has columns for that.
    let of: Vec<(String, String)> = notes
        .iter()
        .filter(|note| matches!(note.key.as_str(), "model" | "version"))
        .map(|note| {
            (
                note.key.clone(),
                literal(note.value.as_deref().unwrap_or_default()),
            )
        })
        .collect();
    let kind = if of.is_empty() { "feedback" } else { "prediction" };
    for row in reader.get_row_iter(None)? {
        let row = row?;
        let mut fields = vec![("type".to_owned(), literal(kind))];
        for (position, (name, field)) in row.get_column_iter().enumerate() {
            let meaning = meanings.get(position).copied().unwrap_or(Meaning::Plain);
            let mut out = Vec::new();
            write_field(&mut out, field, meaning);
            fields.push((name.clone(), text_of(out)));
            if name == "time" {
                fields.extend(of.iter().cloned());
            }
        }
        if !each(Row { fields }) {
            break;
        }
    }
    Ok(())
}

fn text_of(out: Vec<u8>) -> String {
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn meaning(field: &Type) -> Meaning {
    match field.get_basic_info().logical_type_ref() {
        Some(LogicalType::Json) => Meaning::Json,
        Some(LogicalType::Uuid) => Meaning::Id,
        // The reader knows microseconds; the others are plain integers to it.
        Some(LogicalType::Timestamp(timestamp)) if !timestamp.is_adjusted_to_u_t_c => Meaning::Nanos,
        _ if field.is_group() => field
            .get_fields()
            .first()
            .map_or(Meaning::Plain, |inner| meaning(inner)),
        _ => Meaning::Plain,
    }
}

fn write_field(out: &mut Vec<u8>, field: &Field, meaning: Meaning) {
    match field {
        Field::Null => out.extend_from_slice(b"null"),
        Field::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Field::Byte(int) => write_i64(out, i64::from(*int)),
        Field::Short(int) => write_i64(out, i64::from(*int)),
        Field::Int(int) => write_i64(out, i64::from(*int)),
        Field::Long(moment) if meaning == Meaning::Nanos => {
            out.push(b'"');
            write_iso(out, *moment);
            out.push(b'"');
        }
        Field::Long(int) => write_i64(out, *int),
        Field::UByte(int) => write_u64(out, u64::from(*int)),
        Field::UShort(int) => write_u64(out, u64::from(*int)),
        Field::UInt(int) => write_u64(out, u64::from(*int)),
        Field::ULong(int) => write_u64(out, *int),
        Field::Float(float) => write_f64(out, f64::from(*float)),
        Field::Double(float) => write_f64(out, *float),
        Field::Str(text) if meaning == Meaning::Json => out.extend_from_slice(text.as_bytes()),
        Field::Str(text) => write_str(out, text),
        Field::TimestampMicros(micros) => write_time_of(out, *micros),
        Field::Bytes(bytes) if meaning == Meaning::Id => {
            let id = uuid::Uuid::from_slice(bytes.data()).unwrap_or_default();
            write_str(out, &id.to_string());
        }
        Field::Bytes(bytes) => write_value(out, &Value::Bytes(bytes.data().to_vec())),
        Field::ListInternal(list) => {
            out.push(b'[');
            for (position, element) in list.elements().iter().enumerate() {
                if position > 0 {
                    out.extend_from_slice(b", ");
                }
                write_field(out, element, meaning);
            }
            out.push(b']');
        }
        other => write_str(out, &other.to_string()),
    }
}
