//! Tables: `dataframe_split`, `dataframe_records`, and objects and lists of columns for a signature of columns.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::buffer::{Buffer, Cell, Rules, is_number, is_regular, with_cell};
use super::cursor::{Cursor, Token};
use crate::model::batch::{Columns, Frame, Name};
use crate::model::signature::{ColumnSchema, ColumnType, DataType, TensorSpec};
use crate::model::tensor::{DType, Elements, Shape, Tensor};
use crate::protocol::mlflow::cast::assemble;

/// Comparisons of names that a request may cost before it counts as irregular.
const MAX_COMPARISONS: usize = 1 << 16;
/// Columns for which a request needs no memory from the heap but for their cells.
const COLUMNS: usize = 16;

type Targets = SmallVec<[Option<usize>; COLUMNS]>;

/// Where the columns of a request go.
struct Layout {
    /// Position in the signature of each column sent; `None` is ignored.
    targets: Targets,
    /// Whether the columns are sent in the order of the signature, and no others.
    in_order: bool,
}

/// The one numeric type of all columns, if there is one.
fn common(schema: &ColumnSchema) -> Option<DType> {
    let mut kinds = schema.columns().iter().map(|spec| scalar(&spec.kind));
    let first = kinds.next()??.dtype();
    (is_number(first) && kinds.all(|kind| kind.is_some_and(|kind| kind.dtype() == first))).then_some(first)
}

fn scalar(kind: &ColumnType) -> Option<DataType> {
    match kind {
        ColumnType::Scalar(scalar) if is_regular(*scalar) => Some(*scalar),
        _ => None,
    }
}

fn buffers(schema: &ColumnSchema) -> Option<Vec<Buffer>> {
    schema
        .columns()
        .iter()
        .map(|spec| Buffer::of(scalar(&spec.kind)?))
        .collect()
}

/// Finds each name in the signature; every column of it must be there, once.
fn layout<'n>(names: impl Iterator<Item = &'n str>, schema: &ColumnSchema) -> Option<Layout> {
    let mut targets = Targets::new();
    let mut found: SmallVec<[bool; 2 * COLUMNS]> = SmallVec::from_elem(false, schema.columns().len());
    let mut budget = MAX_COMPARISONS;
    for (position, name) in names.enumerate() {
        let expected = schema
            .columns()
            .get(position)
            .and_then(|spec| spec.name.as_deref());
        let target = if expected == Some(name) {
            Some(position)
        } else {
            budget = budget.checked_sub(schema.columns().len())?;
            schema.position(name)
        };
        if let Some(target) = target {
            let seen = found.get_mut(target)?;
            if std::mem::replace(seen, true) {
                return None;
            }
        }
        targets.push(target);
    }
    if !found.iter().all(|&found| found) {
        return None;
    }
    let in_order =
        targets.len() == found.len() && targets.iter().enumerate().all(|(at, &target)| target == Some(at));
    Some(Layout { targets, in_order })
}

// === dataframe_split ===

type Texts<'a> = SmallVec<[Cow<'a, str>; COLUMNS]>;

/// What a `dataframe_split` object says apart from its cells.
struct Split<'a> {
    columns: Option<Texts<'a>>,
    /// Number of row labels.
    index: Option<usize>,
    /// Where the cells begin.
    cells: usize,
    /// Where the object ends, known when something follows the cells.
    end: Option<usize>,
}

/// Reads the object up to its cells; what follows them is read too, and the cursor put back.
fn split_head<'a>(cursor: &mut Cursor<'a>) -> Option<Split<'a>> {
    let mut split = Split {
        columns: None,
        index: None,
        cells: 0,
        end: None,
    };
    let mut cells = None;
    cursor.expect(b'{')?;
    loop {
        match &*cursor.key()? {
            "columns" if split.columns.is_none() => split.columns = Some(texts(cursor)?),
            "index" if split.index.is_none() => split.index = Some(count(cursor)?),
            "data" if cells.is_none() => {
                cursor.peek()?;
                cells = Some(cursor.at);
                if split.columns.is_some() {
                    // The usual order: cells are read at once, and must be last.
                    break;
                }
                cursor.skip_list()?;
            }
            _ => return None,
        }
        if !cursor.more(b'}')? {
            split.end = Some(cursor.at);
            break;
        }
    }
    split.cells = cells?;
    cursor.at = split.cells;
    Some(split)
}

