//! Parameters of a call, checked against the signature's parameter schema.

use crate::model::batch::Params;
use crate::model::signature::{ColumnType, DataType, ParamSpec, Signature};
use crate::model::value::Value;
use crate::protocol::mlflow::cast::{array, nested, number};
use crate::protocol::mlflow::python::{bounded, glimpse, repr_text, text_of};
use crate::serve::error::{Error, Kind};

/// The parameters a model is handed: those sent, and defaults for the others; none without a parameter schema.
///
/// # Errors
/// `InvalidParams` when `sent` is no object, or a value does not fit its type.
pub(crate) fn resolve(sent: Option<Value>, signature: &Signature) -> Result<Params, Error> {
    let Some(specs) = &signature.params else {
        return Ok(Params::new());
    };
    let refused = |problem: String| {
        let problem = bounded(problem);
        Err(Error::new(
            Kind::InvalidParams,
            format!("Failed to predict data '<input>'. \nError: {problem}"),
        ))
    };
    let sent = match sent {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Map(entries)) => entries,
        Some(other) => {
            return refused(format!(
                "Parameters must be a dictionary. Got type '{}'.",
                other.python_type()
            ));
        }
    };
    let mut params = Params::with_capacity(specs.len());
    let mut invalid = Vec::new();
    for spec in specs {
        let value = sent
            .iter()
            .find(|(name, _)| **name == *spec.name)
            .map(|(_, value)| value);
        match value.map_or_else(|| Ok(spec.default.clone()), |value| validate(value, spec)) {
            Ok(value) => params.push((spec.name.clone(), value)),
            Err(problem) => invalid.push(format!("({}, {})", repr_text(&spec.name), repr_text(&problem))),
        }
    }
    if invalid.is_empty() {
        return Ok(params);
    }
    refused(format!("Invalid parameters found: {{{}}}", invalid.join(", ")))
}

fn described(spec: &ParamSpec) -> String {
    let shape = if spec.list { " (shape: (-1,))" } else { "" };
    format!(
        "{}: {} (default: {}){shape}",
        repr_text(&spec.name),
        spec.kind,
        text_of(&spec.default)
    )
}

fn validate(value: &Value, spec: &ParamSpec) -> Result<Value, String> {
    if spec.list && !is_vector(value) {
        let axes = array::infer(value).map_or(0, |tensor| tensor.shape().len());
        return Err(format!(
            "Value must be a 1D array with shape (-1,) for param {}, received {} with ndim {axes}",
            described(spec),
            value.python_type()
        ));
    }
    let checked = match (value, &spec.kind) {
        (Value::List(items), ColumnType::Scalar(scalar)) if spec.list => items
            .iter()
            .map(|item| scalar_param(item, *scalar))
            .collect::<Result<_, _>>()
            .map(Value::List),
        (value, ColumnType::Scalar(scalar)) => scalar_param(value, *scalar),
        // Checked, but handed on as it was sent.
        (value, kind) => nested::enforce(value.clone(), kind, true).map(|_| value.clone()),
    };
    checked.map_err(|problem| {
        format!(
            "Failed to validate type and shape for {}, error: {problem}",
            described(spec)
        )
    })
}

fn is_vector(value: &Value) -> bool {
    matches!(value, Value::List(_)) && array::infer(value).is_ok_and(|tensor| tensor.shape().len() == 1)
}

fn scalar_param(value: &Value, kind: DataType) -> Result<Value, String> {
    let shown = || glimpse(&text_of(value));
    if *value == Value::Null {
        return Ok(Value::Null);
    }
    if kind == DataType::Datetime {
        return match value {
            Value::Str(text) => {
                match number::cast([value].into_iter(), crate::model::tensor::DType::Datetime) {
                    Ok(_) => Ok(Value::Str(text.clone())),
                    Err(_) => Err(format!(
                        "Failed to convert value `{}` from type `<class 'str'>` to `DataType.datetime`",
                        shown()
                    )),
                }
            }
            _ => Err(format!(
                "Failed to convert value to `DataType.datetime`. It must be convertible to datetime.date/datetime, got \
                 `{}`",
                shown()
            )),
        };
    }
    if matches!(value, Value::List(_) | Value::Map(_)) {
        return Err(format!(
            "Value must be a scalar for type `DataType.{}`, got `{}`",
            kind.name(),
            shown()
        ));
    }
    let unsafe_cast = || {
        Err(format!(
            "Can not safely convert `<class '{}'>` to `DataType.{}` for value `{}`",
            value.python_type(),
            kind.name(),
            shown()
        ))
    };
    match (kind, value) {
        (DataType::Boolean, Value::Bool(_))
        | (DataType::Integer | DataType::Long, Value::Int(_) | Value::BigInt(_))
        | (DataType::Float | DataType::Double, Value::Float(_))
        | (DataType::String, Value::Str(_)) => Ok(value.clone()),
        (DataType::Float | DataType::Double, Value::Int(_) | Value::BigInt(_)) => number::to_float(value)
            .map(Value::Float)
            .map_err(|raised| raised.message),
        _ => unsafe_cast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::mlflow::json::read::read;

    fn check(sent: &str) -> Result<Vec<Value>, String> {
        let specs = r#"[{"name": "n", "default": 2, "shape": null, "type": "long"},
            {"name": "x", "default": 0.5, "shape": null, "type": "double"},
            {"name": "tags", "default": ["a"], "shape": [-1], "type": "string"}]"#;
        let signature = Signature::parse(None, None, Some(specs)).unwrap();
        let params =
            resolve(Some(read(sent, 64).unwrap()), &signature).map_err(|error| error.message().to_owned())?;
        Ok(params.into_iter().map(|(_, value)| value).collect())
    }

    #[test]
    fn absent_parameters_take_their_defaults() {
        let tags = Value::List(vec![Value::Str("a".into())]);
        assert_eq!(
            check("{\"zz\": 1}"),
            Ok(vec![Value::Int(2), Value::Float(0.5), tags.clone()])
        );
        assert_eq!(
            check("{\"n\": null, \"x\": 3}"),
            Ok(vec![Value::Null, Value::Float(3.0), tags])
        );
    }

    #[test]
    fn unsafe_values_are_refused() {
        for (sent, wanted) in [
            (
                r#"{"n": 1.5}"#,
                r#"Invalid parameters found: {('n', "Failed to validate type and shape for 'n': long (default: 2), error: Can not safely convert `<class 'float'>` to `DataType.long` for value `1.5`")}"#,
            ),
            ("[1]", "Parameters must be a dictionary. Got type 'list'."),
            (
                r#"{"tags": "a"}"#,
                "Value must be a 1D array with shape (-1,) for param 'tags': string",
            ),
            (
                r#"{"x": [1]}"#,
                "Value must be a scalar for type `DataType.double`, got `[1]`",
            ),
        ] {
            let message = check(sent).unwrap_err();
            assert!(message.contains(wanted), "{message}");
        }
    }
}
