//! Forests as steps of a plan.

use std::sync::Arc;

use crate::flavor::PredictError;
use crate::flavor::plan::value::{Form, Matrix, Value};
use crate::flavor::plan::{Inputs, Step};

use super::{Forest, Number};

/// Runs a forest over the rows of a matrix of `T`; gives `[rows, outputs]` of `A`.
pub struct Trees<T, A>(pub Arc<Forest<T, A>>);

impl<T: Number, A: Number> Trees<T, A> {
    fn describe_as(&self, values: &str, sums: &str) -> String {
        format!(
            "{} trees over {} features ({values}), {} nodes, depth {}, {} output{} ({sums})",
            self.0.trees(),
            self.0.features(),
            self.0.nodes(),
            self.0.depth(),
            self.0.outputs(),
            if self.0.outputs() == 1 { "" } else { "s" },
        )
    }

    fn check(&self, inputs: &[Form], wanted: fn(usize) -> Form) -> Result<usize, String> {
        let wanted = wanted(self.0.features());
        match inputs {
            [form] if *form == wanted => Ok(self.0.outputs()),
            [form] => Err(format!(
                "{:?} columns of {:?} for {wanted:?}",
                form.width, form.kind
            )),
            _ => Err(format!("{} inputs instead of one", inputs.len())),
        }
    }

    fn sums(&self, rows: &Matrix<T>) -> Matrix<A> {
        let outputs = self.0.outputs();
        let mut sums = vec![A::ZERO; rows.rows * outputs];
        self.0.run(&rows.data, &mut sums);
        Matrix {
            rows: rows.rows,
            width: outputs,
            data: sums,
        }
    }
}

/// The same for each pair of types.
macro_rules! trees_step {
    ($input:ty, $get:ident, $form:ident, $sum:ty, $variant:ident, $sums:ident, $inputs:literal, $outputs:literal) => {
        impl Step for Trees<$input, $sum> {
            fn describe(&self) -> String {
                self.describe_as($inputs, $outputs)
            }

            fn form(&self, inputs: &[Form]) -> Result<Form, String> {
                self.check(inputs, Form::$form).map(Form::$sums)
            }

            fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
                Ok(Value::$variant(self.sums(inputs.get(0)?.$get()?)))
            }
        }
    };
}

trees_step!(f32, f32, f32, f32, F32, f32, "float32", "float32");
trees_step!(f32, f32, f32, f64, F64, f64, "float32", "float64");
trees_step!(f64, f64, f64, f64, F64, f64, "float64", "float64");
