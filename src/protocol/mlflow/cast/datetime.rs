//! Times out of text and numbers: pandas' `to_datetime` for tables, NumPy's `datetime64` for arrays.

mod format;
mod iso;

use super::{Column, is_missing};
use crate::model::tensor::{DType, Elements};
use crate::model::value::Value;
use crate::protocol::mlflow::python::Raised;

use format::Format;

/// Not a time.
const NAT: i64 = i64::MIN;
/// Nanoseconds a day.
const DAY: i128 = 86_400_000_000_000;

/// Nanoseconds since the epoch, of a civil date (proleptic Gregorian) and the nanoseconds of its day.
fn nanoseconds(year: i64, month: u32, day: u32, of_day: i128) -> i128 {
    // Years begin in March, so that the leap day comes last; an era is 400 years.
    let shifted = i128::from(year) - i128::from(month <= 2);
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = i128::from((153 * ((month + 9) % 12) + 2) / 5 + day) - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    days * DAY + of_day
}

fn days_in(year: i64, month: u32) -> u32 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `np.array(values, 'datetime64[ns]')`, element by element.
pub(crate) fn numpy_times<'a>(values: impl Iterator<Item = &'a Value>) -> Result<Elements, Raised> {
    let one = |value: &Value| match value {
        Value::Null => Ok(NAT),
        Value::Bool(truth) => Ok(i64::from(*truth)),
        Value::Int(integer) => Ok(*integer),
        Value::BigInt(_) => Err(Raised::new("OverflowError", "int too big to convert")),
        Value::Str(text) => iso::parse(text),
        Value::Tensor(tensor) => match tensor.elements() {
            Elements::Datetime(values) => Ok(values.first().copied().unwrap_or(NAT)),
            _ => Err(Raised::new(
                "ValueError",
                "Could not convert object to NumPy datetime",
            )),
        },
        _ => Err(Raised::new(
            "ValueError",
            "Could not convert object to NumPy datetime",
        )),
    };
    Ok(Elements::Datetime(
        values.map(one).collect::<Result<_, Raised>>()?,
    ))
}

/// `pd.to_datetime(series)`: text in the format of the first one, numbers as nanoseconds.
pub(crate) fn pandas_times(column: &mut Column) -> Result<(), Raised> {
    let times = match &column.values {
        Elements::Datetime(_) => return Ok(()),
        Elements::Bool(_) => {
            return Err(Raised::new(
                "TypeError",
                "dtype bool cannot be converted to datetime64[ns]",
            ));
        }
        Elements::Str(values) => texts(values.iter().map(|text| Some(text.as_str())))?,
        Elements::Object(values) => return objects(values).map(|times| set(column, times)),
        Elements::U64(values) => {
            let one = |&value: &u64| i64::try_from(value).map_err(|_| out_of_bounds(value));
            Times {
                values: values.iter().map(one).collect::<Result<_, _>>()?,
                zoned: false,
            }
        }
        numbers => {
            let number = |value: Value| match value {
                Value::Int(integer) => integer,
                Value::Float(float) => float_time(float),
                _ => NAT,
            };
            Times {
                values: super::series::objects(numbers).into_iter().map(number).collect(),
                zoned: false,
            }
        }
    };
    set(column, times);
    Ok(())
}

/// Times in UTC, and whether they named a time zone.
struct Times {
    values: Vec<i64>,
    zoned: bool,
}

fn out_of_bounds(number: impl std::fmt::Display) -> Raised {
    let message = format!("cannot convert input {number} with the unit 'ns'");
    Raised::new("OutOfBoundsDatetime", message)
}

fn set(column: &mut Column, times: Times) {
    column.values = Elements::Datetime(times.values);
    column.zoned = times.zoned;
    column.text = false;
}

fn float_time(float: f64) -> i64 {
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float);
    if fits { float as i64 } else { NAT }
}

fn objects(values: &[Value]) -> Result<Times, Raised> {
    let first = values.iter().find(|value| !is_missing(value));
    if let Some(Value::Str(_)) = first {
        // The format of the first text holds for all; other values count as the text they print as.
        let printed: Vec<Option<String>> = values
            .iter()
            .map(|value| (!is_missing(value)).then(|| crate::protocol::mlflow::python::text_of(value)))
            .collect();
        return texts(printed.iter().map(Option::as_deref));
    }
    let one = |value: &Value| match value {
        value if is_missing(value) => Ok(NAT),
        Value::Int(integer) => Ok(*integer),
        Value::Float(float) => Ok(float_time(*float)),
        Value::BigInt(digits) => Err(out_of_bounds(digits)),
        Value::Str(text) => Ok(texts([Some(&**text)].into_iter())?
            .values
            .first()
            .copied()
            .unwrap_or(NAT)),
        Value::Tensor(tensor) if tensor.dtype() == DType::Datetime && tensor.shape().is_empty() => {
            match tensor.elements() {
                Elements::Datetime(values) => Ok(values.first().copied().unwrap_or(NAT)),
                _ => Ok(NAT),
            }
        }
        other => {
            let module = if matches!(other, Value::Tensor(_)) {
                "numpy."
            } else {
                ""
            };
            let message = format!(
                "<class '{module}{}'> is not convertible to datetime",
                other.python_type()
            );
            Err(Raised::new("TypeError", message))
        }
    };
    Ok(Times {
        values: values.iter().map(one).collect::<Result<_, Raised>>()?,
        zoned: false,
    })
}

