//! Single values to numbers and truth, by the rules of Python's `int`, `float` and `bool`.

use half::f16;

use super::series::value_at;
use crate::model::tensor::{DType, Elements, Tensor};
use crate::model::value::Value;
use crate::protocol::mlflow::python::{self, Integer, Raised, text_of};

/// `int(value)`.
pub(crate) fn to_int(value: &Value) -> Result<Integer, Raised> {
    match value {
        Value::Bool(truth) => Ok(Integer::Small(i64::from(*truth))),
        Value::Int(integer) => Ok(Integer::Small(*integer)),
        Value::BigInt(digits) => Ok(Integer::Big(digits.clone())),
        Value::Float(float) => float_to_int(*float),
        Value::Str(text) => python::parse_int(text),
        Value::Tensor(scalar) => match scalar_value(scalar) {
            Some(inner) => to_int(&inner),
            None => Err(Raised::new(
                "TypeError",
                "only 0-dimensional arrays can be converted to Python scalars",
            )),
        },
        Value::Null | Value::Bytes(_) | Value::List(_) | Value::Map(_) => Err(Raised::new(
            "TypeError",
            format!(
                "int() argument must be a string, a bytes-like object or a real number, not '{}'",
                value.python_type()
            ),
        )),
    }
}

fn float_to_int(float: f64) -> Result<Integer, Raised> {
    // Exactly representable, and the first double beyond the range of `i64`.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        return Err(Raised::new("ValueError", "cannot convert float NaN to integer"));
    }
    if float.is_infinite() {
        return Err(Raised::new(
            "OverflowError",
            "cannot convert float infinity to integer",
        ));
    }
    if (-BEYOND..BEYOND).contains(&float) {
        return Ok(Integer::Small(float.trunc() as i64));
    }
    Ok(Integer::Big(format!("{float:.0}").into()))
}

/// `float(value)`, where NumPy takes `None` for NaN.
pub(crate) fn to_float(value: &Value) -> Result<f64, Raised> {
    match value {
        Value::Null => Ok(f64::NAN),
        Value::Bool(truth) => Ok(f64::from(u8::from(*truth))),
        Value::Int(integer) => Ok(*integer as f64),
        Value::BigInt(digits) => match digits.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(float),
            _ => Err(Raised::new("OverflowError", "int too large to convert to float")),
        },
        Value::Float(float) => Ok(*float),
        Value::Str(text) => python::parse_float(text),
        Value::List(_) => Err(Raised::new(
            "ValueError",
            "setting an array element with a sequence.",
        )),
        Value::Tensor(scalar) => match scalar_value(scalar) {
            Some(inner) => to_float(&inner),
            None => Err(Raised::new(
                "ValueError",
                "setting an array element with a sequence.",
            )),
        },
        Value::Bytes(_) | Value::Map(_) => Err(Raised::new(
            "TypeError",
            format!(
                "float() argument must be a string or a real number, not '{}'",
                value.python_type()
            ),
        )),
    }
}

/// `bool(value)`.
pub(crate) fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Int(integer) => *integer != 0,
        Value::BigInt(_) => true,
        Value::Float(float) => *float != 0.0,
        Value::Str(text) => !text.is_empty(),
        Value::Bytes(bytes) => !bytes.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(entries) => !entries.is_empty(),
        Value::Tensor(tensor) => match scalar_value(tensor) {
            Some(inner) => truthy(&inner),
            None => tensor.rows() > 0,
        },
    }
}

/// `str(value)` as an array of text keeps it: without trailing NULs.
pub(crate) fn numpy_text(value: &Value) -> String {
    let mut text = text_of(value);
    text.truncate(text.trim_end_matches('\0').len());
    text
}

/// What a NumPy scalar holds.
fn scalar_value(tensor: &Tensor) -> Option<Value> {
    if tensor.shape().is_empty() {
        value_at(tensor.elements(), 0)
    } else {
        None
    }
}

/// The element of an integer type, or NumPy's complaint that it does not fit.
fn fit<T>(value: &Value, dtype: DType) -> Result<T, Raised>
where
    T: TryFrom<i64> + std::str::FromStr,
{
    let out_of_bounds = |digits: &str| {
        Raised::new(
            "OverflowError",
            format!("Python integer {digits} out of bounds for {dtype}"),
        )
    };
    match to_int(value)? {
        Integer::Small(integer) => T::try_from(integer).map_err(|_| out_of_bounds(&integer.to_string())),
        // Only the unsigned 64-bit type holds what `i64` does not.
        Integer::Big(digits) => digits
            .parse()
            .map_err(|_| Raised::new("OverflowError", "Python int too large to convert to C long")),
    }
}

