//! The type pandas finds for a column when nobody says: integers, floats, booleans, text, in this order.

use crate::model::tensor::Elements;
use crate::model::value::Value;
use crate::protocol::mlflow::python::Raised;

use super::cell::{Whole, flag, float, is_missing, trim, whole};

/// What the texts of a column turned out to be, before missing values widen the type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Inferred {
    /// 64-bit integers; `i64::MIN` where missing.
    Whole {
        /// The values.
        values: Vec<i64>,
        /// How many are missing.
        missing: usize,
    },
    /// Integers of which at least one needs 64 bits without a sign; none is missing.
    Unsigned(Vec<u64>),
    /// Integers of any size, and NaN.
    Big(Vec<Value>),
    /// Doubles; NaN where missing.
    Floats(Vec<f64>),
    /// Booleans; `None` where missing.
    Flags(Vec<Option<bool>>),
    /// Text; `None` where missing.
    Text(Vec<Option<String>>),
}

impl Inferred {
    /// The values in the type pandas gives the column: integers with missing values are floats, booleans with missing
    /// values are objects. The second part says whether pandas holds the column as `str`.
    pub(super) fn into_elements(self) -> (Elements, bool) {
        let elements = match self {
            Inferred::Whole { values, missing: 0 } => Elements::I64(values),
            Inferred::Whole { values, .. } => Elements::F64(
                values
                    .into_iter()
                    .map(|value| if value == i64::MIN { f64::NAN } else { value as f64 })
                    .collect(),
            ),
            Inferred::Unsigned(values) => Elements::U64(values),
            Inferred::Big(values) => Elements::Object(values),
            Inferred::Floats(values) => Elements::F64(values),
            Inferred::Flags(values) => match values.iter().copied().collect::<Option<Vec<bool>>>() {
                Some(flags) => Elements::Bool(flags),
                None => Elements::Object(
                    values
                        .into_iter()
                        .map(|flag| flag.map_or(Value::Float(f64::NAN), Value::Bool))
                        .collect(),
                ),
            },
            Inferred::Text(values) => return (text_elements(values), true),
        };
        (elements, false)
    }
}

/// Text, as `object` only where values are missing.
pub(super) fn text_elements(values: Vec<Option<String>>) -> Elements {
    if values.iter().all(Option::is_some) {
        return Elements::Str(values.into_iter().flatten().collect());
    }
    let value = |text: Option<String>| text.map_or(Value::Float(f64::NAN), |text| Value::Str(text.into()));
    Elements::Object(values.into_iter().map(value).collect())
}

/// Finds the type of a column.
pub(super) fn infer<'a>(cells: impl Iterator<Item = &'a str> + Clone) -> Inferred {
    match wholes(cells.clone()) {
        Wholes::All { values, missing } => return Inferred::Whole { values, missing },
        Wholes::Overflow => match unsigned(cells.clone()) {
            Ok(Some(values)) => return Inferred::Unsigned(values),
            Ok(None) => {}
            Err(conflict) => {
                let integers = if conflict == Conflict::TooBig {
                    big(cells.clone())
                } else {
                    None
                };
                // pandas takes the texts as they are here, missing ones too.
                let verbatim = || Inferred::Text(cells.map(|cell| Some(cell.to_owned())).collect());
                return integers.map_or_else(verbatim, Inferred::Big);
            }
        },
        Wholes::Not => {}
    }
    if let Some(values) = floats(cells.clone()) {
        return Inferred::Floats(values);
    }
    flags(cells.clone()).map_or_else(|| Inferred::Text(texts(cells)), Inferred::Flags)
}

/// What reading a column as 64-bit integers came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wholes {
    /// All are, or are missing.
    All {
        /// The values, `i64::MIN` where missing.
        values: Vec<i64>,
        /// How many are missing.
        missing: usize,
    },
    /// The first that is not is an integer beyond 64 bits.
    Overflow,
    /// The first that is not is no integer.
    Not,
}

/// Reads a column as 64-bit integers.
pub(super) fn wholes<'a>(cells: impl Iterator<Item = &'a str>) -> Wholes {
    let mut values = Vec::with_capacity(cells.size_hint().0);
    let mut missing = 0;
    for cell in cells {
        match whole(cell) {
            Whole::Fits(value) => values.push(value),
            _ if is_missing(cell) => {
                values.push(i64::MIN);
                missing += 1;
            }
            Whole::Overflows => return Wholes::Overflow,
            Whole::Not => return Wholes::Not,
        }
    }
    Wholes::All { values, missing }
}

/// Why integers, one of them beyond `i64`, are no column of `u64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conflict {
    /// One needs the sign, or is beyond `u64`.
    TooBig,
    /// Some need 64 bits without a sign, others have a sign or are missing.
    Mixed,
}

impl Conflict {
    /// What pandas raises.
    pub(super) fn raised(self) -> Raised {
        match self {
            Conflict::TooBig => Raised::new("OverflowError", "Overflow"),
            Conflict::Mixed => Raised::new("ValueError", "Cannot convert to numerical dtype"),
        }
    }
}

