//! Reads the JSON text of a signature.

use serde_json::Value as Json;

use super::{
    ColumnSchema, ColumnSpec, ColumnType, DataType, ParamSpec, Property, Schema, Signature, TensorSpec,
};
use crate::model::tensor::DType;
use crate::model::value::Value;

/// Types may nest this deep.
const MAX_DEPTH: usize = 32;
/// A side of a signature may have this many entries.
const MAX_ENTRIES: usize = 100_000;

/// Why the text is no signature.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The text is not JSON.
    #[error("signature {side} is not JSON")]
    Json {
        /// `inputs`, `outputs` or `params`.
        side: &'static str,
        /// The parser's complaint.
        #[source]
        source: serde_json::Error,
    },
    /// The JSON has another shape than a signature has.
    #[error("signature {side}, entry {entry}: {problem}")]
    Entry {
        /// `inputs`, `outputs` or `params`.
        side: &'static str,
        /// Position of the entry.
        entry: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The JSON is no list, or an absurdly long one.
    #[error("signature {side}: {problem}")]
    Side {
        /// `inputs`, `outputs` or `params`.
        side: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl Signature {
    /// Reads the three JSON texts of an `MLmodel`'s signature; an absent or `null` text declares nothing.
    pub fn parse(
        inputs: Option<&str>,
        outputs: Option<&str>,
        params: Option<&str>,
    ) -> Result<Signature, SignatureError> {
        Ok(Signature {
            inputs: entries("inputs", inputs)?
                .map(|list| schema("inputs", &list))
                .transpose()?,
            outputs: entries("outputs", outputs)?
                .map(|list| schema("outputs", &list))
                .transpose()?,
            params: entries("params", params)?
                .map(|list| param_specs(&list))
                .transpose()?,
        })
    }
}

fn entries(side: &'static str, text: Option<&str>) -> Result<Option<Vec<Json>>, SignatureError> {
    let Some(text) = text else { return Ok(None) };
    match serde_json::from_str(text).map_err(|source| SignatureError::Json { side, source })? {
        Json::Null => Ok(None),
        Json::Array(list) if list.len() <= MAX_ENTRIES => Ok(Some(list)),
        Json::Array(list) => Err(SignatureError::Side {
            side,
            problem: format!("{} entries, at most {MAX_ENTRIES} are read", list.len()),
        }),
        other => Err(SignatureError::Side {
            side,
            problem: format!("expected a list, got `{other}`"),
        }),
    }
}

fn schema(side: &'static str, list: &[Json]) -> Result<Schema, SignatureError> {
    let at = |entry: usize| move |problem: String| SignatureError::Entry { side, entry, problem };
    let tensors = list
        .iter()
        .filter(|item| type_name(item) == Some("tensor"))
        .count();
    if tensors == 0 {
        let columns = list
            .iter()
            .enumerate()
            .map(|(entry, item)| column(item).map_err(at(entry)));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let named = columns.iter().filter(|column| column.name.is_some()).count();
        if named != 0 && named != columns.len() {
            return Err(SignatureError::Side {
                side,
                problem: "some columns are named, some are not".into(),
            });
        }
        return Ok(Schema::Columns(ColumnSchema::new(columns)));
    }
    if tensors != list.len() {
        return Err(SignatureError::Side {
            side,
            problem: "columns and tensors are mixed".into(),
        });
    }
    let tensors = list
        .iter()
        .enumerate()
        .map(|(entry, item)| tensor(item).map_err(at(entry)));
    let tensors = tensors.collect::<Result<Vec<_>, _>>()?;
    if tensors.len() > 1 && tensors.iter().any(|tensor| tensor.name.is_none()) {
        return Err(SignatureError::Side {
            side,
            problem: "several tensors, not all of them named".into(),
        });
    }
    Ok(Schema::Tensors(tensors))
}

fn type_name(item: &Json) -> Option<&str> {
    item.get("type").and_then(Json::as_str)
}

fn name_of(item: &Json) -> Result<Option<std::sync::Arc<str>>, String> {
    match item.get("name") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(name)) => Ok(Some(name.as_str().into())),
        // Column labels of a frame without names were written as numbers by old versions.
        Some(Json::Number(number)) => Ok(Some(number.to_string().into())),
        Some(other) => Err(format!("`name` is `{other}`, expected text")),
    }
}

