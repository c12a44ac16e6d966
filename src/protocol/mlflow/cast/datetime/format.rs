//! The format pandas guesses from the first text of a column and then demands of all.

use super::{days_in, nanoseconds};
use crate::protocol::mlflow::python::{Raised, glimpse};

/// One directive of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Fraction,
    Zone,
    Literal(u8),
}

/// A format such as `%Y-%m-%dT%H:%M:%S`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format {
    parts: Vec<Part>,
    /// Whether numbers are written without separators, all digits of them.
    packed: bool,
}

/// A time read in some format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parsed {
    /// Nanoseconds since the epoch, in UTC.
    pub(super) time: i64,
    /// Seconds east of Greenwich, where the text says so.
    pub(super) offset: Option<i64>,
}

/// What the directives of a format hold.
#[derive(Debug, Default, Clone, Copy)]
struct Fields {
    year: i64,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    nanosecond: u32,
    offset: Option<i64>,
}

impl Format {
    /// The format of this text; an error where pandas knows none.
    pub(super) fn guess(text: &str) -> Result<Format, Raised> {
        if text
            .trim()
            .parse::<f64>()
            .is_ok_and(|number| number.abs() < 1000.0)
        {
            let message = format!("Given date string \"{}\" not likely a datetime", glimpse(text));
            return Err(Raised::new("ValueError", message));
        }
        for parts in candidates(text.trim()) {
            let packed = !parts
                .iter()
                .any(|part| matches!(part, Part::Literal(b'-' | b'/' | b'.')));
            let format = Format { parts, packed };
            let Ok(fields) = format.read(text.trim()) else {
                continue;
            };
            return match problem(&fields) {
                Some(what) => Err(Raised::new(
                    "DateParseError",
                    format!("{what}: {}", glimpse(text)),
                )),
                None => Ok(format),
            };
        }
        let message = format!(
            "Unknown datetime string format, unable to parse: {}",
            glimpse(text)
        );
        Err(Raised::new("DateParseError", message))
    }

    /// Whether texts of this format name a time zone.
    pub(super) fn zoned(&self) -> bool {
        self.parts.contains(&Part::Zone)
    }

    /// Reads a text that must have this format.
    pub(super) fn parse(&self, text: &str) -> Result<Parsed, Raised> {
        const ADVICE: &str = "You might want to try:\n    - passing `format` if your strings have a consistent format;\n    \
             - passing `format='ISO8601'` if your strings are all ISO8601 but not necessarily in exactly the same \
             format;\n    - passing `format='mixed'`, and the format will be inferred for each element individually. \
             You might want to use `dayfirst` alongside this.";
        let mismatch = || {
            let message = format!(
                "time data \"{}\" doesn't match format \"{self}\". {ADVICE}",
                glimpse(text)
            );
            Raised::new("ValueError", message)
        };
        let fields = match self.read(text.trim()) {
            Ok(fields) => fields,
            Err(Mismatch::Rest(rest)) => {
                let message = format!(
                    "unconverted data remains when parsing with format \"{self}\": \"{}\". {ADVICE}",
                    glimpse(&rest)
                );
                return Err(Raised::new("ValueError", message));
            }
            Err(Mismatch::Other) => return Err(mismatch()),
        };
        if problem(&fields).is_some() {
            return Err(mismatch());
        }
        let seconds = i128::from(fields.hour * 3600 + fields.minute * 60 + fields.second);
        let of_day = (seconds - i128::from(fields.offset.unwrap_or(0))) * 1_000_000_000
            + i128::from(fields.nanosecond);
        let exact = nanoseconds(fields.year, fields.month, fields.day, of_day);
        let time = i64::try_from(exact).ok().filter(|&time| time != super::NAT).ok_or_else(|| {
            let Fields { year, month, day, hour, minute, second, .. } = fields;
            Raised::new(
                "OutOfBoundsDatetime",
                format!(
                    "Out of bounds nanosecond timestamp: {year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
                ),
            )
        })?;
        Ok(Parsed {
            time,
            offset: fields.offset,
        })
    }

    fn read(&self, text: &str) -> Result<Fields, Mismatch> {
        let mut fields = Fields {
            month: 1,
            day: 1,
            ..Fields::default()
        };
        let mut rest = text.as_bytes();
        for part in &self.parts {
            let mut number = |least: usize, most: usize| take_number(&mut rest, least, most);
            let least = if self.packed { 2 } else { 1 };
            match part {
                Part::Year => fields.year = number(4, 4)?.into(),
                Part::Month => fields.month = number(least, 2)?,
                Part::Day => fields.day = number(least, 2)?,
                Part::Hour => fields.hour = number(least, 2)?,
                Part::Minute => fields.minute = number(2, 2)?,
                Part::Second => fields.second = number(2, 2)?,
                Part::Fraction => fields.nanosecond = take_fraction(&mut rest)?,
                Part::Zone => fields.offset = Some(take_zone(&mut rest)?),
                Part::Literal(byte) => match rest.split_first() {
                    Some((first, after)) if first == byte => rest = after,
                    _ => return Err(Mismatch::Other),
                },
            }
        }
        if rest.is_empty() {
            return Ok(fields);
        }
        Err(Mismatch::Rest(String::from_utf8_lossy(rest).into_owned()))
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in &self.parts {
            out.write_str(match part {
                Part::Year => "%Y",
                Part::Month => "%m",
                Part::Day => "%d",
                Part::Hour => "%H",
                Part::Minute => "%M",
                Part::Second => "%S",
                Part::Fraction => "%f",
                Part::Zone => "%z",
                Part::Literal(byte) => {
                    write!(out, "{}", char::from(*byte))?;
                    continue;
                }
            })?;
        }
        Ok(())
    }
}