fn is_nat(text: &str) -> bool {
    matches!(text, "" | "NaT" | "nat" | "NAT" | "nan" | "NaN" | "NAN")
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Result<Times, Raised> {
    let mut format: Option<Format> = None;
    let mut times = Times {
        values: Vec::new(),
        zoned: false,
    };
    let mut offset = None;
    for text in values {
        let Some(text) = text.filter(|text| !is_nat(text)) else {
            times.values.push(NAT);
            continue;
        };
        let parsed = match &format {
            Some(format) => format.parse(text)?,
            None => {
                let guessed = Format::guess(text)?;
                let parsed = guessed.parse(text)?;
                times.zoned = guessed.zoned();
                format = Some(guessed);
                parsed
            }
        };
        if *offset.get_or_insert(parsed.offset) != parsed.offset {
            return Err(Raised::new(
                "ValueError",
                "Mixed timezones detected. Pass utc=True in to_datetime or tz='UTC' in DatetimeIndex to convert to a \
                 common timezone.",
            ));
        }
        times.values.push(parsed.time);
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::batch::Name;

    const JAN_2: i64 = 1_704_153_600_000_000_000;

    fn pandas(values: &[&str]) -> Result<Vec<i64>, String> {
        let values = Elements::Str(values.iter().map(|text| text.to_string()).collect());
        let mut column = Column::new(Name::Index(0), values);
        pandas_times(&mut column).map_err(|raised| format!("{}: {}", raised.class, raised.message))?;
        let Elements::Datetime(times) = column.values else {
            panic!()
        };
        Ok(times)
    }

    #[test]
    fn dates_are_counted_from_the_epoch() {
        assert_eq!(nanoseconds(1970, 1, 1, 0), 0);
        assert_eq!(nanoseconds(2024, 1, 2, 0), i128::from(JAN_2));
        assert_eq!(nanoseconds(2000, 2, 29, 0) / DAY, 11_016);
        assert_eq!(nanoseconds(1969, 12, 31, 0), -DAY);
    }

    #[test]
    fn pandas_reads_what_its_users_write() {
        for (text, wanted) in [
            ("2024-01-02", JAN_2),
            ("01/02/2024", JAN_2),
            ("1/2/2024", JAN_2),
            ("20240102", JAN_2),
            ("2024/01/02", JAN_2),
            ("2024-01-02T03:04:05.123456789", JAN_2 + 11_045_123_456_789),
            ("2024-01-02 03:04", JAN_2 + 11_040_000_000_000),
            ("", NAT),
        ] {
            assert_eq!(pandas(&[text]), Ok(vec![wanted]), "{text}");
        }
        assert_eq!(pandas(&["13/02/2024", "01/02/2024"]).unwrap().len(), 2);
    }

    #[test]
    fn pandas_refuses_in_its_words() {
        for (texts, wanted) in [
            (
                &["abc"][..],
                "DateParseError: Unknown datetime string format, unable to parse: abc",
            ),
            (
                &["7"],
                "ValueError: Given date string \"7\" not likely a datetime",
            ),
            (
                &["2024-02-30"],
                "DateParseError: day is out of range for month: 2024-02-30",
            ),
            (
                &["2024-13-01"],
                "DateParseError: month must be in 1..12: 2024-13-01",
            ),
            (
                &["1500-01-01"],
                "OutOfBoundsDatetime: Out of bounds nanosecond timestamp: 1500-01-01 00:00:00",
            ),
            (
                &["2024-01-02", "2024-01-02T03:04:05"],
                "ValueError: unconverted data remains when parsing with format \"%Y-%m-%d\": \"T03:04:05\". You might",
            ),
            (
                &["01/02/2024", "13/02/2024"],
                "ValueError: time data \"13/02/2024\" doesn't match format \"%m/%d/%Y\". Y",
            ),
        ] {
            let message = pandas(texts).unwrap_err();
            assert!(message.starts_with(wanted), "{message}");
        }
    }
}