/// `required` (2.10 and later) wins over `optional` (before); absent, scalars are required and nested types are not.
fn required_of(item: &Json, kind: &ColumnType) -> bool {
    if let Some(required) = item.get("required").and_then(Json::as_bool) {
        return required;
    }
    if let Some(optional) = item.get("optional").and_then(Json::as_bool) {
        return !optional;
    }
    matches!(
        kind,
        ColumnType::Scalar(_) | ColumnType::Any | ColumnType::SparkMlVector
    )
}

fn column(item: &Json) -> Result<ColumnSpec, String> {
    let kind = column_type(item, MAX_DEPTH)?;
    Ok(ColumnSpec {
        name: name_of(item)?,
        required: required_of(item, &kind),
        kind,
    })
}

fn column_type(item: &Json, depth: usize) -> Result<ColumnType, String> {
    let depth = depth
        .checked_sub(1)
        .ok_or_else(|| format!("types nest deeper than {MAX_DEPTH}"))?;
    let name = type_name(item).ok_or_else(|| format!("no `type` in `{item}`"))?;
    let inner = |key: &str| {
        item.get(key)
            .ok_or_else(|| format!("type `{name}` without `{key}`"))
    };
    Ok(match name {
        "array" => ColumnType::Array(Box::new(column_type(inner("items")?, depth)?)),
        "map" => ColumnType::Map(Box::new(column_type(inner("values")?, depth)?)),
        "object" => {
            let Json::Object(properties) = inner("properties")? else {
                return Err("`properties` is no object".into());
            };
            let property = |(key, value): (&String, &Json)| {
                let kind = column_type(value, depth)?;
                // A property, unlike a column, is required unless it says otherwise, whatever its type.
                let required = match (value.get("required"), value.get("optional")) {
                    (None, None) => true,
                    _ => required_of(value, &kind),
                };
                Ok(Property {
                    name: key.as_str().into(),
                    required,
                    kind,
                })
            };
            let mut properties = properties
                .iter()
                .map(property)
                .collect::<Result<Vec<_>, String>>()?;
            properties.sort_by(|a, b| a.name.cmp(&b.name));
            ColumnType::Object(properties)
        }
        "any" => ColumnType::Any,
        "sparkml_vector" => ColumnType::SparkMlVector,
        scalar => ColumnType::Scalar(
            DataType::from_name(scalar).ok_or_else(|| format!("type `{scalar}` is not known"))?,
        ),
    })
}

fn tensor(item: &Json) -> Result<TensorSpec, String> {
    let spec = item.get("tensor-spec").ok_or("tensor without `tensor-spec`")?;
    let dtype = spec
        .get("dtype")
        .and_then(Json::as_str)
        .ok_or("tensor without `dtype`")?;
    let dtype = dtype_from_numpy(dtype).ok_or_else(|| format!("dtype `{dtype}` is not known"))?;
    let shape = spec
        .get("shape")
        .and_then(Json::as_array)
        .ok_or("tensor without `shape`")?;
    let extent = |value: &Json| {
        value
            .as_i64()
            .filter(|&extent| extent >= -1)
            .ok_or_else(|| format!("extent `{value}` in `shape`"))
    };
    Ok(TensorSpec {
        name: name_of(item)?,
        dtype,
        shape: shape.iter().map(extent).collect::<Result<_, String>>()?,
    })
}

/// NumPy's names of element types, also the sized text types (`<U5`, `S3`) and other widths of datetime64.
fn dtype_from_numpy(name: &str) -> Option<DType> {
    Some(match name {
        "bool" => DType::Bool,
        "int8" => DType::I8,
        "int16" => DType::I16,
        "int32" => DType::I32,
        "int64" => DType::I64,
        "uint8" => DType::U8,
        "uint16" => DType::U16,
        "uint32" => DType::U32,
        "uint64" => DType::U64,
        "float16" => DType::F16,
        "float32" => DType::F32,
        "float64" => DType::F64,
        "str" => DType::Str,
        "object" => DType::Object,
        _ if name.starts_with("<U") || name.starts_with("str") => DType::Str,
        _ if name.starts_with("datetime64") => DType::Datetime,
        _ if name.starts_with("bytes") || name.starts_with("|S") => DType::Object,
        _ => return None,
    })
}

