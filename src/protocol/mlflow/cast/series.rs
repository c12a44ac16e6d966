//! Casts of whole columns, as pandas' `Series.astype` and MLflow's parser do them.

use half::f16;

use super::{Column, datetime, is_missing, number};
use crate::model::signature::DataType;
use crate::model::tensor::{DType, Elements, Shape, Tensor};
use crate::model::value::Value;
use crate::protocol::mlflow::python::Raised;

/// The element at `index` as the Python value it reads as; narrow numbers widen.
pub(crate) fn value_at(elements: &Elements, index: usize) -> Option<Value> {
    Some(match elements {
        Elements::Bool(values) => Value::Bool(*values.get(index)?),
        Elements::I8(values) => Value::Int((*values.get(index)?).into()),
        Elements::I16(values) => Value::Int((*values.get(index)?).into()),
        Elements::I32(values) => Value::Int((*values.get(index)?).into()),
        Elements::I64(values) => Value::Int(*values.get(index)?),
        Elements::U8(values) => Value::Int((*values.get(index)?).into()),
        Elements::U16(values) => Value::Int((*values.get(index)?).into()),
        Elements::U32(values) => Value::Int((*values.get(index)?).into()),
        Elements::U64(values) => {
            let value = *values.get(index)?;
            i64::try_from(value).map_or_else(|_| Value::BigInt(value.to_string().into()), Value::Int)
        }
        Elements::F16(values) => Value::Float(values.get(index)?.to_f64()),
        Elements::F32(values) => Value::Float((*values.get(index)?).into()),
        Elements::F64(values) => Value::Float(*values.get(index)?),
        Elements::Str(values) => Value::Str(values.get(index)?.as_str().into()),
        // Python's own times have no form here; a NumPy scalar keeps the nanoseconds.
        Elements::Datetime(values) => scalar(Elements::Datetime(vec![*values.get(index)?])),
        Elements::Object(values) => values.get(index)?.clone(),
    })
}

/// A NumPy scalar.
pub(crate) fn scalar(element: Elements) -> Value {
    match Tensor::new(Shape::new(), element) {
        Ok(tensor) => Value::Tensor(Box::new(tensor)),
        Err(_) => Value::Null,
    }
}

/// All elements as Python values.
pub(crate) fn objects(elements: &Elements) -> Vec<Value> {
    match elements {
        Elements::Object(values) => values.clone(),
        other => (0..other.len())
            .filter_map(|index| value_at(other, index))
            .collect(),
    }
}

/// Casts a column of a table to a scalar type of the signature, as MLflow's JSON parser does before enforcement.
pub(crate) fn cast_scalar(column: &mut Column, kind: DataType) -> Result<(), Raised> {
    match kind {
        DataType::Binary => column.values = decode_base64(&column.values)?,
        DataType::Datetime => return datetime::pandas_times(column),
        DataType::String => {
            if !column.is_str() {
                column.values = Elements::Object(objects(&column.values));
            }
            return Ok(());
        }
        DataType::Boolean => match kept_missing(&column.values) {
            Some(values) => column.values = values,
            None => column.values = astype(column, DType::Bool)?,
        },
        DataType::Integer | DataType::Long | DataType::Float | DataType::Double => {
            column.values = astype(column, kind.dtype())?;
        }
    }
    column.text = false;
    Ok(())
}

/// Booleans with missing values stay `object`; `None` when nothing is missing.
fn kept_missing(values: &Elements) -> Option<Elements> {
    match values {
        Elements::Object(values) if values.iter().any(is_missing) => {
            let cast = |value: &Value| {
                if is_missing(value) {
                    value.clone()
                } else {
                    Value::Bool(number::truthy(value))
                }
            };
            Some(Elements::Object(values.iter().map(cast).collect()))
        }
        Elements::F64(values) if values.iter().any(|value| value.is_nan()) => {
            if values.iter().all(|value| value.is_nan()) {
                // Nothing to replace, so pandas keeps the type, and enforcement refuses it.
                return Some(Elements::F64(values.clone()));
            }
            let cast = |&value: &f64| {
                if value.is_nan() {
                    Value::Float(value)
                } else {
                    Value::Bool(value != 0.0)
                }
            };
            Some(Elements::Object(values.iter().map(cast).collect()))
        }
        _ => None,
    }
}

/// `Series.astype(dtype)`.
pub(crate) fn astype(column: &Column, dtype: DType) -> Result<Elements, Raised> {
    if dtype.is_integer()
        && column.text
        && let Elements::Object(values) = &column.values
        && values.iter().any(is_missing)
    {
        return Err(Raised::new("ValueError", "cannot convert float NaN to integer"));
    }
    convert(&column.values, dtype)
}

