//! Tables: a list of one object a row.

use std::collections::HashMap;

use smallvec::SmallVec;

use crate::model::batch::{Columns, Frame, Name, Names};
use crate::model::number;
use crate::model::tensor::{Elements, Tensor, each_elements};
use crate::model::value::Value;
use crate::serve::error::Error;

use super::element::Element as _;
use super::{separate, text, write_row};

/// Appends a list of row objects.
pub(super) fn write(frame: &Frame, out: &mut Vec<u8>) -> Result<(), Error> {
    out.push(b'[');
    // A pandas table without columns has no records, however many rows its index counts.
    if frame.width() > 0 {
        let keys = Keys::new(frame.names());
        match frame.columns() {
            Columns::Matrix(matrix) => write_matrix(matrix, &keys, out)?,
            Columns::Separate(columns) => write_columns(frame.rows(), columns, &keys, out)?,
        }
    }
    out.push(b']');
    Ok(())
}

/// Columns for which the keys need no memory from the heap but for their text, and whose names are compared one by one.
const COLUMNS: usize = 16;

/// The text before each cell of a row, made once a table: `{"a": `, `, "b": ` and so on.
struct Keys {
    text: Vec<u8>,
    cells: SmallVec<[Key; COLUMNS]>,
}

/// One key: where its text is, and the column that it precedes.
struct Key {
    start: usize,
    end: usize,
    column: usize,
}

impl Keys {
    /// A name that occurs twice is one key of a Python `dict`: the first place, the last value.
    fn new(names: &Names) -> Keys {
        let length = |name: &Name| name.as_text().map_or(20, str::len) + 8;
        let mut keys = Keys {
            text: Vec::with_capacity(names.iter().map(length).sum()),
            cells: SmallVec::new(),
        };
        let mut places: HashMap<&Name, usize> = HashMap::new();
        for (column, name) in names.iter().enumerate() {
            let place = if names.len() <= COLUMNS {
                let known = |key: &Key| names.get(key.column) == Some(name);
                keys.cells.iter().position(known).unwrap_or(keys.cells.len())
            } else {
                *places.entry(name).or_insert(keys.cells.len())
            };
            match keys.cells.get_mut(place) {
                Some(key) => key.column = column,
                None => keys.push(column, name),
            }
        }
        keys
    }

    fn push(&mut self, column: usize, name: &Name) {
        let start = self.text.len();
        let opening: &[u8] = if self.cells.is_empty() { b"{" } else { b", " };
        self.text.extend_from_slice(opening);
        match name {
            Name::Text(name) => text::write_str(&mut self.text, name),
            Name::Index(index) => {
                self.text.push(b'"');
                number::write_i64(&mut self.text, *index);
                self.text.push(b'"');
            }
        }
        self.text.extend_from_slice(b": ");
        let end = self.text.len();
        self.cells.push(Key { start, end, column });
    }

    /// The columns in the order of their keys, each with the text before it.
    fn cells(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.cells
            .iter()
            .map(|key| (key.column, self.text.get(key.start..key.end).unwrap_or_default()))
    }
}

fn write_matrix(matrix: &Tensor, keys: &Keys, out: &mut Vec<u8>) -> Result<(), Error> {
    if let Elements::Datetime(moments) = matrix.elements() {
        return write_rows(moments, matrix.row_len(), keys, out, |moment, out| {
            write_moment(*moment, out);
            Ok(())
        });
    }
    each_elements!(matrix.elements(), vector => {
        write_rows(vector, matrix.row_len(), keys, out, |element, out| element.write(1, out))
    })
}

