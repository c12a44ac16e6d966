//! Operators that move elements, or change their type, and compute nothing.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::super::element::Element;
use super::lowering::{Attributes, Constant, Data, Held, Lowering, Rows, Tail, axis, form};
use super::proto::Node;
use super::trees::label;
use crate::flavor::PredictError;
use crate::flavor::plan::Inputs;
use crate::flavor::plan::steps::labels::Labels;
use crate::flavor::plan::value::{Matrix, Value};
use crate::flavor::refusal::{Refusal, refuse};

type Lowered = Result<Vec<Held>, Refusal>;

/// `Identity`, and `Dropout` when nothing is learnt.
pub(super) fn identity<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    match lowering.optional(node, 0)? {
        Some(held) => Ok(vec![held.clone()]),
        None => refuse!("it has no input"),
    }
}

/// `Constant`
pub(super) fn constant(node: &Node<'_>) -> Lowered {
    let attributes = Attributes::of(
        node,
        &[
            "value",
            "value_float",
            "value_floats",
            "value_int",
            "value_ints",
            "value_string",
        ],
    )?;
    let constant = match node.attributes.first() {
        Some(attribute) if attribute.name == "value" => match &attribute.tensor {
            Some(tensor) => Constant::of(tensor)?,
            None => refuse!("its value is missing"),
        },
        Some(attribute) if attribute.name == "value_float" => Constant {
            shape: vec![],
            element: Element::F32,
            data: Data::F32(vec![attribute.float]),
        },
        Some(attribute) if attribute.name == "value_int" => Constant {
            shape: vec![],
            element: Element::I64,
            data: Data::I64(vec![attribute.int]),
        },
        Some(attribute) if attribute.name == "value_floats" => {
            let data = attributes.floats("value_floats").to_vec();
            Constant {
                shape: vec![data.len()],
                element: Element::F32,
                data: Data::F32(data),
            }
        }
        Some(attribute) if attribute.name == "value_ints" => {
            let data = attributes.ints("value_ints").to_vec();
            Constant {
                shape: vec![data.len()],
                element: Element::I64,
                data: Data::I64(data),
            }
        }
        _ => refuse!("its value is of a kind that is not read"),
    };
    Ok(vec![Held::Constant(Arc::new(constant))])
}

/// `Cast`
pub(super) fn cast_node<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let attributes = Attributes::of(node, &["to", "saturate"])?;
    let to = super::lowering::element(i32::try_from(attributes.int("to", 0)).unwrap_or(0))?;
    match lowering.optional(node, 0)? {
        Some(Held::Constant(constant)) if constant.element == to => {
            Ok(vec![Held::Constant(Arc::clone(constant))])
        }
        Some(Held::Constant(constant)) => {
            let data = match (&constant.data, to) {
                (Data::I64(ints), Element::F32) => Data::F32(ints.iter().map(|&int| int as f32).collect()),
                (Data::F32(floats), Element::F64) => {
                    Data::F64(floats.iter().map(|&x| f64::from(x)).collect())
                }
                (Data::F64(floats), Element::F32) => Data::F32(floats.iter().map(|&x| x as f32).collect()),
                _ => refuse!("a constant is cast"),
            };
            Ok(vec![Held::Constant(Arc::new(Constant {
                shape: constant.shape.clone(),
                element: to,
                data,
            }))])
        }
        _ => {
            let rows = lowering.rows(node, 0)?;
            Ok(vec![Held::Rows(cast(lowering, rows, to)?)])
        }
    }
}

/// Rows as another element type.
pub(super) fn cast(lowering: &mut Lowering<'_>, rows: Rows, to: Element) -> Result<Rows, Refusal> {
    let from = rows.element;
    let (whole_from, whole_to) = (is_whole(from), is_whole(to));
    if from == to || (from == Element::Bool && whole_to) || (from == Element::I32 && to == Element::I64) {
        return Ok(Rows { element: to, ..rows });
    }
    // What is no number of the target has another value on every machine; texts are written in ways of their own.
    let covered = match (from, to) {
        (Element::F32 | Element::F64, _) => {
            matches!(to, Element::F32 | Element::F64 | Element::Bool) || whole_to
        }
        _ => whole_from && (matches!(to, Element::F32 | Element::F64) || whole_to),
    };
    if !covered {
        refuse!("{} is cast to {}", from.onnx_name(), to.onnx_name());
    }
    let what = format!("as {}", to.onnx_name());
    lowering.push(what, &[&rows], (to, rows.tail.clone()), move |inputs| {
        let whole = |x: f64| {
            if to == Element::Bool {
                i64::from(x != 0.0)
            } else {
                narrow(x as i64, to)
            }
        };
        Ok(match (inputs.take(0)?, to) {
            (Value::F32(from), Element::F64) => Value::F64(each(from, f64::from)),
            (Value::F64(from), Element::F32) => Value::F32(each(from, |x| x as f32)),
            (Value::I64(from), Element::F32) => Value::F32(each(from, |x| x as f32)),
            (Value::I64(from), Element::F64) => Value::F64(each(from, |x| x as f64)),
            (Value::F32(from), _) => Value::I64(each(from, |x| whole(f64::from(x)))),
            (Value::F64(from), _) => Value::I64(each(from, whole)),
            (Value::I64(from), Element::Bool) => Value::I64(each(from, |x| i64::from(x != 0))),
            (Value::I64(from), _) => Value::I64(each(from, |x| narrow(x, to))),
            (other, _) => other,
        })
    })
}