/// `ndarray.astype(dtype)`, refusing NaN and infinity for integers as pandas does.
pub(crate) fn convert(values: &Elements, dtype: DType) -> Result<Elements, Raised> {
    if values.dtype() == dtype {
        return Ok(values.clone());
    }
    match (values, dtype) {
        (_, DType::Object) => Ok(Elements::Object(objects(values))),
        (Elements::Object(values), _) => number::cast(values.iter(), dtype),
        (Elements::Bool(_), DType::Str) => number::cast(objects(values).iter(), dtype),
        (Elements::Bool(values), _) => from_integers(values.iter().map(|&value| i64::from(value)), dtype),
        (Elements::I8(values), _) => from_integers(values.iter().map(|&value| value.into()), dtype),
        (Elements::I16(values), _) => from_integers(values.iter().map(|&value| value.into()), dtype),
        (Elements::I32(values), _) => from_integers(values.iter().map(|&value| value.into()), dtype),
        (Elements::I64(values), _) => from_integers(values.iter().copied(), dtype),
        (Elements::U8(values), _) => from_integers(values.iter().map(|&value| value.into()), dtype),
        (Elements::U16(values), _) => from_integers(values.iter().map(|&value| value.into()), dtype),
        (Elements::U32(values), _) => from_integers(values.iter().map(|&value| value.into()), dtype),
        (Elements::U64(values), _) => from_unsigned(values, dtype),
        (Elements::F16(values), _) => from_floats(values.iter().map(|value| value.to_f64()), dtype),
        (Elements::F32(values), _) => from_floats(values.iter().map(|&value| value.into()), dtype),
        (Elements::F64(values), _) => from_floats(values.iter().copied(), dtype),
        (Elements::Str(_) | Elements::Datetime(_), _) => number::cast(objects(values).iter(), dtype),
    }
}

fn from_integers(values: impl Iterator<Item = i64> + Clone, dtype: DType) -> Result<Elements, Raised> {
    // Integers wrap around, as C casts do.
    Ok(match dtype {
        DType::Bool => Elements::Bool(values.map(|value| value != 0).collect()),
        DType::I8 => Elements::I8(values.map(|value| value as i8).collect()),
        DType::I16 => Elements::I16(values.map(|value| value as i16).collect()),
        DType::I32 => Elements::I32(values.map(|value| value as i32).collect()),
        DType::I64 => Elements::I64(values.collect()),
        DType::U8 => Elements::U8(values.map(|value| value as u8).collect()),
        DType::U16 => Elements::U16(values.map(|value| value as u16).collect()),
        DType::U32 => Elements::U32(values.map(|value| value as u32).collect()),
        DType::U64 => Elements::U64(values.map(|value| value as u64).collect()),
        DType::F16 => Elements::F16(values.map(|value| f16::from_f32(value as f32)).collect()),
        DType::F32 => Elements::F32(values.map(|value| value as f32).collect()),
        DType::F64 => Elements::F64(values.map(|value| value as f64).collect()),
        DType::Datetime => Elements::Datetime(values.collect()),
        DType::Str | DType::Object => {
            return number::cast(values.map(Value::Int).collect::<Vec<_>>().iter(), dtype);
        }
    })
}

fn from_unsigned(values: &[u64], dtype: DType) -> Result<Elements, Raised> {
    Ok(match dtype {
        DType::F16 => Elements::F16(values.iter().map(|&value| f16::from_f32(value as f32)).collect()),
        DType::F32 => Elements::F32(values.iter().map(|&value| value as f32).collect()),
        DType::F64 => Elements::F64(values.iter().map(|&value| value as f64).collect()),
        DType::Str => Elements::Str(values.iter().map(u64::to_string).collect()),
        _ => return from_integers(values.iter().map(|&value| value as i64), dtype),
    })
}

fn from_floats(values: impl Iterator<Item = f64> + Clone, dtype: DType) -> Result<Elements, Raised> {
    if dtype.is_integer() && values.clone().any(|value| !value.is_finite()) {
        return Err(Raised::new(
            "IntCastingNaNError",
            "Cannot convert non-finite values (NA or inf) to integer. Replace or remove non-finite values or cast to \
             an integer type that supports these values (e.g. 'Int64')",
        ));
    }
    let unsigned = matches!(dtype, DType::U8 | DType::U16 | DType::U32 | DType::U64);
    if unsigned && values.clone().any(|value| value < 0.0) {
        let message = format!("Cannot losslessly cast from float64 to {dtype}");
        return Err(Raised::new("ValueError", message));
    }
    Ok(match dtype {
        DType::Bool => Elements::Bool(values.map(|value| value != 0.0).collect()),
        DType::F16 => Elements::F16(values.map(f16::from_f64).collect()),
        DType::F32 => Elements::F32(values.map(|value| value as f32).collect()),
        DType::F64 => Elements::F64(values.collect()),
        DType::I32 => Elements::I32(values.map(|value| narrow(value) as i32).collect()),
        DType::I64 => Elements::I64(values.map(wide).collect()),
        DType::I8 => Elements::I8(values.map(|value| narrow(value) as i8).collect()),
        DType::I16 => Elements::I16(values.map(|value| narrow(value) as i16).collect()),
        DType::U8 => Elements::U8(values.map(|value| narrow(value) as u8).collect()),
        DType::U16 => Elements::U16(values.map(|value| narrow(value) as u16).collect()),
        DType::U32 => Elements::U32(values.map(|value| wide(value) as u32).collect()),
        DType::U64 => Elements::U64(
            values
                .map(|value| {
                    if value < 0.0 {
                        wide(value) as u64
                    } else {
                        value as u64
                    }
                })
                .collect(),
        ),
        DType::Datetime => Elements::Datetime(
            values
                .map(|value| if value.is_nan() { i64::MIN } else { wide(value) })
                .collect(),
        ),
        DType::Str | DType::Object => {
            return number::cast(values.map(Value::Float).collect::<Vec<_>>().iter(), dtype);
        }
    })
}