/// Casts Python values one by one, as `np.array(values, dtype)` and `astype` of an `object` array do.
///
/// Times have rules of their own and come out of [`super::datetime`].
pub(crate) fn cast<'a>(
    values: impl Iterator<Item = &'a Value> + Clone,
    dtype: DType,
) -> Result<Elements, Raised> {
    macro_rules! integers {
        ($variant:ident) => {
            Elements::$variant(
                values
                    .map(|value| fit(value, dtype))
                    .collect::<Result<_, Raised>>()?,
            )
        };
    }
    Ok(match dtype {
        DType::Bool => Elements::Bool(values.map(truthy).collect()),
        DType::I8 => integers!(I8),
        DType::I16 => integers!(I16),
        DType::I32 => integers!(I32),
        DType::I64 => integers!(I64),
        DType::U8 => integers!(U8),
        DType::U16 => integers!(U16),
        DType::U32 => integers!(U32),
        DType::U64 => integers!(U64),
        DType::F16 => Elements::F16(
            values
                .map(|value| to_float(value).map(f16::from_f64))
                .collect::<Result<_, _>>()?,
        ),
        // By way of a double, as Python's number protocol goes.
        DType::F32 => Elements::F32(
            values
                .map(|value| to_float(value).map(|x| x as f32))
                .collect::<Result<_, _>>()?,
        ),
        DType::F64 => Elements::F64(values.map(to_float).collect::<Result<_, _>>()?),
        DType::Str => Elements::Str(values.map(numpy_text).collect()),
        DType::Datetime => super::datetime::numpy_times(values)?,
        DType::Object => Elements::Object(values.cloned().collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(value: Value, dtype: DType) -> String {
        cast([value].iter(), dtype).unwrap_err().message
    }

    #[test]
    fn integers_must_fit() {
        assert_eq!(
            cast([Value::Float(-1.9)].iter(), DType::I8),
            Ok(Elements::I8(vec![-1]))
        );
        assert_eq!(
            cast([Value::Str(" 7 ".into())].iter(), DType::I32),
            Ok(Elements::I32(vec![7]))
        );
        assert_eq!(
            cast([Value::BigInt("9223372036854775808".into())].iter(), DType::U64),
            Ok(Elements::U64(vec![1 << 63]))
        );
        for (value, dtype, wanted) in [
            (
                Value::Int(3_000_000_000),
                DType::I32,
                "Python integer 3000000000 out of bounds for int32",
            ),
            (
                Value::Int(-1),
                DType::U64,
                "Python integer -1 out of bounds for uint64",
            ),
            (
                Value::Float(1e10),
                DType::I8,
                "Python integer 10000000000 out of bounds for int8",
            ),
            (
                Value::Float(1e300),
                DType::I8,
                "Python int too large to convert to C long",
            ),
            (
                Value::BigInt("9223372036854775808".into()),
                DType::I64,
                "Python int too large to convert to C long",
            ),
            (
                Value::Float(f64::NAN),
                DType::I64,
                "cannot convert float NaN to integer",
            ),
            (
                Value::Null,
                DType::I64,
                "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'",
            ),
        ] {
            assert_eq!(message(value, dtype), wanted);
        }
    }

    #[test]
    fn floats_go_by_way_of_a_double() {
        // 2^54 + 2^29 + 1 rounds up to float32 from the integer, and down by way of the double.
        let value = Value::Int((1 << 54) + (1 << 30) + 1);
        assert_eq!(
            cast([value].iter(), DType::F32),
            Ok(Elements::F32(vec![((1i64 << 54) + (1 << 30)) as f64 as f32]))
        );
        let Ok(Elements::F32(values)) = cast([Value::Null].iter(), DType::F32) else {
            panic!()
        };
        assert!(values[0].is_nan());
        assert_eq!(
            message(Value::List(vec![]), DType::F64),
            "setting an array element with a sequence."
        );
    }

    #[test]
    fn truth_is_pythons() {
        let values = [
            Value::Str("false".into()),
            Value::Str("".into()),
            Value::Float(f64::NAN),
            Value::Null,
        ];
        assert_eq!(
            cast(values.iter(), DType::Bool),
            Ok(Elements::Bool(vec![true, false, true, false]))
        );
    }
}
