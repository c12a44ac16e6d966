//! `TransformedTargetRegressor`: a regressor whose answers are transformed back.

use crate::flavor::PredictError;
use crate::flavor::formats::object::{Object, View};
use crate::flavor::plan::value::{Form, Kind, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::elementwise::{Each, together};
use super::estimator::{self, Ask, Context, no_method};
use super::numbers;
use super::rows::{self, Finite};

pub(super) const CLASSES: &[&str] = &["TransformedTargetRegressor"];

/// `(x - subtract) / divide * multiply + add`, column by column; parts that are missing are left out.
struct Back {
    subtract: Option<Vec<f64>>,
    divide: Option<Vec<f64>>,
    multiply: Option<Vec<f64>>,
    add: Option<Vec<f64>>,
}

pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    if ask != Ask::Predict {
        return no_method(ask, object);
    }
    let predicted = estimator::lower(Ask::Predict, object.attribute("regressor_")?, context, x)?;
    let predicted = *together(context, &[predicted])?.first().unwrap_or(&predicted);
    let width = context.plan.form(predicted).width;
    let transformer = object.attribute("transformer_")?;
    let answer = back(transformer, context, predicted, width)
        .map_err(|refusal| refusal.within(format!("`{}`", transformer.kind())))?;
    if width == 1 && numbers::count(object, "_training_dim")? != 1 {
        context.mark_matrix(answer);
    }
    Ok(answer)
}

/// `inverse_transform` of a transformer.
fn back(
    transformer: View<'_>,
    context: &mut Context<'_>,
    x: Register,
    width: usize,
) -> Result<Register, Refusal> {
    let part = |name: &str, switch: &str| -> Result<Option<Vec<f64>>, Refusal> {
        if !switch.is_empty() && !numbers::switch(transformer, switch, true)? {
            return Ok(None);
        }
        numbers::vector(transformer, name, width).map(Some)
    };
    let none = || Back {
        subtract: None,
        divide: None,
        multiply: None,
        add: None,
    };
    let step = match transformer.class() {
        Some("StandardScaler") => Back {
            multiply: part("scale_", "with_std")?,
            add: part("mean_", "with_mean")?,
            ..none()
        },
        Some("RobustScaler") => Back {
            multiply: part("scale_", "with_scaling")?,
            add: part("center_", "with_centering")?,
            ..none()
        },
        Some("MaxAbsScaler") => Back {
            multiply: part("scale_", "")?,
            ..none()
        },
        Some("MinMaxScaler") => Back {
            subtract: part("min_", "")?,
            divide: part("scale_", "")?,
            ..none()
        },
        Some("FunctionTransformer") => return function(transformer, context, x),
        _ => refuse!("transforming back is not covered; export the model to ONNX"),
    };
    let x = rows::doubles(context, transformer, x, Finite::NanAllowed)?;
    context.plan.push(step, &[x])
}

/// The inverse function of a `FunctionTransformer`.
fn function(transformer: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    let x = if numbers::switch(transformer, "validate", false)? {
        rows::doubles(context, transformer, x, Finite::All)?
    } else {
        x
    };
    let kwargs = transformer.get("inv_kw_args").filter(|kwargs| !kwargs.is_none());
    if kwargs.is_some_and(|kwargs| kwargs.entries().is_none_or(|entries| !entries.is_empty())) {
        refuse!("an inverse function with arguments");
    }
    let function = transformer.attribute("inverse_func")?;
    if function.is_none() {
        return Ok(x);
    }
    let Object::Global(global) = function.object() else {
        refuse!("an inverse function that is part of the file; export the model to ONNX");
    };
    if global.module.split('.').next() != Some("numpy") {
        refuse!(
            "the inverse function `{}.{}` is not covered",
            global.module,
            global.name
        );
    }
    let step = match &*global.name {
        "exp" => Each::Exp,
        "expm1" => Each::ExpM1,
        "log" => Each::Log,
        "log1p" => Each::Log1p,
        "sqrt" => Each::Sqrt,
        "square" => Each::Square,
        other => refuse!("the inverse function `{other}` is not covered; export the model to ONNX"),
    };
    context.plan.push(step, &[x])
}

impl Step for Back {
    fn describe(&self) -> String {
        "transform back".into()
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        let parts = [&self.subtract, &self.divide, &self.multiply, &self.add];
        match inputs {
            [form]
                if form.kind == Kind::F64
                    && parts.into_iter().flatten().all(|part| part.len() == form.width) =>
            {
                Ok(*form)
            }
            _ => Err(format!("as many columns as were fitted expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut numbers = inputs.take(0)?.into_f64()?;
        for row in numbers.each_row_mut() {
            let each = |row: &mut [f64], part: &Option<Vec<f64>>, change: fn(&mut f64, f64)| {
                for (number, by) in row.iter_mut().zip(part.iter().flatten()) {
                    change(number, *by);
                }
            };
            each(row, &self.subtract, |number, by| *number -= by);
            each(row, &self.divide, |number, by| *number /= by);
            each(row, &self.multiply, |number, by| *number *= by);
            each(row, &self.add, |number, by| *number += by);
        }
        Ok(Value::F64(numbers))
    }
}
