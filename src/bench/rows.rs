//! Request bodies of any number of rows, made of the few rows of an example.

use serde_json::{Map, Value as Json};

/// Longest body made.
const MAX_BODY: usize = 1 << 30;

/// The form of a JSON body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `{"inputs": …}`
    Inputs,
    /// `{"instances": …}`
    Instances,
    /// `{"dataframe_split": …}`
    Split,
    /// `{"dataframe_records": …}`
    Records,
}

impl Format {
    /// Every form.
    pub const ALL: [Format; 4] = [Format::Inputs, Format::Instances, Format::Split, Format::Records];

    /// The member that holds the rows.
    pub fn name(self) -> &'static str {
        match self {
            Format::Inputs => "inputs",
            Format::Instances => "instances",
            Format::Split => "dataframe_split",
            Format::Records => "dataframe_records",
        }
    }
}

/// Why no body can be made of an example.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRows {
    /// It is not what `/invocations` takes.
    #[error("the example is no request with rows: {0}; give the body with --body")]
    Example(&'static str),
    /// The form needs what the rows do not have.
    #[error("the model's rows have no column names, as `{0}` needs; use --format inputs or instances")]
    Nameless(&'static str),
    /// The rows would not fit.
    #[error("{0} rows are more than a body of {MAX_BODY} bytes; use fewer --rows")]
    TooLong(usize),
}

/// The rows of an example.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    rows: Rows,
    params: Option<Json>,
    /// The form it came in.
    format: Format,
}

#[derive(Debug, Clone, PartialEq)]
enum Rows {
    /// Cells under names.
    Named(Vec<String>, Vec<Vec<Json>>),
    /// Elements of an array.
    Array(Vec<Json>),
}

impl Example {
    /// Reads a JSON body.
    ///
    /// # Errors
    /// When it has no rows of a known form.
    pub fn read(body: &Json) -> Result<Example, NoRows> {
        let members = body.as_object().ok_or(NoRows::Example("it is no JSON object"))?;
        let found = Format::ALL
            .iter()
            .find_map(|format| Some((*format, members.get(format.name())?)));
        let (format, value) = found.ok_or(NoRows::Example("it has none of the known members"))?;
        let rows = match (format, value) {
            (Format::Split, Json::Object(frame)) => split(frame)?,
            (Format::Inputs, Json::Object(columns)) => transposed(columns)?,
            (_, Json::Array(rows)) if rows.iter().all(Json::is_object) => records(rows)?,
            (Format::Inputs | Format::Instances, Json::Array(rows)) => Rows::Array(rows.clone()),
            _ => return Err(NoRows::Example("its rows have another form")),
        };
        let empty = match &rows {
            Rows::Named(_, rows) => rows.is_empty(),
            Rows::Array(rows) => rows.is_empty(),
        };
        if empty {
            return Err(NoRows::Example("it has no rows"));
        }
        Ok(Example {
            rows,
            params: members.get("params").cloned(),
            format,
        })
    }

    /// A body of so many rows, which are those of the example over and over.
    ///
    /// # Errors
    /// When the rows do not have that form, or are too many.
    pub fn body(&self, count: usize, format: Option<Format>) -> Result<Vec<u8>, NoRows> {
        let format = format.unwrap_or(self.format);
        let content = match (&self.rows, format) {
            (Rows::Array(rows), Format::Inputs | Format::Instances) => list(&texts(rows), count)?,
            (Rows::Array(rows), Format::Split) => {
                let cells: Vec<Json> = rows.iter().map(as_row).collect();
                format!("{{\"data\":{}}}", list(&texts(&cells), count)?)
            }
            (Rows::Array(_), Format::Records) => return Err(NoRows::Nameless(format.name())),
            (Rows::Named(names, rows), Format::Split) => {
                let rows: Vec<Json> = rows.iter().map(|row| Json::Array(row.clone())).collect();
                let columns = Json::from(names.clone());
                format!(
                    "{{\"columns\":{columns},\"data\":{}}}",
                    list(&texts(&rows), count)?
                )
            }
            (Rows::Named(names, rows), Format::Records | Format::Instances) => {
                let record = |row: &Vec<Json>| {
                    let members = names.iter().cloned().zip(row.iter().cloned());
                    Json::Object(members.collect())
                };
                let rows: Vec<Json> = rows.iter().map(record).collect();
                list(&texts(&rows), count)?
            }
            (Rows::Named(names, rows), Format::Inputs) => columns(names, rows, count)?,
        };
        let mut body = format!("{{\"{}\":{content}", format.name());
        if let Some(params) = &self.params {
            body.push_str(&format!(",\"params\":{params}"));
        }
        body.push('}');
        Ok(body.into_bytes())
    }
}

fn split(frame: &Map<String, Json>) -> Result<Rows, NoRows> {
    let data = frame.get("data").and_then(Json::as_array);
    let data = data.ok_or(NoRows::Example("`dataframe_split` has no `data`"))?;
    let Some(columns) = frame.get("columns").and_then(Json::as_array) else {
        return Ok(Rows::Array(data.clone()));
    };
    let names: Option<Vec<String>> = columns
        .iter()
        .map(|name| name.as_str().map(str::to_owned))
        .collect();
    // Numbered columns are no names.
    let Some(names) = names else {
        return Ok(Rows::Array(data.clone()));
    };
    let rows: Option<Vec<Vec<Json>>> = data
        .iter()
        .map(|row| row.as_array().filter(|row| row.len() == names.len()).cloned())
        .collect();
    let rows = rows.ok_or(NoRows::Example("its rows are not as wide as its columns"))?;
    Ok(Rows::Named(names, rows))
}