fn narrow(x: i64, to: Element) -> i64 {
    if to == Element::I32 {
        i64::from(x as i32)
    } else {
        x
    }
}

fn is_whole(element: Element) -> bool {
    matches!(element, Element::I64 | Element::I32 | Element::Bool)
}

/// Each element by a function.
pub(super) fn each<S, T>(from: Matrix<S>, function: impl Fn(S) -> T) -> Matrix<T> {
    Matrix {
        rows: from.rows,
        width: from.width,
        data: from.data.into_iter().map(function).collect(),
    }
}

/// `Concat`, along any axis but the rows'
pub(super) fn concat<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let attributes = Attributes::of(node, &["axis"])?;
    let mut all = Vec::with_capacity(node.inputs.len());
    for position in 0..node.inputs.len() {
        all.push(lowering.rows(node, position)?);
    }
    let rank = all.first().map_or(0, |rows| rows.tail.len() + 1);
    let axis = axis(attributes.int("axis", 1), rank)?;
    if axis == 0 {
        refuse!("rows are put under each other");
    }
    Ok(vec![Held::Rows(side_by_side(lowering, &all, axis)?)])
}

/// Tensors that differ in one axis, which is not the rows', side by side.
pub(super) fn side_by_side(lowering: &mut Lowering<'_>, all: &[Rows], axis: usize) -> Result<Rows, Refusal> {
    let Some(first) = all.first() else {
        refuse!("nothing is joined");
    };
    if let [only] = all {
        return Ok(only.clone());
    }
    // A tensor is `outer` runs a row; the joined one takes a run of each in turn.
    let mut tail = first.tail.clone();
    let outer: usize = tail.get(..axis - 1).unwrap_or_default().iter().product();
    let mut runs: SmallVec<[usize; 8]> = SmallVec::new();
    let mut extent = 0;
    for rows in all {
        let same = rows.tail.len() == tail.len()
            && rows
                .tail
                .iter()
                .zip(&tail)
                .enumerate()
                .all(|(at, (one, other))| at + 1 == axis || one == other);
        if !same || rows.element != first.element || rows.tail.len() < axis {
            refuse!("tensors of {:?} and {:?} are joined", first.tail, rows.tail);
        }
        extent += rows.tail.get(axis - 1).copied().unwrap_or(0);
        runs.push(rows.tail.get(axis - 1..).unwrap_or_default().iter().product());
    }
    if let Some(place) = tail.get_mut(axis - 1) {
        *place = extent;
    }
    let inputs: Vec<&Rows> = all.iter().collect();
    let gives = form(first.element, 1)?.kind;
    let what = format!("join {} tensors", all.len());
    lowering.push(what, &inputs, (first.element, tail), move |inputs| {
        use crate::flavor::plan::value::Kind;
        Ok(match gives {
            Kind::F32 => Value::F32(joined(inputs, outer, &runs, |value| value.f32())?),
            Kind::F64 => Value::F64(joined(inputs, outer, &runs, |value| value.f64())?),
            Kind::I64 => Value::I64(joined(inputs, outer, &runs, |value| value.i64())?),
            _ => Value::Cells(joined(inputs, outer, &runs, |value| value.cells())?),
        })
    })
}

fn joined<'r, 'a: 'r, T: Copy + 'r>(
    inputs: &'r Inputs<'_, 'a>,
    outer: usize,
    runs: &[usize],
    get: impl Fn(&'r Value<'a>) -> Result<&'r Matrix<T>, PredictError>,
) -> Result<Matrix<T>, PredictError> {
    let mut sources: SmallVec<[(&[T], usize); 8]> = SmallVec::new();
    for (position, &run) in runs.iter().enumerate() {
        sources.push((get(inputs.get(position)?)?.data.as_slice(), run));
    }
    let rows = inputs.get(0)?.rows();
    let width = runs.iter().sum::<usize>() * outer;
    let mut data = Vec::with_capacity(rows * width);
    for _ in 0..rows * outer {
        for (source, run) in &mut sources {
            let (taken, rest) = source.split_at_checked(*run).unwrap_or_default();
            data.extend_from_slice(taken);
            *source = rest;
        }
    }
    Ok(Matrix { rows, width, data })
}

