//! `FunctionTransformer` with functions of NumPy.

use crate::flavor::PredictError;
use crate::flavor::formats::object::{Object, View};
use crate::flavor::plan::value::{Form, Kind, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::estimator::{Ask, Context, no_method};
use super::numbers::switch;
use super::rows::{Finite, floats, is_single, plain, widened};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["FunctionTransformer"];

/// A function of NumPy, of each element.
pub(super) struct Elementwise {
    name: &'static str,
    function: fn(f64) -> f64,
}

/// A function and its name in NumPy.
type Named = (&'static str, fn(f64) -> f64);

/// Functions of NumPy by name.
const FUNCTIONS: &[Named] = &[
    ("abs", f64::abs),
    ("absolute", f64::abs),
    ("cbrt", f64::cbrt),
    ("ceil", f64::ceil),
    ("cos", f64::cos),
    ("exp", f64::exp),
    ("exp2", f64::exp2),
    ("expm1", f64::exp_m1),
    ("fabs", f64::abs),
    ("floor", f64::floor),
    ("log", f64::ln),
    ("log10", f64::log10),
    ("log1p", f64::ln_1p),
    ("log2", f64::log2),
    ("negative", |x| -x),
    ("rint", f64::round_ties_even),
    ("sign", |x| {
        if x == 0.0 || x.is_nan() {
            x + 0.0
        } else {
            x.signum()
        }
    }),
    ("sin", f64::sin),
    ("sqrt", f64::sqrt),
    ("square", |x| x * x),
    ("tanh", f64::tanh),
    ("trunc", f64::trunc),
];

impl Step for Elementwise {
    fn describe(&self) -> String {
        format!("{} of each element", self.name)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if matches!(form.kind, Kind::F64 | Kind::F32) => Ok(*form),
            _ => Err(format!("floats expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut value = inputs.take(0)?;
        match &mut value {
            Value::F32(matrix) => {
                for x in &mut matrix.data {
                    *x = (self.function)(f64::from(*x)) as f32;
                }
            }
            Value::F64(matrix) => {
                for x in &mut matrix.data {
                    *x = (self.function)(*x);
                }
            }
            _ => return Err(PredictError::Engine("floats expected".into())),
        }
        Ok(value)
    }
}

/// The function in an attribute; `None` for none.
pub(super) fn function(object: View<'_>, name: &str) -> Result<Option<Elementwise>, Refusal> {
    let value = object.attribute(name)?;
    if value.is_none() {
        return Ok(None);
    }
    let known = match value.object() {
        Object::Global(global) if global.module.split('.').next() == Some("numpy") => {
            FUNCTIONS.iter().find(|(function, _)| **function == *global.name)
        }
        _ => None,
    };
    match known {
        Some(&(name, function)) => Ok(Some(Elementwise { name, function })),
        None => refuse!(
            "`{name}` is `{}`, which is no function of NumPy that modelsd knows; export the model to ONNX",
            value.kind()
        ),
    }
}

/// Whether a function is `functools.partial(check_array, …)`, which gives back the numbers it is given.
fn checks_only(value: View<'_>) -> bool {
    let Object::Instance(instance) = value.object() else {
        return false;
    };
    let first = instance.args.first().map(|&id| value.at(id).object());
    &*instance.class.name == "partial"
        && matches!(first, Some(Object::Global(global)) if &*global.name == "check_array")
}

/// Refuses arguments of a function.
pub(super) fn no_arguments(object: View<'_>, name: &str) -> Result<(), Refusal> {
    match object.get(name) {
        Some(value) if !value.is_none() && value.entries().is_none_or(|entries| !entries.is_empty()) => {
            refuse!("`{name}` is not covered")
        }
        _ => Ok(()),
    }
}

fn transformer(object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    no_arguments(object, "kw_args")?;
    let func = object.attribute("func")?;
    if checks_only(func) {
        return floats(context, object, x, Finite::Any);
    }
    let function = function(object, "func")?;
    let validated = switch(object, "validate", false)?;
    let Some(function) = function else {
        return match validated {
            true => floats(context, object, x, Finite::All),
            false => Ok(x),
        };
    };
    let x = match validated {
        true => floats(context, object, x, Finite::All)?,
        // What NumPy is given is not checked; text it refuses itself.
        false => {
            let single = is_single(context, x);
            let x = plain(context, x)?;
            if single { x } else { widened(context, x)? }
        }
    };
    context.plan.push(function, &[x])
}

/// Lowers it.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    match (ask, object.class()) {
        (Ask::Transform, Some("FunctionTransformer")) => transformer(object, context, x),
        _ => no_method(ask, object),
    }
}
