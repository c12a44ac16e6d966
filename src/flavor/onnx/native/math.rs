//! Operators that compute element by element or along the columns, in the element type of their inputs.

use smallvec::{SmallVec, smallvec};

use super::super::element::Element;
use super::lowering::{Attributes, Constant, Data, Held, Lowering, Rows, Tail, axis};
use super::proto::Node;
use crate::flavor::PredictError;
use crate::flavor::plan::value::{Matrix, Value};
use crate::flavor::refusal::{Refusal, refuse};

type Lowered = Result<Vec<Held>, Refusal>;

/// A function of each float.
pub(super) fn unary<'m>(
    lowering: &mut Lowering<'m>,
    node: &Node<'m>,
    single: fn(f32) -> f32,
    double: fn(f64) -> f64,
) -> Lowered {
    Attributes::of(node, &[])?;
    let rows = lowering.rows(node, 0)?;
    if !matches!(rows.element, Element::F32 | Element::F64) {
        refuse!("it is of {}", rows.element.onnx_name());
    }
    let form = (rows.element, rows.tail.clone());
    let out = lowering.push(node.operator, &[&rows], form, move |inputs| {
        Ok(match inputs.take(0)? {
            Value::F32(mut matrix) => {
                matrix.data.iter_mut().for_each(|x| *x = single(*x));
                Value::F32(matrix)
            }
            other => {
                let mut matrix = other.into_f64()?;
                matrix.data.iter_mut().for_each(|x| *x = double(*x));
                Value::F64(matrix)
            }
        })
    })?;
    Ok(vec![Held::Rows(out)])
}

/// `Not`
pub(super) fn not<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    Attributes::of(node, &[])?;
    let rows = lowering.rows(node, 0)?;
    if rows.element != Element::Bool {
        refuse!("it is of {}", rows.element.onnx_name());
    }
    let out = lowering.push("not", &[&rows], (Element::Bool, rows.tail.clone()), |inputs| {
        Ok(Value::I64(super::shape::each(inputs.take(0)?.into_i64()?, |x| {
            i64::from(x == 0)
        })))
    })?;
    Ok(vec![Held::Rows(out)])
}

/// An operator of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Equal,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
}

impl Binary {
    fn compares(self) -> bool {
        !matches!(self, Binary::Add | Binary::Sub | Binary::Mul | Binary::Div)
    }

    fn compare<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Binary::Less => left < right,
            Binary::Greater => left > right,
            Binary::LessOrEqual => left <= right,
            Binary::GreaterOrEqual => left >= right,
            _ => left == right,
        }
    }
}

/// A number that operators of two numbers take.
trait Operand: Copy + PartialOrd + Send + Sync + 'static {
    fn compute(operator: Binary, left: Self, right: Self) -> Self;
    fn rows<'v, 'a>(value: &'v Value<'a>) -> Result<&'v Matrix<Self>, PredictError>;
    fn value<'a>(matrix: Matrix<Self>) -> Value<'a>;
}

macro_rules! float_operand {
    ($type:ty, $get:ident, $variant:ident) => {
        impl Operand for $type {
            fn compute(operator: Binary, left: $type, right: $type) -> $type {
                match operator {
                    Binary::Add => left + right,
                    Binary::Sub => left - right,
                    Binary::Mul => left * right,
                    _ => left / right,
                }
            }

            fn rows<'v, 'a>(value: &'v Value<'a>) -> Result<&'v Matrix<$type>, PredictError> {
                value.$get()
            }

            fn value<'a>(matrix: Matrix<$type>) -> Value<'a> {
                Value::$variant(matrix)
            }
        }
    };
}
float_operand!(f32, f32, F32);
float_operand!(f64, f64, F64);

impl Operand for i64 {
    fn compute(operator: Binary, left: i64, right: i64) -> i64 {
        match operator {
            Binary::Add => left.wrapping_add(right),
            Binary::Sub => left.wrapping_sub(right),
            _ => left.wrapping_mul(right),
        }
    }

    fn rows<'v, 'a>(value: &'v Value<'a>) -> Result<&'v Matrix<i64>, PredictError> {
        value.i64()
    }

    fn value<'a>(matrix: Matrix<i64>) -> Value<'a> {
        Value::I64(matrix)
    }
}

/// One side of an operator.
enum Side<T> {
    /// An input of the step, and whether its one column is for all.
    Rows(usize, bool),
    /// A number for all, or one a column.
    Constant(Vec<T>),
}

