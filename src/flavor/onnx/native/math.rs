//! Operators that compute element by element or along the columns, in the element type of their inputs.

use smallvec::{SmallVec, smallvec};

use super::super::element::Element;
use super::lowering::{Attributes, Data, Held, Lowering, Rows, Tail};
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
    Pow,
    Equal,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
}

impl Binary {
    fn compares(self) -> bool {
        !matches!(
            self,
            Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Pow
        )
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
                    Binary::Pow => left.powf(right),
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

/// One side of an operator: where the number for each column of the result is.
enum Side<T> {
    /// An input of the step, its width, and its column for each of the result; none when they are the same.
    Rows(usize, usize, Option<Vec<usize>>),
    /// A number a column.
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
    two(lowering, operator, [&left, &right])
}

/// `Sum` of any number of tensors
pub(super) fn sum<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    Attributes::of(node, &[])?;
    let mut total: Option<Held> = None;
    for position in 0..node.inputs.len() {
        let Some(next) = lowering.optional(node, position)?.cloned() else {
            refuse!("an input is left out");
        };
        total = match total {
            None => Some(next),
            Some(total) => two(lowering, Binary::Add, [&total, &next])?.pop(),
        };
    }
    match total {
        Some(total) => Ok(vec![total]),
        None => refuse!("it has no inputs"),
    }
}

fn two(lowering: &mut Lowering<'_>, operator: Binary, held: [&Held; 2]) -> Lowered {
    let mut rows: SmallVec<[Rows; 2]> = SmallVec::new();
    for held in held {
        match held {
            Held::Rows(own) => rows.push(own.clone()),
            Held::Constant(_) => {}
            Held::Maps(..) => refuse!("it is of maps"),
        }
    }
    let Some(first) = rows.first() else {
        refuse!("it is of constants alone");
    };
    let element = first.element;
    if rows.iter().any(|rows| rows.element != element) {
        refuse!("it is of different element types");
    }
    let whole = operator != Binary::Div && operator != Binary::Pow;
    match element {
        Element::F32 => sides::<f32>(lowering, operator, &rows, held, element),
        Element::F64 => sides::<f64>(lowering, operator, &rows, held, element),
        Element::I64 if whole => sides::<i64>(lowering, operator, &rows, held, element),
        Element::Bool | Element::I32 if operator.compares() => {
            sides::<i64>(lowering, operator, &rows, held, element)
        }
        other => refuse!("it is of {}", other.onnx_name()),
    }
}

/// The extents behind the rows that an operand has in an operator of so many axes.
fn aligned(held: &Held, rank: usize) -> Result<Tail, Refusal> {
    let (mut tail, missing): (Tail, usize) = match held {
        // Without as many axes as the others, its rows would be columns.
        Held::Rows(rows) if rows.tail.len() + 1 == rank => return Ok(rows.tail.clone()),
        Held::Constant(constant) if constant.shape.len() == rank && constant.shape.first() == Some(&1) => {
            return Ok(constant.shape.iter().skip(1).copied().collect());
        }
        Held::Constant(constant) if constant.shape.len() < rank => (
            smallvec![1; rank - 1 - constant.shape.len()],
            constant.shape.len(),
        ),
        Held::Constant(constant) => refuse!("a constant of shape {:?} for {rank} axes", constant.shape),
        _ => refuse!("tensors of different numbers of axes"),
    };
    if let (Held::Constant(constant), true) = (held, missing > 0) {
        tail.extend(constant.shape.iter().copied());
    }
    Ok(tail)
}

/// For each column of the result, the operand's own; none when they are the same.
fn columns_of(own: &[usize], result: &[usize]) -> Option<Vec<usize>> {
    if own == result {
        return None;
    }
    let count: usize = result.iter().product();
    let column = |mut column: usize| {
        let (mut place, mut step) = (0, 1);
        for (&own, &extent) in own.iter().zip(result).rev() {
            let at = column % extent.max(1);
            column /= extent.max(1);
            place += if own == 1 { 0 } else { at * step };
            step *= own;
        }
        place
    };
    Some((0..count).map(column).collect())
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
    element: Element,
) -> Lowered {
    let rank = rows.iter().map(|rows| rows.tail.len() + 1).max().unwrap_or(1);
    // Of a scalar on the right of a vector, one axis more says nothing.
    let tails = [aligned(held[0], rank)?, aligned(held[1], rank)?];
    let mut tail: Tail = smallvec![];
    for (&one, &other) in tails[0].iter().zip(&tails[1]) {
        tail.push(match (one, other) {
            (one, other) if one == other => one,
            (1, extent) | (extent, 1) => extent,
            _ => refuse!("columns of {:?} and {:?}", tails[0], tails[1]),
        });
    }
    let width = crate::model::tensor::element_count(&tail);
    if width > crate::flavor::plan::builder::MAX_WIDTH {
        refuse!("{width} columns");
    }
    let mut position = 0;
    let mut side = |held: &Held, own: &Tail| {
        let columns = columns_of(own, &tail);
        Ok(match held {
            Held::Constant(constant) => {
                let Some(data) = T::of(&constant.data) else {
                    refuse!("a constant is of another element type");
                };
                let place = |column: usize| {
                    columns
                        .as_ref()
                        .map_or(Some(column), |map| map.get(column).copied())
                };
                let numbers = (0..width)
                    .map(|column| data.get(place(column)?).copied())
                    .collect();
                match numbers {
                    Some(numbers) => Side::Constant(numbers),
                    None => refuse!("a constant is too short"),
                }
            }
            _ => {
                position += 1;
                Side::Rows(position - 1, own.iter().product(), columns)
            }
        })
    };
    let (left, right): (Side<T>, Side<T>) = (side(held[0], &tails[0])?, side(held[1], &tails[1])?);
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
                Side::Constant(numbers) => numbers.get(column).copied(),
                Side::Rows(position, own, columns) => {
                    let place = columns
                        .as_ref()
                        .map_or(Some(column), |map| map.get(column).copied());
                    let matrix = T::rows(inputs.get(*position)?)?;
                    place.and_then(|place| matrix.data.get(row * own + place).copied())
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

/// `Clip` between constants
pub(super) fn clip<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let attributes = Attributes::of(node, &["min", "max"])?;
    let rows = lowering.rows(node, 0)?;
    if rows.element != Element::F32 {
        refuse!("it is of {}", rows.element.onnx_name());
    }
    let bound = |position: usize, name: &str, default: f32| match lowering.optional(node, position)? {
        None => Ok(attributes.float(name, default)),
        Some(Held::Constant(constant)) => match &constant.data {
            Data::F32(bound) if bound.len() == 1 => Ok(bound.first().copied().unwrap_or(default)),
            _ => refuse!("the bound is no float32"),
        },
        Some(_) => refuse!("the bound is no constant"),
    };
    let (least, most) = (bound(1, "min", f32::MIN)?, bound(2, "max", f32::MAX)?);
    let out = lowering.push(
        "clip",
        &[&rows],
        (Element::F32, rows.tail.clone()),
        move |inputs| {
            let mut matrix = inputs.take(0)?.into_f32()?;
            for x in &mut matrix.data {
                // NaN stays.
                if *x < least {
                    *x = least;
                }
                if *x > most {
                    *x = most;
                }
            }
            Ok(Value::F32(matrix))
        },
    )?;
    Ok(vec![Held::Rows(out)])
}

/// `Where` of three tensors of rows, all of the same extents
pub(super) fn choose<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    Attributes::of(node, &[])?;
    let (condition, yes, no) = (
        lowering.rows(node, 0)?,
        lowering.rows(node, 1)?,
        lowering.rows(node, 2)?,
    );
    let alike = condition.tail == yes.tail && yes.tail == no.tail && yes.element == no.element;
    if !alike || condition.element != Element::Bool || yes.element != Element::F32 {
        refuse!("it is not of tensors of float32 of the same extents");
    }
    let form = (Element::F32, yes.tail.clone());
    let out = lowering.push("choose", &[&condition, &yes, &no], form, |inputs| {
        let (condition, yes, no) = (
            inputs.get(0)?.i64()?,
            inputs.get(1)?.f32()?,
            inputs.get(2)?.f32()?,
        );
        let sides = yes.data.iter().zip(&no.data);
        let data = condition
            .data
            .iter()
            .zip(sides)
            .map(|(&truth, (&yes, &no))| if truth != 0 { yes } else { no });
        Ok(Value::F32(Matrix {
            rows: yes.rows,
            width: yes.width,
            data: data.collect(),
        }))
    })?;
    Ok(vec![Held::Rows(out)])
}
