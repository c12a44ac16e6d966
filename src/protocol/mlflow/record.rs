//! The flat form of one row, for people and web forms: `{"sex": "M", "length": 0.455}` or `sex=M&length=0.455`.
//!
//! A record becomes a body of `/invocations` of one row, which the codec of those reads: what a model is handed, and what
//! is refused, is the same there. All that is done here is to make numbers and truth values of texts, by the signature.

use std::collections::HashMap;
use std::str::FromStr;

use percent_encoding::percent_decode;
use serde_json::Value as Json;

use super::encode::text::write_str;
use super::encode::{self, write_value};
use super::json::{JsonCodec, read::read};
use crate::model::batch::Batch;
use crate::model::classes::Classes;
use crate::model::signature::{ColumnType, DataType, Schema, Signature, TensorSpec};
use crate::model::tensor::DType;
use crate::model::value::Value;
use crate::protocol::{Codec, Decoded, Limits, Reply};
use crate::serve::error::{Error, Kind};

/// Characters of a client's text that a message repeats.
const SHOWN: usize = 80;
/// Levels that an answer may nest: more than any that is written.
const ANSWER_DEPTH: usize = 300;

/// How a record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A JSON object.
    Json,
    /// `application/x-www-form-urlencoded`
    Fields,
}

/// The form that a `Content-Type` header names.
///
/// # Errors
/// [`Kind::UnsupportedMedia`] for any other, or none.
pub fn form(content_type: Option<&[u8]>) -> Result<Form, Error> {
    let text = String::from_utf8_lossy(content_type.unwrap_or_default());
    let kind = text.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(Form::Json);
    }
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(Form::Fields);
    }
    Err(Error::new(
        Kind::UnsupportedMedia,
        format!(
            "The content type is `{}`: send application/json with a flat record, or \
             application/x-www-form-urlencoded.",
            shown(kind)
        ),
    ))
}

/// Reads a record into what a model with this signature is handed.
///
/// # Errors
/// [`Kind::InvalidInput`] naming the field that cannot be read; as [`Codec::decode`] where the row does not fit.
pub fn decode(
    codec: &JsonCodec,
    body: &[u8],
    form: Form,
    signature: &Signature,
    limits: Limits,
) -> Result<Decoded, Error> {
    let fields = match form {
        Form::Json => members(body, limits)?,
        Form::Fields => pairs(body)?,
    };
    let body = match &signature.inputs {
        None => table(
            fields
                .into_iter()
                .map(|(name, value)| (Some(name), value))
                .collect(),
        )?,
        Some(Schema::Columns(columns)) if columns.named() => {
            let mut row = Vec::with_capacity(fields.len());
            for (name, value) in fields {
                let column = columns.position(&name).and_then(|at| columns.columns().get(at));
                let value = match column {
                    Some(column) => typed(
                        &name,
                        value,
                        Target::of_column(&column.kind),
                        !column.required,
                        limits,
                    )?,
                    None => Some(value),
                };
                row.extend(value.map(|value| (Some(name), value)));
            }
            table(row)?
        }
        Some(Schema::Columns(columns)) => {
            let targets: Vec<Target> = columns
                .columns()
                .iter()
                .map(|column| Target::of_column(&column.kind))
                .collect();
            let row = positions(fields, &targets, limits)?;
            table(row.into_iter().map(|value| (None, value)).collect())?
        }
        Some(Schema::Tensors(tensors)) => arrays(fields, tensors, limits)?,
    };
    codec.decode(&body, signature, limits)
}

/// What a field should become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Boolean,
    Integer,
    Float,
    Text,
    /// Lists and objects, which a form writes as JSON.
    Nested,
    Any,
}

