//! Tables out of `dataframe_split` and `dataframe_records`, as pandas' `DataFrame` constructor makes them.

use std::collections::HashMap;

use super::{Column, Table, infer};
use crate::model::batch::Name;
use crate::model::tensor::Elements;
use crate::model::value::Value;

/// Missing cells are filled in: a table may have this many, and [`FILL`] times those that were sent.
const MAX_CELLS: usize = 1 << 20;
/// See [`MAX_CELLS`].
const FILL: usize = 8;

/// `DataFrame(data=records)`.
pub(crate) fn records(data: Vec<Value>) -> Result<Table, String> {
    from_list(data, None, None)
}

/// `DataFrame(index=…, columns=…, data=…)`; `None` is Python's `None`.
pub(crate) fn split(data: Value, columns: Option<Value>, index: Option<Value>) -> Result<Table, String> {
    let columns = columns.map(labels).transpose()?;
    let rows = index.map(index_length).transpose()?;
    match data {
        Value::Null => empty(columns, rows),
        Value::List(data) => from_list(data, columns, rows),
        Value::Map(entries) => from_map(entries, columns, rows),
        scalar => match (columns, rows) {
            // With both labels given pandas repeats the value.
            (Some(columns), Some(rows)) => {
                bounded(rows, columns.len(), 0)?;
                let column = |name| Column::new(name, infer::pandas(vec![scalar.clone(); rows]));
                Ok(Table {
                    rows,
                    columns: columns.into_iter().map(column).collect(),
                })
            }
            _ => Err("DataFrame constructor not properly called!".into()),
        },
    }
}

/// Labels of columns: text, or whole numbers.
fn labels(columns: Value) -> Result<Vec<Name>, String> {
    let Value::List(items) = columns else {
        let shown = super::super::python::text_of(&columns);
        return Err(format!(
            "Index(...) must be called with a collection of some kind, {} was passed",
            super::super::python::repr_text(&super::super::python::glimpse(&shown))
        ));
    };
    let label = |item: Value| match item {
        Value::Str(text) => Ok(Name::Text(text.into())),
        Value::Int(integer) => Ok(Name::Index(integer)),
        Value::Bool(truth) => Ok(Name::Index(truth.into())),
        Value::List(_) | Value::Map(_) => Err(format!("unhashable type: '{}'", item.python_type())),
        other => Ok(Name::Text(super::super::python::text_of(&other).into())),
    };
    items.into_iter().map(label).collect()
}

fn index_length(index: Value) -> Result<usize, String> {
    match index {
        Value::List(items) => Ok(items.len()),
        other => Err(format!(
            "Index(...) must be called with a collection of some kind, {} was passed",
            super::super::python::glimpse(&super::super::python::repr(&other))
        )),
    }
}

fn positions(width: usize) -> Vec<Name> {
    (0..width).map(|position| Name::Index(position as i64)).collect()
}

/// Refuses tables that are mostly filling: `sent` cells must not make us build many times as many.
pub(crate) fn bounded(rows: usize, width: usize, sent: usize) -> Result<(), String> {
    if rows.saturating_mul(width) > sent.saturating_mul(FILL).saturating_add(MAX_CELLS) {
        return Err(format!(
            "a table of {rows} rows and {width} columns is larger than is read"
        ));
    }
    Ok(())
}

/// A table without values: missing everywhere.
fn empty(columns: Option<Vec<Name>>, rows: Option<usize>) -> Result<Table, String> {
    let (columns, rows) = (columns.unwrap_or_default(), rows.unwrap_or(0));
    bounded(rows, columns.len(), 0)?;
    let missing = || Elements::Object(vec![Value::Float(f64::NAN); rows]);
    Ok(Table {
        rows,
        columns: columns
            .into_iter()
            .map(|name| Column::new(name, missing()))
            .collect(),
    })
}

/// `DataFrame(list, …)`: what the first item is decides how the others are read.
fn from_list(data: Vec<Value>, columns: Option<Vec<Name>>, rows: Option<usize>) -> Result<Table, String> {
    let found = data.len();
    let table = match data.first() {
        None => return empty(columns, rows),
        Some(Value::Map(_)) => from_records(data, columns)?,
        Some(Value::List(_)) => from_rows(data, columns)?,
        Some(_) => from_scalars(data, columns, rows)?,
    };
    match rows {
        // Without columns only the labels of rows count.
        Some(rows) if table.columns.is_empty() => Ok(Table { rows, ..table }),
        Some(rows) if rows != found => Err(format!(
            "Length of values ({found}) does not match length of index ({rows})"
        )),
        _ => Ok(table),
    }
}

