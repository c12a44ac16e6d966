//! How Python writes values (`repr`, `str`) and reads numbers from text; MLflow's messages and casts show both.

use std::fmt::Write as _;

use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;

/// A Python exception, as far as messages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raised {
    /// Its class.
    pub(crate) class: &'static str,
    /// `str(exception)`.
    pub(crate) message: String,
}

impl Raised {
    /// An exception of this class.
    pub(crate) fn new(class: &'static str, message: impl Into<String>) -> Raised {
        Raised {
            class,
            message: message.into(),
        }
    }

    /// `repr(exception)`: `ValueError('…')`.
    pub(crate) fn repr(&self) -> String {
        let mut out = String::with_capacity(self.message.len() + 24);
        out.push_str(self.class);
        out.push('(');
        push_text(&mut out, &self.message);
        out.push(')');
        out
    }
}

/// `repr` of a text.
pub(crate) fn repr_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_text(&mut out, text);
    out
}

/// `repr` of a value, as deep as it goes; the caller bounds depth by bounding what it read.
pub(crate) fn repr(value: &Value) -> String {
    let mut out = String::new();
    push_value(&mut out, value);
    out
}

/// `str` of a value: the text itself, else its `repr`.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        other => repr(other),
    }
}

/// `repr` of bytes, at most `limit` of them followed by an ellipsis.
pub(crate) fn repr_bytes(bytes: &[u8], limit: usize) -> String {
    let shown = bytes.get(..limit).unwrap_or(bytes);
    let quote = if shown.contains(&b'\'') && !shown.contains(&b'"') {
        b'"'
    } else {
        b'\''
    };
    let mut out = String::with_capacity(shown.len() + 3);
    out.push('b');
    out.push(char::from(quote));
    for &byte in shown {
        match byte {
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\\' => out.push_str("\\\\"),
            _ if byte == quote => {
                out.push('\\');
                out.push(char::from(byte));
            }
            0x20..=0x7e => out.push(char::from(byte)),
            _ => push_fmt(&mut out, format_args!("\\x{byte:02x}")),
        }
    }
    out.push(char::from(quote));
    if shown.len() < bytes.len() {
        out.push('…');
    }
    out
}

/// `repr` of a double: shortest digits that round-trip, scientific outside 1e-4 … 1e16.
pub(crate) fn repr_float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let mut out = Vec::with_capacity(24);
    crate::model::number::write_f64(&mut out, value);
    String::from_utf8(out).unwrap_or_default()
}

/// A message of bearable length: names and values of a request are echoed, and may be of any length.
pub(crate) fn bounded(mut message: String) -> String {
    const LIMIT: usize = 16 << 10;
    if message.len() > LIMIT {
        let end = (0..=LIMIT)
            .rev()
            .find(|&end| message.is_char_boundary(end))
            .unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}

/// A short description of a value for messages, whose exact wording nobody can rely on.
pub(crate) fn glimpse(text: &str) -> String {
    const LIMIT: usize = 120;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The integer Python's `int(text)` reads, as far as 64 bits hold it.
pub(crate) fn parse_int(text: &str) -> Result<Integer, Raised> {
    let invalid = || {
        Raised::new(
            "ValueError",
            format!(
                "invalid literal for int() with base 10: {}",
                repr_text(&glimpse(text))
            ),
        )
    };
    let trimmed = trim(text);
    let (negative, digits) = match trimmed.as_bytes().first() {
        Some(b'-') => (true, trimmed.get(1..)),
        Some(b'+') => (false, trimmed.get(1..)),
        _ => (false, Some(trimmed)),
    };
    let digits = without_underscores(digits.unwrap_or_default()).ok_or_else(invalid)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid());
    }
    let signed = if negative { format!("-{digits}") } else { digits };
    Ok(match signed.parse::<i64>() {
        Ok(integer) => Integer::Small(integer),
        Err(_) => Integer::Big(signed.into()),
    })
}

/// An integer of any size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Integer {
    /// Fits 64 bits, signed.
    Small(i64),
    /// Decimal digits, with a sign where negative.
    Big(Box<str>),
}

/// The double Python's `float(text)` reads.
pub(crate) fn parse_float(text: &str) -> Result<f64, Raised> {
    let invalid = || {
        Raised::new(
            "ValueError",
            format!("could not convert string to float: {}", repr_text(&glimpse(text))),
        )
    };
    let digits = without_underscores(trim(text)).ok_or_else(invalid)?;
    digits.parse().map_err(|_| invalid())
}

/// Python strips what Unicode calls white space, and four separators.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

/// Single underscores between digits are allowed in numbers; `None` when one stands elsewhere.
fn without_underscores(text: &str) -> Option<String> {
    if text.contains('_') {
        let bytes = text.as_bytes();
        let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        let proper = |at: usize| digit(at.checked_sub(1)) && digit(Some(at + 1));
        if !bytes
            .iter()
            .enumerate()
            .filter(|&(_, &byte)| byte == b'_')
            .all(|(at, _)| proper(at))
        {
            return None;
        }
    }
    // Python reads every decimal digit that Unicode has; those outside ASCII are refused here.
    Some(text.replace('_', ""))
}