impl Target {
    fn of_column(kind: &ColumnType) -> Target {
        match kind {
            ColumnType::Scalar(DataType::Boolean) => Target::Boolean,
            ColumnType::Scalar(DataType::Integer | DataType::Long) => Target::Integer,
            ColumnType::Scalar(DataType::Float | DataType::Double) => Target::Float,
            ColumnType::Scalar(DataType::String | DataType::Binary | DataType::Datetime) => Target::Text,
            ColumnType::Array(_) | ColumnType::Object(_) | ColumnType::Map(_) | ColumnType::SparkMlVector => {
                Target::Nested
            }
            ColumnType::Any => Target::Any,
        }
    }

    fn of_tensor(kind: DType) -> Target {
        match kind {
            DType::Bool => Target::Boolean,
            DType::F16 | DType::F32 | DType::F64 => Target::Float,
            DType::Str | DType::Object | DType::Datetime => Target::Text,
            _ => Target::Integer,
        }
    }
}

/// The value of a field in its column's type; `None` for an empty text where the column may be missing.
fn typed(
    name: &str,
    value: Value,
    target: Target,
    optional: bool,
    limits: Limits,
) -> Result<Option<Value>, Error> {
    let Value::Str(text) = &value else {
        return Ok(Some(value));
    };
    let word = text.trim();
    if matches!(target, Target::Text | Target::Any) {
        return Ok(Some(value));
    }
    if word.is_empty() {
        return match optional {
            true => Ok(None),
            false => Err(bad(name, word, "the model needs it")),
        };
    }
    let value = match target {
        Target::Boolean if word.eq_ignore_ascii_case("true") => Value::Bool(true),
        Target::Boolean if word.eq_ignore_ascii_case("false") => Value::Bool(false),
        Target::Boolean => return Err(bad(name, word, "use true or false")),
        Target::Integer => {
            Value::Int(number(word).ok_or_else(|| bad(name, word, "use a whole number, such as 3"))?)
        }
        Target::Float => {
            Value::Float(number(word).ok_or_else(|| bad(name, word, "use a number, such as 0.5"))?)
        }
        Target::Nested => read(word, limits.depth)
            .map_err(|problem| bad(name, word, &format!("use JSON, such as [1, 2]: {problem}")))?,
        Target::Text | Target::Any => return Ok(Some(value)),
    };
    Ok(Some(value))
}

fn number<T: FromStr>(word: &str) -> Option<T> {
    word.parse().ok()
}

fn bad(name: &str, word: &str, help: &str) -> Error {
    Error::new(
        Kind::InvalidInput,
        format!("The field `{}` is `{}`: {help}.", shown(name), shown(word)),
    )
}

fn shown(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = text.chars().take(SHOWN).map(clean).collect();
    if line.len() < text.len() {
        line.push('…');
    }
    line
}

// === reading fields ===

fn members(body: &[u8], limits: Limits) -> Result<Vec<(Box<str>, Value)>, Error> {
    let refuse = |problem: &str| {
        Error::new(
            Kind::InvalidInput,
            format!("The body must be one flat JSON object, such as {{\"length\": 0.455}}: {problem}."),
        )
    };
    let text = std::str::from_utf8(body).map_err(|_| refuse("it is not UTF-8"))?;
    match read(text, limits.depth).map_err(|problem| refuse(&problem))? {
        Value::Map(members) if !members.is_empty() => Ok(members),
        Value::Map(_) => Err(refuse("it has no fields")),
        other => Err(refuse(&format!("it is a {}", other.python_type()))),
    }
}

fn pairs(body: &[u8]) -> Result<Vec<(Box<str>, Value)>, Error> {
    let mut fields = Vec::new();
    let mut known: HashMap<String, ()> = HashMap::new();
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(at);
        let name = unescaped(name)?;
        let value = unescaped(value.get(1..).unwrap_or_default())?;
        if known.insert(name.clone(), ()).is_some() {
            return Err(bad(&name, &value, "it comes twice"));
        }
        fields.push((name.into(), Value::Str(value.into())));
    }
    if fields.is_empty() {
        return Err(Error::new(
            Kind::InvalidInput,
            "The form has no fields: send the model's columns, such as length=0.455&sex=M.",
        ));
    }
    Ok(fields)
}

