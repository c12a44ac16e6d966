//! `TargetEncoder`: categories as the mean of the target among them.

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::value::{Cell, Form, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::categories::{Categories, Source};
use super::encoders::{categories, check_floats};
use super::estimator::{Ask, Context, no_method};
use super::numbers::{numbers, word};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["TargetEncoder"];

/// One column and the means of its categories.
struct Column {
    categories: Categories,
    /// One list a class of the target, by category.
    means: Vec<Vec<f64>>,
}

/// Writes the mean of each cell's category, a column a class of the target.
struct Means {
    source: Source,
    columns: Vec<Column>,
    /// For cells of no category, one a class.
    unknown: Vec<f64>,
}

impl Step for Means {
    fn describe(&self) -> String {
        format!("means of the target for {} columns", self.columns.len())
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        let width = self.columns.len() * self.unknown.len();
        self.source.accepts(inputs).map(|()| Form::f64(width))
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let value = inputs.get(0)?;
        let (rows, width) = (value.rows(), self.columns.len() * self.unknown.len());
        let grid = self.source.grid(value)?;
        let mut data = Vec::with_capacity(rows * width);
        for row in 0..rows {
            for (index, column) in self.columns.iter().enumerate() {
                let cell: Cell<'_> = grid.cell(row, index)?;
                check_floats(&cell, grid.floats(index))?;
                let category = column.categories.find(&cell);
                for (means, unknown) in column.means.iter().zip(&self.unknown) {
                    let mean = category.and_then(|category| means.get(category).copied());
                    data.push(mean.unwrap_or(*unknown));
                }
            }
        }
        Ok(Value::F64(Matrix { rows, width, data }))
    }
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
    let source = Source::new(context, object, x)?;
    let categories = categories(object, source.width())?;
    let (_, unknown) = numbers(object, "target_mean_")?;
    let classes = match word(object, "target_type_", "continuous")? {
        "binary" | "continuous" => 1,
        "multiclass" => unknown.len(),
        other => refuse!("a target of type `{other}` is not covered"),
    };
    if classes == 0 || unknown.len() != classes {
        refuse!(
            "`target_mean_` has {} numbers for {classes} classes",
            unknown.len()
        );
    }
    let mut encodings = object
        .attribute("encodings_")?
        .members()
        .unwrap_or_default()
        .into_iter();
    let mut columns = Vec::with_capacity(categories.len());
    for categories in categories {
        let mut means = Vec::with_capacity(classes);
        for encoding in encodings.by_ref().take(classes) {
            match encoding.numbers() {
                Some((_, encoding)) if encoding.len() == categories.len() => means.push(encoding),
                _ => refuse!("an encoding is not of {} categories", categories.len()),
            }
        }
        if means.len() != classes {
            refuse!("`encodings_` has too few entries");
        }
        columns.push(Column { categories, means });
    }
    let means = Means {
        source,
        columns,
        unknown,
    };
    context.plan.push(means, &[x])
}
