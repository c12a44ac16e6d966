//! The types NumPy and pandas infer where no signature names them.

use super::is_missing;
use super::number::numpy_text;
use crate::model::tensor::{DType, Elements, Tensor};
use crate::model::value::Value;

/// What was seen among the values.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    null: bool,
    nan: bool,
    boolean: bool,
    integer: bool,
    negative: bool,
    /// Beyond `i64`, within `u64`.
    unsigned: bool,
    /// Beyond `u64`.
    big: bool,
    float: bool,
    text: bool,
    other: bool,
}

impl Seen {
    fn of<'a>(values: impl Iterator<Item = &'a Value>) -> Seen {
        let mut seen = Seen::default();
        for value in values {
            match value {
                Value::Null => seen.null = true,
                Value::Bool(_) => seen.boolean = true,
                Value::Int(integer) => {
                    seen.integer = true;
                    seen.negative |= *integer < 0;
                }
                Value::BigInt(digits) if digits.parse::<u64>().is_ok() => seen.unsigned = true,
                Value::BigInt(_) => seen.big = true,
                Value::Float(float) if float.is_nan() => seen.nan = true,
                Value::Float(_) => seen.float = true,
                Value::Str(_) => seen.text = true,
                Value::Bytes(_) | Value::Tensor(_) | Value::List(_) | Value::Map(_) => seen.other = true,
            }
        }
        seen
    }
}

/// A column of a new `DataFrame`.
pub(crate) fn pandas(values: Vec<Value>) -> Elements {
    let seen = Seen::of(values.iter());
    if seen.other {
        return pandas_scalars(values);
    }
    let number = seen.integer || seen.unsigned || seen.float;
    if seen.text {
        if seen.boolean || number || seen.big {
            return Elements::Object(values);
        }
        return pandas_text(values);
    }
    if seen.boolean {
        if number || seen.big || seen.null || seen.nan {
            return Elements::Object(values);
        }
        return Elements::Bool(
            values
                .iter()
                .map(|value| matches!(value, Value::Bool(true)))
                .collect(),
        );
    }
    if seen.big || (seen.unsigned && seen.negative && !seen.float && !seen.null && !seen.nan) {
        return Elements::Object(values);
    }
    if seen.float || seen.nan || (number && seen.null) {
        return numbers(&values, DType::F64);
    }
    match (seen.unsigned, seen.integer) {
        (true, _) => numbers(&values, DType::U64),
        (false, true) => numbers(&values, DType::I64),
        (false, false) => Elements::Object(values),
    }
}

/// NumPy scalars of one type keep it. Otherwise they are inferred as the Python values they hold, and stay NumPy's
/// where the column stays `object`.
fn pandas_scalars(values: Vec<Value>) -> Elements {
    if let Some(elements) = same_scalars(&values) {
        return elements;
    }
    let plain: Option<Vec<Value>> = values
        .iter()
        .map(|value| match value {
            Value::Tensor(tensor) if tensor.shape().is_empty() && tensor.dtype() != DType::Object => {
                super::series::value_at(tensor.elements(), 0)
            }
            Value::Bytes(_) | Value::Tensor(_) | Value::List(_) | Value::Map(_) => None,
            other => Some(other.clone()),
        })
        .collect();
    let times = |value: &Value| {
        matches!(value, Value::Tensor(tensor)
            if tensor.shape().is_empty() && tensor.dtype() == DType::Datetime)
    };
    if values.iter().any(times) && values.iter().all(|value| times(value) || is_missing(value)) {
        let nanoseconds = |value: &Value| match value {
            Value::Tensor(tensor) => match tensor.elements() {
                Elements::Datetime(values) => values.first().copied().unwrap_or(i64::MIN),
                _ => i64::MIN,
            },
            _ => i64::MIN,
        };
        return Elements::Datetime(values.iter().map(nanoseconds).collect());
    }
    match plain {
        Some(plain)
            if !plain
                .iter()
                .any(|value| matches!(value, Value::Bytes(_) | Value::Tensor(_))) =>
        {
            match pandas(plain) {
                Elements::Object(inferred) if !super::is_text(&Elements::Object(inferred.clone())) => {
                    Elements::Object(values)
                }
                inferred => inferred,
            }
        }
        _ => Elements::Object(values),
    }
}