fn records(rows: &[Json]) -> Result<Rows, NoRows> {
    let first = rows.first().and_then(Json::as_object);
    let names: Vec<String> = first.map(|row| row.keys().cloned().collect()).unwrap_or_default();
    let cells =
        |row: &Json| -> Option<Vec<Json>> { names.iter().map(|name| row.get(name).cloned()).collect() };
    let rows: Option<Vec<Vec<Json>>> = rows.iter().map(cells).collect();
    let rows = rows.ok_or(NoRows::Example("its records have different columns"))?;
    Ok(Rows::Named(names, rows))
}

fn transposed(columns: &Map<String, Json>) -> Result<Rows, NoRows> {
    let lists: Option<Vec<&Vec<Json>>> = columns.values().map(Json::as_array).collect();
    let lists = lists.ok_or(NoRows::Example("its inputs are no lists"))?;
    let count = lists.first().map_or(0, |list| list.len());
    if lists.iter().any(|list| list.len() != count) {
        return Err(NoRows::Example("its inputs differ in length"));
    }
    let row = |at: usize| lists.iter().filter_map(|list| list.get(at).cloned()).collect();
    Ok(Rows::Named(
        columns.keys().cloned().collect(),
        (0..count).map(row).collect(),
    ))
}

/// A row of a table: an element that is a list, or a table of one column.
fn as_row(element: &Json) -> Json {
    match element {
        Json::Array(_) => element.clone(),
        single => Json::Array(vec![single.clone()]),
    }
}

fn texts(values: &[Json]) -> Vec<String> {
    values.iter().map(Json::to_string).collect()
}

/// `{"a":[…],"b":[…]}`
fn columns(names: &[String], rows: &[Vec<Json>], count: usize) -> Result<String, NoRows> {
    let mut out = String::from("{");
    for (at, name) in names.iter().enumerate() {
        let column: Vec<Json> = rows.iter().filter_map(|row| row.get(at).cloned()).collect();
        let comma = if at == 0 { "" } else { "," };
        let content = list(&texts(&column), count)?;
        out.push_str(&format!("{comma}{}:{content}", Json::from(name.as_str())));
        if out.len() > MAX_BODY {
            return Err(NoRows::TooLong(count));
        }
    }
    out.push('}');
    Ok(out)
}

/// A list of so many of the texts, over and over.
fn list(texts: &[String], count: usize) -> Result<String, NoRows> {
    let mut out = String::from("[");
    for (at, text) in texts.iter().cycle().take(count).enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(text);
        if out.len() > MAX_BODY {
            return Err(NoRows::TooLong(count));
        }
    }
    out.push(']');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(example: Json, rows: usize, format: Option<Format>, wanted: Json) {
        let body = Example::read(&example).unwrap().body(rows, format).unwrap();
        assert_eq!(
            serde_json::from_slice::<Json>(&body).unwrap(),
            wanted,
            "{example}"
        );
    }

    #[test]
    fn rows_are_repeated_in_their_own_form() {
        check(
            json!({"inputs": [[1, 2], [3, 4]]}),
            3,
            None,
            json!({"inputs": [[1, 2], [3, 4], [1, 2]]}),
        );
        check(
            json!({"inputs": [[1, 2], [3, 4]]}),
            1,
            None,
            json!({"inputs": [[1, 2]]}),
        );
        check(
            json!({"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"]]}, "params": {"p": 1}}),
            2,
            None,
            json!({"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [1, "x"]]}, "params": {"p": 1}}),
        );
        check(
            json!({"inputs": {"a": [[1, 2], [3, 4]], "b": ["x", "y"]}}),
            3,
            None,
            json!({"inputs": {"a": [[1, 2], [3, 4], [1, 2]], "b": ["x", "y", "x"]}}),
        );
    }

    #[test]
    fn rows_take_every_form_that_they_can() {
        let named = json!({"dataframe_records": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]});
        for (format, wanted) in [
            (Format::Inputs, json!({"inputs": {"a": [1, 2], "b": ["x", "y"]}})),
            (
                Format::Instances,
                json!({"instances": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]}),
            ),
            (
                Format::Split,
                json!({"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2, "y"]]}}),
            ),
            (Format::Records, named.clone()),
        ] {
            check(named.clone(), 2, Some(format), wanted);
        }
        check(
            json!({"inputs": [1, 2]}),
            2,
            Some(Format::Split),
            json!({"dataframe_split": {"data": [[1], [2]]}}),
        );
        check(
            json!({"inputs": [[1]]}),
            1,
            Some(Format::Instances),
            json!({"instances": [[1]]}),
        );
        let nameless = Example::read(&json!({"inputs": [[1]]})).unwrap();
        assert_eq!(
            nameless.body(1, Some(Format::Records)),
            Err(NoRows::Nameless("dataframe_records"))
        );
    }

    #[test]
    fn what_has_no_rows_is_refused() {
        for example in [
            json!([1]),
            json!({"messages": []}),
            json!({"inputs": 3}),
            json!({"inputs": []}),
            json!({"inputs": {"a": [1], "b": [1, 2]}}),
            json!({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}),
            json!({"dataframe_records": [{"a": 1}, {"b": 1}]}),
        ] {
            assert!(
                matches!(Example::read(&example), Err(NoRows::Example(_))),
                "{example}"
            );
        }
    }
}
