//! Columns that were pandas categories when the model was trained (`pandas_categorical`).
//!
//! The model knows a category by its place in the column's list. MLflow's server never makes categories of what it
//! reads, and LightGBM then refuses it; modelsd may be asked to look the values up itself.

use serde_json::Value as Json;

use crate::flavor::PredictError;
use crate::flavor::plan::input::{Column, Input};
use crate::flavor::plan::value::{Cell, Matrix};
use crate::flavor::refusal::{Refusal, refuse};

use super::text::short;

/// What is done about categories.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Categories {
    /// The model has none.
    None,
    /// Tables are refused, as by LightGBM without category columns; arrays hold places in the lists.
    Refused,
    /// Columns of tables are looked up: index of the column and its categories in order.
    Coded(Vec<(usize, Vec<Category>)>),
}

/// A category: a value of a pandas column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Category {
    Text(Box<str>),
    Number(f64),
    Bool(bool),
}

impl Categories {
    /// The categories in the JSON of the file; `infos` are its `feature_infos`, `coded` whether to look values up.
    ///
    /// # Errors
    /// When it is no list of lists of values, or does not say which columns they are for.
    pub(super) fn of(json: Option<&str>, infos: &str, coded: bool) -> Result<Categories, Refusal> {
        let lists = match json.map(serde_json::from_str) {
            None => return Ok(Categories::None),
            Some(Ok(Json::Null)) => return Ok(Categories::None),
            Some(Ok(Json::Array(lists))) if lists.is_empty() => return Ok(Categories::None),
            Some(Ok(Json::Array(lists))) => lists,
            Some(_) => refuse!(
                "`pandas_categorical` is no list: `{}`",
                short(json.unwrap_or_default())
            ),
        };
        if !coded {
            return Ok(Categories::Refused);
        }
        // Columns of numbers have a range, `[0:1]`, or nothing at all.
        let columns: Vec<usize> = infos
            .split_ascii_whitespace()
            .enumerate()
            .filter(|(_, info)| !info.starts_with('[') && *info != "none")
            .map(|(index, _)| index)
            .collect();
        if columns.len() != lists.len() {
            refuse!(
                "{} lists of pandas categories for {} categorical columns: which are for which is not known",
                lists.len(),
                columns.len()
            );
        }
        let mut coded = Vec::with_capacity(lists.len());
        for (column, list) in columns.into_iter().zip(lists) {
            let Some(categories) = list
                .as_array()
                .and_then(|list| list.iter().map(category).collect::<Option<Vec<_>>>())
            else {
                refuse!("pandas categories of column {column} are no list of plain values");
            };
            coded.push((column, categories));
        }
        Ok(Categories::Coded(coded))
    }

    /// What it adds to the description of a step.
    pub(super) fn describe(&self) -> String {
        match self {
            Categories::None => String::new(),
            Categories::Refused => ", tables without their pandas categories refused".into(),
            Categories::Coded(columns) => format!(", {} of them pandas categories", columns.len()),
        }
    }

    /// The columns of a table with categories looked up; `None` where there are none.
    ///
    /// # Errors
    /// When tables are refused, or this one does not fit.
    pub(super) fn read(
        &self,
        input: &Input<'_>,
        features: usize,
    ) -> Result<Option<Matrix<f64>>, PredictError> {
        let coded = match self {
            Categories::None => return Ok(None),
            Categories::Refused => {
                return Err(PredictError::Input(
                    "train and valid dataset categorical_feature do not match. The model was trained on pandas categories, which \
                     requests do not carry; modelsd looks them up with --pandas-categories."
                        .into(),
                ));
            }
            Categories::Coded(coded) => coded,
        };
        if input.width() != features {
            return Err(PredictError::Input(format!(
                "The number of features in data ({}) is not the same as it was in training data ({features}).",
                input.width()
            )));
        }
        let rows = input.rows();
        let mut data = vec![0.0; rows * features];
        for index in 0..features {
            let Some(column) = input.column(index) else {
                return Err(PredictError::Input(format!("column {index} holds arrays")));
            };
            let into = data.get_mut(index..).unwrap_or_default();
            match coded.iter().find(|(coded, _)| *coded == index) {
                Some((_, categories)) => look_up(&column, categories, into, features),
                None => {
                    let words = column.cell(0).is_some_and(|cell| matches!(cell, Cell::Text(_)));
                    if words {
                        return Err(PredictError::Input(
                            "pandas dtypes must be int, float or bool.".into(),
                        ));
                    }
                    column.doubles_into(into, features)?;
                }
            }
        }
        Ok(Some(Matrix {
            rows,
            width: features,
            data,
        }))
    }
}

fn category(value: &Json) -> Option<Category> {
    match value {
        Json::String(text) => Some(Category::Text(text.as_str().into())),
        Json::Bool(truth) => Some(Category::Bool(*truth)),
        Json::Number(number) => number.as_f64().map(Category::Number),
        _ => None,
    }
}

/// Writes the place of each value among the categories; NaN where it is none of them.
fn look_up(column: &Column<'_>, categories: &[Category], into: &mut [f64], stride: usize) {
    for (row, place) in into.iter_mut().step_by(stride.max(1)).enumerate() {
        let cell = column.cell(row);
        let same = |category: &Category| match (category, cell) {
            (Category::Text(text), Some(Cell::Text(other))) => **text == *other,
            (Category::Bool(truth), Some(Cell::Bool(other))) => *truth == other,
            (Category::Number(number), Some(Cell::Int(other))) => *number == other as f64,
            (Category::Number(number), Some(Cell::Float(other))) => *number == other,
            _ => false,
        };
        *place = categories
            .iter()
            .position(same)
            .map_or(f64::NAN, |index| index as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_belong_to_the_columns_without_a_range() {
        let infos = "[0:1] -1:0:2 none 1:0";
        let json = Some("[[\"a\", \"b\"], [3, 1]]");
        let coded = Categories::of(json, infos, true).unwrap();
        let text = |text: &str| Category::Text(text.into());
        assert_eq!(
            coded,
            Categories::Coded(vec![
                (1, vec![text("a"), text("b")]),
                (3, vec![Category::Number(3.0), Category::Number(1.0)]),
            ])
        );
        assert_eq!(Categories::of(json, infos, false).unwrap(), Categories::Refused);
        assert_eq!(Categories::of(None, infos, true).unwrap(), Categories::None);
        assert_eq!(Categories::of(Some("[]"), infos, true).unwrap(), Categories::None);
        assert_eq!(
            Categories::of(Some("null"), infos, true).unwrap(),
            Categories::None
        );
        assert!(Categories::of(json, "[0:1]", true).is_err());
        assert!(Categories::of(Some("{"), infos, true).is_err());
    }
}
