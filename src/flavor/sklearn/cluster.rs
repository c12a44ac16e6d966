//! Clusters by their centres: `KMeans` and what predicts as it does.

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::value::{Form, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::dense::dot;
use super::estimator::{Ask, Context, no_method};
use super::kernel::squared_distance;
use super::numbers::{Table, expect, table};
use super::rows::{Finite, doubles};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["KMeans", "MiniBatchKMeans", "MeanShift", "AffinityPropagation"];

/// The index of the nearest centre, the first of those that are equally near.
pub(super) struct Nearest {
    centres: Table,
    /// `‖c‖²` of each centre; empty for the Manhattan distance.
    norms: Vec<f64>,
    /// Rows whose norm is infinite are nearest to the first, as they are by `pairwise_distances_argmin`.
    by_distance: bool,
}

/// The distance to each centre.
struct Distances(Table);

impl Nearest {
    /// By `‖c‖² - 2 x · c`, as scikit-learn compares.
    pub(super) fn euclidean(centres: Table) -> Nearest {
        let norms = centres.each_row().map(|centre| dot(centre, centre)).collect();
        Nearest {
            centres,
            norms,
            by_distance: false,
        }
    }

    /// By the sum of absolute differences.
    pub(super) fn manhattan(centres: Table) -> Nearest {
        Nearest {
            centres,
            norms: Vec::new(),
            by_distance: false,
        }
    }

    /// The same as `pairwise_distances_argmin` has it, which compares whole distances.
    pub(super) fn by_distance(self) -> Nearest {
        Nearest {
            by_distance: true,
            ..self
        }
    }
}

impl Step for Nearest {
    fn describe(&self) -> String {
        format!("nearest of {} centres", self.centres.rows)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f64(self.centres.width) && self.centres.rows > 0 => Ok(Form::i64(1)),
            _ => Err(format!("{} columns expected, got {inputs:?}", self.centres.width)),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let x = inputs.get(0)?.f64()?;
        let mut data = Vec::with_capacity(x.rows);
        for row in x.each_row() {
            if self.by_distance && dot(row, row).is_infinite() {
                data.push(0);
                continue;
            }
            let mut best = (f64::INFINITY, 0);
            for (index, centre) in self.centres.each_row().enumerate() {
                let distance = match self.norms.get(index) {
                    Some(norm) => norm - 2.0 * dot(row, centre),
                    None => row.iter().zip(centre).map(|(x, c)| (x - c).abs()).sum(),
                };
                if distance < best.0 {
                    best = (distance, index as i64);
                }
            }
            data.push(best.1);
        }
        Ok(Value::I64(Matrix {
            rows: x.rows,
            width: 1,
            data,
        }))
    }
}

impl Step for Distances {
    fn describe(&self) -> String {
        format!("distances to {} centres", self.0.rows)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f64(self.0.width) => Ok(Form::f64(self.0.rows)),
            _ => Err(format!("{} columns expected, got {inputs:?}", self.0.width)),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let x = inputs.get(0)?.f64()?;
        let mut data = Vec::with_capacity(x.rows * self.0.rows);
        for row in x.each_row() {
            data.extend(
                self.0
                    .each_row()
                    .map(|centre| squared_distance(row, centre).sqrt()),
            );
        }
        Ok(Value::F64(Matrix {
            rows: x.rows,
            width: self.0.rows,
            data,
        }))
    }
}

/// Lowers one of them.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let x = doubles(context, object, x, Finite::All)?;
    let centres = table(object, "cluster_centers_")?;
    expect(
        &centres,
        "cluster_centers_",
        centres.rows,
        context.plan.form(x).width,
    )?;
    if centres.rows == 0 {
        refuse!("there are no clusters");
    }
    match (ask, object.class()) {
        (Ask::Predict, Some("KMeans" | "MiniBatchKMeans")) => {
            context.plan.push(Nearest::euclidean(centres), &[x])
        }
        (Ask::Predict, _) => context.plan.push(Nearest::euclidean(centres).by_distance(), &[x]),
        (Ask::Transform, Some("KMeans" | "MiniBatchKMeans")) => context.plan.push(Distances(centres), &[x]),
        _ => no_method(ask, object),
    }
}
