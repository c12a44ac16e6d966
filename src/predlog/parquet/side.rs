//! One side of a prediction, inputs or outputs, as columns of a part.
//!
//! A column a column of a table or a named array, one for an unnamed array, typed as the values are; what has no such form
//! is one column of JSON text.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::bundle::{self, Bundle};
use super::super::json;
use super::column::{Column, Nesting};
use super::kind::Kind;
use crate::model::batch::{Batch, Body, Columns, Frame, Name, Names};
use crate::model::signature::{ColumnType, DataType, Schema};
use crate::model::tensor::{DType, Shape, Tensor};
use crate::model::value::Value;

/// One side.
#[derive(Debug)]
pub(super) struct Side {
    form: Form,
    /// Position of its first column.
    first: usize,
}

#[derive(Debug)]
enum Form {
    /// The part has no columns of this side.
    Absent,
    Table {
        slots: Vec<(Name, Slot)>,
        places: HashMap<Name, usize>,
        /// The columns of the last batch, and the slot of each.
        last: (Names, Vec<usize>),
        /// What each slot holds of the row at hand.
        at: Vec<Option<usize>>,
    },
    Array(Slot),
    Named(Vec<(Arc<str>, Slot)>),
    Json,
}

/// What a column can take.
#[derive(Debug, Clone, PartialEq)]
struct Slot {
    kind: Kind,
    /// The rows' shape; that of lists of one axis is any.
    row: Row,
}

#[derive(Debug, Clone, PartialEq)]
enum Row {
    One,
    List,
    Nested(Shape),
}

impl Slot {
    fn of(tensor: &Tensor, declared: Option<&ColumnType>) -> Slot {
        let inner = tensor.shape().get(1..).unwrap_or_default();
        let row = match inner {
            _ if tensor.row_len() == 1 => Row::One,
            [_] => Row::List,
            nested => Row::Nested(Shape::from_slice(nested)),
        };
        Slot {
            kind: kind_of(tensor.dtype(), declared),
            row,
        }
    }

    /// A column that is declared and not there.
    fn declared(declared: &ColumnType) -> Slot {
        let scalar = |kind: DataType| kind_of(kind.dtype(), Some(declared));
        let (kind, row) = match declared {
            ColumnType::Scalar(kind) => (scalar(*kind), Row::One),
            _ => (Kind::Json, Row::One),
        };
        Slot { kind, row }
    }

    fn takes(&self, tensor: &Tensor, declared: Option<&ColumnType>) -> bool {
        let inner = tensor.shape().get(1..).unwrap_or_default();
        let shape = match &self.row {
            Row::One => tensor.row_len() == 1,
            Row::List => inner.len() == 1,
            Row::Nested(shape) => **shape == *inner,
        };
        // Only objects are typed by what is declared, so that most need not look.
        shape && (self.kind == Kind::of(tensor.dtype()) || self.kind == kind_of(tensor.dtype(), declared))
    }

    fn column(&self, name: String) -> Column {
        let nesting = if self.row == Row::One {
            Nesting::Optional
        } else {
            Nesting::List
        };
        Column::new(name, self.kind, nesting)
    }

    /// What is told of the column besides its type.
    fn note(&self) -> Option<String> {
        let Row::Nested(shape) = &self.row else {
            return None;
        };
        let extents: Vec<String> = shape.iter().map(usize::to_string).collect();
        Some(extents.join(","))
    }
}

fn kind_of(dtype: DType, declared: Option<&ColumnType>) -> Kind {
    match (dtype, declared) {
        (DType::Object, Some(ColumnType::Scalar(DataType::String))) => Kind::Text,
        (DType::Object, Some(ColumnType::Scalar(DataType::Binary))) => Kind::Bytes,
        (dtype, _) => Kind::of(dtype),
    }
}

fn declared<'a>(schema: Option<&'a Schema>, name: &Name) -> Option<&'a ColumnType> {
    let Some(Schema::Columns(columns)) = schema else {
        return None;
    };
    let position = columns.position(name.as_text()?)?;
    columns.columns().get(position).map(|column| &column.kind)
}

