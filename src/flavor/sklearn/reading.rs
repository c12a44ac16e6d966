//! The steps that read a request into matrices, and those that check and cast matrices.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::flavor::PredictError;
use crate::flavor::plan::input::Input;
use crate::flavor::plan::value::{Cell, Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Step};

use super::request::Reader;
use super::rows::Finite;

/// Reads the request into a matrix of `T`.
pub(super) struct Read<T> {
    /// Finds the columns.
    pub(super) reader: Reader,
    /// Which values pass.
    pub(super) finite: Finite,
    /// The type of the elements.
    pub(super) element: PhantomData<T>,
}

/// Checks a matrix that another step has computed.
pub(super) struct Checked {
    /// Who checks, for messages.
    pub(super) class: Arc<str>,
    /// Which values pass.
    pub(super) finite: Finite,
}

/// Widens or narrows a matrix of floats.
pub(super) struct Cast(pub(super) Kind);

/// A float of either width.
pub(super) trait Float: Copy + Default + Send + Sync + 'static {
    /// Its type's name in NumPy.
    const NAME: &'static str;

    /// Whether it is NaN.
    fn nan(self) -> bool;

    /// Whether it is neither infinite nor NaN.
    fn finite(self) -> bool;
}

/// The same for both widths.
macro_rules! float {
    ($float:ty, $name:literal) => {
        impl Float for $float {
            const NAME: &'static str = $name;

            fn nan(self) -> bool {
                self.is_nan()
            }

            fn finite(self) -> bool {
                self.is_finite()
            }
        }
    };
}

float!(f32, "float32");
float!(f64, "float64");

/// Refuses values as scikit-learn's `check_array` does.
pub(super) fn check_finite<T: Float>(values: &[T], finite: Finite, class: &str) -> Result<(), PredictError> {
    let (nan_is_fine, infinity_is_fine) = match finite {
        Finite::All => (false, false),
        Finite::NanAllowed => (true, false),
        Finite::Any => return Ok(()),
    };
    if values.iter().all(|value| value.finite()) {
        return Ok(());
    }
    if !nan_is_fine && values.iter().any(|value| value.nan()) {
        return Err(PredictError::Input(format!(
            "Input X contains NaN.\n{class} does not accept missing values encoded as NaN natively."
        )));
    }
    if !infinity_is_fine && values.iter().any(|value| !value.nan() && !value.finite()) {
        return Err(PredictError::Input(format!(
            "Input X contains infinity or a value too large for dtype('{}').",
            T::NAME
        )));
    }
    Ok(())
}

impl<T> Read<T> {
    fn describe_as(&self, element: &str) -> String {
        format!(
            "{} columns as {element} for {}",
            self.reader.width(),
            self.reader.class
        )
    }

    fn input(&self, inputs: &[Form]) -> Result<(), String> {
        match inputs {
            [form] if form.kind == Kind::Input => Ok(()),
            _ => Err(format!("the request expected, got {inputs:?}")),
        }
    }
}

/// The same for both widths.
macro_rules! read {
    ($float:ty, $whole:ident, $into:ident, $form:ident, $variant:ident, $element:literal) => {
        impl Step for Read<$float> {
            fn describe(&self) -> String {
                self.describe_as($element)
            }

            fn form(&self, inputs: &[Form]) -> Result<Form, String> {
                self.input(inputs)
                    .map(|()| Form::$form(self.reader.width()))
            }

            fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
                let input = *inputs.get(0)?.input()?;
                let (rows, width) = (input.rows(), self.reader.width());
                let data = match input.$whole() {
                    Some(whole) if self.reader.picked.is_none() => {
                        self.reader.check(&input)?;
                        whole.to_vec()
                    }
                    _ => {
                        let columns = self.reader.columns(&input)?;
                        let mut data = vec![0.0; rows * width];
                        for (index, column) in columns.iter().enumerate() {
                            column.$into(data.get_mut(index..).unwrap_or_default(), width)?;
                        }
                        data
                    }
                };
                check_finite(&data, self.finite, &self.reader.class)?;
                Ok(Value::$variant(Matrix { rows, width, data }))
            }
        }
    };
}

read!(f64, doubles, doubles_into, f64, F64, "float64");
read!(f32, singles, singles_into, f32, F32, "float32");