/// `Add` and its like
pub(super) fn binary<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>, operator: Binary) -> Lowered {
    Attributes::of(node, &[])?;
    let (left, right) = (
        lowering.optional(node, 0)?.cloned(),
        lowering.optional(node, 1)?.cloned(),
    );
    let (Some(left), Some(right)) = (left, right) else {
        refuse!("it has not two inputs");
    };
    let rows: SmallVec<[Rows; 2]> = [&left, &right]
        .into_iter()
        .filter_map(|held| match held {
            Held::Rows(rows) => Some(rows.clone()),
            _ => None,
        })
        .collect();
    let Some(widest) = rows.iter().max_by_key(|rows| (rows.tail.len(), rows.width())) else {
        refuse!("it is of constants alone");
    };
    let tail = widest.tail.clone();
    let element = widest.element;
    if rows.iter().any(|rows| rows.element != element) {
        refuse!("it is of different element types");
    }
    match element {
        Element::F32 => sides::<f32>(lowering, operator, &rows, [&left, &right], tail, element),
        Element::F64 => sides::<f64>(lowering, operator, &rows, [&left, &right], tail, element),
        Element::I64 if operator != Binary::Div => {
            sides::<i64>(lowering, operator, &rows, [&left, &right], tail, element)
        }
        Element::Bool | Element::I32 if operator.compares() => {
            sides::<i64>(lowering, operator, &rows, [&left, &right], tail, element)
        }
        other => refuse!("it is of {}", other.onnx_name()),
    }
}

/// The elements of a constant as one number for all or one a column of `tail`.
fn for_columns<T: Operand + Elements>(constant: &Constant, tail: &[usize]) -> Result<Vec<T>, Refusal> {
    let Some(data) = T::of(&constant.data) else {
        refuse!("a constant is of another element type");
    };
    let width: usize = tail.iter().product();
    // Axes of extent one before the others say nothing; the rows' must be such a one.
    let own: &[usize] = match constant.shape.split_first() {
        Some((1, rest)) if constant.shape.len() == tail.len() + 1 => rest,
        _ => &constant.shape,
    };
    let fits = data.len() == 1 && constant.shape.len() <= tail.len() + 1;
    if fits || (own == tail && !tail.is_empty() && data.len() == width) {
        return Ok(data.to_vec());
    }
    refuse!("a constant of shape {:?} for columns of {tail:?}", constant.shape);
}

trait Elements: Sized {
    fn of(data: &Data) -> Option<&[Self]>;
}

macro_rules! elements {
    ($type:ty, $variant:ident) => {
        impl Elements for $type {
            fn of(data: &Data) -> Option<&[$type]> {
                match data {
                    Data::$variant(data) => Some(data),
                    _ => None,
                }
            }
        }
    };
}
elements!(f32, F32);
elements!(f64, F64);
elements!(i64, I64);

fn sides<T: Operand + Elements>(
    lowering: &mut Lowering<'_>,
    operator: Binary,
    rows: &[Rows],
    held: [&Held; 2],
    tail: Tail,
    element: Element,
) -> Lowered {
    let width = crate::model::tensor::element_count(&tail);
    let mut position = 0;
    let mut side = |held: &Held| match held {
        Held::Rows(rows) => {
            let one = rows.width() == 1 && rows.tail.len() == tail.len();
            if rows.tail != tail && !one {
                refuse!("columns of {:?} and {tail:?}", rows.tail);
            }
            position += 1;
            Ok(Side::Rows(position - 1, one && width != 1))
        }
        Held::Constant(constant) => Ok(Side::Constant(for_columns::<T>(constant, &tail)?)),
        Held::Maps(..) => refuse!("it is of maps"),
    };
    let (left, right) = (side(held[0])?, side(held[1])?);
    let gives = if operator.compares() {
        Element::Bool
    } else {
        element
    };
    let inputs: Vec<&Rows> = rows.iter().collect();
    let out = lowering.push(format!("{operator:?}"), &inputs, (gives, tail), move |inputs| {
        let count = inputs.get(0)?.rows();
        let at = |side: &Side<T>, row: usize, column: usize| -> Result<Option<T>, PredictError> {
            Ok(match side {
                Side::Constant(numbers) if numbers.len() == 1 => numbers.first().copied(),
                Side::Constant(numbers) => numbers.get(column).copied(),
                Side::Rows(position, one) => {
                    let matrix = T::rows(inputs.get(*position)?)?;
                    let place = if *one { row } else { row * width + column };
                    matrix.data.get(place).copied()
                }
            })
        };
        let (mut numbers, mut truths) = (Vec::new(), Vec::new());
        for row in 0..count {
            for column in 0..width {
                let (Some(left), Some(right)) = (at(&left, row, column)?, at(&right, row, column)?) else {
                    return Err(PredictError::Engine("an operand is too short".into()));
                };
                if operator.compares() {
                    truths.push(i64::from(operator.compare(left, right)));
                } else {
                    numbers.push(T::compute(operator, left, right));
                }
            }
        }
        Ok(if operator.compares() {
            Value::I64(Matrix {
                rows: count,
                width,
                data: truths,
            })
        } else {
            T::value(Matrix {
                rows: count,
                width,
                data: numbers,
            })
        })
    })?;
    Ok(vec![Held::Rows(out)])
}

