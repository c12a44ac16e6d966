//! Scalers: `StandardScaler`, `MinMaxScaler`, `MaxAbsScaler`, `RobustScaler`, `Normalizer`, `Binarizer`.

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::value::{Form, Kind, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::estimator::{Ask, Context, no_method, version};
use super::numbers::{number, numbers, switch, vector, word};
use super::rows::{Finite, doubles, floats, is_single};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &[
    "StandardScaler",
    "MinMaxScaler",
    "MaxAbsScaler",
    "RobustScaler",
    "Normalizer",
    "Binarizer",
];

/// One arithmetic operation on every column, with a number a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operation {
    /// `x - number`
    Subtract(Vec<f64>),
    /// `x + number`
    Add(Vec<f64>),
    /// `x * number`
    Multiply(Vec<f64>),
    /// `x / number`
    Divide(Vec<f64>),
    /// At least the first and at most the second number; NaN stays.
    Clip(f64, f64),
}

/// Operations on columns, one after the other. In `float32` each result is rounded, as NumPy does in place.
pub(super) struct ByColumn(pub(super) Vec<Operation>);

/// A row divided by its norm.
enum Norm {
    /// Sum of absolute values.
    L1,
    /// Euclidean.
    L2,
    /// Largest absolute value.
    Max,
}

/// 1 where a value is above a bound, else 0.
struct Binarize(f64);

impl Operation {
    /// Number of columns, if it matters.
    fn width(&self) -> Option<usize> {
        match self {
            Operation::Subtract(by)
            | Operation::Add(by)
            | Operation::Multiply(by)
            | Operation::Divide(by) => Some(by.len()),
            Operation::Clip(..) => None,
        }
    }

    fn apply<T: Copy>(&self, row: &mut [T], wide: impl Fn(T) -> f64, narrow: impl Fn(f64) -> T) {
        let each = |row: &mut [T], by: &[f64], function: fn(f64, f64) -> f64| {
            for (x, by) in row.iter_mut().zip(by) {
                *x = narrow(function(wide(*x), *by));
            }
        };
        match self {
            Operation::Subtract(by) => each(row, by, |x, y| x - y),
            Operation::Add(by) => each(row, by, |x, y| x + y),
            Operation::Multiply(by) => each(row, by, |x, y| x * y),
            Operation::Divide(by) => each(row, by, |x, y| x / y),
            Operation::Clip(least, most) => {
                for x in row {
                    let double = wide(*x);
                    // `f64::clamp` panics where the bounds are the wrong way round.
                    let clipped = if double < *least { *least } else { double };
                    *x = narrow(if clipped > *most { *most } else { clipped });
                }
            }
        }
    }
}