fn split_tail(cursor: &mut Cursor<'_>, split: &Split<'_>, rows: usize) -> Option<()> {
    match split.end {
        Some(end) => cursor.at = end,
        None => cursor.expect(b'}')?,
    }
    (rows > 0 && split.index.is_none_or(|labels| labels == rows)).then_some(())
}

fn texts<'a>(cursor: &mut Cursor<'a>) -> Option<Texts<'a>> {
    let mut texts = Texts::new();
    cursor.expect(b'[')?;
    loop {
        texts.push(cursor.string()?);
        if !cursor.more(b']')? {
            return Some(texts);
        }
    }
}

fn count(cursor: &mut Cursor<'_>) -> Option<usize> {
    let mut count = 0;
    cursor.expect(b'[')?;
    loop {
        cursor.skip_cell()?;
        count += 1;
        if !cursor.more(b']')? {
            return Some(count);
        }
    }
}

/// Reads `dataframe_split` for a signature of columns.
pub(super) fn split_columns(cursor: &mut Cursor<'_>, schema: &ColumnSchema) -> Option<Frame> {
    let split = split_head(cursor)?;
    let layout = match (&split.columns, schema.named()) {
        (Some(names), true) => layout(names.iter().map(|name| &**name), schema)?,
        // Without names the position counts; further columns are ignored by the rules, and rare enough.
        (None, false) => Layout {
            targets: (0..schema.columns().len()).map(Some).collect(),
            in_order: true,
        },
        _ => return None,
    };
    let frame = match common(schema) {
        Some(dtype) => with_cell!(dtype, T => matrix::<T>(cursor, &layout, schema)),
        None => separate(cursor, &layout, schema),
    }?;
    split_tail(cursor, &split, frame.rows())?;
    Some(frame)
}

/// Reads rows of one type into one row-major vector.
fn rows<T: Cell>(cursor: &mut Cursor<'_>, layout: &Layout, width: usize) -> Option<Vec<T>> {
    if width == 0 {
        return None;
    }
    // The first row tells how long the others are; numbers shorter than four bytes with their comma are rare.
    let mut values: Vec<T> = Vec::with_capacity(width);
    cursor.expect(b'[')?;
    let start = cursor.at;
    loop {
        cursor.expect(b'[')?;
        let base = values.len();
        if base == width {
            let left = cursor.left();
            let rows = left / (cursor.at - start) + 1;
            values.reserve((rows * width).min(left / 4));
        }
        if layout.in_order {
            for position in 0..width {
                if position > 0 {
                    cursor.expect(b',')?;
                }
                values.push(T::next(cursor, Rules::Pandas)?);
            }
        } else {
            values.resize(base + width, T::default());
            for (position, target) in layout.targets.iter().enumerate() {
                if position > 0 {
                    cursor.expect(b',')?;
                }
                match target {
                    Some(target) => *values.get_mut(base + target)? = T::next(cursor, Rules::Pandas)?,
                    None => cursor.skip_cell()?,
                }
            }
        }
        cursor.expect(b']')?;
        if !cursor.more(b']')? {
            return Some(values);
        }
    }
}

fn matrix<T: Cell>(cursor: &mut Cursor<'_>, layout: &Layout, schema: &ColumnSchema) -> Option<Frame> {
    let width = schema.columns().len();
    let values = rows::<T>(cursor, layout, width)?;
    matrix_frame(values.len() / width, T::elements(values), schema)
}

fn matrix_frame(rows: usize, elements: Elements, schema: &ColumnSchema) -> Option<Frame> {
    let matrix = Tensor::new(Shape::from_slice(&[rows, schema.columns().len()]), elements).ok()?;
    Frame::new(rows, schema.names().clone(), Columns::Matrix(matrix)).ok()
}

fn separate(cursor: &mut Cursor<'_>, layout: &Layout, schema: &ColumnSchema) -> Option<Frame> {
    let mut buffers = buffers(schema)?;
    let rows = push_rows(cursor, &layout.targets, &mut buffers)?;
    assembled(rows, schema, buffers)
}

fn push_rows(cursor: &mut Cursor<'_>, targets: &[Option<usize>], buffers: &mut [Buffer]) -> Option<usize> {
    let mut rows = 0;
    cursor.expect(b'[')?;
    loop {
        cursor.expect(b'[')?;
        for (position, target) in targets.iter().enumerate() {
            if position > 0 {
                cursor.expect(b',')?;
            }
            let token = cursor.token()?;
            if let Some(target) = target {
                buffers.get_mut(*target)?.push(token, Rules::Pandas)?;
            }
        }
        cursor.expect(b']')?;
        rows += 1;
        if !cursor.more(b']')? {
            return Some(rows);
        }
    }
}