fn from_rows(data: Vec<Value>, columns: Option<Vec<Name>>) -> Result<Table, String> {
    let rows = data.len();
    let (mut width, mut sent) = (0, 0);
    for row in &data {
        let cells = match row {
            Value::List(items) => items.len(),
            // pandas takes the letters of a text and the keys of an object for the row.
            Value::Str(text) => text.chars().count(),
            Value::Map(entries) => entries.len(),
            other => return Err(format!("object of type '{}' has no len()", other.python_type())),
        };
        width = width.max(cells);
        sent += cells;
    }
    bounded(rows, width, sent)?;
    let names = columns.unwrap_or_else(|| positions(width));
    if names.len() != width {
        return Err(format!(
            "{} columns passed, passed data had {width} columns",
            names.len()
        ));
    }
    let mut cells: Vec<Vec<Value>> = (0..width).map(|_| Vec::with_capacity(rows)).collect();
    for row in data {
        let items = match row {
            Value::List(items) => items,
            Value::Str(text) => text
                .chars()
                .map(|letter| Value::Str(letter.to_string().into()))
                .collect(),
            Value::Map(entries) => entries.into_iter().map(|(key, _)| Value::Str(key)).collect(),
            other => return Err(format!("'{}' object is not iterable", other.python_type())),
        };
        let mut items = items.into_iter();
        for column in &mut cells {
            column.push(items.next().unwrap_or(Value::Null));
        }
    }
    let columns = names
        .into_iter()
        .zip(cells)
        .map(|(name, values)| Column::new(name, infer::pandas(values)));
    Ok(Table {
        rows,
        columns: columns.collect(),
    })
}

/// What Python's `dict` says of what is neither an object nor empty.
fn no_record(value: &Value) -> String {
    let length = match value {
        Value::Str(text) if !text.is_empty() => Some(1),
        Value::List(items) => match items.first() {
            Some(Value::List(pair)) => Some(pair.len()),
            Some(Value::Str(pair)) => Some(pair.chars().count()),
            Some(Value::Map(pair)) => Some(pair.len()),
            _ => None,
        },
        other => return format!("'{}' object is not iterable", other.python_type()),
    };
    match length {
        Some(length) => format!("dictionary update sequence element #0 has length {length}; 2 is required"),
        None => "cannot convert dictionary update sequence element #0 to a sequence".into(),
    }
}

fn from_records(data: Vec<Value>, columns: Option<Vec<Name>>) -> Result<Table, String> {
    let rows = data.len();
    let entries = |record: &Value| {
        if let Value::Map(entries) = record {
            entries.len()
        } else {
            0
        }
    };
    let sent: usize = data.iter().map(entries).sum();
    let mut names: Vec<Name> = Vec::new();
    let mut positions: HashMap<Box<str>, Vec<usize>> = HashMap::new();
    let fixed = columns.is_some();
    for name in columns.into_iter().flatten() {
        if let Name::Text(text) = &name {
            positions
                .entry(text.as_ref().into())
                .or_default()
                .push(names.len());
        }
        names.push(name);
    }
    let mut cells: Vec<Vec<Value>> = vec![Vec::new(); names.len()];
    for (row, record) in data.into_iter().enumerate() {
        let entries = match record {
            Value::Map(entries) => entries,
            // As Python makes a dictionary of an empty list.
            Value::List(items) if items.is_empty() => Vec::new(),
            other => return Err(no_record(&other)),
        };
        for (key, value) in entries {
            if !fixed && !positions.contains_key(&key) {
                bounded(rows, names.len() + 1, sent)?;
                positions.insert(key.clone(), vec![names.len()]);
                names.push(Name::Text(key.as_ref().into()));
                cells.push(Vec::new());
            }
            for &position in positions.get(&key).into_iter().flatten() {
                if let Some(column) = cells.get_mut(position) {
                    column.resize(row, Value::Float(f64::NAN));
                    column.push(value.clone());
                }
            }
        }
    }
    bounded(rows, names.len(), sent)?;
    let columns = names.into_iter().zip(cells).map(|(name, mut values)| {
        values.resize(rows, Value::Float(f64::NAN));
        Column::new(name, infer::pandas(values))
    });
    Ok(Table {
        rows,
        columns: columns.collect(),
    })
}

