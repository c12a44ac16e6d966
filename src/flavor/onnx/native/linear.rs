//! Linear models and matrix products. ONNX Runtime adds in float32, in an order of its own; here sums are in double and
//! rounded once, so that the two differ by its rounding alone.

use smallvec::smallvec;

use super::super::element::Element;
use super::lowering::{Attributes, Constant, Data, Held, Lowering, Rows};
use super::proto::Node;
use super::scores::Transform;
use super::trees::{above, largest, two_classes};
use crate::flavor::plan::value::{Matrix, Value};
use crate::flavor::refusal::{Refusal, refuse};

/// A dense layer: weights by output, `[outputs, inputs]`, and a bias for each output.
pub(super) struct Dense {
    pub(super) inputs: usize,
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

impl Dense {
    fn new(inputs: usize, weights: Vec<f32>, bias: Vec<f32>) -> Result<Dense, Refusal> {
        if inputs == 0 || bias.is_empty() || weights.len() != inputs.saturating_mul(bias.len()) {
            refuse!(
                "{} coefficients for {inputs} inputs and {} outputs",
                weights.len(),
                bias.len()
            );
        }
        Ok(Dense {
            inputs,
            weights,
            bias,
        })
    }

    fn run(&self, rows: &Matrix<f32>) -> Matrix<f32> {
        let mut data = Vec::with_capacity(rows.rows * self.bias.len());
        for row in rows.each_row() {
            for (weights, bias) in self.weights.chunks_exact(self.inputs).zip(&self.bias) {
                let sum: f64 = row
                    .iter()
                    .zip(weights)
                    .map(|(x, weight)| f64::from(*x) * f64::from(*weight))
                    .sum();
                data.push((sum + f64::from(*bias)) as f32);
            }
        }
        Matrix {
            rows: rows.rows,
            width: self.bias.len(),
            data,
        }
    }