/// The frame of columns that are in the order of the signature.
fn assembled(rows: usize, schema: &ColumnSchema, buffers: Vec<Buffer>) -> Option<Frame> {
    let columns: Option<Vec<Elements>> = buffers.into_iter().map(Buffer::finish).collect();
    assemble(rows, schema.names().clone(), columns?)
}

/// The frame of columns as they were sent.
fn finish(rows: usize, names: Vec<Name>, buffers: Vec<Buffer>) -> Option<Frame> {
    let columns: Option<Vec<Elements>> = buffers.into_iter().map(Buffer::finish).collect();
    assemble(rows, names.into(), columns?)
}

/// Reads `dataframe_split` without a signature.
pub(super) fn split_inferred(cursor: &mut Cursor<'_>) -> Option<Frame> {
    let split = split_head(cursor)?;
    let names = split.columns.as_ref()?;
    let mut buffers: Vec<Buffer> = names.iter().map(|_| Buffer::Unknown).collect();
    let targets: Vec<Option<usize>> = (0..names.len()).map(Some).collect();
    let rows = push_rows(cursor, &targets, &mut buffers)?;
    let names = names.iter().map(|name| Name::from(&**name)).collect();
    split_tail(cursor, &split, rows)?;
    finish(rows, names, buffers)
}

/// Reads `dataframe_split` for one tensor without a name, `(-1, columns)`.
pub(super) fn split_tensor(cursor: &mut Cursor<'_>, spec: &TensorSpec) -> Option<Tensor> {
    let [-1, width] = *spec.shape else { return None };
    let width = usize::try_from(width).ok().filter(|&width| width > 0)?;
    if !spec.dtype.is_float() {
        return None;
    }
    let split = split_head(cursor)?;
    if split.columns.as_ref().is_some_and(|names| names.len() != width) {
        return None;
    }
    let layout = Layout {
        targets: Targets::from_elem(Some(0), width),
        in_order: true,
    };
    let elements = with_cell!(spec.dtype, T => rows::<T>(cursor, &layout, width).map(T::elements))?;
    let rows = elements.len() / width;
    split_tail(cursor, &split, rows)?;
    Tensor::new(Shape::from_slice(&[rows, width]), elements).ok()
}

// === records ===

/// Reads a list of objects for a signature of named columns; every object must have every column.
pub(super) fn records_columns(cursor: &mut Cursor<'_>, schema: &ColumnSchema, rules: Rules) -> Option<Frame> {
    if let Some(dtype) = common(schema) {
        return with_cell!(dtype, T => records_matrix::<T>(cursor, schema, rules));
    }
    let mut buffers = buffers(schema)?;
    let rows = records(cursor, schema, |_, target, token| {
        buffers.get_mut(target)?.push(token, rules)
    })?;
    assembled(rows, schema, buffers)
}

fn records_matrix<T: Cell>(cursor: &mut Cursor<'_>, schema: &ColumnSchema, rules: Rules) -> Option<Frame> {
    let width = schema.columns().len();
    let mut values: Vec<T> = Vec::new();
    let rows = records(cursor, schema, |row, target, token| {
        let at = row * width + target;
        if at == values.len() {
            values.push(T::read(token, rules)?);
            return Some(());
        }
        if values.len() < (row + 1) * width {
            values.resize((row + 1) * width, T::default());
        }
        *values.get_mut(at)? = T::read(token, rules)?;
        Some(())
    })?;
    matrix_frame(rows, T::elements(values), schema)
}

/// Visits the cells of a list of objects with their row and the position of their column; counts the rows.
fn records<'a>(
    cursor: &mut Cursor<'a>,
    schema: &ColumnSchema,
    mut cell: impl FnMut(usize, usize, Token<'a>) -> Option<()>,
) -> Option<usize> {
    if !schema.named() {
        return None;
    }
    let width = schema.columns().len();
    let mut budget = MAX_COMPARISONS;
    let mut rows = 0usize;
    // The row in which each column was last seen, counted from 1.
    let mut seen = vec![0usize; width];
    cursor.expect(b'[')?;
    loop {
        rows += 1;
        let mut found = 0;
        cursor.expect(b'{')?;
        for position in 0usize.. {
            let target = target(&cursor.key()?, position, schema, &mut budget)?;
            if std::mem::replace(seen.get_mut(target)?, rows) == rows {
                return None;
            }
            found += 1;
            cell(rows - 1, target, cursor.token()?)?;
            if !cursor.more(b'}')? {
                break;
            }
        }
        if found != width {
            return None;
        }
        if !cursor.more(b']')? {
            return Some(rows);
        }
    }
}

