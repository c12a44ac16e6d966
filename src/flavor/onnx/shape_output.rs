//! The outputs of a graph as a batch, as MLflow's wrapper shapes them.
//!
//! For a frame, MLflow flattens each output and makes a column of it; a single `[n, k]` output so becomes `n · k`
//! rows. It fails when the columns then differ in length, as label and probabilities of a classifier do: there, axis 0
//! is taken for the rows and `[n, k]` stays a column of arrays. For arrays, each output keeps its name and shape.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::flavor::PredictError;
use crate::model::batch::{Batch, Body, Columns, Frame, Name, Names};
use crate::model::tensor::{Elements, Shape, Tensor};

/// Outputs in the graph's order. Lists and maps are tensors of objects.
pub(super) type Outputs = SmallVec<[Tensor; 4]>;

/// Names of a graph's outputs, in both forms that batches have.
#[derive(Debug)]
pub(super) struct OutputNames {
    columns: Names,
    arrays: Vec<Arc<str>>,
}

impl OutputNames {
    pub(super) fn new(names: impl IntoIterator<Item = Arc<str>>) -> OutputNames {
        let arrays: Vec<Arc<str>> = names.into_iter().collect();
        OutputNames {
            columns: arrays.iter().cloned().map(Name::Text).collect(),
            arrays,
        }
    }

    /// The names of arrays, in the graph's order.
    pub(super) fn arrays(&self) -> &[Arc<str>] {
        &self.arrays
    }
}

/// Shapes outputs for the kind of batch that was asked with.
///
/// # Errors
/// When a frame was asked with and the outputs have no number of rows in common.
pub(super) fn shape_output(
    asked: &Body,
    names: &OutputNames,
    outputs: Outputs,
) -> Result<Batch, PredictError> {
    if !matches!(asked, Body::Frame(_)) {
        return Ok(Batch::new(Body::Named(
            names.arrays.iter().cloned().zip(outputs).collect(),
        )));
    }
    let flat = |tensor: &Tensor| tensor.elements().len();
    let (rows, columns) = match outputs.first().map(flat) {
        None => (0, Vec::new()),
        Some(length) if outputs.iter().all(|tensor| flat(tensor) == length) => (
            length,
            outputs
                .into_iter()
                .map(|tensor| Tensor::vector(tensor.into_parts().1))
                .collect(),
        ),
        Some(_) => by_rows(names, outputs)?,
    };
    let frame = Frame::new(rows, Arc::clone(&names.columns), Columns::Separate(columns))
        .map_err(|error| PredictError::Engine(error.to_string()))?;
    Ok(Batch::new(Body::Frame(frame)))
}

/// Outputs of different size: rows are what axis 0 counts; a scalar holds for every row.
fn by_rows(names: &OutputNames, outputs: Outputs) -> Result<(usize, Vec<Tensor>), PredictError> {
    let mut extents = outputs
        .iter()
        .filter(|tensor| !tensor.shape().is_empty())
        .map(Tensor::rows);
    let rows = extents.next().unwrap_or(1);
    if extents.any(|extent| extent != rows) {
        let shapes: Vec<String> = names
            .arrays
            .iter()
            .zip(&outputs)
            .map(|(name, tensor)| format!("`{name}` {:?}", tensor.shape()))
            .collect();
        return Err(PredictError::Engine(format!(
            "All arrays must be of the same length: outputs {} make no table; send arrays instead of a table",
            shapes.join(", ")
        )));
    }
    let columns = outputs
        .into_iter()
        .map(|tensor| {
            if tensor.shape().is_empty() {
                repeat(tensor, rows)
            } else {
                tensor
            }
        })
        .collect();
    Ok((rows, columns))
}

fn repeat(scalar: Tensor, rows: usize) -> Tensor {
    let (_, elements) = scalar.into_parts();
    let mut repeated = Elements::empty(elements.dtype(), rows);
    macro_rules! fill {
        ($($variant:ident),*) => {
            match (&mut repeated, elements) {
                $((Elements::$variant(to), Elements::$variant(from)) => {
                    to.extend(std::iter::repeat_n(from, rows).flatten());
                })*
                _ => {}
            }
        };
    }
    fill!(
        Bool, I8, I16, I32, I64, U8, U16, U32, U64, F16, F32, F64, Str, Datetime, Object
    );
    Tensor::vector(repeated)
}

/// Pairs elements with the shape an engine reports.
///
/// # Errors
/// When the engine reports a shape that its elements do not fill.
pub(super) fn tensor(shape: Shape, elements: Elements) -> Result<Tensor, PredictError> {
    Tensor::new(shape, elements).map_err(|error| PredictError::Engine(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(frame: bool) -> Body {
        let empty = Tensor::vector(Elements::F32(vec![]));
        if !frame {
            return Body::Array(empty);
        }
        Body::Frame(Frame::new(0, Arc::from([Name::from("a")]), Columns::Separate(vec![empty])).unwrap())
    }

    fn floats(shape: &[usize]) -> Tensor {
        Tensor::new(
            Shape::from_slice(shape),
            Elements::F32(vec![0.5; shape.iter().product()]),
        )
        .unwrap()
    }

    fn shaped(frame: bool, outputs: &[Tensor]) -> Result<Vec<Vec<usize>>, PredictError> {
        let names = OutputNames::new((0..outputs.len()).map(|at| format!("o{at}").into()));
        let batch = shape_output(&asked(frame), &names, outputs.iter().cloned().collect())?;
        Ok(match batch.body {
            Body::Named(members) => members
                .iter()
                .map(|(_, tensor)| tensor.shape().to_vec())
                .collect(),
            Body::Frame(frame) => match frame.into_parts().2 {
                Columns::Separate(columns) => columns.iter().map(|tensor| tensor.shape().to_vec()).collect(),
                Columns::Matrix(matrix) => vec![matrix.shape().to_vec()],
            },
            _ => vec![],
        })
    }

    #[test]
    fn a_single_output_of_a_frame_is_flattened() {
        assert_eq!(shaped(true, &[floats(&[2, 3])]).unwrap(), [vec![6]]);
        assert_eq!(shaped(false, &[floats(&[2, 3])]).unwrap(), [vec![2, 3]]);
        assert_eq!(shaped(true, &[floats(&[])]).unwrap(), [vec![1]]);
    }

    #[test]
    fn outputs_of_different_width_keep_their_rows() {
        assert_eq!(
            shaped(true, &[floats(&[2]), floats(&[2, 3])]).unwrap(),
            [vec![2], vec![2, 3]]
        );
        assert_eq!(
            shaped(true, &[floats(&[]), floats(&[2, 3])]).unwrap(),
            [vec![2], vec![2, 3]]
        );
    }

    #[test]
    fn outputs_without_common_rows_are_named() {
        let message = shaped(true, &[floats(&[2]), floats(&[3])])
            .unwrap_err()
            .to_string();
        assert!(message.contains("`o0` [2], `o1` [3]"), "{message}");
    }
}