fn write_rows<T>(
    elements: &[T],
    width: usize,
    keys: &Keys,
    out: &mut Vec<u8>,
    mut write_cell: impl FnMut(&T, &mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    for (position, row) in elements.chunks_exact(width.max(1)).enumerate() {
        separate(position, out);
        for (column, key) in keys.cells() {
            out.extend_from_slice(key);
            if let Some(element) = row.get(column) {
                write_cell(element, out)?;
            }
        }
        out.push(b'}');
    }
    Ok(())
}

fn write_columns(rows: usize, columns: &[Tensor], keys: &Keys, out: &mut Vec<u8>) -> Result<(), Error> {
    let cells: SmallVec<[(&Tensor, &[u8]); COLUMNS]> = keys
        .cells()
        .filter_map(|(column, key)| Some((columns.get(column)?, key)))
        .collect();
    for row in 0..rows {
        separate(row, out);
        for (column, key) in &cells {
            out.extend_from_slice(key);
            write_cell(column, row, out)?;
        }
        out.push(b'}');
    }
    Ok(())
}

/// Appends one cell. A moment is a `Timestamp` in a table, hence text; within a cell's list it is an integer, as in any
/// array.
fn write_cell(column: &Tensor, row: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    if column.shape().len() == 1 {
        match column.elements() {
            Elements::F64(vector) => return write_at(vector, row, out),
            Elements::F32(vector) => return write_at(vector, row, out),
            Elements::I64(vector) => return write_at(vector, row, out),
            Elements::Datetime(moments) => {
                moments
                    .get(row)
                    .into_iter()
                    .for_each(|moment| write_moment(*moment, out));
                return Ok(());
            }
            Elements::Object(values) => {
                if let Some(moment) = values.get(row).and_then(lone_moment) {
                    write_moment(moment, out);
                    return Ok(());
                }
            }
            _ => {}
        }
    }
    write_row(column, row, out)
}

fn write_at<T: super::element::Element>(vector: &[T], row: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    vector.get(row).map_or(Ok(()), |element| element.write(1, out))
}

/// The moment in an object cell that is a NumPy `datetime64`: pandas boxes those too.
fn lone_moment(value: &Value) -> Option<i64> {
    let Value::Tensor(tensor) = value else { return None };
    match tensor.elements() {
        Elements::Datetime(moments) if tensor.shape().is_empty() => moments.first().copied(),
        _ => None,
    }
}

fn write_moment(nanoseconds: i64, out: &mut Vec<u8>) {
    out.push(b'"');
    number::write_iso(out, nanoseconds);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::batch::Name;

    fn check(rows: usize, names: &[Name], columns: Columns, expected: &str) {
        let frame = Frame::new(rows, Names::from(names), columns).unwrap();
        let mut out = Vec::new();
        write(&frame, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_matrix_is_written_by_rows() {
        let matrix = Tensor::new([2, 2].as_slice(), Elements::F32(vec![0.5, 1.0, 2.0, f32::NAN])).unwrap();
        let expected = r#"[{"a": 0.5, "1": 1.0}, {"a": 2.0, "1": NaN}]"#;
        check(
            2,
            &["a".into(), Name::Index(1)],
            Columns::Matrix(matrix),
            expected,
        );
    }

    #[test]
    fn a_column_of_more_axes_gives_each_row_its_list() {
        let label = Tensor::vector(Elements::I64(vec![1, 0]));
        let wide = Tensor::new([2, 2].as_slice(), Elements::F64(vec![0.25, 0.75, 1.0, 0.0])).unwrap();
        let expected = r#"[{"label": 1, "p": [0.25, 0.75]}, {"label": 0, "p": [1.0, 0.0]}]"#;
        check(
            2,
            &["label".into(), "p".into()],
            Columns::Separate(vec![label, wide]),
            expected,
        );
    }

    #[test]
    fn moments_are_text_in_cells_and_integers_in_their_lists() {
        let one = Tensor::vector(Elements::Datetime(vec![i64::MIN]));
        let many = Tensor::new([1, 1].as_slice(), Elements::Datetime(vec![7])).unwrap();
        let boxed = Tensor::new(crate::model::tensor::Shape::new(), Elements::Datetime(vec![0])).unwrap();
        let object = Tensor::vector(Elements::Object(vec![Value::Tensor(Box::new(boxed))]));
        let names = ["a".into(), "b".into(), "c".into()];
        let expected = r#"[{"a": "NaT", "b": [7], "c": "1970-01-01T00:00:00"}]"#;
        check(1, &names, Columns::Separate(vec![one, many, object]), expected);
    }

    #[test]
    fn a_name_that_occurs_twice_is_one_key() {
        let matrix = Tensor::new([1, 3].as_slice(), Elements::I32(vec![1, 2, 3])).unwrap();
        check(
            1,
            &["a".into(), "b".into(), "a".into()],
            Columns::Matrix(matrix),
            r#"[{"a": 3, "b": 2}]"#,
        );
    }

    #[test]
    fn names_of_wide_tables_occur_once_as_well() {
        let wide: Vec<Name> = (0..COLUMNS as i64)
            .map(Name::Index)
            .chain([Name::Index(1)])
            .collect();
        let values: Vec<i32> = (0..=COLUMNS as i32).collect();
        let matrix = Tensor::new([1, wide.len()].as_slice(), Elements::I32(values)).unwrap();
        let frame = Frame::new(1, Names::from(wide), Columns::Matrix(matrix)).unwrap();
        let mut out = Vec::new();
        write(&frame, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with(r#"[{"0": 0, "1": 16, "2": 2"#) && text.ends_with(r#""15": 15}]"#),
            "{text}"
        );
    }

    #[test]
    fn a_table_without_rows_or_columns_is_an_empty_list() {
        let matrix = Tensor::new([0, 1].as_slice(), Elements::I32(vec![])).unwrap();
        check(0, &["a".into()], Columns::Matrix(matrix), "[]");
        check(3, &[], Columns::Separate(vec![]), "[]");
    }
}