/// The column that a key names. Keys mostly come in the order of the signature, so that of the same position is tried
/// first; looking for another takes from the budget. Keys the signature does not know are left to the other decoder.
#[inline]
fn target(key: &str, position: usize, schema: &ColumnSchema, budget: &mut usize) -> Option<usize> {
    let columns = schema.columns();
    if columns.get(position).and_then(|spec| spec.name.as_deref()) == Some(key) {
        return Some(position);
    }
    *budget = budget.checked_sub(columns.len())?;
    schema.position(key)
}

/// Reads a list of objects without a signature; all must have the keys of the first, in its order.
pub(super) fn records_inferred(cursor: &mut Cursor<'_>) -> Option<Frame> {
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    let mut buffers: Vec<Buffer> = Vec::new();
    let mut rows = 0usize;
    cursor.expect(b'[')?;
    loop {
        let mut position = 0;
        cursor.expect(b'{')?;
        loop {
            let key = cursor.key()?;
            if rows == 0 {
                names.push(key);
                buffers.push(Buffer::Unknown);
            } else if names.get(position) != Some(&key) {
                return None;
            }
            buffers.get_mut(position)?.push(cursor.token()?, Rules::Pandas)?;
            position += 1;
            if !cursor.more(b'}')? {
                break;
            }
        }
        if position != names.len() {
            return None;
        }
        rows += 1;
        if !cursor.more(b']')? {
            break;
        }
    }
    let mut sorted: Vec<&str> = names.iter().map(|name| &**name).collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair.first() == pair.last()) {
        return None;
    }
    finish(
        rows,
        names.iter().map(|name| Name::from(&**name)).collect(),
        buffers,
    )
}

// === inputs, instances ===

/// Reads an object of columns, `{"a": [1, 2], "b": [3, 4]}`, for a signature of named columns.
pub(super) fn columns(cursor: &mut Cursor<'_>, schema: &ColumnSchema) -> Option<Frame> {
    if !schema.named() {
        return None;
    }
    let mut columns: Vec<Option<Elements>> = vec![None; schema.columns().len()];
    let mut budget = MAX_COMPARISONS;
    let mut rows = None;
    cursor.expect(b'{')?;
    for position in 0usize.. {
        let target = target(&cursor.key()?, position, schema, &mut budget)?;
        let kind = scalar(&schema.columns().get(target)?.kind)?;
        let column = with_cell!(kind.dtype(), T => list::<T>(cursor).map(T::elements))?;
        if *rows.get_or_insert(column.len()) != column.len() {
            return None;
        }
        if columns.get_mut(target)?.replace(column).is_some() {
            return None;
        }
        if !cursor.more(b'}')? {
            break;
        }
    }
    let columns: Vec<Elements> = columns.into_iter().collect::<Option<_>>()?;
    assemble(rows?, schema.names().clone(), columns)
}

fn list<T: Cell>(cursor: &mut Cursor<'_>) -> Option<Vec<T>> {
    let mut values = Vec::new();
    cursor.expect(b'[')?;
    loop {
        values.push(T::read(cursor.token()?, Rules::NumPy)?);
        if !cursor.more(b']')? {
            return Some(values);
        }
    }
}

/// Reads a list for a signature of one named column, or of columns without names that share a type.
pub(super) fn list_columns(cursor: &mut Cursor<'_>, schema: &ColumnSchema) -> Option<Frame> {
    if schema.named() {
        let [only] = schema.columns() else { return None };
        let kind = scalar(&only.kind)?;
        let column = with_cell!(kind.dtype(), T => list::<T>(cursor).map(T::elements))?;
        return assemble(column.len(), schema.names().clone(), vec![column]);
    }
    let tensor = super::array::typed(cursor, common(schema)?)?;
    let [rows, width] = *tensor.shape() else {
        return None;
    };
    let (_, elements) = tensor.into_parts();
    if width != schema.columns().len() {
        None
    } else {
        matrix_frame(rows, elements, schema)
    }
}