fn unescaped(bytes: &[u8]) -> Result<String, Error> {
    let spaced: Vec<u8> = bytes
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    let text = percent_decode(&spaced).decode_utf8();
    let text = text.map_err(|_| Error::new(Kind::InvalidInput, "The form is not UTF-8."))?;
    Ok(text.into_owned())
}

// === writing the body ===

/// `dataframe_split` of one row; columns without names where the first has none.
fn table(row: Vec<(Option<Box<str>>, Value)>) -> Result<Vec<u8>, Error> {
    let mut out = b"{\"dataframe_split\": {".to_vec();
    if row.iter().all(|(name, _)| name.is_some()) {
        out.extend_from_slice(b"\"columns\": ");
        list(&row, &mut out, |(name, _), out| {
            write_str(out, name.as_deref().unwrap_or_default());
            Ok(())
        })?;
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(b"\"data\": [");
    list(&row, &mut out, |(_, value), out| write_value(value, 0, out))?;
    out.extend_from_slice(b"]}}");
    Ok(out)
}

fn list<T>(
    items: &[T],
    out: &mut Vec<u8>,
    write: impl Fn(&T, &mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    out.push(b'[');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write(item, out)?;
    }
    out.push(b']');
    Ok(())
}

/// `inputs` of one row.
fn arrays(fields: Vec<(Box<str>, Value)>, tensors: &[TensorSpec], limits: Limits) -> Result<Vec<u8>, Error> {
    let mut out = b"{\"inputs\": ".to_vec();
    if let [
        TensorSpec {
            name: None,
            dtype,
            shape,
        },
    ] = tensors
    {
        let target = Target::of_tensor(*dtype);
        match shape.as_slice() {
            [-1] => {
                let row = positions(fields, &[target], limits)?;
                list(&row, &mut out, |value, out| write_value(value, 0, out))?;
            }
            [-1, width] if (1..=MAX_WIDTH).contains(width) => {
                let targets = vec![target; usize::try_from(*width).unwrap_or_default()];
                let row = positions(fields, &targets, limits)?;
                out.push(b'[');
                list(&row, &mut out, |value, out| write_value(value, 0, out))?;
                out.push(b']');
            }
            shape => {
                return Err(Error::new(
                    Kind::InvalidInput,
                    format!(
                        "The model takes an array of shape {shape:?}, which no flat record can say: use POST /invocations \
                         with {{\"inputs\": …}}."
                    ),
                ));
            }
        }
        out.push(b'}');
        return Ok(out);
    }
    out.push(b'{');
    for (position, (name, value)) in fields.into_iter().enumerate() {
        let spec = tensors.iter().find(|spec| spec.name.as_deref() == Some(&*name));
        let value = match spec {
            Some(spec) => {
                let list = matches!(&value, Value::Str(text) if text.trim_start().starts_with('['));
                let target = match list && spec.shape.len() > 1 {
                    true => Target::Nested,
                    false => Target::of_tensor(spec.dtype),
                };
                typed(&name, value, target, false, limits)?
            }
            None => Some(value),
        };
        let lone = !matches!(value, Some(Value::List(_)));
        let column = lone && spec.is_some_and(|spec| matches!(spec.shape.as_slice(), [_, 1]));
        if position > 0 {
            out.push(b',');
        }
        write_str(&mut out, &name);
        out.extend_from_slice(if column { b": [[" } else { b": [" });
        write_value(&value.unwrap_or(Value::Null), 0, &mut out)?;
        out.extend_from_slice(if column { b"]]" } else { b"]" });
    }
    out.extend_from_slice(b"}}");
    Ok(out)
}

/// Widest array that a record is read for.
const MAX_WIDTH: i64 = 1 << 16;

/// The values of columns without names, which a record calls by their positions: `0`, `1` and so on.
fn positions(
    fields: Vec<(Box<str>, Value)>,
    targets: &[Target],
    limits: Limits,
) -> Result<Vec<Value>, Error> {
    let last = targets.len().saturating_sub(1);
    let mut row: Vec<Option<Value>> = vec![None; targets.len()];
    for (name, value) in fields {
        let at = name.parse::<usize>().ok().filter(|at| *name == *at.to_string());
        let place = at.and_then(|at| Some((row.get_mut(at)?, targets.get(at)?)));
        let Some((place, target)) = place else {
            return Err(Error::new(
                Kind::InvalidInput,
                format!(
                    "There is no field `{}`: the model's columns have no names, so call them by their positions, `0` to \
                     `{last}`.",
                    shown(&name)
                ),
            ));
        };
        *place = typed(&name, value, *target, false, limits)?;
    }
    let missing = row.iter().position(Option::is_none);
    match missing {
        None => Ok(row.into_iter().flatten().collect()),
        Some(at) => Err(Error::new(
            Kind::InvalidInput,
            format!(
                "The field `{at}` is missing: the model's columns have no names, so call them by their positions, `0` to \
                 `{last}`."
            ),
        )),
    }
}

// === the answer ===

/// The prediction of one row: what `/invocations` answers, without the list around it. `NaN` is null.
///
/// # Errors
/// As [`Codec::encode`].
pub fn prediction(output: &Batch, classes: Option<&Classes>) -> Result<Json, Error> {
    let mut text = Vec::new();
    encode::encode(output, Reply::Bare, &mut text)?;
    let value = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| read(text, ANSWER_DEPTH).ok());
    let value =
        value.ok_or_else(|| Error::new(Kind::Internal, "an answer that was written cannot be read"))?;
    let lone = |value: Value| match value {
        Value::List(mut items) if items.len() == 1 => items.pop().unwrap_or(Value::Null),
        other => other,
    };
    let row = match value {
        Value::Map(members) => Value::Map(
            members
                .into_iter()
                .map(|(name, value)| (name, lone(value)))
                .collect(),
        ),
        other => lone(other),
    };
    Ok(match (json(row), classes) {
        (Json::Object(members), Some(classes)) => {
            // A float among others may be a score.
            let whole = |value: &Json| !value.is_f64();
            let member = |value| {
                if whole(&value) {
                    named(value, classes)
                } else {
                    value
                }
            };
            Json::Object(
                members
                    .into_iter()
                    .map(|(name, value)| (name, member(value)))
                    .collect(),
            )
        }
        (row, Some(classes)) => named(row, classes),
        (row, None) => row,
    })
}

