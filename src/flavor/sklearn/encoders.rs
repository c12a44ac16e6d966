//! `OneHotEncoder` and `OrdinalEncoder`: categories as numbers.

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::value::{Cell, Form, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::categories::{Categories, Source};
use super::estimator::{Ask, Context, no_method};
use super::numbers::{switch, word};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["OneHotEncoder", "OrdinalEncoder"];

/// One column: its categories and what becomes of each.
struct Encoded<T> {
    categories: Categories,
    /// By index of the category.
    codes: Vec<T>,
    /// What becomes of an unknown one; `None` refuses the request.
    unknown: Option<T>,
}

/// Writes a 1 in the column of each cell's category.
struct OneHot {
    source: Source,
    /// Codes are columns of the result, `None` for no column.
    columns: Vec<Encoded<Option<usize>>>,
    width: usize,
}

/// Writes each cell's code.
struct Ordinal {
    source: Source,
    columns: Vec<Encoded<f64>>,
}

/// What becomes of a cell.
fn code<T: Copy>(column: &Encoded<T>, cell: &Cell<'_>, index: usize) -> Result<T, PredictError> {
    let code = match column.categories.find(cell) {
        Some(category) => column.codes.get(category).copied(),
        None => column.unknown,
    };
    code.ok_or_else(|| {
        PredictError::Input(format!(
            "Found unknown categories [{:?}] in column {index} during transform",
            cell.to_value()
        ))
    })
}

/// Refuses infinities where scikit-learn sees floats.
pub(super) fn check_floats(cell: &Cell<'_>, floats: bool) -> Result<(), PredictError> {
    match cell {
        Cell::Float(float) if floats && float.is_infinite() => Err(PredictError::Input(
            "Input contains infinity or a value too large for dtype('float64').".into(),
        )),
        _ => Ok(()),
    }
}

impl Step for OneHot {
    fn describe(&self) -> String {
        format!("one-hot encode {} columns to {}", self.columns.len(), self.width)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        self.source.accepts(inputs).map(|()| Form::f64(self.width))
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let value = inputs.get(0)?;
        let (rows, width) = (value.rows(), self.width);
        let grid = self.source.grid(value)?;
        let mut data = vec![0.0; rows * width];
        for (index, column) in self.columns.iter().enumerate() {
            let floats = grid.floats(index);
            for row in 0..rows {
                let cell = grid.cell(row, index)?;
                check_floats(&cell, floats)?;
                if let Some(place) = code(column, &cell, index)?
                    && let Some(place) = data.get_mut(row * width + place)
                {
                    *place = 1.0;
                }
            }
        }
        Ok(Value::F64(Matrix { rows, width, data }))
    }
}

impl Step for Ordinal {
    fn describe(&self) -> String {
        format!("encode {} columns as numbers", self.columns.len())
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        self.source
            .accepts(inputs)
            .map(|()| Form::f64(self.columns.len()))
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let value = inputs.get(0)?;
        let (rows, width) = (value.rows(), self.columns.len());
        let grid = self.source.grid(value)?;
        let mut data = Vec::with_capacity(rows * width);
        for row in 0..rows {
            for (index, column) in self.columns.iter().enumerate() {
                let cell = grid.cell(row, index)?;
                check_floats(&cell, grid.floats(index))?;
                data.push(code(column, &cell, index)?);
            }
        }
        Ok(Value::F64(Matrix { rows, width, data }))
    }
}

/// How rare categories of one column are put together: the new index of each category, and that of the rare ones.
struct Grouping {
    mapping: Vec<usize>,
    /// An index of a rare category, before grouping.
    rare: Option<usize>,
}

/// The grouping of every column; each category for itself where there is none.
fn groupings(
    object: View<'_>,
    columns: &[Categories],
    missing: &[Option<usize>],
) -> Result<Vec<Grouping>, Refusal> {
    let enabled = switch(object, "_infrequent_enabled", false)?;
    let lists = |name: &str| -> Result<Vec<View<'_>>, Refusal> {
        let members = object.attribute(name)?.members().unwrap_or_default();
        match members.len() == columns.len() {
            true => Ok(members),
            false => refuse!(
                "`{name}` has {} entries for {} columns",
                members.len(),
                columns.len()
            ),
        }
    };
    let (mappings, rare) = match enabled {
        true => (
            lists("_default_to_infrequent_mappings")?,
            lists("_infrequent_indices")?,
        ),
        false => (Vec::new(), Vec::new()),
    };
    let whole = |value: View<'_>, below: usize| -> Result<Option<Vec<usize>>, Refusal> {
        if value.is_none() {
            return Ok(None);
        }
        let (_, numbers) = value
            .numbers()
            .ok_or_else(|| Refusal::new("infrequent categories are no numbers"))?;
        let indices: Option<Vec<usize>> = numbers
            .iter()
            .map(|&number| (number >= 0.0 && number < below as f64).then_some(number as usize))
            .collect();
        match indices {
            Some(indices) => Ok(Some(indices)),
            None => refuse!("an infrequent category is not below {below}"),
        }
    };
    let mut groupings = Vec::with_capacity(columns.len());
    for (index, categories) in columns.iter().enumerate() {
        let count = categories.len();
        let mut mapping = match mappings.get(index) {
            Some(&mapping) => whole(mapping, count)?,
            None => None,
        };
        // A last category that stands for what is missing is not counted.
        if missing.get(index).copied().flatten() == count.checked_sub(1)
            && let Some(mapping) = mapping.as_mut().filter(|mapping| mapping.len() + 1 == count)
        {
            mapping.push(count - 1);
        }
        if mapping.as_ref().is_some_and(|mapping| mapping.len() != count) {
            refuse!("column {index}: infrequent categories for another number than {count}");
        }
        let rare = match rare.get(index) {
            Some(&rare) => whole(rare, count)?.and_then(|rare| rare.first().copied()),
            None => None,
        };
        groupings.push(Grouping {
            mapping: mapping.unwrap_or_else(|| (0..count).collect()),
            rare,
        });
    }
    Ok(groupings)
}