impl Side {
    /// The columns for batches like this one, named after `prefix`; they will be at `first` and following. Without
    /// `typed`, JSON text takes whatever comes.
    pub(super) fn new(
        prefix: &str,
        batch: Option<&Batch>,
        schema: Option<&Schema>,
        first: usize,
        typed: bool,
    ) -> (Side, Vec<Column>) {
        let json = || {
            (
                Form::Json,
                vec![Column::new(prefix, Kind::Json, Nesting::Optional)],
            )
        };
        let (form, columns) = match batch.map(|batch| &batch.body) {
            None => (Form::Absent, Vec::new()),
            Some(_) if !typed => json(),
            Some(Body::Value(_)) => json(),
            Some(Body::Array(tensor)) => {
                let slot = Slot::of(tensor, None);
                let column = slot.column(prefix.to_owned());
                (Form::Array(slot), vec![column])
            }
            Some(Body::Named(members)) => {
                let slots = members
                    .iter()
                    .map(|(name, tensor)| (name.clone(), Slot::of(tensor, None)));
                let slots: Vec<_> = slots.collect();
                let columns = slots
                    .iter()
                    .map(|(name, slot)| slot.column(format!("{prefix}.{name}")));
                let columns: Vec<Column> = columns.collect();
                if are_different(&columns) {
                    (Form::Named(slots), columns)
                } else {
                    json()
                }
            }
            Some(Body::Frame(frame)) => match table(prefix, frame, schema) {
                Some(found) => found,
                None => json(),
            },
        };
        (Side { form, first }, columns)
    }

    /// Whether the columns take a batch. `None` is taken by all.
    pub(super) fn takes(&mut self, batch: Option<&Batch>, schema: Option<&Schema>) -> bool {
        let Some(batch) = batch else { return true };
        match (&mut self.form, &batch.body) {
            (Form::Json, _) => true,
            (Form::Array(slot), Body::Array(tensor)) => slot.takes(tensor, None),
            (Form::Named(slots), Body::Named(members)) => {
                let mut pairs = slots.iter().zip(members);
                slots.len() == members.len()
                    && pairs
                        .all(|((name, slot), (member, tensor))| name == member && slot.takes(tensor, None))
            }
            (
                Form::Table {
                    slots,
                    places,
                    last,
                    at,
                },
                Body::Frame(frame),
            ) => {
                let same = Arc::ptr_eq(&last.0, frame.names()) || *last.0 == **frame.names();
                if !same {
                    let found = frame.names().iter().map(|name| places.get(name).copied());
                    let Some(found) = found.collect::<Option<Vec<usize>>>() else {
                        return false;
                    };
                    at.fill(None);
                    for (column, &slot) in found.iter().enumerate() {
                        match at.get_mut(slot) {
                            // A name that comes twice has no second place.
                            Some(place @ None) => *place = Some(column),
                            _ => {
                                *last = (Vec::new().into(), Vec::new());
                                at.fill(None);
                                return false;
                            }
                        }
                    }
                    *last = (frame.names().clone(), found);
                }
                last.1.iter().enumerate().all(|(column, &place)| {
                    slots.get(place).is_some_and(|(name, slot)| {
                        // Only objects have a type that is declared.
                        let kind = || declared(schema, name);
                        match frame.columns() {
                            Columns::Matrix(matrix) if matrix.dtype() != DType::Object => {
                                slot.row == Row::One && slot.kind == Kind::of(matrix.dtype())
                            }
                            Columns::Matrix(matrix) => {
                                slot.row == Row::One && slot.kind == kind_of(matrix.dtype(), kind())
                            }
                            Columns::Separate(columns) => columns
                                .get(column)
                                .is_some_and(|tensor| slot.takes(tensor, None) || slot.takes(tensor, kind())),
                        }
                    })
                })
            }
            _ => false,
        }
    }

    /// Appends rows of batches, each with its position, that are all like one which [`Side::takes`] took.
    pub(super) fn push(&self, columns: &mut [Column], rows: &[(Option<&Batch>, usize)]) {
        let columns = columns.get_mut(self.first..).unwrap_or_default();
        for &(batch, row) in rows {
            self.push_row(columns, batch, row);
        }
    }

    fn push_row(&self, columns: &mut [Column], batch: Option<&Batch>, row: usize) {
        match (&self.form, batch.map(|batch| (&batch.body, batch.rows()))) {
            (Form::Absent, _) => {}
            (Form::Array(_), Some((Body::Array(tensor), rows))) if row < rows => {
                push_tensor(columns.first_mut(), tensor, row);
            }
            (Form::Named(slots), Some((Body::Named(members), _))) => {
                for (column, (_, tensor)) in columns.iter_mut().take(slots.len()).zip(members) {
                    push_tensor(Some(column), tensor, row);
                }
            }
            (Form::Table { at, .. }, Some((Body::Frame(frame), rows))) if row < rows => {
                for (column, place) in columns.iter_mut().zip(at) {
                    match (frame.columns(), place) {
                        (_, None) => column.push_null(),
                        (Columns::Matrix(matrix), Some(place)) => {
                            column.push_row(matrix.elements(), row * frame.width() + place, 1);
                        }
                        (Columns::Separate(separate), Some(place)) => {
                            match separate.get(*place) {
                                Some(tensor) => push_tensor(Some(column), tensor, row),
                                None => column.push_null(),
                            };
                        }
                    }
                }
            }
            (Form::Json, Some((body, rows))) if row < rows.max(1) => {
                if let Some(column) = columns.first_mut() {
                    column.push_json(|out| write_row(out, body, row));
                }
            }
            (form, _) => {
                let width = match form {
                    Form::Table { slots, .. } => slots.len(),
                    Form::Named(slots) => slots.len(),
                    _ => 1,
                };
                columns.iter_mut().take(width).for_each(Column::push_null);
            }
        }
    }