/// A list of single values is one column.
fn from_scalars(
    data: Vec<Value>,
    columns: Option<Vec<Name>>,
    labels: Option<usize>,
) -> Result<Table, String> {
    let rows = data.len();
    let names = columns.unwrap_or_else(|| positions(1));
    let labels = labels.unwrap_or(rows);
    let [name] = names.as_slice() else {
        let width = names.len();
        return Err(format!(
            "Shape of passed values is ({rows}, 1), indices imply ({labels}, {width})"
        ));
    };
    if labels != rows {
        return Err(format!(
            "Shape of passed values is ({rows}, 1), indices imply ({labels}, 1)"
        ));
    }
    Ok(Table {
        rows,
        columns: vec![Column::new(name.clone(), infer::pandas(data))],
    })
}

/// `DataFrame({label: values})`.
fn from_map(
    entries: Vec<(Box<str>, Value)>,
    columns: Option<Vec<Name>>,
    rows: Option<usize>,
) -> Result<Table, String> {
    let lists: Vec<usize> = entries
        .iter()
        .filter_map(|(_, value)| match value {
            Value::List(items) => Some(items.len()),
            _ => None,
        })
        .collect();
    let Some(&found) = lists.first().or(rows.as_ref()) else {
        return Err("If using all scalar values, you must pass an index".into());
    };
    if lists.iter().any(|&length| length != found) {
        return Err("All arrays must be of the same length".into());
    }
    if let Some(rows) = rows
        && rows != found
    {
        return Err(format!("array length {found} does not match index length {rows}"));
    }
    bounded(found, entries.len(), lists.iter().sum())?;
    let mut by_name: HashMap<Box<str>, Elements> = HashMap::new();
    let mut order = Vec::new();
    for (key, value) in entries {
        let values = match value {
            Value::List(items) => items,
            Value::Map(_) => {
                return Err("Mixing dicts with non-Series may lead to ambiguous ordering.".into());
            }
            scalar => vec![scalar; found],
        };
        order.push(Name::Text(key.as_ref().into()));
        by_name.insert(key, infer::pandas(values));
    }
    let names = columns.unwrap_or(order);
    let column = |name: Name| {
        let values = name.as_text().and_then(|text| by_name.get(text)).cloned();
        Column::new(
            name,
            values.unwrap_or_else(|| Elements::Object(vec![Value::Float(f64::NAN); found])),
        )
    };
    Ok(Table {
        rows: found,
        columns: names.into_iter().map(column).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tensor::DType;
    use crate::protocol::mlflow::json::read::read;

    fn table(data: &str, columns: Option<&str>, index: Option<&str>) -> Result<Table, String> {
        let value = |text: &str| read(text, 64).unwrap();
        split(value(data), columns.map(value), index.map(value))
    }

    #[test]
    fn rows_may_be_ragged_if_one_is_full() {
        let table = table("[[1], [1, 2.5]]", Some("[\"a\", \"b\"]"), None).unwrap();
        assert_eq!(table.columns[0].values, Elements::I64(vec![1, 1]));
        assert_eq!(table.columns[1].values.dtype(), DType::F64);
    }

    #[test]
    fn what_pandas_refuses_is_refused_in_its_words() {
        for (data, columns, index, wanted) in [
            (
                "[[1, 2, 3]]",
                Some("[\"a\"]"),
                None,
                "1 columns passed, passed data had 3 columns",
            ),
            (
                "[[1], [2]]",
                None,
                Some("[1]"),
                "Length of values (2) does not match length of index (1)",
            ),
            (
                "3",
                Some("[\"a\"]"),
                None,
                "DataFrame constructor not properly called!",
            ),
            ("[[1], 2]", None, None, "object of type 'int' has no len()"),
        ] {
            assert_eq!(table(data, columns, index).unwrap_err(), wanted);
        }
    }

    #[test]
    fn records_take_the_union_of_keys() {
        let Value::List(data) = read(r#"[{"a": 1}, {"b": "x", "a": 2}]"#, 64).unwrap() else {
            panic!()
        };
        let table = records(data).unwrap();
        assert_eq!(table.columns[0].values, Elements::I64(vec![1, 2]));
        assert_eq!(table.columns[1].dtype_name(), "str");
    }

    #[test]
    fn sparse_records_do_not_build_huge_tables() {
        let record = |row: usize| Value::Map(vec![(format!("k{row}").into(), Value::Null)]);
        let message = records((0..20_000).map(record).collect()).unwrap_err();
        assert!(message.contains("larger than is read"), "{message}");
    }
}
