//! What the text of one cell means to pandas.

/// Whether the text stands for a missing value.
pub(super) fn is_missing(text: &str) -> bool {
    matches!(
        text,
        "" | "NA"
            | "NaN"
            | "nan"
            | "null"
            | "NULL"
            | "None"
            | "N/A"
            | "n/a"
            | "#N/A"
            | "#NA"
            | "#N/A N/A"
            | "<NA>"
            | "-NaN"
            | "-nan"
            | "1.#IND"
            | "-1.#IND"
            | "1.#QNAN"
            | "-1.#QNAN"
    )
}

/// An integer, or why it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// Fits 64 bits, signed.
    Fits(i64),
    /// An integer beyond 64 bits.
    Overflows,
    /// No integer.
    Not,
}

/// Digits with an optional sign, white space around.
pub(super) fn whole(text: &str) -> Whole {
    let trimmed = trim(text);
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Whole::Not;
    }
    trimmed.parse().map_or(Whole::Overflows, Whole::Fits)
}

/// A decimal number, exactly rounded, or an infinity by name.
pub(super) fn float(text: &str) -> Option<f64> {
    let trimmed = trim(text);
    let unsigned = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    match unsigned.bytes().next()? {
        // What begins so has no other reading in Rust than in C: digits, a point, an exponent.
        b'0'..=b'9' | b'.' => trimmed.parse().ok(),
        b'i' | b'I' => infinity(text),
        _ => None,
    }
}

fn infinity(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let named = unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity");
    let value = if text.starts_with('-') {
        f64::NEG_INFINITY
    } else {
        f64::INFINITY
    };
    named.then_some(value)
}

/// `true` or `false` in any case.
pub(super) fn flag(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// The text without the white space of C's `isspace` around it.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_digits_alone() {
        for (text, expected) in [
            ("7", Whole::Fits(7)),
            (" -7\u{b}", Whole::Fits(-7)),
            ("+5", Whole::Fits(5)),
            ("007", Whole::Fits(7)),
            ("9223372036854775807", Whole::Fits(i64::MAX)),
            ("9223372036854775808", Whole::Overflows),
            ("", Whole::Not),
            ("-", Whole::Not),
            ("--1", Whole::Not),
            ("1.0", Whole::Not),
            ("1_000", Whole::Not),
            ("\u{661}", Whole::Not),
        ] {
            assert_eq!(whole(text), expected, "{text:?}");
        }
    }

    #[test]
    fn floats_are_c_s() {
        for (text, expected) in [
            ("1", 1.0),
            (" .5 ", 0.5),
            ("5.", 5.0),
            ("-1E5", -1e5),
            ("1e400", f64::INFINITY),
            ("1e-400", 0.0),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            assert_eq!(float(text), Some(expected), "{text:?}");
        }
        for text in [
            "", ".", "1e", "1e+", "nan", "NAN", "infinit", " inf", "0x10", "1d5", "1 2", "1_0", "--1", "e5",
        ] {
            assert_eq!(float(text), None, "{text:?}");
        }
    }
}