/// Some columns of the last axis.
pub(super) fn columns(lowering: &mut Lowering<'_>, rows: &Rows, wanted: Vec<usize>) -> Result<Rows, Refusal> {
    let Some((&width, outer)) = rows.tail.split_last() else {
        refuse!("a vector has no columns");
    };
    if wanted.iter().any(|&column| column >= width) {
        refuse!("columns {wanted:?} of {width}");
    }
    let mut tail: Tail = outer.into();
    tail.push(wanted.len());
    let gives = form(rows.element, 1)?.kind;
    let what = format!("take {} of {width} columns", wanted.len());
    lowering.push(what, &[rows], (rows.element, tail), move |inputs| {
        use crate::flavor::plan::value::Kind;
        fn taken<T: Copy>(matrix: &Matrix<T>, width: usize, wanted: &[usize]) -> Matrix<T> {
            let runs = matrix.data.chunks_exact(width.max(1));
            let data: Vec<T> = runs
                .flat_map(|run| wanted.iter().filter_map(|&column| run.get(column).copied()))
                .collect();
            Matrix {
                rows: matrix.rows,
                width: matrix.width / width.max(1) * wanted.len(),
                data,
            }
        }
        let value = inputs.get(0)?;
        Ok(match gives {
            Kind::F32 => Value::F32(taken(value.f32()?, width, &wanted)),
            Kind::F64 => Value::F64(taken(value.f64()?, width, &wanted)),
            Kind::I64 => Value::I64(taken(value.i64()?, width, &wanted)),
            _ => Value::Cells(taken(value.cells()?, width, &wanted)),
        })
    })
}

/// The element of a constant at each index.
pub(super) fn looked_up(
    lowering: &mut Lowering<'_>,
    indices: &Rows,
    table: &Constant,
) -> Result<Rows, Refusal> {
    match &table.data {
        Data::I64(labels) => {
            let out = label(lowering, indices, Labels::Int(labels.clone()))?;
            Ok(Rows {
                element: table.element,
                ..out
            })
        }
        Data::Text(labels) => label(lowering, indices, Labels::Text(labels.clone())),
        Data::F32(numbers) => {
            let numbers = numbers.clone();
            lowering.push(
                "look up",
                &[indices],
                (Element::F32, indices.tail.clone()),
                move |inputs| {
                    let indices = inputs.get(0)?.i64()?;
                    let at = |&index: &i64| {
                        usize::try_from(index)
                            .ok()
                            .and_then(|index| numbers.get(index).copied())
                    };
                    match indices.data.iter().map(at).collect() {
                        Some(data) => Ok(Value::F32(Matrix {
                            rows: indices.rows,
                            width: indices.width,
                            data,
                        })),
                        None => Err(PredictError::Engine("an index is beyond the table".into())),
                    }
                },
            )
        }
        Data::F64(_) => refuse!("a table of float64 is looked up in"),
    }
}

/// `Gather`
pub(super) fn gather<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let attributes = Attributes::of(node, &["axis"])?;
    if let Some(Held::Constant(table)) = lowering.optional(node, 0)? {
        let table = Arc::clone(table);
        let indices = lowering.rows(node, 1)?;
        if table.shape.len() != 1 || !matches!(indices.element, Element::I64 | Element::I32) {
            refuse!("a constant of shape {:?} is gathered from", table.shape);
        }
        return Ok(vec![Held::Rows(looked_up(lowering, &indices, &table)?)]);
    }
    let rows = lowering.rows(node, 0)?;
    let rank = rows.tail.len() + 1;
    let axis = axis(attributes.int("axis", 0), rank)?;
    let indices = lowering.constant(node, 1)?;
    let extent = rows.tail.last().copied().unwrap_or(0);
    if axis == 0 || axis + 1 != rank || indices.shape.len() > 1 {
        refuse!("gathers along axis {axis} of {rank}");
    }
    let place = |&index: &i64| self::axis(index, extent);
    let wanted = indices.ints()?.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    let mut out = columns(lowering, &rows, wanted)?;
    // An index that is no list takes the axis away.
    if indices.shape.is_empty() {
        out.tail.pop();
    }
    Ok(vec![Held::Rows(out)])
}

