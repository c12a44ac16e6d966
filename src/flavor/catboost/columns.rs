//! From the request to features, with CatBoost's rules for names and types.
//!
//! An array's columns are taken by position. A table's are taken by name; a feature without a name by position. Which
//! columns hold categories is said by position, whatever the names: a table in another order may have text where the
//! library expects numbers, and then it fails.

use std::collections::HashSet;
use std::sync::Arc;

use crate::flavor::PredictError;
use crate::flavor::plan::input::{Column, Input};
use crate::flavor::plan::value::{Cell, Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Step};
use crate::model::batch::Name;
use crate::model::tensor::DType;

use super::city;
use super::model::{Missing, Place};

/// Text that CatBoost takes for a missing number.
const MISSING: [&str; 22] = [
    "", "nan", "NaN", "NAN", "NA", "Na", "na", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN",
    "-nan", "1.#IND", "1.#QNAN", "N/A", "NULL", "n/a", "null", "None", "-",
];

/// The columns that the library takes for categories, for both steps.
#[derive(Debug)]
pub(super) struct Layout {
    /// Positions of all category columns, ascending.
    pub(super) categories: Vec<usize>,
}

impl Layout {
    fn is_category(&self, position: usize) -> bool {
        self.categories.binary_search(&position).is_ok()
    }

    /// The column of a feature.
    fn column(&self, input: &Input<'_>, place: &Place, category: bool) -> Result<usize, PredictError> {
        let width = input.width();
        let shown = || match &place.name {
            Some(name) => name.to_string(),
            None => place.position.to_string(),
        };
        let absent = || {
            PredictError::Input(format!(
                "Feature {} is present in model but not in pool.",
                shown()
            ))
        };
        let position = match (input.names(), place.name.as_deref()) {
            (Some(names), Some(name)) => {
                let there = names.get(place.position);
                if there.is_some_and(|there| is(there, name)) {
                    place.position
                } else if let Some(found) = names.iter().position(|other| is(other, name)) {
                    found
                } else {
                    match there {
                        Some(there) if is(there, "") => place.position,
                        Some(there) => {
                            return Err(PredictError::Input(format!(
                                "At position {} should be feature with name {name} (found {there}).",
                                place.position
                            )));
                        }
                        None => return Err(absent()),
                    }
                }
            }
            _ => place.position,
        };
        if position >= width {
            return Err(absent());
        }
        if self.is_category(position) != category {
            let is = if category { "Categorical" } else { "Float" };
            return Err(PredictError::Input(format!(
                "Feature {} is {is} in model but marked different in the dataset",
                shown()
            )));
        }
        Ok(position)
    }

    /// Checks what the library checks of the whole table, features or not.
    fn check(&self, input: &Input<'_>) -> Result<(), PredictError> {
        let width = input.width();
        if let Some(&last) = self.categories.last()
            && last >= width
        {
            return Err(PredictError::Input(format!(
                "Invalid cat_features[{}] = {last} value: index must be < {width}.",
                self.categories.len() - 1
            )));
        }
        match input {
            Input::Array(tensor) if tensor.shape().len() != 2 => Err(PredictError::Input(format!(
                "the model takes an array of two axes, the request has {}",
                tensor.shape().len()
            ))),
            Input::Array(tensor) if tensor.dtype().is_float() && !self.categories.is_empty() => {
                Err(PredictError::Input(
                    "'data' is numpy array of floating point numerical type, it means no categorical features, \
                     but 'cat_features' parameter specifies nonzero number of categorical features"
                        .into(),
                ))
            }
            _ => Ok(()),
        }
    }
}

fn is(label: &Name, wanted: &str) -> bool {
    match label.as_text() {
        Some(text) => text == wanted,
        None => label.to_string() == wanted,
    }
}

fn column<'a>(input: &Input<'a>, position: usize) -> Result<Column<'a>, PredictError> {
    input.column(position).ok_or_else(|| {
        PredictError::Input(format!(
            "column {position} holds arrays, the model takes plain columns"
        ))
    })
}

/// The float features of a request, missing values as the model takes them: `[rows, features]` of `float32`.
#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) layout: Arc<Layout>,
    pub(super) features: Vec<(Place, Missing)>,
    /// All features, by position: other columns are looked at only to be refused.
    pub(super) known: Vec<Place>,
}

impl Numbers {
    /// Other columns, too, must be what the library takes them for.
    fn check_others(&self, input: &Input<'_>) -> Result<(), PredictError> {
        let own = match input.names() {
            Some(names) => self.known.iter().all(|place| {
                let there = names.get(place.position);
                place
                    .name
                    .as_deref()
                    .is_none_or(|name| there.is_some_and(|there| is(there, name)))
            }),
            None => true,
        };
        let mut unused = Vec::new();
        for position in 0..input.width() {
            // The steps look at the features themselves; where those are not in their places, all columns are checked.
            if own
                && self
                    .known
                    .binary_search_by_key(&position, |place| place.position)
                    .is_ok()
            {
                continue;
            }
            let column = column(input, position)?;
            if self.layout.is_category(position) {
                hashes(&column, position, input.rows(), &mut |_, _| {})?;
            } else if matches!(column.dtype(), DType::Str | DType::Object | DType::Datetime) {
                unused.resize(input.rows(), 0.0);
                numbers(&column, position, &mut unused, 1)?;
            }
        }
        if let Some(names) = input.names()
            && !(own && names.len() == self.known.len())
        {
            let mut seen = HashSet::new();
            if let Some(name) = names
                .iter()
                .map(Name::to_string)
                .find(|name| !seen.insert(name.clone()))
            {
                return Err(PredictError::Input(format!(
                    "All feature names should be different, but '{name}' used more than once."
                )));
            }
        }
        Ok(())
    }
}