impl Step for ByColumn {
    fn describe(&self) -> String {
        let names: Vec<&str> = self
            .0
            .iter()
            .map(|operation| match operation {
                Operation::Subtract(_) => "subtract",
                Operation::Add(_) => "add",
                Operation::Multiply(_) => "multiply",
                Operation::Divide(_) => "divide",
                Operation::Clip(..) => "clip",
            })
            .collect();
        format!("{} by column", names.join(", "))
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if matches!(form.kind, Kind::F64 | Kind::F32) => {
                let width = self
                    .0
                    .iter()
                    .filter_map(Operation::width)
                    .find(|&width| width != form.width);
                match width {
                    Some(width) => Err(format!("{width} numbers for {} columns", form.width)),
                    None => Ok(*form),
                }
            }
            _ => Err(format!("floats expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut value = inputs.take(0)?;
        match &mut value {
            Value::F32(matrix) => {
                for row in matrix.each_row_mut() {
                    for operation in &self.0 {
                        operation.apply(row, f64::from, |double| double as f32);
                    }
                }
            }
            Value::F64(matrix) => {
                for row in matrix.each_row_mut() {
                    for operation in &self.0 {
                        operation.apply(row, |double| double, |double| double);
                    }
                }
            }
            _ => return Err(PredictError::Engine("floats expected".into())),
        }
        Ok(value)
    }
}

impl Step for Norm {
    fn describe(&self) -> String {
        "divide rows by their norm".into()
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::F64 => Ok(*form),
            _ => Err(format!("doubles expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut matrix = inputs.take(0)?.into_f64()?;
        for row in matrix.each_row_mut() {
            let norm = match self {
                Norm::L1 => row.iter().map(|x| x.abs()).sum(),
                Norm::L2 => row.iter().map(|x| x * x).sum::<f64>().sqrt(),
                Norm::Max => row.iter().fold(0.0, |most: f64, x| most.max(x.abs())),
            };
            // `_handle_zeros_in_scale`: what is nearly nothing divides nothing.
            if norm >= 10.0 * f64::EPSILON {
                row.iter_mut().for_each(|x| *x /= norm);
            }
        }
        Ok(Value::F64(matrix))
    }
}

impl Step for Binarize {
    fn describe(&self) -> String {
        format!("1 where above {}", self.0)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::F64 => Ok(*form),
            _ => Err(format!("doubles expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut matrix = inputs.take(0)?.into_f64()?;
        for x in &mut matrix.data {
            *x = f64::from(u8::from(*x > self.0));
        }
        Ok(Value::F64(matrix))
    }
}

/// Every element of a register times a number; of cells, none.
pub(super) fn scale_all(context: &mut Context<'_>, x: Register, factor: f64) -> Result<Register, Refusal> {
    let form = context.plan.form(x);
    context.plan.push(
        ByColumn(vec![Operation::Multiply(vec![factor; form.width])]),
        &[x],
    )
}

/// The numbers of a scaler for `width` columns; `None` where the attribute is `None`: it does nothing then.
fn per_column(object: View<'_>, name: &str, width: usize) -> Result<Option<Vec<f64>>, Refusal> {
    match object.attribute(name)?.is_none() {
        true => Ok(None),
        false => vector(object, name, width).map(Some),
    }
}

/// The operations of a scaler on `width` columns, first to last.
fn operations(object: View<'_>, width: usize) -> Result<Vec<Operation>, Refusal> {
    let mut operations = Vec::new();
    match object.class() {
        Some("StandardScaler") => {
            if switch(object, "with_mean", true)? {
                operations.extend(per_column(object, "mean_", width)?.map(Operation::Subtract));
            }
            if switch(object, "with_std", true)? {
                operations.extend(per_column(object, "scale_", width)?.map(Operation::Divide));
            }
        }
        Some("RobustScaler") => {
            if switch(object, "with_centering", true)? {
                operations.extend(per_column(object, "center_", width)?.map(Operation::Subtract));
            }
            if switch(object, "with_scaling", true)? {
                operations.extend(per_column(object, "scale_", width)?.map(Operation::Divide));
            }
        }
        Some("MaxAbsScaler") => {
            operations.push(Operation::Divide(vector(object, "scale_", width)?));
            if switch(object, "clip", false)? {
                operations.push(Operation::Clip(-1.0, 1.0));
            }
        }
        _ => {
            operations.push(Operation::Multiply(vector(object, "scale_", width)?));
            operations.push(Operation::Add(vector(object, "min_", width)?));
            if switch(object, "clip", false)? {
                match *numbers(object, "feature_range")?.1 {
                    [least, most] => operations.push(Operation::Clip(least, most)),
                    _ => refuse!("`feature_range` is no pair"),
                }
            }
        }
    }
    Ok(operations)
}

/// The operations of `inverse_transform`, if the class has one that is covered.
pub(super) fn inverse(object: View<'_>, width: usize) -> Result<Vec<Operation>, Refusal> {
    if !matches!(
        object.class(),
        Some("StandardScaler" | "RobustScaler" | "MaxAbsScaler" | "MinMaxScaler")
    ) {
        refuse!("the inverse of `{}` is not covered", object.kind());
    }
    let forward = operations(object, width)?;
    let turned = forward.into_iter().rev().filter_map(|operation| match operation {
        Operation::Subtract(by) => Some(Operation::Add(by)),
        Operation::Add(by) => Some(Operation::Subtract(by)),
        Operation::Multiply(by) => Some(Operation::Divide(by)),
        Operation::Divide(by) => Some(Operation::Multiply(by)),
        Operation::Clip(..) => None,
    });
    Ok(turned.collect())
}

/// Lowers one of them.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    if ask != Ask::Transform {
        return no_method(ask, object);
    }
    match object.class() {
        Some("Normalizer") => {
            let norm = match word(object, "norm", "l2")? {
                "l1" => Norm::L1,
                "l2" => Norm::L2,
                "max" => Norm::Max,
                other => refuse!("norm `{other}` is not covered"),
            };
            let x = doubles(context, object, x, Finite::All)?;
            context.plan.push(norm, &[x])
        }
        Some("Binarizer") => {
            let bound = number(object, "threshold")?;
            let x = doubles(context, object, x, Finite::All)?;
            context.plan.push(Binarize(bound), &[x])
        }
        class => {
            let single = is_single(context, x);
            let x = floats(context, object, x, Finite::NanAllowed)?;
            let mut operations = operations(object, context.plan.form(x).width)?;
            if single && class == Some("StandardScaler") && version(object) >= (1, 8) {
                // Mean and scale are rounded first.
                for operation in &mut operations {
                    if let Operation::Subtract(by) | Operation::Divide(by) = operation {
                        by.iter_mut()
                            .for_each(|number| *number = f64::from(*number as f32));
                    }
                }
            }
            if operations.is_empty() {
                return Ok(x);
            }
            context.plan.push(ByColumn(operations), &[x])
        }
    }
}

/// 1 where a double is above a bound, else 0.
pub(super) fn binarize(context: &mut Context<'_>, bound: f64, x: Register) -> Result<Register, Refusal> {
    context.plan.push(Binarize(bound), &[x])
}
