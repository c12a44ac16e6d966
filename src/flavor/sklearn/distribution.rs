//! Columns brought to another distribution: `PowerTransformer`, `QuantileTransformer`, `KBinsDiscretizer`.

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::value::{Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::estimator::{Ask, Context, lower as lower_estimator, no_method, version};
use super::normal::inverse_normal;
use super::numbers::{expect, switch, table, vector, word};
use super::rows::{Finite, doubles};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["PowerTransformer", "QuantileTransformer", "KBinsDiscretizer"];

/// A function of one column.
enum Curve {
    /// Box and Cox, for this lambda.
    BoxCox(f64),
    /// Yeo and Johnson, for this lambda; the stable form of SciPy since scikit-learn 1.8.
    YeoJohnson {
        /// The power.
        lambda: f64,
        /// By `expm1` and `log1p`.
        stable: bool,
    },
    /// The share of learned values below, between these quantiles.
    Quantiles {
        /// Ascending.
        quantiles: Vec<f64>,
        /// As many shares from 0 to 1.
        references: Vec<f64>,
        /// The shares as values of the normal distribution.
        normal: bool,
    },
    /// The number of the bin.
    Bins {
        /// All edges, ascending.
        edges: Vec<f64>,
        /// As scikit-learn 1.0 rounds.
        rounded: bool,
    },
}

/// A curve a column.
struct Curves(Vec<Curve>);

/// 1 in the column of each bin, of so many a column.
struct Spread {
    bins: Vec<usize>,
}

/// How near the ends of the quantiles the ends of the normal distribution are.
const BOUND: f64 = 1e-7;

impl Curve {
    fn at(&self, x: f64) -> Result<f64, PredictError> {
        Ok(match self {
            Curve::BoxCox(_) if x <= 0.0 => {
                return Err(PredictError::Input(
                    "The Box-Cox transformation can only be applied to strictly positive data".into(),
                ));
            }
            Curve::BoxCox(lambda) if lambda.abs() < 1e-19 => x.ln(),
            Curve::BoxCox(lambda) => (lambda * x.ln()).exp_m1() / lambda,
            Curve::YeoJohnson { lambda, stable } => yeo_johnson(x, *lambda, *stable),
            Curve::Quantiles {
                quantiles,
                references,
                normal,
            } => share(x, quantiles, references, *normal),
            Curve::Bins { edges, rounded } => {
                let inner = match rounded {
                    true => edges.get(1..),
                    false => edges.get(1..edges.len().saturating_sub(1)),
                };
                let x = if *rounded { x + (1e-8 + 1e-5 * x.abs()) } else { x };
                let below = inner.unwrap_or_default().partition_point(|&edge| edge <= x);
                below.min(edges.len().saturating_sub(2)) as f64
            }
        })
    }
}

fn yeo_johnson(x: f64, lambda: f64, stable: bool) -> f64 {
    if x.is_nan() {
        return x;
    }
    let (sign, x, lambda) = if x >= 0.0 {
        (1.0, x, lambda)
    } else {
        (-1.0, -x, 2.0 - lambda)
    };
    sign * match (lambda.abs() < f64::EPSILON, stable) {
        (true, _) => x.ln_1p(),
        (false, true) => (lambda * x.ln_1p()).exp_m1() / lambda,
        (false, false) => ((x + 1.0).powf(lambda) - 1.0) / lambda,
    }
}

/// NumPy's `interp` of one value.
fn interpolate(x: f64, places: impl Fn(usize) -> f64, values: impl Fn(usize) -> f64, count: usize) -> f64 {
    // The number of places that are not above `x`.
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if places(middle) <= x {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if low == 0 {
        return values(0);
    }
    let index = low - 1;
    if index + 1 >= count || places(index) == x {
        return values(index);
    }
    let slope = (values(index + 1) - values(index)) / (places(index + 1) - places(index));
    slope * (x - places(index)) + values(index)
}

fn share(x: f64, quantiles: &[f64], references: &[f64], normal: bool) -> f64 {
    if x.is_nan() {
        return x;
    }
    let count = quantiles.len();
    let at = |values: &[f64], index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    let (first, last) = (at(quantiles, 0), at(quantiles, count - 1));
    let (lowest, highest) = match normal {
        true => (x - BOUND < first, x + BOUND > last),
        false => (x == first, x == last),
    };
    // In both directions, for quantiles that repeat.
    let up = interpolate(
        x,
        |index| at(quantiles, index),
        |index| at(references, index),
        count,
    );
    let turned = |values: &[f64], index: usize| -at(values, count - 1 - index);
    let down = interpolate(
        -x,
        |index| turned(quantiles, index),
        |index| turned(references, index),
        count,
    );
    let mut share = 0.5 * (up - down);
    if highest {
        share = 1.0;
    }
    if lowest {
        share = 0.0;
    }
    match normal {
        false => share,
        true => {
            let least = inverse_normal(BOUND - f64::EPSILON);
            let most = inverse_normal(1.0 - (BOUND - f64::EPSILON));
            let value = inverse_normal(share);
            if value < least {
                least
            } else if value > most {
                most
            } else {
                value
            }
        }
    }
}

impl Step for Curves {
    fn describe(&self) -> String {
        let name = match self.0.first() {
            Some(Curve::BoxCox(_)) => "Box-Cox",
            Some(Curve::YeoJohnson { .. }) => "Yeo-Johnson",
            Some(Curve::Quantiles { .. }) => "quantiles",
            Some(Curve::Bins { .. }) => "bins",
            None => "nothing",
        };
        format!("{name} of {} columns", self.0.len())
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f64(self.0.len()) => Ok(*form),
            _ => Err(format!("{} columns expected, got {inputs:?}", self.0.len())),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut x = inputs.take(0)?.into_f64()?;
        for row in x.each_row_mut() {
            for (x, curve) in row.iter_mut().zip(&self.0) {
                *x = curve.at(*x)?;
            }
        }
        Ok(Value::F64(x))
    }
}

impl Step for Spread {
    fn describe(&self) -> String {
        format!("one-hot encode bins of {} columns", self.bins.len())
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::F64 && form.width == self.bins.len() => {
                Ok(Form::f64(self.bins.iter().sum()))
            }
            _ => Err(format!("{} columns expected, got {inputs:?}", self.bins.len())),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let x = inputs.get(0)?.f64()?;
        let width: usize = self.bins.iter().sum();
        let mut data = vec![0.0; x.rows * width];
        for (row, result) in x.each_row().zip(data.chunks_exact_mut(width.max(1))) {
            let mut from = 0;
            for (bin, bins) in row.iter().zip(&self.bins) {
                if let Some(place) = result.get_mut(from + *bin as usize) {
                    *place = 1.0;
                }
                from += bins;
            }
        }
        Ok(Value::F64(Matrix {
            rows: x.rows,
            width,
            data,
        }))
    }
}

fn power(object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    let x = doubles(context, object, x, Finite::NanAllowed)?;
    let lambdas = vector(object, "lambdas_", context.plan.form(x).width)?;
    let stable = version(object) >= (1, 8);
    let curves: Vec<Curve> = match word(object, "method", "yeo-johnson")? {
        "yeo-johnson" => {
            let curve = |lambda| Curve::YeoJohnson { lambda, stable };
            lambdas.into_iter().map(curve).collect()
        }
        "box-cox" => lambdas.into_iter().map(Curve::BoxCox).collect(),
        other => refuse!("`method={other}` is not covered"),
    };
    let curved = context.plan.push(Curves(curves), &[x])?;
    match switch(object, "standardize", true)? {
        true => lower_estimator(Ask::Transform, object.attribute("_scaler")?, context, curved),
        false => Ok(curved),
    }
}

fn quantile(object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    let x = doubles(context, object, x, Finite::NanAllowed)?;
    let width = context.plan.form(x).width;
    let quantiles = table(object, "quantiles_")?;
    expect(&quantiles, "quantiles_", quantiles.rows, width)?;
    if quantiles.rows == 0 {
        refuse!("there are no quantiles");
    }
    let references = vector(object, "references_", quantiles.rows)?;
    let normal = match word(object, "output_distribution", "uniform")? {
        "uniform" => false,
        "normal" => true,
        other => refuse!("`output_distribution={other}` is not covered"),
    };
    let columns = quantiles.transposed();
    let curve = |column: &[f64]| Curve::Quantiles {
        quantiles: column.to_vec(),
        references: references.clone(),
        normal,
    };
    context
        .plan
        .push(Curves(columns.each_row().map(curve).collect()), &[x])
}

fn bins(object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    let x = doubles(context, object, x, Finite::All)?;
    let width = context.plan.form(x).width;
    let rounded = version(object) < (1, 1);
    let members = object.attribute("bin_edges_")?.members().unwrap_or_default();
    let mut curves = Vec::with_capacity(members.len());
    let mut counts = Vec::with_capacity(members.len());
    for member in members {
        let Some((_, edges)) = member.numbers().filter(|(_, edges)| edges.len() >= 2) else {
            refuse!("`bin_edges_` holds no edges");
        };
        counts.push(edges.len() - 1);
        curves.push(Curve::Bins { edges, rounded });
    }
    if curves.len() != width {
        refuse!("edges of {} columns for {width}", curves.len());
    }
    let numbered = context.plan.push(Curves(curves), &[x])?;
    match word(object, "encode", "onehot")? {
        "ordinal" => Ok(numbered),
        "onehot" | "onehot-dense" => context.plan.push(Spread { bins: counts }, &[numbered]),
        other => refuse!("`encode={other}` is not covered"),
    }
}

/// Lowers one of them.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    match (ask, object.class()) {
        (Ask::Transform, Some("PowerTransformer")) => power(object, context, x),
        (Ask::Transform, Some("QuantileTransformer")) => quantile(object, context, x),
        (Ask::Transform, Some("KBinsDiscretizer")) => bins(object, context, x),
        _ => no_method(ask, object),
    }
}
