//! Trees with a linear model in each leaf (`linear_tree`).

use crate::flavor::PredictError;
use crate::flavor::forest::Forest;
use crate::flavor::plan::value::{Form, Matrix, Value};
use crate::flavor::plan::{Inputs, Step};

/// The linear model of a leaf.
#[derive(Debug)]
pub(super) struct LeafModel {
    pub(super) constant: f64,
    /// Feature and coefficient, in order.
    pub(super) terms: Vec<(usize, f64)>,
}

/// A forest whose leaves may be linear models.
#[derive(Debug)]
pub(super) struct LinearForest {
    /// The trees; tree `t` adds to output `t % outputs`.
    pub(super) forest: Forest<f64, f64>,
    /// The value of each leaf, for rows that lack a feature of its model.
    pub(super) values: Vec<f64>,
    /// The model of each leaf.
    pub(super) models: Vec<Option<LeafModel>>,
}

impl LinearForest {
    fn leaf(&self, leaf: usize, row: &[f64]) -> f64 {
        let value = self.values.get(leaf).copied().unwrap_or_default();
        let Some(Some(model)) = self.models.get(leaf) else {
            return value;
        };
        let mut sum = model.constant;
        for (feature, coefficient) in &model.terms {
            let x = row.get(*feature).copied().unwrap_or(f64::NAN);
            if x.is_nan() {
                return value;
            }
            sum += coefficient * x;
        }
        sum
    }
}

impl Step for LinearForest {
    fn describe(&self) -> String {
        format!(
            "{} trees with linear leaves over {} features, {} nodes, depth {}, {} outputs (float64)",
            self.forest.trees(),
            self.forest.features(),
            self.forest.nodes(),
            self.forest.depth(),
            self.forest.outputs()
        )
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f64(self.forest.features()) => Ok(Form::f64(self.forest.outputs())),
            _ => Err(format!(
                "{} columns in double expected, got {inputs:?}",
                self.forest.features()
            )),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let rows = inputs.get(0)?.f64()?;
        let outputs = self.forest.outputs();
        let mut data = vec![0.0; rows.rows * outputs];
        for (row, sums) in rows.each_row().zip(data.chunks_exact_mut(outputs.max(1))) {
            for (tree, leaf) in self.forest.reached(row).into_iter().enumerate() {
                if let Some(sum) = sums.get_mut(tree % outputs.max(1)) {
                    *sum += self.leaf(leaf, row);
                }
            }
        }
        Ok(Value::F64(Matrix {
            rows: rows.rows,
            width: outputs,
            data,
        }))
    }
}
