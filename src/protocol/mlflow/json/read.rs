//! Text to [`Value`], accepting and refusing what Python's `json.loads` does, in its words.

use std::borrow::Cow;
use std::collections::HashMap;

use super::text::syntax_error;
use crate::model::value::Value;

/// Python refuses to convert more digits than this.
const MAX_DIGITS: usize = 4300;
/// Whatever the limit: reading is recursive, and stacks are finite.
const MAX_DEPTH: usize = 512;
/// Objects with more keys find duplicates by hashing.
const SCAN_KEYS: usize = 12;

/// Why the text was not read: the part of MLflow's message after `Error: `.
pub(crate) type Refusal = String;

/// Reads one JSON document.
pub(crate) fn read(text: &str, depth: usize) -> Result<Value, Refusal> {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
    };
    reader.skip_space();
    let value = reader.value(depth.min(MAX_DEPTH))?;
    reader.skip_space();
    if reader.at != text.len() {
        return Err(reader.error("Extra data", reader.at));
    }
    Ok(value)
}

/// Reads the string whose opening quote is at `at`, and says where it ends.
pub(crate) fn string_at(text: &str, at: usize) -> Option<(Cow<'_, str>, usize)> {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at,
    };
    let string = reader.string().ok()?;
    Some((string, reader.at))
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, what: &str, at: usize) -> Refusal {
        syntax_error(what, self.text, at)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, Refusal> {
        if self
            .bytes
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word.as_bytes()))
        {
            self.at += word.len();
            return Ok(value);
        }
        Err(self.error("Expecting value", self.at))
    }

    fn value(&mut self, depth: usize) -> Result<Value, Refusal> {
        match self.peek() {
            Some(b'"') => Ok(Value::Str(self.string()?.into())),
            Some(b'{') => self.object(deeper(depth)?),
            Some(b'[') => self.array(deeper(depth)?),
            Some(b'n') => self.literal("null", Value::Null),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'N') => self.literal("NaN", Value::Float(f64::NAN)),
            Some(b'I') => self.literal("Infinity", Value::Float(f64::INFINITY)),
            Some(b'-') if self.bytes.get(self.at + 1) == Some(&b'I') => {
                self.literal("-Infinity", Value::Float(f64::NEG_INFINITY))
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.error("Expecting value", self.at)),
        }
    }

    fn number(&mut self) -> Result<Value, Refusal> {
        let Some((length, integral)) = number_length(self.bytes.get(self.at..).unwrap_or_default()) else {
            return Err(self.error("Expecting value", self.at));
        };
        let digits = self.text.get(self.at..self.at + length).unwrap_or_default();
        self.at += length;
        if !integral {
            // The standard parser accepts every form JSON has, and rounds exactly.
            return Ok(Value::Float(digits.parse().unwrap_or(f64::NAN)));
        }
        if let Ok(integer) = digits.parse() {
            return Ok(Value::Int(integer));
        }
        let count = digits.trim_start_matches('-').len();
        if count > MAX_DIGITS {
            return Err(format!(
                "ValueError('Exceeds the limit ({MAX_DIGITS} digits) for integer string conversion: value has {count} \
                 digits; use sys.set_int_max_str_digits() to increase the limit')"
            ));
        }
        Ok(Value::BigInt(digits.into()))
    }

    fn array(&mut self, depth: usize) -> Result<Value, Refusal> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.skip_space();
            match self.peek() {
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::List(items));
                }
                Some(b',') => self.at += 1,
                _ => return Err(self.error("Expecting ',' delimiter", self.at)),
            }
            self.skip_space();
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Refusal> {
        self.at += 1;
        let mut entries = Entries::default();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Map(Vec::new()));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.error("Expecting property name enclosed in double quotes", self.at));
            }
            let key = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.error("Expecting ':' delimiter", self.at));
            }
            self.at += 1;
            self.skip_space();
            let value = self.value(depth)?;
            entries.insert(key, value);
            self.skip_space();
            match self.peek() {
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Map(entries.list));
                }
                Some(b',') => self.at += 1,
                _ => return Err(self.error("Expecting ',' delimiter", self.at)),
            }
            self.skip_space();
        }
    }

    /// Reads a string; `at` is its opening quote.
    fn string(&mut self) -> Result<Cow<'a, str>, Refusal> {
        let begin = self.at;
        self.at += 1;
        let mut decoded: Option<String> = None;
        loop {
            let chunk = self.at;
            while self
                .peek()
                .is_some_and(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
            {
                self.at += 1;
            }
            let plain = self.text.get(chunk..self.at).unwrap_or_default();
            match self.peek() {
                None => return Err(self.error("Unterminated string starting at", begin)),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(match decoded {
                        None => Cow::Borrowed(plain),
                        Some(head) => Cow::Owned(head + plain),
                    });
                }
                Some(b'\\') => {
                    let head = decoded.get_or_insert_with(String::new);
                    head.push_str(plain);
                    self.at += 1;
                    let c = self.escape(begin)?;
                    decoded.get_or_insert_with(String::new).push(c);
                }
                Some(_) => return Err(self.error("Invalid control character at", self.at)),
            }
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self, begin: usize) -> Result<char, Refusal> {
        let Some(letter) = self.peek() else {
            return Err(self.error("Unterminated string starting at", begin));
        };
        let simple = match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(self.error("Invalid \\escape", self.at - 1)),
        };
        self.at += 1;
        Ok(simple)
    }

    /// Reads `uXXXX` and, for a high surrogate, the low one that follows; a lone one becomes U+FFFD.
    fn unicode_escape(&mut self) -> Result<char, Refusal> {
        let invalid = |reader: &Self, at| Err(reader.error("Invalid \\uXXXX escape", at));
        let Some(first) = self.hex(self.at + 1) else {
            return invalid(self, self.at);
        };
        // Python wants a character after the digits, at least the closing quote.
        if self.at + 5 >= self.bytes.len() {
            return invalid(self, self.at);
        }
        self.at += 5;
        if !(0xd800..0xdc00).contains(&first)
            || self.bytes.get(self.at..self.at + 2) != Some(b"\\u")
            || self.bytes.len() <= self.at + 6
        {
            return Ok(char::from_u32(first).unwrap_or('\u{fffd}'));
        }
        let Some(second) = self.hex(self.at + 2) else {
            return invalid(self, self.at + 1);
        };
        if !(0xdc00..0xe000).contains(&second) {
            return Ok('\u{fffd}');
        }
        self.at += 6;
        Ok(char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).unwrap_or('\u{fffd}'))
    }

    fn hex(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 4)?;
        digits.iter().try_fold(0, |code, &digit| {
            Some(code * 16 + char::from(digit).to_digit(16)?)
        })
    }
}

