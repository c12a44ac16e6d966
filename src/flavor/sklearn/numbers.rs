//! Attributes of estimators as checked numbers.

use crate::flavor::formats::object::View;
use crate::flavor::refusal::{Refusal, refuse};

/// A table of numbers out of a file, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    /// Extent of axis 0.
    pub(super) rows: usize,
    /// Extent of axis 1.
    pub(super) width: usize,
    /// `rows * width` numbers.
    pub(super) data: Vec<f64>,
}

impl Table {
    /// The rows, one slice each; none of a table without columns.
    pub(super) fn each_row(&self) -> std::slice::ChunksExact<'_, f64> {
        self.data.chunks_exact(self.width.max(1))
    }

    /// Rows as columns.
    pub(super) fn transposed(&self) -> Table {
        let mut data = Vec::with_capacity(self.data.len());
        for column in 0..self.width {
            data.extend(self.each_row().filter_map(|row| row.get(column)));
        }
        Table {
            rows: self.width,
            width: self.rows,
            data,
        }
    }
}

/// The numbers of an attribute, whatever its shape.
pub(super) fn numbers(object: View<'_>, name: &str) -> Result<(Vec<usize>, Vec<f64>), Refusal> {
    let value = object.attribute(name)?;
    let Some((shape, data)) = value.numbers() else {
        refuse!("`{name}` holds no numbers but a `{}`", value.kind());
    };
    if shape
        .iter()
        .try_fold(1usize, |all, &extent| all.checked_mul(extent))
        != Some(data.len())
    {
        refuse!("`{name}` of shape {shape:?} has {} elements", data.len());
    }
    Ok((shape, data))
}

/// An attribute of one axis, of `length` numbers.
pub(super) fn vector(object: View<'_>, name: &str, length: usize) -> Result<Vec<f64>, Refusal> {
    let (shape, data) = numbers(object, name)?;
    if shape.len() > 1 || data.len() != length {
        refuse!("`{name}` has shape {shape:?} instead of [{length}]");
    }
    Ok(data)
}

/// An attribute of two axes; one of one axis is a single row.
pub(super) fn table(object: View<'_>, name: &str) -> Result<Table, Refusal> {
    let (shape, data) = numbers(object, name)?;
    match *shape {
        [rows, width] => Ok(Table { rows, width, data }),
        [width] => Ok(Table { rows: 1, width, data }),
        _ => refuse!("`{name}` has shape {shape:?} instead of two axes"),
    }
}

/// Checks that a table has this shape.
pub(super) fn expect(table: &Table, name: &str, rows: usize, width: usize) -> Result<(), Refusal> {
    if (table.rows, table.width) != (rows, width) {
        refuse!(
            "`{name}` has shape [{}, {}] instead of [{rows}, {width}]",
            table.rows,
            table.width
        );
    }
    Ok(())
}

/// A number that an estimator must have.
pub(super) fn number(object: View<'_>, name: &str) -> Result<f64, Refusal> {
    let value = object.attribute(name)?;
    match value.number() {
        Some(number) => Ok(number),
        None => refuse!("`{name}` is no number but a `{}`", value.kind()),
    }
}

/// A count that an estimator must have.
pub(super) fn count(object: View<'_>, name: &str) -> Result<usize, Refusal> {
    let value = object.attribute(name)?;
    match value.whole().and_then(|whole| usize::try_from(whole).ok()) {
        Some(count) => Ok(count),
        None => refuse!("`{name}` is no count but a `{}`", value.kind()),
    }
}

/// A switch, `default` where versions of the estimator do not have it.
pub(super) fn switch(object: View<'_>, name: &str, default: bool) -> Result<bool, Refusal> {
    match object.get(name) {
        None => Ok(default),
        Some(value) if value.is_none() => Ok(default),
        Some(value) => match value.truth() {
            Some(truth) => Ok(truth),
            None => refuse!("`{name}` is no switch but a `{}`", value.kind()),
        },
    }
}

/// A word such as the name of a kernel, `default` where versions of the estimator do not have it.
pub(super) fn word<'a>(object: View<'a>, name: &str, default: &'a str) -> Result<&'a str, Refusal> {
    match object.get(name) {
        None => Ok(default),
        Some(value) => match value.text() {
            Some(text) => Ok(text),
            None => refuse!("`{name}` is a `{}`, which is not covered", value.kind()),
        },
    }
}

/// Texts such as feature names; `None` where the attribute is absent or `None`.
pub(super) fn texts(object: View<'_>, name: &str) -> Result<Option<Vec<std::sync::Arc<str>>>, Refusal> {
    use crate::flavor::formats::object::{ArrayElements, Object};
    let Some(value) = object.get(name).filter(|value| !value.is_none()) else {
        return Ok(None);
    };
    if let Object::Array(array) = value.object()
        && let ArrayElements::Text(texts) = &array.elements
    {
        return Ok(Some(texts.clone()));
    }
    let texts = value
        .members()
        .and_then(|members| members.iter().map(|member| Some(member.text()?.into())).collect());
    match texts {
        Some(texts) => Ok(Some(texts)),
        None => refuse!("`{name}` holds no texts but a `{}`", value.kind()),
    }
}