fn same_scalars(values: &[Value]) -> Option<Elements> {
    let scalar = |value: &'_ Value| match value {
        Value::Tensor(tensor) if tensor.shape().is_empty() => Some((**tensor).clone()),
        _ => None,
    };
    let tensors: Vec<Tensor> = values.iter().map(scalar).collect::<Option<_>>()?;
    let dtype = tensors.first()?.dtype();
    if dtype == DType::Object || tensors.iter().any(|tensor| tensor.dtype() != dtype) {
        return None;
    }
    super::array::concat(&tensors.iter().collect::<Vec<_>>())
}

fn pandas_text(values: Vec<Value>) -> Elements {
    if values.iter().any(is_missing) {
        let missing_as_nan = |value| {
            if is_missing(&value) {
                Value::Float(f64::NAN)
            } else {
                value
            }
        };
        return Elements::Object(values.into_iter().map(missing_as_nan).collect());
    }
    let text = |value| match value {
        Value::Str(text) => text.into_string(),
        _ => String::new(),
    };
    Elements::Str(values.into_iter().map(text).collect())
}

fn numbers(values: &[Value], dtype: DType) -> Elements {
    // Only numbers and missing values come here; none of them fails.
    super::number::cast(values.iter(), dtype).unwrap_or_else(|_| Elements::Object(values.to_vec()))
}

/// The type of `np.array(values)`, the values being its elements in order.
pub(crate) fn numpy<'a>(values: impl Iterator<Item = &'a Value> + Clone) -> Elements {
    let seen = Seen::of(values.clone());
    let object = || Elements::Object(values.clone().cloned().collect());
    if seen.null || seen.big || seen.other {
        return object();
    }
    if seen.text {
        return Elements::Str(values.map(numpy_text).collect());
    }
    let dtype = if seen.float || seen.nan || (seen.integer && seen.unsigned) {
        DType::F64
    } else if seen.unsigned {
        DType::U64
    } else if seen.integer {
        DType::I64
    } else if seen.boolean {
        DType::Bool
    } else {
        // No element at all.
        DType::F64
    };
    super::number::cast(values.clone(), dtype).unwrap_or_else(|_| object())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIG: &str = "9223372036854775808";

    fn big(digits: &str) -> Value {
        Value::BigInt(digits.into())
    }

    #[test]
    fn pandas_infers_as_its_constructor_does() {
        let text = |text: &str| Value::Str(text.into());
        for (values, wanted) in [
            (vec![Value::Int(1), Value::Int(2)], DType::I64),
            (vec![Value::Int(1), Value::Null], DType::F64),
            (vec![Value::Null, Value::Null], DType::Object),
            (vec![Value::Null, Value::Float(f64::NAN)], DType::F64),
            (vec![Value::Bool(true)], DType::Bool),
            (vec![Value::Bool(true), Value::Null], DType::Object),
            (vec![Value::Bool(true), Value::Int(1)], DType::Object),
            (vec![text("a")], DType::Str),
            (vec![text("a"), Value::Int(1)], DType::Object),
            (vec![big(BIG)], DType::U64),
            (vec![big(BIG), Value::Int(-1)], DType::Object),
            (vec![big("18446744073709551616")], DType::Object),
            (vec![], DType::Object),
        ] {
            assert_eq!(pandas(values.clone()).dtype(), wanted, "{values:?}");
        }
        let Elements::Object(values) = pandas(vec![text("a"), Value::Null]) else {
            panic!()
        };
        assert!(matches!(values[1], Value::Float(nan) if nan.is_nan()));
    }

    #[test]
    fn numpy_promotes_to_one_type() {
        for (values, wanted) in [
            (vec![Value::Bool(true), Value::Int(1)], DType::I64),
            (vec![Value::Bool(true), Value::Float(1.5)], DType::F64),
            (vec![Value::Int(1), big(BIG)], DType::F64),
            (vec![big(BIG)], DType::U64),
            (vec![Value::Int(1), Value::Null], DType::Object),
            (vec![Value::Int(1), Value::Str("a".into())], DType::Str),
            (vec![], DType::F64),
        ] {
            assert_eq!(numpy(values.iter()).dtype(), wanted, "{values:?}");
        }
    }
}