/// `Slice` of the last axis
pub(super) fn slice<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    Attributes::of(node, &[])?;
    let rows = lowering.rows(node, 0)?;
    let rank = rows.tail.len() + 1;
    let ints = |position: usize| {
        lowering
            .constant(node, position)
            .and_then(|constant| Ok(constant.ints()?.to_vec()))
    };
    let (starts, ends) = (ints(1)?, ints(2)?);
    let axes = if lowering.optional(node, 3)?.is_some() {
        ints(3)?
    } else {
        vec![0]
    };
    let steps = if lowering.optional(node, 4)?.is_some() {
        ints(4)?
    } else {
        vec![1]
    };
    let ([start], [end], [along], [1]) = (
        starts.as_slice(),
        ends.as_slice(),
        axes.as_slice(),
        steps.as_slice(),
    ) else {
        refuse!("slices along several axes, or with steps");
    };
    if rank < 2 || axis(*along, rank)? + 1 != rank {
        refuse!("slices along axis {along} of {rank}");
    }
    let extent = rows.tail.last().copied().unwrap_or(0) as i64;
    let place = |at: i64| (if at < 0 { at.saturating_add(extent) } else { at }).clamp(0, extent) as usize;
    let wanted = (place(*start)..place(*end)).collect();
    Ok(vec![Held::Rows(columns(lowering, &rows, wanted)?)])
}

/// Rows with other extents behind the rows, which must hold as many elements.
fn with_tail(rows: Rows, tail: Tail) -> Lowered {
    if tail.iter().product::<usize>() != rows.width() {
        refuse!("{:?} becomes {tail:?}", rows.tail);
    }
    Ok(vec![Held::Rows(Rows { tail, ..rows })])
}

/// `Reshape` that leaves the rows alone
pub(super) fn reshape<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let attributes = Attributes::of(node, &["allowzero", "shape"])?;
    if attributes.int("allowzero", 0) != 0 {
        refuse!("axes without extent are kept");
    }
    let rows = lowering.rows(node, 0)?;
    let shape = match lowering.axes(node, &attributes, 1, "shape")? {
        Some(shape) => shape,
        None => refuse!("there is no shape"),
    };
    let width = rows.width();
    let Some((first, rest)) = shape.split_first() else {
        refuse!("it becomes a scalar");
    };
    let mut tail: Tail = smallvec![];
    let mut open = None;
    for (at, &extent) in rest.iter().enumerate() {
        tail.push(match extent {
            -1 => {
                open = Some(at);
                1
            }
            0 => match rows.tail.get(at) {
                Some(extent) => *extent,
                None => refuse!("axis {} is kept and not there", at + 1),
            },
            extent => usize::try_from(extent).map_err(|_| Refusal::new(format!("extent {extent}")))?,
        });
    }
    let known: usize = crate::model::tensor::element_count(&tail);
    match (first, open) {
        // All but the rows is said.
        (-1, None) => {}
        // The rows are kept, and the rest is said but for one.
        (0, Some(at)) if known > 0 && width % known == 0 => {
            if let Some(place) = tail.get_mut(at) {
                *place = width / known;
            }
        }
        (0, None) => {}
        _ => refuse!("the rows change to {shape:?}"),
    }
    with_tail(rows, tail)
}

/// `Flatten`
pub(super) fn flatten<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let attributes = Attributes::of(node, &["axis"])?;
    let rows = lowering.rows(node, 0)?;
    if attributes.int("axis", 1) != 1 {
        refuse!("flattens at axis {}", attributes.int("axis", 1));
    }
    let width = rows.width();
    with_tail(rows, smallvec![width])
}

/// `Squeeze` of axes that are not the rows'
pub(super) fn squeeze<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let attributes = Attributes::of(node, &["axes"])?;
    let rows = lowering.rows(node, 0)?;
    let rank = rows.tail.len() + 1;
    let Some(axes) = lowering.axes(node, &attributes, 1, "axes")? else {
        refuse!("every axis of extent one goes, the rows perhaps");
    };
    let mut gone = Vec::new();
    for along in axes {
        let along = axis(along, rank)?;
        if along == 0 || rows.tail.get(along - 1) != Some(&1) {
            refuse!("axis {along} goes");
        }
        gone.push(along);
    }
    let kept = rows
        .tail
        .iter()
        .enumerate()
        .filter(|(at, _)| !gone.contains(&(at + 1)))
        .map(|(_, extent)| *extent);
    let tail = kept.collect();
    with_tail(rows, tail)
}

/// `Unsqueeze` behind the rows
pub(super) fn unsqueeze<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let attributes = Attributes::of(node, &["axes"])?;
    let rows = lowering.rows(node, 0)?;
    let axes = lowering.axes(node, &attributes, 1, "axes")?.unwrap_or_default();
    let [along] = axes.as_slice() else {
        refuse!("{} axes come", axes.len());
    };
    let along = axis(*along, rows.tail.len() + 2)?;
    if along == 0 {
        refuse!("an axis comes before the rows");
    }
    let mut tail = rows.tail.clone();
    tail.insert(along - 1, 1);
    with_tail(rows, tail)
}