enum Mismatch {
    /// The text goes on after the format has ended.
    Rest(String),
    Other,
}

/// Formats this text might have, by its separators.
fn candidates(text: &str) -> Vec<Vec<Part>> {
    use Part::{Day, Hour, Literal, Minute, Month, Second, Year};
    let bytes = text.as_bytes();
    let leading = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut dates: Vec<Vec<Part>> = match (leading, bytes.get(leading)) {
        (4, Some(&separator @ (b'-' | b'/' | b'.'))) => vec![
            vec![Year, Literal(separator), Month, Literal(separator), Day],
            vec![Year, Literal(separator), Month],
        ],
        (1 | 2, Some(&separator @ (b'-' | b'/' | b'.'))) => vec![
            vec![Month, Literal(separator), Day, Literal(separator), Year],
            vec![Day, Literal(separator), Month, Literal(separator), Year],
        ],
        (8, _) => vec![vec![Year, Month, Day]],
        (4, None) => return vec![vec![Year]],
        _ => return Vec::new(),
    };
    // A first number above 12 is a day.
    if leading <= 2
        && text
            .get(..leading)
            .and_then(|first| first.parse::<u32>().ok())
            .is_some_and(|first| first > 12)
    {
        dates.remove(0);
    }
    let mut all = Vec::new();
    for date in dates {
        all.push(date.clone());
        for separator in [b'T', b' '] {
            for time in [
                &[Hour][..],
                &[Hour, Literal(b':'), Minute],
                &[Hour, Literal(b':'), Minute, Literal(b':'), Second],
                &[
                    Hour,
                    Literal(b':'),
                    Minute,
                    Literal(b':'),
                    Second,
                    Literal(b'.'),
                    Part::Fraction,
                ],
                &[Hour, Minute, Second],
            ] {
                let mut parts = date.clone();
                parts.push(Literal(separator));
                parts.extend_from_slice(time);
                all.push(parts.clone());
                parts.push(Part::Zone);
                all.push(parts);
            }
        }
    }
    all
}

/// What no calendar or clock shows.
fn problem(fields: &Fields) -> Option<&'static str> {
    if !(1..=12).contains(&fields.month) {
        Some("month must be in 1..12")
    } else if fields.day == 0 || fields.day > days_in(fields.year, fields.month) {
        Some("day is out of range for month")
    } else if fields.hour > 23 {
        Some("hour must be in 0..23")
    } else if fields.minute > 59 {
        Some("minute must be in 0..59")
    } else if fields.second > 59 {
        Some("second must be in 0..59")
    } else if fields.year == 0 {
        Some("year 0 is out of range")
    } else {
        None
    }
}

fn take_number(rest: &mut &[u8], least: usize, most: usize) -> Result<u32, Mismatch> {
    let count = rest
        .iter()
        .take(most)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if count < least {
        return Err(Mismatch::Other);
    }
    let (digits, after) = rest.split_at_checked(count).ok_or(Mismatch::Other)?;
    *rest = after;
    Ok(digits
        .iter()
        .fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

/// A fraction of a second in nanoseconds; further digits are dropped.
fn take_fraction(rest: &mut &[u8]) -> Result<u32, Mismatch> {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return Err(Mismatch::Other);
    }
    let (digits, after) = rest.split_at_checked(count).ok_or(Mismatch::Other)?;
    *rest = after;
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    Ok(padded.fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

fn take_zone(rest: &mut &[u8]) -> Result<i64, Mismatch> {
    let (sign, after) = match rest {
        [b'Z', after @ ..] => {
            *rest = after;
            return Ok(0);
        }
        [b'+', after @ ..] => (1, after),
        [b'-', after @ ..] => (-1, after),
        _ => return Err(Mismatch::Other),
    };
    *rest = after;
    let hours = take_number(rest, 2, 2)?;
    if let [b':', after @ ..] = rest {
        *rest = after;
    }
    let minutes = if rest.is_empty() {
        0
    } else {
        take_number(rest, 2, 2)?
    };
    Ok(sign * i64::from(hours * 3600 + minutes * 60))
}
