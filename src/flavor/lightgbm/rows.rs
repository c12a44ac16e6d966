//! The columns of a request as LightGBM takes them: counted, not named; doubles, with what is next to zero as zero.

use crate::flavor::PredictError;
use crate::flavor::plan::input::Input;
use crate::flavor::plan::steps::columns::{doubles, singles};
use crate::flavor::plan::value::{Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Step};
use crate::model::batch::Name;
use crate::model::tensor::DType;

use super::categories::Categories;

/// `kZeroThreshold`: values that are no further from zero are zero.
const ZERO: f64 = 1e-35f32 as f64;

/// Gives `[rows, features]` of the request, or of rows that other steps made.
pub(super) struct Rows {
    pub(super) features: usize,
    /// The columns that were pandas categories when the model was trained.
    pub(super) categories: Categories,
}

impl Step for Rows {
    fn describe(&self) -> String {
        format!(
            "{} columns as float64{}",
            self.features,
            self.categories.describe()
        )
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::Input => Ok(Form::f64(self.features)),
            [form]
                if matches!(form.kind, Kind::F32 | Kind::F64 | Kind::I64) && form.width == self.features =>
            {
                Ok(Form::f64(self.features))
            }
            _ => Err(format!("{} columns expected, got {inputs:?}", self.features)),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut rows = match inputs.take(0)? {
            Value::Input(input) => self.read(&input)?,
            Value::F64(rows) => rows,
            Value::F32(rows) => widened(&rows, f64::from),
            // Arrays of integers go to the library as singles.
            other => widened(other.i64()?, |whole| f64::from(whole as f32)),
        };
        for value in &mut rows.data {
            if value.abs() <= ZERO {
                *value = 0.0;
            }
        }
        Ok(Value::F64(rows))
    }
}

fn widened<T: Copy>(rows: &Matrix<T>, to: fn(T) -> f64) -> Matrix<f64> {
    Matrix {
        rows: rows.rows,
        width: rows.width,
        data: rows.data.iter().map(|&x| to(x)).collect(),
    }
}

impl Rows {
    fn read(&self, input: &Input<'_>) -> Result<Matrix<f64>, PredictError> {
        match input {
            Input::Frame(_) => {
                if let Some(coded) = self.categories.read(input, self.features)? {
                    return Ok(coded);
                }
                check_dtypes(input)?;
                self.check_width(input)?;
                // The library casts all columns to one type; what is widened here as it is has the same value there.
                Ok(doubles(input)?)
            }
            Input::Array(tensor) => {
                if tensor.shape().len() != 2 {
                    return Err(PredictError::Input(
                        "Input numpy.ndarray or list must be 2 dimensional".into(),
                    ));
                }
                self.check_width(input)?;
                match tensor.dtype() {
                    DType::F64 | DType::F32 => doubles(input),
                    DType::Str | DType::Datetime => Err(PredictError::Input(format!(
                        "an array of {} is not supported",
                        tensor.dtype().numpy_name()
                    ))),
                    _ => Ok(widened(&singles(input)?, f64::from)),
                }
            }
        }
    }

    fn check_width(&self, input: &Input<'_>) -> Result<(), PredictError> {
        if input.width() == self.features {
            return Ok(());
        }
        Err(PredictError::Input(format!(
            "The number of features in data ({}) is not the same as it was in training data ({}).",
            input.width(),
            self.features
        )))
    }
}

/// Refuses columns of a table that are no numbers.
fn check_dtypes(input: &Input<'_>) -> Result<(), PredictError> {
    let bad: Vec<String> = (0..input.width())
        .filter_map(|index| {
            let dtype = input.column(index).map(|column| column.dtype());
            let name = input
                .names()
                .and_then(|names| names.get(index))
                .map(Name::to_string);
            match dtype {
                Some(DType::Str | DType::Object | DType::Datetime) | None => Some(format!(
                    "{}: {}",
                    name.unwrap_or_default(),
                    dtype.map_or("object", DType::numpy_name)
                )),
                Some(_) => None,
            }
        })
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    Err(PredictError::Input(format!(
        "pandas dtypes must be int, float or bool.\nFields with bad pandas dtypes: {}",
        bad.join(", ")
    )))
}