impl Step for Checked {
    fn describe(&self) -> String {
        format!("check values for {}", self.class)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if matches!(form.kind, Kind::F64 | Kind::F32) => Ok(*form),
            _ => Err(format!("floats expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let value = inputs.take(0)?;
        match &value {
            Value::F32(matrix) => check_finite(&matrix.data, self.finite, &self.class)?,
            other => check_finite(&other.f64()?.data, self.finite, &self.class)?,
        }
        Ok(value)
    }
}

impl Step for Cast {
    fn describe(&self) -> String {
        format!("as {:?}", self.0).to_lowercase()
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind != Kind::Input => Ok(Form {
                kind: self.0,
                width: form.width,
            }),
            _ => Err(format!("a matrix expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let value = inputs.take(0)?;
        let (rows, width) = match &value {
            Value::F32(matrix) => (matrix.rows, matrix.width),
            Value::F64(matrix) => (matrix.rows, matrix.width),
            Value::I64(matrix) => (matrix.rows, matrix.width),
            Value::Cells(matrix) => (matrix.rows, matrix.width),
            Value::Input(_) => return Err(PredictError::Engine("the request is no matrix".into())),
        };
        let doubles: Vec<f64> = match value {
            Value::F32(matrix) if self.0 == Kind::F32 => return Ok(Value::F32(matrix)),
            Value::F64(matrix) => matrix.data,
            Value::F32(matrix) => matrix.data.into_iter().map(f64::from).collect(),
            Value::I64(matrix) if self.0 == Kind::F32 => {
                // Rounded once.
                let data = matrix.data.into_iter().map(|whole| whole as f32).collect();
                return Ok(Value::F32(Matrix { rows, width, data }));
            }
            Value::I64(matrix) => matrix.data.into_iter().map(|whole| whole as f64).collect(),
            other => {
                let cells = other.into_cells()?;
                let number = |cell: &Cell<'_>| {
                    cell.number().ok_or_else(|| {
                        PredictError::Input(format!(
                            "could not convert string to float: {:?}",
                            cell.to_value()
                        ))
                    })
                };
                cells.data.iter().map(number).collect::<Result<_, _>>()?
            }
        };
        Ok(match self.0 {
            Kind::F32 => Value::F32(Matrix {
                rows,
                width,
                data: doubles.into_iter().map(|double| double as f32).collect(),
            }),
            _ => Value::F64(Matrix {
                rows,
                width,
                data: doubles,
            }),
        })
    }
}

/// Reads the request as cells.
pub(super) struct Cells(pub(super) Reader);

impl Step for Cells {
    fn describe(&self) -> String {
        format!("{} columns of any type", self.0.width())
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::Input => Ok(Form::cells(self.0.width())),
            _ => Err(format!("the request expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let input = *inputs.get(0)?.input()?;
        let (rows, width) = (input.rows(), self.0.width());
        let columns = self.0.columns(&input)?;
        let mut data = Vec::with_capacity(rows * width);
        for row in 0..rows {
            for column in &columns {
                data.push(column.cell(row).ok_or_else(|| {
                    PredictError::Input("a cell is no number, text, boolean or null".into())
                })?);
            }
        }
        Ok(Value::Cells(Matrix { rows, width, data }))
    }
}

/// Checks the number of columns as `ColumnTransformer` does: not of a table if it was fitted on one, of which it takes
/// the columns it wants.
pub(super) struct Counted {
    /// How many there must be.
    pub(super) width: usize,
    /// Of a table, any number.
    pub(super) named: bool,
}

impl Step for Counted {
    fn describe(&self) -> String {
        format!("request of {} columns", self.width)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::Input => Ok(*form),
            _ => Err(format!("the request expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let input = *inputs.get(0)?.input()?;
        let free = self.named && matches!(input, Input::Frame(_));
        let flat = matches!(input, Input::Array(array) if array.shape().len() != 2);
        if flat || (!free && input.width() != self.width) {
            return Err(PredictError::Input(format!(
                "X has {} features, but ColumnTransformer is expecting {} features as input.",
                input.width(),
                self.width
            )));
        }
        Ok(Value::Input(input))
    }
}
