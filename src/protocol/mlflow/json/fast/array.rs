//! Nested lists of numbers, text or truth values: arrays of the signature's type, or of the type NumPy infers.

use super::buffer::{Cell, Rules, with_cell};
use super::cursor::{Cursor, Token};
use crate::model::signature::TensorSpec;
use crate::model::tensor::{DType, Elements, Shape, Tensor};

/// Axes a regular array has at most.
const MAX_AXES: usize = 5;

/// Bytes of a short cell and what comes after it, by which cells to come are guessed.
const CELL_BYTES: usize = 4;
/// Cells for which there is room at first; more are found to be there as they come.
const FIRST_ROOM: usize = 64;

/// Reads the array a tensor of the signature takes.
pub(super) fn tensor(cursor: &mut Cursor<'_>, spec: &TensorSpec) -> Option<Tensor> {
    let tensor = typed(cursor, spec.dtype)?;
    let fits = spec.shape.len() == tensor.shape().len()
        && spec
            .shape
            .iter()
            .zip(tensor.shape())
            .all(|(&wanted, &extent)| wanted == -1 || wanted == extent as i64);
    fits.then_some(tensor)
}

/// Reads an array of one type.
pub(super) fn typed(cursor: &mut Cursor<'_>, dtype: DType) -> Option<Tensor> {
    with_cell!(dtype, T => read::<T>(cursor))
}

fn read<T: Cell>(cursor: &mut Cursor<'_>) -> Option<Tensor> {
    let mut values: Vec<T> = Vec::with_capacity((cursor.left() / CELL_BYTES).min(FIRST_ROOM));
    let shape = nested(cursor, |cursor| {
        values.push(T::next(cursor, Rules::NumPy)?);
        Some(())
    })?;
    Tensor::new(shape, T::elements(values)).ok()
}

/// Reads numbers: whole ones are `int64`, with one float among them all are `float64`.
pub(super) fn inferred(cursor: &mut Cursor<'_>) -> Option<Tensor> {
    let mut integers: Vec<i64> = Vec::new();
    let mut floats: Vec<f64> = Vec::new();
    let mut float = false;
    let shape = nested(cursor, |cursor| {
        match cursor.token()? {
            Token::Int(integer) if float => floats.push(integer as f64),
            Token::Int(integer) => integers.push(integer),
            Token::Float(value) => {
                if !float {
                    float = true;
                    floats = integers.iter().map(|&integer| integer as f64).collect();
                }
                floats.push(value);
            }
            Token::Null | Token::Bool(_) | Token::Text(_) => return None,
        }
        Some(())
    })?;
    Tensor::new(
        shape,
        if float {
            Elements::F64(floats)
        } else {
            Elements::I64(integers)
        },
    )
    .ok()
}

/// Visits the cells of nested lists; all lists of one level must be of one length, and none empty.
fn nested(cursor: &mut Cursor<'_>, mut cell: impl FnMut(&mut Cursor<'_>) -> Option<()>) -> Option<Shape> {
    let mut axes = 0;
    let mark = cursor.at;
    while cursor.peek()? == b'[' {
        cursor.at += 1;
        axes += 1;
    }
    cursor.at = mark;
    if axes == 0 || axes > MAX_AXES {
        return None;
    }
    let mut shape = Shape::from_elem(0, axes);
    level(cursor, &mut shape, 0, &mut cell)?;
    Some(shape)
}

fn level(
    cursor: &mut Cursor<'_>,
    shape: &mut Shape,
    depth: usize,
    cell: &mut impl FnMut(&mut Cursor<'_>) -> Option<()>,
) -> Option<()> {
    cursor.expect(b'[')?;
    let innermost = depth + 1 == shape.len();
    let mut length = 0;
    loop {
        if innermost {
            cell(cursor)?;
        } else {
            level(cursor, shape, depth + 1, cell)?;
        }
        length += 1;
        if !cursor.more(b']')? {
            break;
        }
    }
    let extent = shape.get_mut(depth)?;
    if *extent == 0 {
        *extent = length;
    }
    (*extent == length).then_some(())
}