/// Softmax along the columns
pub(super) fn softmax<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let attributes = Attributes::of(node, &["axis"])?;
    let rows = lowering.rows(node, 0)?;
    let default = if lowering.version >= 13 { -1 } else { 1 };
    if rows.element != Element::F32 || rows.tail.len() != 1 || axis(attributes.int("axis", default), 2)? != 1
    {
        refuse!("it is not along the columns of a matrix of float32");
    }
    let out = lowering.push("softmax", &[&rows], (Element::F32, rows.tail.clone()), |inputs| {
        let mut matrix = inputs.take(0)?.into_f32()?;
        matrix
            .each_row_mut()
            .for_each(|row| super::scores::Transform::Softmax.apply(row));
        Ok(Value::F32(matrix))
    })?;
    Ok(vec![Held::Rows(out)])
}

/// `ArgMax` and `ArgMin` along the columns
pub(super) fn arg<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>, largest: bool) -> Lowered {
    let attributes = Attributes::of(node, &["axis", "keepdims", "select_last_index"])?;
    let rows = lowering.rows(node, 0)?;
    let along = axis(attributes.int("axis", 0), rows.tail.len() + 1)?;
    let covered = rows.element == Element::F32 && rows.tail.len() == 1 && rows.width() > 0;
    if !covered || along != 1 || attributes.int("select_last_index", 0) != 0 {
        refuse!("it is not the first along the columns of a matrix of float32");
    }
    let tail = if attributes.int("keepdims", 1) != 0 {
        smallvec![1]
    } else {
        smallvec![]
    };
    let out = lowering.push(node.operator, &[&rows], (Element::I64, tail), move |inputs| {
        let matrix = inputs.get(0)?.f32()?;
        let best = |row: &[f32]| {
            let ahead = |best: usize, at: usize| match (row.get(at), row.get(best)) {
                (Some(new), Some(kept)) => {
                    (if largest { new > kept } else { new < kept }) || (new.is_nan() && !kept.is_nan())
                }
                _ => false,
            };
            (1..row.len()).fold(0, |best, at| if ahead(best, at) { at } else { best }) as i64
        };
        let data = matrix.each_row().map(best).collect();
        Ok(Value::I64(Matrix {
            rows: matrix.rows,
            width: 1,
            data,
        }))
    })?;
    Ok(vec![Held::Rows(out)])
}

/// What becomes of the columns of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reduction {
    Sum,
    Mean,
    SumSquare,
    Prod,
    LogSumExp,
    Max,
    Min,
    L1,
    L2,
}

/// `ReduceSum` and its like along the columns
pub(super) fn reduce<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>, reduction: Reduction) -> Lowered {
    let attributes = Attributes::of(node, &["axes", "keepdims", "noop_with_empty_axes"])?;
    let rows = lowering.rows(node, 0)?;
    let axes = lowering.axes(node, &attributes, 1, "axes")?.unwrap_or_default();
    let [along] = axes.as_slice() else {
        refuse!("it is along {} axes", axes.len());
    };
    let rank = rows.tail.len() + 1;
    if rows.element != Element::F32 || rank < 2 || axis(*along, rank)? + 1 != rank {
        refuse!("it is not along the last axis of float32");
    }
    let mut tail = rows.tail.clone();
    let width = tail.pop().unwrap_or(1);
    if width == 0 {
        refuse!("it is of no columns");
    }
    if attributes.int("keepdims", 1) != 0 {
        tail.push(1);
    }
    let out = lowering.push(
        format!("{reduction:?}"),
        &[&rows],
        (Element::F32, tail),
        move |inputs| {
            let matrix = inputs.get(0)?.f32()?;
            let data: Vec<f32> = matrix
                .data
                .chunks_exact(width)
                .map(|row| reduced(reduction, row))
                .collect();
            Ok(Value::F32(Matrix {
                rows: matrix.rows,
                width: matrix.width / width,
                data,
            }))
        },
    )?;
    Ok(vec![Held::Rows(out)])
}

/// Sums in double, rounded once.
fn reduced(reduction: Reduction, row: &[f32]) -> f32 {
    let doubles = row.iter().map(|&x| f64::from(x));
    match reduction {
        Reduction::Sum => doubles.sum::<f64>() as f32,
        Reduction::Mean => (doubles.sum::<f64>() / row.len() as f64) as f32,
        Reduction::SumSquare => doubles.map(|x| x * x).sum::<f64>() as f32,
        Reduction::Prod => doubles.product::<f64>() as f32,
        Reduction::L1 => doubles.map(f64::abs).sum::<f64>() as f32,
        Reduction::L2 => doubles.map(|x| x * x).sum::<f64>().sqrt() as f32,
        Reduction::LogSumExp => {
            let largest = doubles.clone().fold(f64::NEG_INFINITY, f64::max);
            if largest.is_infinite() {
                return largest as f32;
            }
            (doubles.map(|x| (x - largest).exp()).sum::<f64>().ln() + largest) as f32
        }
        Reduction::Max => {
            row.iter().copied().fold(
                f32::NEG_INFINITY,
                |best, x| if x > best || x.is_nan() { x } else { best },
            )
        }
        Reduction::Min => {
            row.iter().copied().fold(
                f32::INFINITY,
                |best, x| if x < best || x.is_nan() { x } else { best },
            )
        }
    }
}
