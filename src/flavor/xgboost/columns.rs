//! The columns of a request as XGBoost takes them: checked against the model's features, rounded to single.

use std::collections::HashSet;

use crate::flavor::PredictError;
use crate::flavor::plan::input::Input;
use crate::flavor::plan::steps::columns::singles;
use crate::flavor::plan::value::{Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Step};
use crate::model::batch::Name;
use crate::model::tensor::DType;

/// How XGBoost's Python package takes rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// By way of a `DMatrix`, as `Booster.predict` does: infinities are refused, and a model without feature names takes
    /// rows that end early.
    Matrix,
    /// By `inplace_predict`, as the scikit-learn classes do.
    InPlace,
}

/// Gives `[rows, features]` of the request, or of rows that other steps made.
pub(super) struct Columns {
    pub(super) features: usize,
    pub(super) names: Option<Vec<Box<str>>>,
    pub(super) route: Route,
    /// A value that stands for a missing one, besides NaN.
    pub(super) missing: Option<f32>,
    /// Whether the rows are dense where XGBoost has a sparse matrix, of which it takes zeros for missing.
    pub(super) sparse: bool,
    /// Whether the rows go to trees, and not to weights.
    pub(super) trees: bool,
}

impl Step for Columns {
    fn describe(&self) -> String {
        let names = if self.names.is_some() {
            ", checked by name"
        } else {
            ""
        };
        let route = match self.route {
            Route::Matrix => ", no infinities",
            Route::InPlace => "",
        };
        format!("{} columns as float32{names}{route}", self.features)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::Input && !self.sparse => Ok(Form::f32(self.features)),
            [form] if self.sparse && form.kind != Kind::F64 => {
                Err(format!("a sparse matrix of doubles expected, got {inputs:?}"))
            }
            [form] if matches!(form.kind, Kind::F32 | Kind::F64 | Kind::I64) && self.fits(form.width) => {
                Ok(Form::f32(self.features))
            }
            _ => Err(format!("{} columns expected, got {inputs:?}", self.features)),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let rows = match inputs.take(0)? {
            Value::Input(input) => {
                self.check(&input)?;
                singles(&input)?
            }
            Value::F32(rows) => rows,
            Value::F64(rows) if self.sparse => cast(&rows, |x| if x == 0.0 { f32::NAN } else { x as f32 }),
            Value::F64(rows) => cast(&rows, |x| x as f32),
            other => cast(other.i64()?, |x| x as f32),
        };
        self.finish(rows).map(Value::F32)
    }
}

fn cast<T: Copy>(rows: &Matrix<T>, to: fn(T) -> f32) -> Matrix<f32> {
    Matrix {
        rows: rows.rows,
        width: rows.width,
        data: rows.data.iter().map(|&x| to(x)).collect(),
    }
}

impl Columns {
    fn fits(&self, width: usize) -> bool {
        width == self.features
            || (self.route == Route::Matrix && self.names.is_none() && width < self.features)
    }

    fn check(&self, input: &Input<'_>) -> Result<(), PredictError> {
        match input {
            Input::Frame(_) => {
                let bad: Vec<String> = (0..input.width())
                    .filter_map(|index| {
                        let dtype = input.column(index).map(|column| column.dtype());
                        let name = input.names().and_then(|names| names.get(index)).map(shown);
                        match dtype {
                            Some(dtype) if numeric(dtype) => None,
                            _ => Some(format!(
                                "{}: {}",
                                name.unwrap_or_default(),
                                dtype.map_or("object", DType::numpy_name)
                            )),
                        }
                    })
                    .collect();
                if !bad.is_empty() {
                    return Err(PredictError::Input(format!(
                        "DataFrame.dtypes for data must be int, float, bool or category. Invalid columns: {}",
                        bad.join(", ")
                    )));
                }
                self.check_names(input.names().unwrap_or_default())?;
            }
            Input::Array(tensor) => {
                if tensor.shape().len() != 2 {
                    return Err(PredictError::Input(format!(
                        "Expecting 2 dimensional array, got: {:?}",
                        tensor.shape()
                    )));
                }
                if self.route == Route::Matrix
                    && let Some(names) = &self.names
                {
                    return Err(PredictError::Input(format!(
                        "data did not contain feature names, but the following fields are expected: {}",
                        names.join(", ")
                    )));
                }
                if matches!(tensor.dtype(), DType::Str | DType::Datetime) {
                    return Err(PredictError::Input(format!(
                        "Unsupported data type {}",
                        tensor.dtype().numpy_name()
                    )));
                }
            }
        }
        if self.fits(input.width()) {
            return Ok(());
        }
        Err(PredictError::Input(match self.route {
            Route::InPlace => format!(
                "Feature shape mismatch, expected: {}, got {}",
                self.features,
                input.width()
            ),
            Route::Matrix => format!(
                "Number of columns does not match number of features in booster: {} vs. {}",
                input.width(),
                self.features
            ),
        }))
    }

