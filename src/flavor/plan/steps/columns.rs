//! From the request to matrices.
//!
//! Which columns a library wants, and what it says when they are not there, differs; each flavor has a step of its own
//! for that and reads the columns with these functions.

use crate::flavor::PredictError;
use crate::flavor::plan::input::Input;
use crate::flavor::plan::value::Matrix;

/// Every column of the request as doubles.
///
/// # Errors
/// When a column holds what is no number.
pub fn doubles(input: &Input<'_>) -> Result<Matrix<f64>, PredictError> {
    let (rows, width) = (input.rows(), input.width());
    if let Some(whole) = input.doubles() {
        return Ok(Matrix {
            rows,
            width,
            data: whole.to_vec(),
        });
    }
    if let Some(whole) = input.singles() {
        let data = whole.iter().map(|&single| f64::from(single)).collect();
        return Ok(Matrix { rows, width, data });
    }
    let mut data = vec![0.0; rows * width];
    for index in 0..width {
        let column = input.column(index).ok_or_else(|| flat(index))?;
        column.doubles_into(data.get_mut(index..).unwrap_or_default(), width)?;
    }
    Ok(Matrix { rows, width, data })
}

/// Every column of the request, each number rounded to `float32` once.
///
/// # Errors
/// When a column holds what is no number.
pub fn singles(input: &Input<'_>) -> Result<Matrix<f32>, PredictError> {
    let (rows, width) = (input.rows(), input.width());
    if let Some(whole) = input.doubles() {
        let data = whole.iter().map(|&double| double as f32).collect();
        return Ok(Matrix { rows, width, data });
    }
    if let Some(whole) = input.singles() {
        return Ok(Matrix {
            rows,
            width,
            data: whole.to_vec(),
        });
    }
    let mut data = vec![0.0; rows * width];
    for index in 0..width {
        let column = input.column(index).ok_or_else(|| flat(index))?;
        column.singles_into(data.get_mut(index..).unwrap_or_default(), width)?;
    }
    Ok(Matrix { rows, width, data })
}

fn flat(index: usize) -> PredictError {
    PredictError::Input(format!(
        "column {index} holds arrays, the model takes plain columns"
    ))
}