/// A class by its name, and one number a class as an object.
fn named(value: Json, classes: &Classes) -> Json {
    match value {
        Json::Number(number) => {
            let class = number.as_u64().or_else(|| {
                let float = number
                    .as_f64()
                    .filter(|float| float.fract() == 0.0 && *float >= 0.0)?;
                Some(float as u64)
            });
            let name = class.and_then(|class| classes.name(usize::try_from(class).ok()?));
            name.map_or(Json::Number(number), |name| Json::String(name.to_owned()))
        }
        Json::Array(scores) if scores.len() == classes.count() && scores.iter().all(Json::is_number) => {
            let names = classes.names().map(str::to_owned);
            Json::Object(names.zip(scores).collect())
        }
        other => other,
    }
}

fn json(value: Value) -> Json {
    match value {
        Value::Null | Value::Bytes(_) | Value::Tensor(_) => Json::Null,
        Value::Bool(flag) => Json::Bool(flag),
        Value::Int(int) => Json::from(int),
        Value::BigInt(digits) => digits.parse::<f64>().map_or(Json::Null, Json::from),
        Value::Float(float) => Json::from(float),
        Value::Str(text) => Json::String(text.into()),
        Value::List(items) => items.into_iter().map(json).collect(),
        Value::Map(members) => Json::Object(
            members
                .into_iter()
                .map(|(name, value)| (name.into(), json(value)))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests;