/// Entries of an object, in order of first appearance; the last value of a repeated key wins.
#[derive(Default)]
struct Entries<'a> {
    list: Vec<(Box<str>, Value)>,
    positions: HashMap<Cow<'a, str>, usize>,
}

impl<'a> Entries<'a> {
    fn insert(&mut self, key: Cow<'a, str>, value: Value) {
        let known = if self.list.len() < SCAN_KEYS {
            self.list.iter().position(|(name, _)| **name == *key)
        } else {
            if self.positions.is_empty() {
                let positions = self.list.iter().enumerate();
                self.positions = positions
                    .map(|(at, (name, _))| (Cow::Owned(name.to_string()), at))
                    .collect();
            }
            self.positions.get(&key).copied()
        };
        match known.and_then(|position| self.list.get_mut(position)) {
            Some(entry) => entry.1 = value,
            None => {
                self.list.push((key.as_ref().into(), value));
                if self.list.len() > SCAN_KEYS {
                    self.positions.insert(key, self.list.len() - 1);
                }
            }
        }
    }
}

fn deeper(depth: usize) -> Result<usize, Refusal> {
    depth
        .checked_sub(1)
        .ok_or_else(|| "RecursionError('lists and objects nest too deep')".into())
}

/// Length of the number at the start of `bytes`, and whether it has neither fraction nor exponent.
pub(crate) fn number_length(bytes: &[u8]) -> Option<(usize, bool)> {
    let digits = |from: usize| {
        bytes
            .iter()
            .skip(from)
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let start = usize::from(bytes.first() == Some(&b'-'));
    let mut end = match bytes.get(start)? {
        b'0' => start + 1,
        b'1'..=b'9' => start + digits(start),
        _ => return None,
    };
    let mut integral = true;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        if fraction > 0 {
            end += 1 + fraction;
            integral = false;
        }
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
            integral = false;
        }
    }
    Some((end, integral))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        read(text, 64).unwrap_err()
    }

    #[test]
    fn what_python_accepts_is_accepted() {
        for (text, wanted) in [
            (" null\n", Value::Null),
            ("-0", Value::Int(0)),
            ("-0.0", Value::Float(-0.0)),
            ("1e400", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
            ("9223372036854775808", Value::BigInt("9223372036854775808".into())),
            (r#""a\u00e9\ud83d\ude00\n\/""#, Value::Str("aé😀\n/".into())),
            (r#""\ud800x\udc00""#, Value::Str("\u{fffd}x\u{fffd}".into())),
            (r#""\ud800\u0041""#, Value::Str("\u{fffd}A".into())),
            (r#"{"a": 1, "b": [], "a": {}}"#, {
                Value::Map(vec![
                    ("a".into(), Value::Map(vec![])),
                    ("b".into(), Value::List(vec![])),
                ])
            }),
        ] {
            assert_eq!(read(text, 64), Ok(wanted), "{text}");
        }
        assert!(matches!(read("NaN", 64), Ok(Value::Float(nan)) if nan.is_nan()));
    }

    #[test]
    fn what_python_refuses_is_refused_in_its_words() {
        for (text, wanted) in [
            ("", "Expecting value: line 1 column 1 (char 0)"),
            (
                "{",
                "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
            ),
            ("[", "Expecting value: line 1 column 2 (char 1)"),
            ("[1,]", "Expecting value: line 1 column 4 (char 3)"),
            (
                "{\"a\":1,}",
                "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)",
            ),
            (
                "{\"a\" 1}",
                "Expecting \\':\\' delimiter: line 1 column 6 (char 5)",
            ),
            (
                "{\"é\":\n1 2}",
                "Expecting \\',\\' delimiter: line 2 column 3 (char 8)",
            ),
            ("1 2", "Extra data: line 1 column 3 (char 2)"),
            ("01", "Extra data: line 1 column 2 (char 1)"),
            ("1.", "Extra data: line 1 column 2 (char 1)"),
            ("-", "Expecting value: line 1 column 1 (char 0)"),
            ("\"a", "Unterminated string starting at: line 1 column 1 (char 0)"),
            (
                "\"a\\",
                "Unterminated string starting at: line 1 column 1 (char 0)",
            ),
            (
                "\"a\nb\"",
                "Invalid control character at: line 1 column 3 (char 2)",
            ),
            ("\"\\x\"", "Invalid \\\\escape: line 1 column 2 (char 1)"),
            ("\"\\u12\"", "Invalid \\\\uXXXX escape: line 1 column 3 (char 2)"),
        ] {
            let message = refusal(text).replace("JSONDecodeError(", "");
            let message = message.trim_end_matches(')').trim_matches(['\'', '"']);
            let wanted = if wanted.contains("\\'") {
                wanted.replace("\\'", "'")
            } else {
                wanted.to_owned()
            };
            assert_eq!(
                message.trim_end_matches('\''),
                wanted.trim_end_matches(')').to_owned() + ")",
                "{text}"
            );
        }
    }

    #[test]
    fn nesting_has_a_bound() {
        assert!(read(&("[".repeat(64) + &"]".repeat(64)), 64).is_ok());
        assert!(refusal(&"[".repeat(100_000)).contains("too deep"));
    }

    #[test]
    fn many_keys_are_still_each_kept_once() {
        let body: Vec<String> = (0..100).map(|key| format!("\"k{}\": {key}", key % 30)).collect();
        let Value::Map(entries) = read(&format!("{{{}}}", body.join(",")), 64).unwrap() else {
            panic!()
        };
        assert_eq!(entries.len(), 30);
        assert_eq!(entries[5], ("k5".into(), Value::Int(95)));
    }
}