impl Step for Numbers {
    fn describe(&self) -> String {
        format!("{} numeric features as float32", self.features.len())
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::Input => Ok(Form::f32(self.features.len())),
            _ => Err(format!("the request expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let input = inputs.get(0)?.input()?;
        self.layout.check(input)?;
        self.check_others(input)?;
        let (rows, width) = (input.rows(), self.features.len());
        let mut data = vec![0.0; rows * width];
        for (feature, (place, missing)) in self.features.iter().enumerate() {
            let position = self.layout.column(input, place, false)?;
            let into = data.get_mut(feature..).unwrap_or_default();
            numbers(&column(input, position)?, position, into, width)?;
            let instead = match missing {
                Missing::AsIs => continue,
                Missing::Lowest => f32::NEG_INFINITY,
                Missing::Highest => f32::INFINITY,
            };
            for value in into.iter_mut().step_by(width).filter(|value| value.is_nan()) {
                *value = instead;
            }
        }
        Ok(Value::F32(Matrix { rows, width, data }))
    }
}

/// Writes a column as singles into every `stride`-th place.
fn numbers(
    column: &Column<'_>,
    position: usize,
    into: &mut [f32],
    stride: usize,
) -> Result<(), PredictError> {
    if !matches!(column.dtype(), DType::Str | DType::Object) {
        return Ok(column.singles_into(into, stride)?);
    }
    for (row, place) in into.iter_mut().step_by(stride.max(1)).enumerate() {
        let bad = |shown: &str| {
            PredictError::Input(format!(
                "Bad value for num_feature[non_default_doc_idx={row},feature_idx={position}]=\"{shown}\": \
                 Cannot convert '{shown}' to float"
            ))
        };
        *place = match column.cell(row) {
            Some(Cell::Text(text)) => number(text).ok_or_else(|| bad(text))?,
            Some(cell) => cell
                .number()
                .map(|number| number as f32)
                .ok_or_else(|| bad("?"))?,
            None => return Err(bad("?")),
        };
    }
    Ok(())
}

/// The number that a text is to CatBoost, as far as that is written in decimal.
fn number(text: &str) -> Option<f32> {
    if MISSING.contains(&text) {
        return Some(f32::NAN);
    }
    let text = text.trim_start_matches(' ');
    let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    text.bytes().all(plain).then(|| text.parse().ok()).flatten()
}

/// The category features of a request as the hashes by which the model knows them: `[rows, features]` of `int64`.
#[derive(Debug)]
pub(super) struct Categories {
    pub(super) layout: Arc<Layout>,
    pub(super) features: Vec<Place>,
}

impl Step for Categories {
    fn describe(&self) -> String {
        format!("{} categorical features as hashes", self.features.len())
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::Input => Ok(Form::i64(self.features.len())),
            _ => Err(format!("the request expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let input = inputs.get(0)?.input()?;
        let (rows, width) = (input.rows(), self.features.len());
        let mut data = vec![0; rows * width];
        for (feature, place) in self.features.iter().enumerate() {
            let position = self.layout.column(input, place, true)?;
            hashes(&column(input, position)?, position, rows, &mut |row, hash| {
                if let Some(place) = data.get_mut(row * width + feature) {
                    *place = i64::from(hash);
                }
            })?;
        }
        Ok(Value::I64(Matrix { rows, width, data }))
    }
}

/// Hashes each cell of a column: text as it is, integers in decimal, booleans as 1 and 0; nothing else is a category.
fn hashes(
    column: &Column<'_>,
    position: usize,
    rows: usize,
    found: &mut dyn FnMut(usize, i32),
) -> Result<(), PredictError> {
    let mut digits = itoa::Buffer::new();
    for row in 0..rows {
        let hash = match column.cell(row) {
            Some(Cell::Text(text)) => city::hash(text.as_bytes()),
            Some(Cell::Int(whole)) => city::hash(digits.format(whole).as_bytes()),
            Some(Cell::Bool(truth)) => city::hash(if truth { b"1" } else { b"0" }),
            other => {
                let shown = other
                    .map(|cell| format!("{:?}", cell.to_value()))
                    .unwrap_or_default();
                return Err(PredictError::Input(format!(
                    "Invalid type for cat_feature[non-default value idx={row},feature_idx={position}]={shown} : \
                     cat_features must be integer or string, real number values and NaN values should be converted \
                     to string."
                )));
            }
        };
        found(row, hash as u32 as i32);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_a_number_when_catboost_takes_it_for_one() {
        for (text, wanted) in [
            ("1e5", 1e5),
            (" 1", 1.0),
            ("+1", 1.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("1e400", f32::INFINITY),
        ] {
            assert_eq!(number(text), Some(wanted), "{text}");
        }
        assert!(number("NA").is_some_and(f32::is_nan) && number("-").is_some_and(f32::is_nan));
        for text in ["inf", "infinity", "1 ", "1_0", "true", "nAn", "1,5", "1e"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