    fn push(self, lowering: &mut Lowering<'_>, rows: &Rows) -> Result<Rows, Refusal> {
        let outputs = self.bias.len();
        let what = format!("linear, {} to {outputs}", self.inputs);
        lowering.push(what, &[rows], (Element::F32, smallvec![outputs]), move |inputs| {
            Ok(Value::F32(self.run(inputs.get(0)?.f32()?)))
        })
    }
}

/// `LinearRegressor`.
pub(super) fn regressor<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Result<Vec<Held>, Refusal> {
    let attributes = Attributes::of(node, &["coefficients", "intercepts", "post_transform", "targets"])?;
    let rows = lowering.rows(node, 0)?;
    let rows = lowering.as_f32(rows)?;
    let targets = usize::try_from(attributes.int("targets", 1)).unwrap_or(0);
    let bias = match attributes.floats("intercepts") {
        [] => vec![0.0; targets.min(1 << 16)],
        bias => bias.to_vec(),
    };
    if bias.len() != targets {
        refuse!("{} intercepts for {targets} targets", bias.len());
    }
    let dense = Dense::new(rows.columns()?, attributes.floats("coefficients").to_vec(), bias)?;
    let transform = Transform::of(attributes.text("post_transform", "NONE"))?;
    let scores = dense.push(lowering, &rows)?;
    Ok(vec![Held::Rows(transformed(lowering, scores, transform)?)])
}

fn transformed(lowering: &mut Lowering<'_>, scores: Rows, transform: Transform) -> Result<Rows, Refusal> {
    if transform == Transform::None {
        return Ok(scores);
    }
    let form = (Element::F32, scores.tail.clone());
    lowering.push(format!("{transform:?}"), &[&scores], form, move |inputs| {
        let mut scores = inputs.take(0)?.into_f32()?;
        scores.each_row_mut().for_each(|row| transform.apply(row));
        Ok(Value::F32(scores))
    })
}

/// `LinearClassifier`.
pub(super) fn classifier<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Result<Vec<Held>, Refusal> {
    let known = [
        "classlabels_ints",
        "classlabels_strings",
        "coefficients",
        "intercepts",
        "multi_class",
        "post_transform",
    ];
    let attributes = Attributes::of(node, &known)?;
    let labels = attributes.labels("classlabels_ints", "classlabels_strings")?;
    let rows = lowering.rows(node, 0)?;
    let rows = lowering.as_f32(rows)?;
    let inputs = rows.columns()?;
    let coefficients = attributes.floats("coefficients").to_vec();
    let outputs = coefficients.len() / inputs.max(1);
    let bias = match attributes.floats("intercepts") {
        [] => vec![0.0; outputs],
        bias => bias.to_vec(),
    };
    let transform = Transform::of(attributes.text("post_transform", "NONE"))?;
    let scores = Dense::new(inputs, coefficients, bias)?.push(lowering, &rows)?;
    match (outputs, labels.len()) {
        (1, 2) => {
            let label = above(lowering, &scores, 0.0, labels)?;
            let form = (Element::F32, smallvec![2]);
            // Of one score, nothing but the logistic is a transform.
            let logistic = transform == Transform::Logistic;
            let both = lowering.push("scores of two classes", &[&scores], form, move |inputs| {
                two_classes(inputs.get(0)?.f32()?, |score| {
                    let second = if logistic {
                        super::scores::logistic(score)
                    } else {
                        score
                    };
                    [1.0 - second, second]
                })
            })?;
            Ok(vec![Held::Rows(label), Held::Rows(both)])
        }
        (outputs, classes) if outputs == classes && outputs > 1 => {
            let label = largest(lowering, &scores, labels)?;
            let scores = transformed(lowering, scores, transform)?;
            Ok(vec![Held::Rows(label), Held::Rows(scores)])
        }
        (outputs, classes) => refuse!("{outputs} scores for {classes} classes"),
    }
}

/// A constant as a `[inputs, outputs]` matrix of float32, or its transposed.
fn matrix(constant: &Constant, transposed: bool) -> Result<(usize, usize, Vec<f32>), Refusal> {
    let (&[rows, columns], Data::F32(data)) = (constant.shape.as_slice(), &constant.data) else {
        refuse!("a constant of shape {:?} is no matrix of float32", constant.shape);
    };
    // By output, so that each sum is over numbers that lie side by side.
    let (inputs, outputs) = if transposed {
        (columns, rows)
    } else {
        (rows, columns)
    };
    if transposed {
        return Ok((inputs, outputs, data.clone()));
    }
    let mut by_output = Vec::with_capacity(data.len());
    for output in 0..outputs {
        by_output.extend(data.iter().skip(output).step_by(columns.max(1)));
    }
    Ok((inputs, outputs, by_output))
}

/// `MatMul` with a constant matrix on the right.
pub(super) fn mat_mul<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Result<Vec<Held>, Refusal> {
    Attributes::of(node, &[])?;
    product(lowering, node, false, (1.0, 0.0))
}

/// `Gemm` with a constant matrix on the right.
pub(super) fn gemm<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Result<Vec<Held>, Refusal> {
    let attributes = Attributes::of(node, &["alpha", "beta", "transA", "transB"])?;
    if attributes.int("transA", 0) != 0 {
        refuse!("the left matrix is transposed");
    }
    let factors = (attributes.float("alpha", 1.0), attributes.float("beta", 1.0));
    product(lowering, node, attributes.int("transB", 0) != 0, factors)
}

fn product<'m>(
    lowering: &mut Lowering<'m>,
    node: &Node<'m>,
    transposed: bool,
    (alpha, beta): (f32, f32),
) -> Result<Vec<Held>, Refusal> {
    let rows = lowering.rows(node, 0)?;
    if rows.element != Element::F32 || rows.tail.len() != 1 {
        refuse!("the left side is no matrix of float32");
    }
    let right = lowering.constant(node, 1)?;
    // A vector on the right is a column that goes again.
    let vector = right.shape.len() == 1 && node.operator == "MatMul";
    let (inputs, outputs, mut weights) = match (&right.data, vector) {
        (Data::F32(data), true) => (data.len(), 1, data.clone()),
        _ => matrix(&right, transposed)?,
    };
    if inputs != rows.width() {
        refuse!(
            "{inputs} rows of the right matrix for {} columns of the left",
            rows.width()
        );
    }
    let bias = match lowering.optional(node, 2)? {
        None => vec![0.0; outputs],
        Some(Held::Constant(constant)) => match (&constant.data, constant.shape.as_slice()) {
            (Data::F32(bias), [] | [1] | [1, 1]) => vec![bias.first().copied().unwrap_or(0.0); outputs],
            (Data::F32(bias), [_] | [1, _]) if bias.len() == outputs => bias.clone(),
            _ => refuse!("a bias of shape {:?} for {outputs} outputs", constant.shape),
        },
        Some(_) => refuse!("the bias is no constant"),
    };
    weights.iter_mut().for_each(|weight| *weight *= alpha);
    let bias = bias.into_iter().map(|bias| bias * beta).collect();
    Ok(vec![Held::Rows(
        Dense::new(inputs, weights, bias)?.push(lowering, &rows)?,
    )])
}

