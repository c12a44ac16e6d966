//! Operators along the columns of a row. Sums are in double and rounded once.

use smallvec::smallvec;

use super::super::element::Element;
use super::lowering::{Attributes, Held, Lowering, axis};
use super::proto::Node;
use crate::flavor::plan::value::{Matrix, Value};
use crate::flavor::refusal::{Refusal, refuse};

type Lowered = Result<Vec<Held>, Refusal>;

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