/// Reads a column as unsigned integers; `None` when one is no integer.
pub(super) fn unsigned<'a>(cells: impl Iterator<Item = &'a str>) -> Result<Option<Vec<u64>>, Conflict> {
    let mut values = Vec::with_capacity(cells.size_hint().0);
    let (mut signed, mut wide, mut missing) = (false, false, false);
    for cell in cells {
        let trimmed = trim(cell);
        if is_missing(cell) {
            missing = true;
            values.push(0);
        } else if trimmed.starts_with('-') {
            signed = true;
            values.push(0);
        } else {
            match (whole(cell), trimmed.parse::<u64>()) {
                (Whole::Not, _) => return Ok(None),
                (_, Err(_)) => return Err(Conflict::TooBig),
                (_, Ok(value)) => {
                    wide |= i64::try_from(value).is_err();
                    values.push(value);
                }
            }
        }
    }
    if wide && (signed || missing) {
        return Err(Conflict::Mixed);
    }
    if signed {
        return Err(Conflict::TooBig);
    }
    Ok(Some(values))
}

/// Reads a column as integers of any size.
fn big<'a>(cells: impl Iterator<Item = &'a str>) -> Option<Vec<Value>> {
    let value = |cell: &str| match whole(cell) {
        Whole::Fits(value) => Some(Value::Int(value)),
        Whole::Overflows => {
            let digits = trim(cell);
            let (sign, digits) = match digits.strip_prefix('-') {
                Some(digits) => ("-", digits),
                None => ("", digits.trim_start_matches('+')),
            };
            Some(Value::BigInt(
                format!("{sign}{}", digits.trim_start_matches('0')).into(),
            ))
        }
        Whole::Not => is_missing(cell).then_some(Value::Float(f64::NAN)),
    };
    cells.map(value).collect()
}

/// Reads a column as doubles, NaN where missing.
pub(super) fn floats<'a>(cells: impl Iterator<Item = &'a str>) -> Option<Vec<f64>> {
    let mut values = Vec::with_capacity(cells.size_hint().0);
    for cell in cells {
        match float(cell) {
            Some(value) => values.push(value),
            None if is_missing(cell) => values.push(f64::NAN),
            None => return None,
        }
    }
    Some(values)
}

/// Reads a column as booleans, `None` where missing.
pub(super) fn flags<'a>(cells: impl Iterator<Item = &'a str>) -> Option<Vec<Option<bool>>> {
    cells
        .map(|cell| match flag(cell) {
            Some(value) => Some(Some(value)),
            None => is_missing(cell).then_some(None),
        })
        .collect()
}

/// The texts, `None` where missing.
pub(super) fn texts<'a>(cells: impl Iterator<Item = &'a str>) -> Vec<Option<String>> {
    cells
        .map(|cell| (!is_missing(cell)).then(|| cell.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cells: &[&str], expected: Elements) {
        let (elements, _) = infer(cells.iter().copied()).into_elements();
        // NaN is not itself.
        assert_eq!(format!("{elements:?}"), format!("{expected:?}"), "{cells:?}");
    }

    fn text(texts: &[&str]) -> Elements {
        Elements::Str(texts.iter().map(|&text| text.to_owned()).collect())
    }

    #[test]
    fn the_first_type_that_fits_is_taken() {
        const NAN: f64 = f64::NAN;
        check(&["1", " 2"], Elements::I64(vec![1, 2]));
        check(&["1", ""], Elements::F64(vec![1.0, NAN]));
        check(&["", "NA"], Elements::F64(vec![NAN, NAN]));
        check(&["1e5", "2"], Elements::F64(vec![1e5, 2.0]));
        check(&["tRuE", "FALSE"], Elements::Bool(vec![true, false]));
        check(
            &["true", ""],
            Elements::Object(vec![Value::Bool(true), Value::Float(NAN)]),
        );
        check(&["true", "1"], text(&["true", "1"]));
        check(
            &["x", ""],
            Elements::Object(vec![Value::Str("x".into()), Value::Float(NAN)]),
        );
    }

    #[test]
    fn integers_beyond_64_bits_have_their_own_ways() {
        check(&["18446744073709551615"], Elements::U64(vec![u64::MAX]));
        check(&["9223372036854775808", "1"], Elements::U64(vec![1 << 63, 1]));
        check(
            &["18446744073709551615", "-1"],
            text(&["18446744073709551615", "-1"]),
        );
        check(&["18446744073709551615", ""], text(&["18446744073709551615", ""]));
        let big = Value::BigInt("99999999999999999999".into());
        check(
            &["99999999999999999999", ""],
            Elements::Object(vec![big, Value::Float(f64::NAN)]),
        );
        check(
            &["-9223372036854775809"],
            Elements::Object(vec![Value::BigInt("-9223372036854775809".into())]),
        );
        check(
            &["99999999999999999999", "1.5"],
            text(&["99999999999999999999", "1.5"]),
        );
        check(
            &["99999999999999999999", "x", "NA"],
            text(&["99999999999999999999", "x", "NA"]),
        );
        check(&["1.5", "99999999999999999999"], Elements::F64(vec![1.5, 1e20]));
    }
}
