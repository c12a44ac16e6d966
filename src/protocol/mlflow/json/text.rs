//! Bytes to text as Python's `json.loads` does it: UTF-8, UTF-16 or UTF-32 by the first bytes, lone surrogates let
//! through.

use std::borrow::Cow;

use crate::protocol::mlflow::python::{Raised, repr_bytes, repr_text};

/// How much of a body is echoed in a message.
pub(crate) const ECHO: usize = 1024;

/// The text of a body, without a byte-order mark. Lone surrogates become U+FFFD, as no Rust string can hold them.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    match bytes {
        [0, 0, 0xfe, 0xff, rest @ ..] => utf32(bytes, rest, true),
        [0xff, 0xfe, 0, 0, rest @ ..] => utf32(bytes, rest, false),
        [0xfe, 0xff, rest @ ..] => utf16(bytes, rest, true),
        [0xff, 0xfe, rest @ ..] => utf16(bytes, rest, false),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest),
        [0, 0, _, _, ..] => utf32(bytes, bytes, true),
        [0, _, _, _, ..] | [0, _] => utf16(bytes, bytes, true),
        [_, 0, 0, 0, ..] => utf32(bytes, bytes, false),
        [_, 0, _, _, ..] | [_, 0] => utf16(bytes, bytes, false),
        _ => utf8(bytes),
    }
}

/// `repr` of the `UnicodeDecodeError` Python raises.
fn failure(codec: &str, bytes: &[u8], start: usize, end: usize, reason: &str) -> String {
    let bytes = repr_bytes(bytes, ECHO);
    format!(
        "UnicodeDecodeError({}, {bytes}, {start}, {end}, {})",
        repr_text(codec),
        repr_text(reason)
    )
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let mut repaired: Option<String> = None;
    let mut rest = bytes;
    loop {
        let error = match std::str::from_utf8(rest) {
            Ok(text) => {
                return Ok(match repaired {
                    None => Cow::Borrowed(text),
                    Some(mut head) => {
                        head.push_str(text);
                        Cow::Owned(head)
                    }
                });
            }
            Err(error) => error,
        };
        let (valid, broken) = rest.split_at_checked(error.valid_up_to()).unwrap_or((rest, &[]));
        let start = bytes.len() - broken.len();
        if let [0xed, 0xa0..=0xbf, 0x80..=0xbf, after @ ..] = broken {
            let head = repaired.get_or_insert_with(String::new);
            head.push_str(&String::from_utf8_lossy(valid));
            head.push('\u{fffd}');
            rest = after;
            continue;
        }
        let (end, reason) = match (error.error_len(), broken.first()) {
            (None, _) => (bytes.len(), "unexpected end of data"),
            (Some(_), Some(0x80..=0xc1 | 0xf5..=0xff)) => (start + 1, "invalid start byte"),
            (Some(length), _) => (start + length, "invalid continuation byte"),
        };
        return Err(failure("utf-8", bytes, start, end, reason));
    }
}

fn utf16<'a>(all: &[u8], bytes: &[u8], big_endian: bool) -> Result<Cow<'a, str>, String> {
    let (units, tail) = bytes.as_chunks::<2>();
    if !tail.is_empty() {
        let codec = if big_endian { "utf-16-be" } else { "utf-16-le" };
        return Err(failure(codec, all, all.len() - 1, all.len(), "truncated data"));
    }
    let unit = |pair: &[u8; 2]| {
        if big_endian {
            u16::from_be_bytes(*pair)
        } else {
            u16::from_le_bytes(*pair)
        }
    };
    let text = char::decode_utf16(units.iter().map(unit))
        .map(|c| c.unwrap_or('\u{fffd}'))
        .collect();
    Ok(Cow::Owned(text))
}

fn utf32<'a>(all: &[u8], bytes: &[u8], big_endian: bool) -> Result<Cow<'a, str>, String> {
    let codec = if big_endian { "utf-32-be" } else { "utf-32-le" };
    let (units, tail) = bytes.as_chunks::<4>();
    let mut text = String::with_capacity(units.len());
    for (position, quad) in units.iter().enumerate() {
        let code = if big_endian {
            u32::from_be_bytes(*quad)
        } else {
            u32::from_le_bytes(*quad)
        };
        match char::from_u32(code) {
            Some(c) => text.push(c),
            None if code < 0x11_0000 => text.push('\u{fffd}'),
            None => {
                let start = all.len() - bytes.len() + position * 4;
                return Err(failure(
                    codec,
                    all,
                    start,
                    start + 4,
                    "code point not in range(0x110000)",
                ));
            }
        }
    }
    if !tail.is_empty() {
        return Err(failure(
            codec,
            all,
            all.len() - tail.len(),
            all.len(),
            "truncated data",
        ));
    }
    Ok(Cow::Owned(text))
}

/// `repr` of the `JSONDecodeError` Python raises at byte `at` of `text`.
pub(crate) fn syntax_error(what: &str, text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let position = before.chars().count();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Raised::new(
        "JSONDecodeError",
        format!("{what}: line {line} column {column} (char {position})"),
    )
    .repr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_told_by_the_first_bytes() {
        let wide =
            |text: &str, unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        let quad = |text: &str, unit: fn(u32) -> [u8; 4]| {
            text.chars().flat_map(|c| unit(c.into())).collect::<Vec<_>>()
        };
        let text = "{\"é\": \"😀\"}";
        let marked = |mark: &[u8], body: Vec<u8>| [mark, &body].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            marked(b"\xef\xbb\xbf", text.as_bytes().to_vec()),
            wide(text, u16::to_be_bytes),
            wide(text, u16::to_le_bytes),
            marked(b"\xff\xfe", wide(text, u16::to_le_bytes)),
            marked(b"\xfe\xff", wide(text, u16::to_be_bytes)),
            quad(text, u32::to_be_bytes),
            quad(text, u32::to_le_bytes),
            marked(b"\xff\xfe\0\0", quad(text, u32::to_le_bytes)),
        ] {
            assert_eq!(decode(&bytes).unwrap(), text);
        }
    }

    #[test]
    fn broken_text_is_reported_as_python_does() {
        for (bytes, wanted) in [
            (
                &b"\x1f\x8b"[..],
                r"UnicodeDecodeError('utf-8', b'\x1f\x8b', 1, 2, 'invalid start byte')",
            ),
            (
                b"\"\xc3\"",
                r#"UnicodeDecodeError('utf-8', b'"\xc3"', 1, 2, 'invalid continuation byte')"#,
            ),
            (
                b"\xe2\x82",
                r"UnicodeDecodeError('utf-8', b'\xe2\x82', 0, 2, 'unexpected end of data')",
            ),
            (b"{\0\"", r#"UnicodeDecodeError('utf-8', b'{\x00"', "#),
        ] {
            match decode(bytes) {
                Err(message) => assert_eq!(message, wanted),
                // Three bytes are never taken for UTF-16.
                Ok(text) => assert_eq!(text.as_bytes(), bytes),
            }
        }
        assert_eq!(decode(b"\xed\xa0\x80x").unwrap(), "\u{fffd}x");
    }
}