/// The categories of every column.
pub(super) fn categories(object: View<'_>, width: usize) -> Result<Vec<Categories>, Refusal> {
    let members = object.attribute("categories_")?.members().unwrap_or_default();
    if members.len() != width {
        refuse!("categories of {} columns for {width} columns", members.len());
    }
    members
        .into_iter()
        .enumerate()
        .map(|(index, member)| {
            Categories::of(member).map_err(|refusal| refusal.within(format!("column {index}")))
        })
        .collect()
}

/// The dropped category of each column, after grouping.
fn dropped(object: View<'_>, width: usize) -> Result<Vec<Option<usize>>, Refusal> {
    let value = match object.get("_drop_idx_after_grouping") {
        Some(value) => value,
        None => object.attribute("drop_idx_")?,
    };
    if value.is_none() {
        return Ok(vec![None; width]);
    }
    let one = |view: View<'_>| match view.is_none() {
        true => Some(None),
        false => Some(Some(usize::try_from(view.whole()?).ok()?)),
    };
    let dropped: Option<Vec<Option<usize>>> = match (value.members(), value.numbers()) {
        (Some(members), _) => members.into_iter().map(one).collect(),
        (None, Some((_, numbers))) => {
            let index = |number: &f64| (*number >= 0.0).then_some(Some(*number as usize));
            numbers.iter().map(index).collect()
        }
        _ => None,
    };
    match dropped.filter(|dropped| dropped.len() == width) {
        Some(dropped) => Ok(dropped),
        None => refuse!("`drop_idx_` does not say which categories are dropped"),
    }
}

fn one_hot(object: View<'_>, source: Source) -> Result<OneHot, Refusal> {
    let categories = categories(object, source.width())?;
    let groupings = groupings(object, &categories, &[])?;
    let dropped = dropped(object, categories.len())?;
    let handle = word(object, "handle_unknown", "error")?;
    let (mut columns, mut width) = (Vec::new(), 0usize);
    for ((categories, grouping), dropped) in categories.into_iter().zip(groupings).zip(dropped) {
        let groups = grouping.mapping.iter().max().map_or(0, |most| most + 1);
        if dropped.is_some_and(|dropped| dropped >= groups) {
            refuse!("a dropped category is not below {groups}");
        }
        let place = |group: usize| match dropped {
            Some(dropped) if group == dropped => None,
            Some(dropped) if group > dropped => Some(width + group - 1),
            _ => Some(width + group),
        };
        let codes: Vec<Option<usize>> = grouping.mapping.iter().map(|&group| place(group)).collect();
        let unknown = match handle {
            "error" => None,
            "ignore" => Some(None),
            "infrequent_if_exist" | "warn" => {
                let rare = grouping.rare.and_then(|rare| codes.get(rare).copied());
                Some(rare.flatten())
            }
            other => refuse!("`handle_unknown={other}` is not covered"),
        };
        width = width.saturating_add(groups - usize::from(dropped.is_some()));
        columns.push(Encoded {
            categories,
            codes,
            unknown,
        });
    }
    if let Some(outs) = object.get("_n_features_outs").and_then(View::numbers)
        && outs.1.iter().sum::<f64>() != width as f64
    {
        refuse!("{width} columns result instead of {:?}", outs.1);
    }
    Ok(OneHot {
        source,
        columns,
        width,
    })
}

fn ordinal(object: View<'_>, source: Source) -> Result<Ordinal, Refusal> {
    let categories = categories(object, source.width())?;
    let handle = word(object, "handle_unknown", "error")?;
    let value = |name: &str| {
        let value = object.get(name).filter(|value| !value.is_none());
        match value {
            None => Ok(f64::NAN),
            Some(value) => value
                .number()
                .ok_or_else(|| Refusal::new(format!("`{name}` is a `{}`", value.kind()))),
        }
    };
    let unknown = match handle {
        "error" => None,
        "use_encoded_value" => Some(value("unknown_value")?),
        other => refuse!("`handle_unknown={other}` is not covered"),
    };
    let encoded_missing = value("encoded_missing_value")?;
    // Which category of which column stands for what is missing.
    let missing = object
        .get("_missing_indices")
        .and_then(View::entries)
        .unwrap_or_default();
    let mut missing_of = vec![None; categories.len()];
    for (column, index) in missing {
        let place = column
            .whole()
            .and_then(|column| missing_of.get_mut(usize::try_from(column).ok()?));
        match (place, index.whole().and_then(|index| usize::try_from(index).ok())) {
            (Some(place), Some(index)) => *place = Some(index),
            _ => refuse!("`_missing_indices` names no column and category"),
        }
    }
    let groupings = groupings(object, &categories, &missing_of)?;
    let columns = categories.into_iter().zip(groupings).zip(missing_of);
    let columns = columns.map(|((categories, grouping), missing)| Encoded {
        codes: grouping
            .mapping
            .iter()
            .enumerate()
            .map(|(category, &group)| {
                // What is missing is never rare.
                let index = if missing == Some(category) {
                    category
                } else {
                    group
                };
                if missing == Some(index) {
                    encoded_missing
                } else {
                    index as f64
                }
            })
            .collect(),
        categories,
        unknown,
    });
    Ok(Ordinal {
        columns: columns.collect(),
        source,
    })
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
    match object.class() {
        Some("OneHotEncoder") => context.plan.push(one_hot(object, source)?, &[x]),
        _ => context.plan.push(ordinal(object, source)?, &[x]),
    }
}