    fn check_names(&self, given: &[Name]) -> Result<(), PredictError> {
        if let Some(names) = &self.names {
            let same = names.len() == given.len()
                && names.iter().zip(given).all(|(name, given)| match given {
                    Name::Text(text) => **text == **name,
                    other => shown(other) == **name,
                });
            return if same { Ok(()) } else { Err(mismatch(names, given)) };
        }
        if self.route == Route::InPlace {
            return Ok(());
        }
        let mut seen = HashSet::new();
        for name in given.iter().map(shown) {
            if name.contains(['[', ']', '<']) {
                return Err(PredictError::Input(
                    "feature_names must be string, and may not contain [, ] or <".into(),
                ));
            }
            if let Some(twice) = seen.replace(name) {
                return Err(PredictError::Input(format!(
                    "feature_names must be unique. Duplicates found: ['{twice}']"
                )));
            }
        }
        Ok(())
    }

    /// Marks missing values, fills rows that end early, and looks for infinities.
    fn finish(&self, mut rows: Matrix<f32>) -> Result<Matrix<f32>, PredictError> {
        if self.route == Route::Matrix
            && rows.data.iter().any(|value| value.is_infinite())
            && self.missing.is_none_or(f32::is_finite)
        {
            return Err(PredictError::Input(
                "Input data contains `inf` or a value too large, while `missing` is not set to `inf`".into(),
            ));
        }
        if let Some(missing) = self.missing {
            for value in &mut rows.data {
                if *value == missing {
                    *value = f32::NAN;
                }
            }
        }
        if rows.width < self.features {
            // XGBoost 3.2 takes such rows for whole ones, and its trees send them elsewhere than those of versions before.
            if self.trees && rows.rows > 1 && rows.data.iter().all(|value| !value.is_nan()) {
                return Err(PredictError::Input(format!(
                    "{} columns for {} features: send the others too, as null where they are missing",
                    rows.width, self.features
                )));
            }
            let mut data = Vec::with_capacity(rows.rows * self.features);
            for row in 0..rows.rows {
                let from = row * rows.width;
                data.extend(rows.data.get(from..from + rows.width).unwrap_or_default());
                data.resize((row + 1) * self.features, f32::NAN);
            }
            rows = Matrix {
                rows: rows.rows,
                width: self.features,
                data,
            };
        }
        Ok(rows)
    }
}

fn numeric(dtype: DType) -> bool {
    !matches!(dtype, DType::Str | DType::Object | DType::Datetime)
}

/// A column's name as `str` shows it.
fn shown(name: &Name) -> String {
    name.to_string()
}

/// XGBoost's own words for columns of other names.
fn mismatch(names: &[Box<str>], given: &[Name]) -> PredictError {
    let given: Vec<String> = given.iter().map(shown).collect();
    let wanted: Vec<&str> = names.iter().map(|name| &**name).collect();
    let lacking: Vec<&str> = wanted
        .iter()
        .copied()
        .filter(|name| !given.iter().any(|other| other == name))
        .collect();
    let unknown: Vec<&str> = given
        .iter()
        .map(String::as_str)
        .filter(|name| !wanted.contains(name))
        .collect();
    let mut message = format!("feature_names mismatch: {wanted:?} {given:?}");
    if !lacking.is_empty() {
        message += &format!("\nexpected {} in input data", lacking.join(", "));
    }
    if !unknown.is_empty() {
        message += &format!(
            "\ntraining data did not have the following fields: {}",
            unknown.join(", ")
        );
    }
    PredictError::Input(message)
}