// Writing into a `String` cannot fail.
fn push_fmt(out: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(what);
}

fn push_text(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            _ if c == quote => {
                out.push('\\');
                out.push(c);
            }
            ' '..='\u{7e}' => out.push(c),
            _ if is_printable(c) => out.push(c),
            _ => match u32::from(c) {
                code @ ..=0xff => push_fmt(out, format_args!("\\x{code:02x}")),
                code @ ..=0xffff => push_fmt(out, format_args!("\\u{code:04x}")),
                code => push_fmt(out, format_args!("\\U{code:08x}")),
            },
        }
    }
    out.push(quote);
}

/// Python's `str.isprintable` without its tables: controls, separators, format and private characters are not.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !c.is_whitespace()
        && !matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}' | '\u{feff}'
            | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{10ffff}')
}

fn push_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(integer) => push_fmt(out, format_args!("{integer}")),
        Value::BigInt(digits) => out.push_str(digits),
        Value::Float(float) => out.push_str(&repr_float(*float)),
        Value::Str(text) => push_text(out, text),
        Value::Bytes(bytes) => out.push_str(&repr_bytes(bytes, usize::MAX)),
        Value::Tensor(tensor) => push_tensor(out, tensor),
        Value::List(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push_str(", ");
                }
                push_value(out, item);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (position, (key, item)) in entries.iter().enumerate() {
                if position > 0 {
                    out.push_str(", ");
                }
                push_text(out, key);
                out.push_str(": ");
                push_value(out, item);
            }
            out.push('}');
        }
    }
}

/// NumPy scalars read `np.int64(1)`; of arrays the shape and the type are told.
fn push_tensor(out: &mut String, tensor: &Tensor) {
    if !tensor.shape().is_empty() {
        push_fmt(
            out,
            format_args!("array(shape={:?}, dtype={})", tensor.shape(), tensor.dtype()),
        );
        return;
    }
    match tensor.elements() {
        Elements::Bool(values) => {
            out.push_str(if values.first() == Some(&true) {
                "np.True_"
            } else {
                "np.False_"
            });
        }
        Elements::Object(values) => match values.first() {
            Some(bytes @ Value::Bytes(_)) => push_fmt(out, format_args!("np.bytes_({})", repr(bytes))),
            Some(other) => push_value(out, other),
            None => {}
        },
        Elements::Str(values) => {
            push_fmt(
                out,
                format_args!(
                    "np.str_({})",
                    repr_text(values.first().map_or("", String::as_str))
                ),
            );
        }
        elements => {
            let name = tensor.dtype().numpy_name();
            let inner = super::cast::series::value_at(elements, 0).map(|value| repr(&value));
            push_fmt(out, format_args!("np.{name}({})", inner.unwrap_or_default()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_as_python_writes_them() {
        for (value, wanted) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (5e-324, "5e-324"),
            (1.234_567_890_123_456_8e17, "1.2345678901234568e+17"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(repr_float(value), wanted);
        }
    }

    #[test]
    fn text_is_quoted_and_escaped() {
        for (text, wanted) in [
            ("a", "'a'"),
            ("it's", "\"it's\""),
            ("'\"", r#"'\'"'"#),
            ("\n\u{1}é\u{a0}\u{200b}", "'\\n\\x01é\\xa0\\u200b'"),
        ] {
            assert_eq!(repr_text(text), wanted);
        }
        assert_eq!(repr_bytes(b"a'\xff", 10), r#"b"a'\xff""#);
        assert_eq!(repr_bytes(b"abc", 2), "b'ab'…");
    }

    #[test]
    fn numbers_are_read_as_python_reads_them() {
        assert_eq!(parse_int(" +1_000 "), Ok(Integer::Small(1000)));
        assert_eq!(
            parse_int("-9223372036854775809"),
            Ok(Integer::Big("-9223372036854775809".into()))
        );
        for text in ["", "1.5", "0x10", "1__0", "_1", "- 1", "+-1"] {
            assert!(parse_int(text).is_err(), "{text}");
        }
        assert_eq!(parse_float(" 1_0.5e-1 "), Ok(1.05));
        assert_eq!(parse_float("-Infinity"), Ok(f64::NEG_INFINITY));
        for text in ["", ".", "0x10", "1_.5", "--1"] {
            assert!(parse_float(text).is_err(), "{text}");
        }
    }

    #[test]
    fn exceptions_quote_their_message() {
        let raised = parse_int("1.5").unwrap_err();
        assert_eq!(
            raised.repr(),
            r#"ValueError("invalid literal for int() with base 10: '1.5'")"#
        );
    }
}
