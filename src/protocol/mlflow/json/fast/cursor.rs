//! A cursor over the text of a request. Every method answers `None` where the text is not what a regular request has.

use std::borrow::Cow;

use crate::protocol::mlflow::json::read;

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    /// A number without fraction and exponent.
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
}

/// Where reading stands.
pub(super) struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pub(super) at: usize,
}

/// Powers of ten that a double holds exactly.
const EXACT_TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Whole numbers up to here are doubles exactly.
const EXACT_INTEGER: u64 = 1 << 53;

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor {
            text,
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    /// The next byte that is not white space.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Steps over this byte.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Steps over a comma (true) or the closing byte (false).
    #[inline]
    pub(super) fn more(&mut self, close: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            _ if byte == close => Some(false),
            _ => None,
        }
    }

    /// Bytes not yet read.
    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// Whether nothing but white space is left.
    pub(super) fn ended(&mut self) -> bool {
        self.peek().is_none()
    }

    /// A string.
    #[inline]
    pub(super) fn string(&mut self) -> Option<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        let rest = self.bytes.get(start..)?;
        let length = rest
            .iter()
            .position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
        match rest.get(length)? {
            b'"' => {
                self.at = start + length + 1;
                self.text.get(start..start + length).map(Cow::Borrowed)
            }
            b'\\' => {
                let (string, end) = read::string_at(self.text, start - 1)?;
                self.at = end;
                Some(string)
            }
            _ => None,
        }
    }

    /// A key and its colon.
    #[inline]
    pub(super) fn key(&mut self) -> Option<Cow<'a, str>> {
        let key = self.string()?;
        self.expect(b':')?;
        Some(key)
    }

    /// One cell, which is no list and no object.
    #[inline]
    pub(super) fn token(&mut self) -> Option<Token<'a>> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string().map(Token::Text),
            b'n' => self.word(b"null", Token::Null),
            b't' => self.word(b"true", Token::Bool(true)),
            b'f' => self.word(b"false", Token::Bool(false)),
            b'N' => self.word(b"NaN", Token::Float(f64::NAN)),
            b'I' => self.word(b"Infinity", Token::Float(f64::INFINITY)),
            _ => None,
        }
    }

    fn word(&mut self, word: &[u8], token: Token<'a>) -> Option<Token<'a>> {
        self.bytes
            .get(self.at..)?
            .starts_with(word)
            .then(|| self.at += word.len())?;
        Some(token)
    }

    /// A number in plain notation, rounded exactly: by one division where its digits and power of ten are doubles
    /// themselves. `None` leaves anything else, and a number that ends the text, where it is, for [`Cursor::token`].
    ///
    /// Digits are read eight at a time: a loop over them ends where the processor does not expect it, which costs more
    /// than reading them.
    #[inline]
    pub(super) fn plain_float(&mut self) -> Option<f64> {
        let negative = self.peek()? == b'-';
        let first = self.at + usize::from(negative);
        let (whole, length) = digits(self.bytes, first)?;
        // Eight may go on; a leading zero is alone.
        if length == 0 || length == 8 || (length > 1 && self.bytes.get(first) == Some(&b'0')) {
            return None;
        }
        let mut at = first + length;
        match *self.bytes.get(at)? {
            b'.' => at += 1,
            b'e' | b'E' => return None,
            _ => {
                self.at = at;
                // A whole number has no negative zero.
                let whole = whole as i64;
                return Some(if negative { -whole } else { whole } as f64);
            }
        }
        let fraction = at;
        let mut mantissa = whole;
        loop {
            let (more, count) = digits(self.bytes, at)?;
            mantissa = mantissa.checked_mul(*POWERS.get(count)?)?.checked_add(more)?;
            at += count;
            if count < 8 {
                break;
            }
        }
        let places = at - fraction;
        if places == 0 || matches!(self.bytes.get(at), None | Some(b'e' | b'E')) {
            return None;
        }
        if mantissa <= EXACT_INTEGER
            && let Some(power) = EXACT_TENS.get(places)
        {
            self.at = at;
            let magnitude = mantissa as f64 / power;
            return Some(if negative { -magnitude } else { magnitude });
        }
        let float = self.text.get(self.at..at)?.parse().ok()?;
        self.at = at;
        Some(float)
    }

    /// A number. Doubles are rounded exactly: directly where mantissa and power of ten are doubles themselves, else by
    /// the standard parser.
    #[inline]
    fn number(&mut self) -> Option<Token<'a>> {
        let start = self.at;
        let bytes = self.bytes;
        let mut at = start;
        let negative = *bytes.get(at)? == b'-';
        at += usize::from(negative);
        if negative && bytes.get(at) == Some(&b'I') {
            return self.word(b"-Infinity", Token::Float(f64::NEG_INFINITY));
        }
        let first = at;
        let mut mantissa = 0u64;
        // Digits beyond 19 may wrap; such numbers take the long way.
        while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            at += 1;
        }
        let whole = at - first;
        if whole == 0 || (whole > 1 && bytes.get(first) == Some(&b'0')) {
            return None;
        }
        let mut digits = whole;
        let mut exponent = 0i32;
        let mut float = false;
        if bytes.get(at) == Some(&b'.') {
            float = true;
            at += 1;
            let fraction = at;
            while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
                at += 1;
            }
            if at == fraction {
                return None;
            }
            digits += at - fraction;
            exponent = -i32::try_from(at - fraction).ok()?;
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            float = true;
            at += 1;
            let down = bytes.get(at) == Some(&b'-');
            at += usize::from(matches!(bytes.get(at), Some(b'-' | b'+')));
            let begin = at;
            let mut power = 0i32;
            while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
                power = power.saturating_mul(10).saturating_add(i32::from(digit - b'0'));
                at += 1;
            }
            if at == begin {
                return None;
            }
            exponent = exponent.saturating_add(if down { -power } else { power });
        }
        self.at = at;
        if !float {
            let integer = if digits <= 18 {
                let magnitude = i64::try_from(mantissa).ok()?;
                if negative { -magnitude } else { magnitude }
            } else {
                self.text.get(start..at)?.parse().ok()?
            };
            return Some(Token::Int(integer));
        }
        if digits <= 19 && mantissa <= EXACT_INTEGER {
            let power = EXACT_TENS.get(usize::try_from(exponent.unsigned_abs()).ok()?);
            if let Some(power) = power {
                let magnitude = if exponent < 0 {
                    mantissa as f64 / power
                } else {
                    mantissa as f64 * power
                };
                return Some(Token::Float(if negative { -magnitude } else { magnitude }));
            }
        }
        self.text.get(start..at)?.parse().ok().map(Token::Float)
    }

    /// Steps over one cell of any kind; lists and objects are not cells of regular requests.
    pub(super) fn skip_cell(&mut self) -> Option<()> {
        self.token().map(|_| ())
    }

    /// Steps over a list of whatever, to be read later: its end is found by counting brackets.
    pub(super) fn skip_list(&mut self) -> Option<()> {
        self.expect(b'[')?;
        let mut open = 1usize;
        while open > 0 {
            match self.peek()? {
                b'[' | b'{' => open += 1,
                b']' | b'}' => open -= 1,
                b'"' => {
                    self.string()?;
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        Some(())
    }
}

/// Powers of ten that eight digits need.
const POWERS: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

/// The digits from there on, at most eight, as a number, and how many they are; `None` beyond the end.
#[inline]
fn digits(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let rest = bytes.get(at..)?;
    let eight: [u8; 8] = match rest.first_chunk() {
        Some(eight) => *eight,
        None => {
            // At the end of the text, what is no digit stands for what is not there.
            let mut eight = [0; 8];
            for (place, &byte) in eight.iter_mut().zip(rest) {
                *place = byte;
            }
            eight
        }
    };
    // What a digit becomes is 0 to 9; the high bits of all else show it, at once or when 6 is added. A carry goes to
    // bytes behind the first that is no digit, and those do not count.
    let values = u64::from_le_bytes(eight) ^ (0x30 * EACH);
    let others = (values | values.wrapping_add(0x06 * EACH)) & (0xf0 * EACH);
    let count = (others.trailing_zeros() / 8) as usize;
    if count == 0 {
        return Some((0, 0));
    }
    // Zeros in front take the place of what follows the digits. Then neighbours are joined: digits to pairs, pairs to
    // fours, fours to the whole, each time ten, a hundred, ten thousand of the one in front and one of the next.
    let values = values << (64 - 8 * count);
    let pairs = (values.wrapping_mul(1 + (10 << 8)) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(1 + (100 << 16)) >> 16) & 0x0000_ffff_0000_ffff;
    Some((fours.wrapping_mul(1 + (10_000 << 32)) >> 32, count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::value::Value;

    fn number(text: &str) -> Option<Token<'_>> {
        let mut cursor = Cursor::new(text);
        let token = cursor.token()?;
        cursor.ended().then_some(token)
    }

    #[test]
    fn numbers_are_rounded_exactly() {
        for text in [
            "0.1",
            "1e23",
            "1e22",
            "9007199254740993.0",
            "123456789012345678901234567890.5",
            "5e-324",
            "2.5e-324",
            "1e400",
            "-0.0",
            "0.30000000000000004",
            "1.7976931348623157e308",
            "9007199254740992.5",
            "1e-22",
            "1e-23",
            "0e5000",
            "18446744073709551616.5",
            "0.0000000000000000000000000001",
        ] {
            let Some(Token::Float(float)) = number(text) else {
                panic!("{text}")
            };
            assert_eq!(float.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
        assert_eq!(number("-Infinity"), Some(Token::Float(f64::NEG_INFINITY)));
        assert_eq!(number("-0"), Some(Token::Int(0)));
        assert_eq!(number("9223372036854775807"), Some(Token::Int(i64::MAX)));
        assert_eq!(number("-9223372036854775808"), Some(Token::Int(i64::MIN)));
    }

    /// The number at the front of the text as the quick reader has it, and what it left.
    fn plain(text: &str) -> Option<(f64, usize)> {
        let padded = format!("{text}]}}        ");
        let mut cursor = Cursor::new(&padded);
        let float = cursor.plain_float();
        assert_eq!(float.is_some(), cursor.at > 0, "{text}");
        float.map(|float| (float, cursor.at))
    }

    #[test]
    fn plain_numbers_are_read_whole_and_others_left_where_they_are() {
        for text in [
            "0",
            "-0",
            "7",
            "1234567",
            "-1.5",
            "0.1",
            "-0.0",
            "5.1",
            "1677.7215",
            "0.12345678",
            "0.123456789012345",
            "1234567.12345678",
            "0.1234567890123456",
            "9007199.2547409931",
            "0.01991321417832592",
            "-0.30000000000000004",
            "0.00000000000000000000001",
        ] {
            let value = match text.contains('.') {
                true => text.parse::<f64>().unwrap(),
                false => text.parse::<i64>().unwrap() as f64,
            };
            let (float, end) = plain(text).expect(text);
            assert_eq!((float.to_bits(), end), (value.to_bits(), text.len()), "{text}");
        }
        for text in [
            "",
            "-",
            "+1",
            ".5",
            "1.",
            "-.5",
            "00",
            "01.5",
            "1e5",
            "1.5e3",
            "1.5E3",
            "1.e3",
            "12345678",
            "NaN",
            "-Infinity",
            "null",
            "true",
            "\"1\"",
            "0.123456789012345678901",
            "1234567.12345678901234",
            "[1",
            "/1",
            ":1",
        ] {
            assert_eq!(plain(text), None, "{text}");
        }
        // A number that ends the text is no part of a regular request.
        for text in ["1.5", "1", "12345678", ""] {
            assert_eq!(Cursor::new(text).plain_float(), None, "{text}");
        }
        for (text, float) in [
            ("1.5]", 1.5),
            ("-25,", -25.0),
            ("1234567.25]", 1234567.25),
            ("0.1234567}", 0.1234567),
        ] {
            let mut cursor = Cursor::new(text);
            assert_eq!((cursor.plain_float(), cursor.left()), (Some(float), 1), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_number_is_the_number_of_the_other_reader(
            whole in 0u32..20_000_000, fraction in "[0-9]{0,17}", negative: bool, after in "[,\\] eE.0x]{0,2}",
            spaces in 0usize..12,
        ) {
            let sign = if negative { "-" } else { "" };
            let dot = if fraction.is_empty() { "" } else { "." };
            let text = format!("{sign}{whole}{dot}{fraction}{after}{:spaces$}", "");
            let mut cursor = Cursor::new(&text);
            if let Some(float) = cursor.plain_float() {
                let end = cursor.at;
                let mut other = Cursor::new(&text);
                let token = other.token();
                prop_assert_eq!(other.at, end);
                let expected = match token {
                    Some(Token::Int(integer)) => integer as f64,
                    Some(Token::Float(float)) => float,
                    other => panic!("{other:?}"),
                };
                prop_assert_eq!(float.to_bits(), expected.to_bits());
            }
        }
    }

    #[test]
    fn what_is_not_regular_is_declined() {
        for text in [
            "9223372036854775808",
            "01",
            "1.",
            ".5",
            "-",
            "1e",
            "+1",
            "Nan",
            "-Inf",
            "tru",
            "[",
            "\"a\n\"",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn strings_are_those_of_the_other_reader() {
        for text in [r#""a""#, r#""é\u00e9\ud83d\ude00""#, r#""""#, r#""\ud800x""#] {
            let Some(Token::Text(string)) = number(text) else {
                panic!("{text}")
            };
            assert_eq!(read::read(text, 64), Ok(Value::Str(string.as_ref().into())));
        }
    }
}
