//! A column read in the type its signature names.
//!
//! Straight where the texts are of that type. Where they are not, pandas finds the column's own type and casts that,
//! and refuses when a value changes.

use crate::model::signature::DataType;
use crate::model::tensor::Elements;
use crate::model::value::Value;
use crate::protocol::mlflow::python::{Integer, Raised, parse_float, parse_int};

use super::infer::{Inferred, Wholes, flags, floats, infer, text_elements, texts, unsigned, wholes};

/// Reads the column that is the table's `position`th, which only messages tell.
///
/// # Errors
/// What pandas raises.
pub(super) fn read<'a>(
    kind: DataType,
    cells: impl Iterator<Item = &'a str> + Clone,
    position: usize,
) -> Result<Elements, Raised> {
    match kind {
        DataType::Double => match floats(cells.clone()) {
            Some(values) => Ok(Elements::F64(values)),
            None => cast_to_float(infer(cells), "float64", position).map(Elements::F64),
        },
        DataType::Float => {
            let values = match floats(cells.clone()) {
                Some(values) => values,
                None => cast_to_float(infer(cells), "float32", position)?,
            };
            Ok(Elements::F32(
                values.into_iter().map(|value| value as f32).collect(),
            ))
        }
        DataType::Long => read_whole(cells, "int64", position).map(Elements::I64),
        DataType::Integer => {
            let values = read_whole(cells, "int32", position)?;
            let narrow: Result<Vec<i32>, _> = values.into_iter().map(i32::try_from).collect();
            narrow
                .map(Elements::I32)
                .map_err(|_| unsafe_cast("int32", "int64", position))
        }
        DataType::Boolean => read_flags(cells, position).map(Elements::Bool),
        DataType::String => Ok(text_elements(texts(cells))),
        // Bytes have no form in CSV: the text goes on as it is.
        DataType::Binary => {
            let value =
                |text: Option<String>| text.map_or(Value::Float(f64::NAN), |text| Value::Str(text.into()));
            Ok(Elements::Object(texts(cells).into_iter().map(value).collect()))
        }
        DataType::Datetime => Err(Raised::new(
            "TypeError",
            "the dtype datetime64[ns] is not supported for parsing, pass this column using parse_dates instead",
        )),
    }
}

/// A column of no rows, which nothing can be wrong with.
pub(super) fn empty(kind: DataType) -> Elements {
    Elements::empty(kind.dtype(), 0)
}

/// Reads 64-bit integers; for `int32` the caller narrows.
fn read_whole<'a>(
    cells: impl Iterator<Item = &'a str> + Clone,
    dtype: &str,
    position: usize,
) -> Result<Vec<i64>, Raised> {
    match wholes(cells.clone()) {
        Wholes::All { values, missing: 0 } => return Ok(values),
        Wholes::All { .. } => {
            return Err(Raised::new(
                "ValueError",
                format!("Integer column has NA values in column {position}"),
            ));
        }
        Wholes::Overflow => match unsigned(cells.clone()) {
            Ok(Some(_)) => return Err(unsafe_cast(dtype, "uint64", position)),
            Ok(None) => {}
            Err(conflict) => return Err(conflict.raised()),
        },
        Wholes::Not => {}
    }
    match infer(cells) {
        Inferred::Floats(values) => {
            let fits = |value: &i64| dtype != "int32" || i32::try_from(*value).is_ok();
            let whole: Option<Vec<i64>> = values
                .into_iter()
                .map(|value| exactly_whole(value).filter(fits))
                .collect();
            whole.ok_or_else(|| unsafe_cast(dtype, "float64", position))
        }
        Inferred::Flags(values) => match values.into_iter().map(|flag| flag.map(i64::from)).collect() {
            Some(values) => Ok(values),
            None => Err(Raised::new(
                "ValueError",
                format!(
                    "cannot safely convert passed user dtype of {dtype} for <class 'numpy.bool'> dtyped data in \
                     column {position} due to NA values"
                ),
            )),
        },
        Inferred::Text(values) => {
            for value in values {
                let text =
                    value.ok_or_else(|| Raised::new("ValueError", "cannot convert float NaN to integer"))?;
                check_bounds(&parse_int(&text)?, dtype)?;
            }
            Err(unsafe_cast(dtype, "object", position))
        }
        Inferred::Whole { .. } => Err(unsafe_cast(dtype, "int64", position)),
        Inferred::Unsigned(_) => Err(unsafe_cast(dtype, "uint64", position)),
        Inferred::Big(_) => Err(unsafe_cast(dtype, "object", position)),
    }
}

/// Python's integers have no bounds, those of an array do.
fn check_bounds(integer: &Integer, dtype: &str) -> Result<(), Raised> {
    match integer {
        Integer::Big(_) => Err(Raised::new(
            "OverflowError",
            "Python int too large to convert to C long",
        )),
        Integer::Small(value) if dtype == "int32" && i32::try_from(*value).is_err() => Err(Raised::new(
            "OverflowError",
            format!("Python integer {value} out of bounds for int32"),
        )),
        Integer::Small(_) => Ok(()),
    }
}

/// The integer equal to a double, where there is one.
fn exactly_whole(value: f64) -> Option<i64> {
    // 2^63 is the first double beyond.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    (value.trunc() == value && (-BEYOND..BEYOND).contains(&value)).then_some(value as i64)
}

