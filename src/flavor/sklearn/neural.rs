//! `MLPClassifier` and `MLPRegressor`.

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::steps::labels::ArgMax;
use crate::flavor::plan::steps::link::Link;
use crate::flavor::plan::value::{Form, Kind, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::dense::Dense;
use super::estimator::{Ask, Context, no_method};
use super::labels::{classes, label};
use super::linear::above;
use super::numbers::{Table, word};
use super::probability::{Normalize, NormalizeKind, log};
use super::rows::{Finite, doubles};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["MLPClassifier", "MLPRegressor"];

/// What is done to each element between layers.
enum Activation {
    /// `max(x, 0)`; NaN stays.
    Relu,
    /// `tanh(x)`
    Tanh,
}

impl Step for Activation {
    fn describe(&self) -> String {
        match self {
            Activation::Relu => "relu".into(),
            Activation::Tanh => "tanh".into(),
        }
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::F64 => Ok(*form),
            _ => Err(format!("doubles expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut matrix = inputs.take(0)?.into_f64()?;
        match self {
            Activation::Relu => matrix
                .data
                .iter_mut()
                .for_each(|x| *x = if *x < 0.0 { 0.0 } else { *x }),
            Activation::Tanh => matrix.data.iter_mut().for_each(|x| *x = x.tanh()),
        }
        Ok(Value::F64(matrix))
    }
}

fn activate(context: &mut Context<'_>, x: Register, name: &str) -> Result<Register, Refusal> {
    match name {
        "identity" => Ok(x),
        "relu" => context.plan.push(Activation::Relu, &[x]),
        "tanh" => context.plan.push(Activation::Tanh, &[x]),
        "logistic" => context.plan.push(Link::Sigmoid { scale: 1.0 }, &[x]),
        "softmax" => context.plan.push(Link::Softmax, &[x]),
        "exp" => context.plan.push(Normalize(NormalizeKind::Exp), &[x]),
        other => refuse!("activation `{other}` is not covered"),
    }
}

/// All layers.
fn forward(object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    let mut x = doubles(context, object, x, Finite::All)?;
    let weights = object.attribute("coefs_")?.members().unwrap_or_default();
    let intercepts = object.attribute("intercepts_")?.members().unwrap_or_default();
    if weights.is_empty() || weights.len() != intercepts.len() {
        refuse!(
            "{} layers of weights, {} of intercepts",
            weights.len(),
            intercepts.len()
        );
    }
    let hidden = word(object, "activation", "relu")?;
    for (index, (layer, offsets)) in weights.iter().zip(&intercepts).enumerate() {
        let (Some((shape, data)), Some((_, offsets))) = (layer.numbers(), offsets.numbers()) else {
            refuse!("layer {index} holds no numbers");
        };
        let &[rows, width] = shape.as_slice() else {
            refuse!("layer {index} has weights of shape {shape:?}");
        };
        if rows.checked_mul(width) != Some(data.len()) {
            refuse!("layer {index} has {} weights for shape {shape:?}", data.len());
        }
        let table = Table { rows, width, data };
        x = context
            .plan
            .push(Dense::new(table.transposed(), offsets)?, &[x])?;
        if index + 1 < weights.len() {
            x = activate(context, x, hidden)?;
        }
    }
    activate(context, x, word(object, "out_activation_", "identity")?)
}

fn classify(ask: Ask, object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    let binarizer = object.attribute("_label_binarizer")?;
    if word(binarizer, "y_type_", "binary")?.starts_with("multilabel") {
        refuse!("several labels at once are not covered; export the model to ONNX");
    }
    let labels = classes(binarizer, "classes_")?;
    let outputs = forward(object, context, x)?;
    let width = context.plan.form(outputs).width;
    if width != labels.len() && (width, labels.len()) != (1, 2) {
        refuse!("{width} outputs for {} classes", labels.len());
    }
    match ask {
        Ask::Predict => {
            let indices = match width {
                1 => context.plan.push(above(0.5), &[outputs])?,
                _ => context.plan.push(ArgMax, &[outputs])?,
            };
            label(context, labels, indices)
        }
        Ask::Proba | Ask::LogProba => {
            let chances = match width {
                1 => context.plan.push(Link::Complement, &[outputs])?,
                _ => outputs,
            };
            match ask {
                Ask::LogProba => log(context, chances),
                _ => Ok(chances),
            }
        }
        _ => no_method(ask, object),
    }
}

/// Lowers one of them.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    match (object.class(), ask) {
        (Some("MLPClassifier"), _) => classify(ask, object, context, x),
        (_, Ask::Predict) => forward(object, context, x),
        _ => no_method(ask, object),
    }
}