fn param_specs(list: &[Json]) -> Result<Vec<ParamSpec>, SignatureError> {
    let one = |(entry, item): (usize, &Json)| {
        param(item).map_err(|problem| SignatureError::Entry {
            side: "params",
            entry,
            problem,
        })
    };
    list.iter().enumerate().map(one).collect()
}

fn param(item: &Json) -> Result<ParamSpec, String> {
    let name = name_of(item)?.ok_or("parameter without `name`")?;
    // `dtype` is how 2.6 wrote it first.
    let kind = match (item.get("type"), item.get("dtype").and_then(Json::as_str)) {
        (None, Some(dtype)) => ColumnType::Scalar(
            DataType::from_name(dtype).ok_or_else(|| format!("type `{dtype}` is not known"))?,
        ),
        _ => column_type(item, MAX_DEPTH)?,
    };
    let list = match item.get("shape") {
        None | Some(Json::Null) => false,
        Some(Json::Array(shape)) if shape.len() == 1 => true,
        Some(other) => return Err(format!("`shape` is `{other}`, expected null or [-1]")),
    };
    Ok(ParamSpec {
        name,
        kind,
        default: value(item.get("default").unwrap_or(&Json::Null)),
        list,
    })
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::Int(integer),
            (None, Some(float)) => Value::Float(float),
            (None, None) => Value::BigInt(number.to_string().into()),
        },
        Json::String(text) => Value::Str(text.as_str().into()),
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        Json::Object(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, item)| (key.as_str().into(), value(item)))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(text: &str) -> Result<Schema, SignatureError> {
        Ok(Signature::parse(Some(text), None, None)?.inputs.unwrap())
    }

    #[test]
    fn both_ways_of_saying_optional_are_read() {
        let text = r#"[{"type":"double","name":"a","required":false},{"type":"double","name":"b","optional":true},
            {"type":"long","name":"c"},{"type":"array","items":{"type":"double"},"name":"d"}]"#;
        let Schema::Columns(columns) = inputs(text).unwrap() else {
            panic!("columns expected")
        };
        let required: Vec<bool> = columns.columns().iter().map(|column| column.required).collect();
        assert_eq!(required, [false, false, true, false]);
        assert!(columns.named());
    }

    #[test]
    fn tensors_with_and_without_names() {
        let text = r#"[{"type":"tensor","tensor-spec":{"dtype":"float32","shape":[-1,4]}}]"#;
        let Schema::Tensors(tensors) = inputs(text).unwrap() else {
            panic!("tensors expected")
        };
        assert_eq!(
            (tensors[0].dtype, tensors[0].shape.as_slice()),
            (DType::F32, &[-1, 4][..])
        );
        assert_eq!(tensors[0].name, None);
    }

    #[test]
    fn every_mistake_says_where() {
        for (text, wanted) in [
            ("{", "signature inputs is not JSON"),
            ("3", "signature inputs: expected a list, got `3`"),
            (
                r#"[{"type":"quaternion"}]"#,
                "signature inputs, entry 0: type `quaternion` is not known",
            ),
            (
                r#"[{"type":"long","name":"a"},{"type":"long"}]"#,
                "some columns are named, some are not",
            ),
            (
                r#"[{"type":"tensor","tensor-spec":{"dtype":"float32","shape":[-7]}}]"#,
                "extent `-7` in `shape`",
            ),
        ] {
            let message = inputs(text).unwrap_err().to_string();
            assert!(message.contains(wanted), "{text}: {message}");
        }
    }

    #[test]
    fn nesting_has_a_bound() {
        let text = r#"{"type":"array","items":"#.repeat(100) + r#"{"type":"long"}"# + &"}".repeat(100);
        let message = inputs(&format!("[{text}]")).unwrap_err().to_string();
        assert!(message.contains("deeper than 32"), "{message}");
    }

    #[test]
    fn parameters_of_both_spellings() {
        let text = r#"[{"name":"n","default":2,"shape":null,"type":"long"},
            {"name":"tags","default":["a"],"shape":[-1],"dtype":"string"}]"#;
        let params = Signature::parse(None, None, Some(text)).unwrap().params.unwrap();
        assert_eq!(params[0].default, Value::Int(2));
        assert!(params[1].list && !params[0].list);
    }
}