/// How two rows are compared by a support vector machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    Linear,
    Poly,
    Rbf,
    Sigmoid,
}

/// `SVMRegressor`
pub(super) fn svm_regressor<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Result<Vec<Held>, Refusal> {
    let known = [
        "coefficients",
        "kernel_params",
        "kernel_type",
        "n_supports",
        "one_class",
        "post_transform",
        "rho",
        "support_vectors",
    ];
    let attributes = Attributes::of(node, &known)?;
    let rows = lowering.rows(node, 0)?;
    if rows.element != Element::F32 {
        refuse!("a support vector machine over {}", rows.element.onnx_name());
    }
    let width = rows.columns()?;
    let kernel = match attributes.text("kernel_type", "LINEAR") {
        "LINEAR" => Kernel::Linear,
        "POLY" => Kernel::Poly,
        "RBF" => Kernel::Rbf,
        "SIGMOID" => Kernel::Sigmoid,
        other => refuse!("`kernel_type` is `{other}`"),
    };
    let (gamma, coef0, degree) = match attributes.floats("kernel_params") {
        [gamma, coef0, degree] => (f64::from(*gamma), f64::from(*coef0), f64::from(*degree)),
        [] if kernel == Kernel::Linear => (0.0, 0.0, 0.0),
        other => refuse!("{} parameters of the kernel", other.len()),
    };
    let coefficients = attributes.floats("coefficients").to_vec();
    let vectors = attributes.floats("support_vectors").to_vec();
    let [rho] = attributes.floats("rho") else {
        refuse!("{} intercepts", attributes.floats("rho").len());
    };
    let rho = f64::from(*rho);
    let count = usize::try_from(attributes.int("n_supports", 0)).unwrap_or(0);
    let fits = count > 0
        && width > 0
        && coefficients.len() == count
        && Some(vectors.len()) == count.checked_mul(width);
    if !fits || attributes.text("post_transform", "NONE") != "NONE" {
        refuse!("{count} support vectors, {} numbers in them", vectors.len());
    }
    let one_class = attributes.int("one_class", 0) != 0;
    let what = format!("{count} support vectors, {kernel:?}");
    let out = lowering.push(what, &[&rows], (Element::F32, smallvec![1]), move |inputs| {
        let rows = inputs.get(0)?.f32()?;
        let dot = |row: &[f32], vector: &[f32]| -> f64 {
            row.iter()
                .zip(vector)
                .map(|(x, y)| f64::from(*x) * f64::from(*y))
                .sum()
        };
        let data = rows.each_row().map(|row| {
            let products = vectors
                .chunks_exact(width)
                .zip(&coefficients)
                .map(|(vector, coefficient)| {
                    let likeness = match kernel {
                        Kernel::Linear => dot(row, vector),
                        Kernel::Poly => (gamma * dot(row, vector) + coef0).powf(degree),
                        Kernel::Sigmoid => (gamma * dot(row, vector) + coef0).tanh(),
                        Kernel::Rbf => {
                            let apart = row
                                .iter()
                                .zip(vector)
                                .map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2));
                            (-gamma * apart.sum::<f64>()).exp()
                        }
                    };
                    likeness * f64::from(*coefficient)
                });
            let sum = (products.sum::<f64>() + rho) as f32;
            match one_class {
                true if sum > 0.0 => 1.0,
                true => -1.0,
                false => sum,
            }
        });
        Ok(Value::F32(Matrix {
            rows: rows.rows,
            width: 1,
            data: data.collect(),
        }))
    })?;
    Ok(vec![Held::Rows(out)])
}