fn cast_to_float(inferred: Inferred, dtype: &str, position: usize) -> Result<Vec<f64>, Raised> {
    match inferred {
        Inferred::Flags(values) => Ok(values
            .into_iter()
            .map(|flag| flag.map_or(f64::NAN, |flag| f64::from(u8::from(flag))))
            .collect()),
        Inferred::Text(values) => {
            for text in values.into_iter().flatten() {
                parse_float(&text)?;
            }
            // Python reads more than C, but then the number differs from its text.
            Err(unsafe_cast(dtype, "object", position))
        }
        _ => Err(unsafe_cast(dtype, "object", position)),
    }
}

fn read_flags<'a>(
    cells: impl Iterator<Item = &'a str> + Clone,
    position: usize,
) -> Result<Vec<bool>, Raised> {
    if let Some(values) = flags(cells.clone()) {
        return values.into_iter().collect::<Option<Vec<bool>>>().ok_or_else(|| {
            Raised::new(
                "ValueError",
                format!("Bool column has NA values in column {position}"),
            )
        });
    }
    let (from, values): (_, Option<Vec<bool>>) = match infer(cells) {
        Inferred::Whole { values, .. } => {
            let flag = |value| match value {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            };
            ("int64", values.into_iter().map(flag).collect())
        }
        Inferred::Floats(values) => {
            let flag = |value: f64| {
                if value == 0.0 {
                    Some(false)
                } else {
                    (value == 1.0).then_some(true)
                }
            };
            ("float64", values.into_iter().map(flag).collect())
        }
        Inferred::Unsigned(_) => ("uint64", None),
        Inferred::Big(_) | Inferred::Flags(_) | Inferred::Text(_) => ("object", None),
    };
    values.ok_or_else(|| unsafe_cast("bool", from, position))
}

fn unsafe_cast(to: &str, from: &str, position: usize) -> Raised {
    Raised::new(
        "ValueError",
        format!(
            "cannot safely convert passed user dtype of {to} for {from} dtyped data in column {position}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: DataType, cells: &[&str], expected: Elements) {
        let elements = read(kind, cells.iter().copied(), 0).unwrap();
        assert_eq!(format!("{elements:?}"), format!("{expected:?}"), "{cells:?}");
    }

    fn check_error(kind: DataType, cells: &[&str], expected: &str) {
        let raised = read(kind, cells.iter().copied(), 0).unwrap_err();
        assert_eq!(raised.message, expected, "{cells:?}");
    }

    #[test]
    fn numbers_are_cast_where_nothing_is_lost() {
        check(
            DataType::Double,
            &["1", "", "inf"],
            Elements::F64(vec![1.0, f64::NAN, f64::INFINITY]),
        );
        check(
            DataType::Double,
            &["true", ""],
            Elements::F64(vec![1.0, f64::NAN]),
        );
        check(
            DataType::Float,
            &["0.1", "1e300"],
            Elements::F32(vec![0.1, f32::INFINITY]),
        );
        check(DataType::Long, &["1e5", "2."], Elements::I64(vec![100_000, 2]));
        check(DataType::Long, &["true"], Elements::I64(vec![1]));
        check(DataType::Boolean, &["1", "0"], Elements::Bool(vec![true, false]));
        check(
            DataType::Boolean,
            &["1.0", "1e-400"],
            Elements::Bool(vec![true, false]),
        );
        check(DataType::String, &["007"], Elements::Str(vec!["007".into()]));
    }

    #[test]
    fn a_value_that_would_change_is_refused() {
        let unsafely = |to: &str, from: &str| {
            format!("cannot safely convert passed user dtype of {to} for {from} dtyped data in column 0")
        };
        check_error(DataType::Long, &["1.5"], &unsafely("int64", "float64"));
        check_error(DataType::Long, &["1.5", ""], &unsafely("int64", "float64"));
        check_error(
            DataType::Long,
            &["9223372036854775808"],
            &unsafely("int64", "uint64"),
        );
        check_error(DataType::Long, &["1_000"], &unsafely("int64", "object"));
        check_error(
            DataType::Long,
            &["1", ""],
            "Integer column has NA values in column 0",
        );
        check_error(DataType::Long, &["-9223372036854775809"], "Overflow");
        check_error(
            DataType::Long,
            &["18446744073709551615", "-1"],
            "Cannot convert to numerical dtype",
        );
        check_error(
            DataType::Long,
            &["1", "x"],
            "invalid literal for int() with base 10: 'x'",
        );
        check_error(DataType::Long, &["99999999999999999999", "x"], "Overflow");
        check_error(
            DataType::Long,
            &["x", "99999999999999999999"],
            "invalid literal for int() with base 10: 'x'",
        );
        check_error(
            DataType::Long,
            &["1_0", "99999999999999999999"],
            "Python int too large to convert to C long",
        );
        check_error(DataType::Integer, &["3000000000"], &unsafely("int32", "int64"));
        check_error(DataType::Integer, &["1e300"], &unsafely("int32", "float64"));
        check_error(
            DataType::Double,
            &["true", "1"],
            "could not convert string to float: 'true'",
        );
        check_error(DataType::Double, &["NAN"], &unsafely("float64", "object"));
        check_error(
            DataType::Boolean,
            &["true", ""],
            "Bool column has NA values in column 0",
        );
        check_error(DataType::Boolean, &["2"], &unsafely("bool", "int64"));
        check_error(DataType::Boolean, &["1", ""], &unsafely("bool", "int64"));
        check_error(DataType::Boolean, &["abc"], &unsafely("bool", "object"));
        check_error(
            DataType::Boolean,
            &["18446744073709551615"],
            &unsafely("bool", "uint64"),
        );
    }
}