    /// Whether it is one column of text.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.form, Form::Json)
    }

    /// Appends the rows of a bundle, of which [`Side::takes`] took one.
    pub(super) fn push_bundle(&self, columns: &mut [Column], bundle: &Bundle, side: bundle::Side) {
        let columns = columns.get_mut(self.first..).unwrap_or_default();
        match &self.form {
            Form::Absent | Form::Json => {}
            Form::Array(_) => columns
                .iter_mut()
                .take(1)
                .for_each(|column| column.push_bundle(bundle, side, Some(0))),
            Form::Named(slots) => {
                for (at, column) in columns.iter_mut().take(slots.len()).enumerate() {
                    column.push_bundle(bundle, side, Some(at));
                }
            }
            Form::Table { at, .. } => {
                for (column, place) in columns.iter_mut().zip(at) {
                    column.push_bundle(bundle, side, *place);
                }
            }
        }
    }

    /// Shapes of the columns whose rows have more than one axis, by the columns' names.
    pub(super) fn notes(&self, prefix: &str) -> Vec<(String, String)> {
        let note = |name: String, slot: &Slot| slot.note().map(|note| (format!("shape:{name}"), note));
        match &self.form {
            Form::Absent | Form::Json => Vec::new(),
            Form::Array(slot) => note(prefix.to_owned(), slot).into_iter().collect(),
            Form::Named(slots) => {
                let notes = slots
                    .iter()
                    .filter_map(|(name, slot)| note(format!("{prefix}.{name}"), slot));
                notes.collect()
            }
            Form::Table { slots, .. } => {
                let notes = slots
                    .iter()
                    .filter_map(|(name, slot)| note(format!("{prefix}.{name}"), slot));
                notes.collect()
            }
        }
    }
}

fn table(prefix: &str, frame: &Frame, schema: Option<&Schema>) -> Option<(Form, Vec<Column>)> {
    let mut slots: Vec<(Name, Slot)> = Vec::with_capacity(frame.width());
    for (column, name) in frame.names().iter().enumerate() {
        let kind = declared(schema, name);
        let slot = match frame.columns() {
            Columns::Matrix(matrix) => Slot {
                kind: kind_of(matrix.dtype(), kind),
                row: Row::One,
            },
            Columns::Separate(columns) => Slot::of(columns.get(column)?, kind),
        };
        slots.push((name.clone(), slot));
    }
    let given: HashMap<&Name, usize> = frame.names().iter().zip(0..).collect();
    let mut more = Vec::new();
    if let Some(Schema::Columns(columns)) = schema {
        // A column that must be there and is not was left out on purpose.
        for column in columns.columns().iter().filter(|column| !column.required) {
            let Some(name) = &column.name else { continue };
            let name = Name::Text(name.clone());
            if !given.contains_key(&name) {
                more.push((name, Slot::declared(&column.kind)));
            }
        }
    }
    let mut at: Vec<Option<usize>> = (0..slots.len()).map(Some).collect();
    slots.extend(more);
    at.resize(slots.len(), None);
    let columns: Vec<Column> = slots
        .iter()
        .map(|(name, slot)| slot.column(format!("{prefix}.{name}")))
        .collect();
    if !are_different(&columns) {
        return None;
    }
    let places = slots
        .iter()
        .enumerate()
        .map(|(place, (name, _))| (name.clone(), place));
    let form = Form::Table {
        places: places.collect(),
        last: (frame.names().clone(), (0..frame.width()).collect()),
        at,
        slots,
    };
    Some((form, columns))
}

fn are_different(columns: &[Column]) -> bool {
    let names: std::collections::HashSet<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    names.len() == columns.len()
}

fn push_tensor(column: Option<&mut Column>, tensor: &Tensor, row: usize) {
    let Some(column) = column else { return };
    if row < tensor.rows() {
        let count = tensor.row_len();
        column.push_row(tensor.elements(), row.saturating_mul(count), count);
    } else {
        column.push_null();
    }
}

/// One row of anything as JSON text.
fn write_row(out: &mut Vec<u8>, body: &Body, row: usize) {
    match body {
        Body::Array(tensor) => json::write_row(out, tensor, row),
        Body::Frame(frame) => json::write_frame_row(out, frame, row),
        Body::Named(members) => json::write_named_row(out, members, row),
        Body::Value(Value::List(items)) => match items.get(row) {
            Some(item) => json::write_value(out, item),
            None => out.extend_from_slice(b"null"),
        },
        Body::Value(value) => json::write_value(out, value),
    }
}