/// What the machine instruction behind C's cast gives: the smallest integer where the value does not fit.
fn wide(value: f64) -> i64 {
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    if fits { value as i64 } else { i64::MIN }
}

fn narrow(value: f64) -> i64 {
    let truncated = wide(value);
    if i32::try_from(truncated).is_ok() {
        truncated
    } else {
        i64::from(i32::MIN)
    }
}

/// Base64 as Python's `decodebytes` reads it: foreign characters are skipped.
fn decode_base64(values: &Elements) -> Result<Elements, Raised> {
    let decode = |value: Value| match value {
        Value::Str(text) => base64_bytes(&text).map(Value::Bytes),
        _ => Err(Raised::new("TypeError", "encoding without a string argument")),
    };
    Ok(Elements::Object(
        objects(values)
            .into_iter()
            .map(decode)
            .collect::<Result<_, Raised>>()?,
    ))
}

fn base64_bytes(text: &str) -> Result<Vec<u8>, Raised> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held, mut pads, mut characters) = (0u32, 0u32, 0u32, 0usize);
    for byte in text.bytes() {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                pads += 1;
                if held >= 2 && held + pads >= 4 {
                    // A complete last group ends the data; what follows is ignored.
                    return Ok(out);
                }
                continue;
            }
            _ => continue,
        };
        pads = 0;
        characters += 1;
        bits = (bits << 6) | u32::from(sextet);
        held += 1;
        match held {
            2 => out.push((bits >> 4) as u8),
            3 => out.push((bits >> 2) as u8),
            4 => {
                out.push(bits as u8);
                (bits, held) = (0, 0);
            }
            _ => {}
        }
    }
    match held {
        0 => Ok(out),
        1 => Err(Raised::new(
            "Error",
            format!(
                "Invalid base64-encoded string: number of data characters ({characters}) cannot be 1 more than a \
                 multiple of 4"
            ),
        )),
        _ => Err(Raised::new("Error", "Incorrect padding")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::batch::Name;

    fn cast(values: Elements, dtype: DType) -> Result<Elements, Raised> {
        astype(&Column::new(Name::Index(0), values), dtype)
    }

    #[test]
    fn integers_wrap_and_floats_truncate() {
        assert_eq!(
            cast(Elements::I64(vec![3_000_000_000]), DType::I32),
            Ok(Elements::I32(vec![-1_294_967_296]))
        );
        assert_eq!(
            cast(Elements::F64(vec![-1.9, 3e10]), DType::I32),
            Ok(Elements::I32(vec![-1, i32::MIN]))
        );
        assert_eq!(
            cast(Elements::F64(vec![1e300]), DType::I64),
            Ok(Elements::I64(vec![i64::MIN]))
        );
        // One rounding, straight from the integer.
        let value = (1i64 << 54) + (1 << 30) + 1;
        assert_eq!(
            cast(Elements::I64(vec![value]), DType::F32),
            Ok(Elements::F32(vec![value as f32]))
        );
        assert_eq!(
            cast(Elements::F64(vec![f64::NAN]), DType::I64).unwrap_err().class,
            "IntCastingNaNError"
        );
    }

    #[test]
    fn missing_booleans_are_kept() {
        let mut column = Column::new(
            Name::Index(0),
            Elements::Object(vec![Value::Bool(true), Value::Null, Value::Int(0)]),
        );
        cast_scalar(&mut column, DataType::Boolean).unwrap();
        let wanted = vec![Value::Bool(true), Value::Null, Value::Bool(false)];
        assert_eq!(column.values, Elements::Object(wanted));
    }

    #[test]
    fn base64_is_read_as_python_reads_it() {
        for (text, wanted) in [
            ("aGVsbG8=", Ok(&b"hello"[..])),
            ("aG Vs\nbG8=!", Ok(b"hello")),
            ("", Ok(b"")),
            ("aGk=aGk=", Ok(b"hi")),
            ("2024-01-02", Ok(b"\xdbM\xb8\xd3]6")),
            ("abc", Err("Incorrect padding")),
            (
                "7",
                Err(
                    "Invalid base64-encoded string: number of data characters (1) cannot be 1 more than a multiple of 4",
                ),
            ),
        ] {
            assert_eq!(
                base64_bytes(text).map_err(|raised| raised.message),
                match wanted {
                    Ok(bytes) => Ok(bytes.to_vec()),
                    Err(message) => Err(message.to_owned()),
                },
                "{text}"
            );
        }
    }
}
