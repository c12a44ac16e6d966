//! `PolynomialFeatures`: products of columns.

use std::collections::HashMap;

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::value::{Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::estimator::{Ask, Context, no_method};
use super::numbers::{numbers, switch};
use super::rows::{Finite, floats};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["PolynomialFeatures"];

/// Products a model may have.
const MAX_TERMS: usize = 1 << 20;

/// A product of columns: one column times a shorter product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Term {
    column: usize,
    /// An earlier term; `None` for the column alone.
    rest: Option<usize>,
}

/// All products, those of the lowest degree first.
struct Products {
    columns: usize,
    terms: Vec<Term>,
    /// Terms that are only part of others, before those of the result.
    hidden: usize,
    bias: bool,
}

impl Products {
    fn width(&self) -> usize {
        self.terms.len() - self.hidden + usize::from(self.bias)
    }

    fn compute<T: Copy>(&self, matrix: &Matrix<T>, one: T, times: impl Fn(T, T) -> T) -> Matrix<T> {
        let mut data = Vec::with_capacity(matrix.rows * self.width());
        let mut products = Vec::with_capacity(self.terms.len());
        for row in matrix.each_row() {
            products.clear();
            for term in &self.terms {
                let x = row.get(term.column).copied().unwrap_or(one);
                let rest = term.rest.and_then(|rest| products.get(rest).copied());
                // The shorter product first, as scikit-learn multiplies its blocks.
                products.push(rest.map_or(x, |rest| times(rest, x)));
            }
            if self.bias {
                data.push(one);
            }
            data.extend_from_slice(products.get(self.hidden..).unwrap_or_default());
        }
        Matrix {
            rows: matrix.rows,
            width: self.width(),
            data,
        }
    }
}

impl Step for Products {
    fn describe(&self) -> String {
        format!("{} products of {} columns", self.width(), self.columns)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.width == self.columns && matches!(form.kind, Kind::F64 | Kind::F32) => Ok(Form {
                kind: form.kind,
                width: self.width(),
            }),
            _ => Err(format!(
                "{} columns of floats expected, got {inputs:?}",
                self.columns
            )),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        Ok(match inputs.get(0)? {
            Value::F32(matrix) => Value::F32(self.compute(matrix, 1.0, |x, y| x * y)),
            other => Value::F64(self.compute(other.f64()?, 1.0, |x, y| x * y)),
        })
    }
}

/// Combinations of columns of each degree up to `most`, in the order of `itertools`.
fn terms(
    columns: usize,
    least: usize,
    most: usize,
    only_distinct: bool,
) -> Result<(Vec<Term>, usize), Refusal> {
    let mut terms = Vec::new();
    let mut hidden = 0;
    let mut last: Vec<Vec<usize>> = (0..columns).map(|column| vec![column]).collect();
    let mut places: HashMap<Vec<usize>, usize> = HashMap::new();
    for degree in 1..=most {
        if degree > 1 {
            let mut next = Vec::new();
            for combination in &last {
                let tail = combination.last().copied().unwrap_or_default();
                let from = if only_distinct { tail + 1 } else { tail };
                if next.len() + terms.len() + columns > MAX_TERMS {
                    refuse!("more than {MAX_TERMS} products");
                }
                next.extend((from..columns).map(|column| {
                    let mut longer = combination.clone();
                    longer.push(column);
                    longer
                }));
            }
            last = next;
        }
        let mut found = HashMap::with_capacity(last.len());
        for combination in &last {
            let (first, rest) = match combination.split_first() {
                Some((first, rest)) => (*first, rest),
                None => continue,
            };
            found.insert(combination.clone(), terms.len());
            terms.push(Term {
                column: first,
                rest: places.get(rest).copied(),
            });
        }
        places = found;
        if degree < least {
            hidden = terms.len();
        }
    }
    Ok((terms, hidden))
}

/// Lowest and highest degree.
fn degrees(object: View<'_>) -> Result<(usize, usize), Refusal> {
    let pair = match (object.get("_min_degree"), object.get("_max_degree")) {
        (Some(least), Some(most)) => vec![least.number().unwrap_or(-1.0), most.number().unwrap_or(-1.0)],
        _ => numbers(object, "degree")?.1,
    };
    let (least, most) = match *pair {
        [most] => (0.0, most),
        [least, most] => (least, most),
        _ => refuse!("`degree` is no number or pair"),
    };
    if !(0.0..=20.0).contains(&least) || !(0.0..=20.0).contains(&most) {
        refuse!("degrees from {least} to {most}; up to 20 are covered");
    }
    Ok((least as usize, most as usize))
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
    let x = floats(context, object, x, Finite::All)?;
    let columns = context.plan.form(x).width;
    let (least, most) = degrees(object)?;
    let (terms, hidden) = terms(columns, least, most, switch(object, "interaction_only", false)?)?;
    let products = Products {
        columns,
        terms,
        hidden,
        bias: switch(object, "include_bias", true)?,
    };
    context.plan.push(products, &[x])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_in_the_order_of_itertools() {
        let (terms, hidden) = terms(2, 2, 3, false).unwrap();
        // x0 x1 | x0² x0x1 x1² | x0³ x0²x1 x0x1² x1³
        assert_eq!(hidden, 2);
        let shown: Vec<(usize, Option<usize>)> = terms.iter().map(|term| (term.column, term.rest)).collect();
        let wanted = [
            (0, None),
            (1, None),
            (0, Some(0)),
            (0, Some(1)),
            (1, Some(1)),
            (0, Some(2)),
            (0, Some(3)),
            (0, Some(4)),
            (1, Some(4)),
        ];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn too_many_products_are_refused_before_they_are_made() {
        assert!(terms(5000, 0, 4, false).is_err());
    }
}
