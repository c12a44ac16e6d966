//! Kernels of two rows.

use crate::flavor::formats::object::View;
use crate::flavor::refusal::{Refusal, refuse};

use super::dense::dot;
use super::numbers::number;

/// A kernel with its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kernel {
    /// `x · y`
    Linear,
    /// `(gamma x · y + coef0) ^ degree`
    Polynomial {
        /// Scale.
        gamma: f64,
        /// Offset.
        coef0: f64,
        /// Power.
        degree: f64,
    },
    /// `exp(-gamma ‖x - y‖²)`
    Radial {
        /// Scale.
        gamma: f64,
    },
    /// `tanh(gamma x · y + coef0)`
    Sigmoid {
        /// Scale.
        gamma: f64,
        /// Offset.
        coef0: f64,
    },
}

impl Kernel {
    /// The kernel of that name with an estimator's parameters.
    pub(super) fn of(object: View<'_>, gamma: f64, name: &str) -> Result<Kernel, Refusal> {
        Ok(match name {
            "linear" => Kernel::Linear,
            "poly" | "polynomial" => Kernel::Polynomial {
                gamma,
                coef0: number(object, "coef0")?,
                degree: number(object, "degree")?,
            },
            "rbf" => Kernel::Radial { gamma },
            "sigmoid" => Kernel::Sigmoid {
                gamma,
                coef0: number(object, "coef0")?,
            },
            other => refuse!("kernel `{other}` is not covered; export the model to ONNX"),
        })
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Kernel::Linear => "linear kernel",
            Kernel::Polynomial { .. } => "polynomial kernel",
            Kernel::Radial { .. } => "radial kernel",
            Kernel::Sigmoid { .. } => "sigmoid kernel",
        }
    }

    /// Its value for two rows.
    pub(super) fn of_rows(&self, x: &[f64], y: &[f64]) -> f64 {
        match *self {
            Kernel::Linear => dot(x, y),
            Kernel::Polynomial { gamma, coef0, degree } => {
                let base = gamma * dot(x, y) + coef0;
                // An exponent that is a whole number is multiplied out by libsvm; `powi` agrees to some ulps.
                match degree.fract() == 0.0 && degree.abs() <= 64.0 {
                    true => base.powi(degree as i32),
                    false => base.powf(degree),
                }
            }
            Kernel::Radial { gamma } => (-gamma * squared_distance(x, y)).exp(),
            Kernel::Sigmoid { gamma, coef0 } => (gamma * dot(x, y) + coef0).tanh(),
        }
    }
}

/// `‖x - y‖²`, added in order.
pub(super) fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (x, y) in x.iter().zip(y) {
        sum += (x - y) * (x - y);
    }
    sum
}
