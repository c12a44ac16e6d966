//! JSON into compact documents, with the bare `NaN` and `Infinity` of Python and XGBoost.
//!
//! For files of models; bodies of requests have a reader of their own in `protocol`.

use crate::flavor::refusal::{Refusal, refuse};

use super::document::{Budget, Document, Listing, MAX_DEPTH, Numbers};

/// Reads a document; values under the keys in `skipped` are read over. Numbers in lists are rounded to single from their
/// text, others to double.
///
/// # Errors
/// When the bytes are no JSON, nested too deeply, or hold too many values.
pub fn read(bytes: &[u8], skipped: &[&str]) -> Result<Document, Refusal> {
    let mut reader = Reader {
        bytes,
        at: 0,
        skipped,
        budget: Budget::new(),
    };
    let read = reader.value(0).and_then(|document| match reader.peek() {
        None => Ok(document),
        Some(_) => refuse!("something follows the document"),
    });
    read.map_err(|refusal| refusal.within(format_args!("JSON, byte {}", reader.at)))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    skipped: &'a [&'a str],
    budget: Budget,
}

impl<'a> Reader<'a> {
    /// The next byte that is no blank, not taken.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Refusal> {
        match self.peek() {
            Some(byte) if byte == wanted => self.at += 1,
            Some(byte) => refuse!("`{}` instead of `{}`", byte.escape_ascii(), wanted.escape_ascii()),
            None => refuse!("it ends where `{}` is expected", wanted.escape_ascii()),
        }
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Document, Refusal> {
        if depth > MAX_DEPTH {
            refuse!("nested deeper than {MAX_DEPTH} levels");
        }
        Ok(match self.peek() {
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Document::Text(self.text()?.into()),
            _ => match self.word() {
                "null" => Document::Null,
                "true" => Document::Bool(true),
                "false" => Document::Bool(false),
                word => match integer(word) {
                    Some(whole) => Document::Int(whole),
                    None => Document::Float(float(word)?),
                },
            },
        })
    }

    /// A number or a name, up to whatever ends it.
    fn word(&mut self) -> &'a str {
        self.peek();
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.'))
            .unwrap_or(rest.len());
        self.at += end;
        rest.get(..end)
            .and_then(|word| std::str::from_utf8(word).ok())
            .unwrap_or_default()
    }

    fn map(&mut self, depth: usize) -> Result<Document, Refusal> {
        self.expect(b'{')?;
        let mut entries = Vec::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Document::Map(entries));
        }
        loop {
            self.expect(b'"')?;
            self.at -= 1;
            let key = self.text()?;
            self.expect(b':')?;
            let value = self.value(depth + 1)?;
            if !self.skipped.contains(&key.as_str()) {
                self.budget.spend(2)?;
                entries.push((key.into(), value));
            }
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => {
                    self.expect(b'}')?;
                    return Ok(Document::Map(entries));
                }
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Document, Refusal> {
        self.expect(b'[')?;
        let mut listing = Listing::default();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(listing.finish());
        }
        loop {
            self.member(&mut listing, depth)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => {
                    self.expect(b']')?;
                    return Ok(listing.finish());
                }
            }
        }
    }

    fn member(&mut self, listing: &mut Listing, depth: usize) -> Result<(), Refusal> {
        if let Listing::Numbers(numbers) = listing
            && let Some(b'-' | b'0'..=b'9' | b'N' | b'I') = self.peek()
        {
            return number(self.word(), numbers);
        }
        let value = self.value(depth + 1)?;
        if !matches!(value, Document::Bool(_)) || matches!(listing, Listing::Values(_)) {
            self.budget.spend(1)?;
        }
        listing.push(value, &mut self.budget)
    }

    fn text(&mut self) -> Result<String, Refusal> {
        self.expect(b'"')?;
        let mut text = Vec::new();
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) else {
                refuse!("a text without an end");
            };
            text.extend_from_slice(rest.get(..end).unwrap_or_default());
            self.at += end + 1;
            if rest.get(end) == Some(&b'"') {
                break;
            }
            let escaped = self.bytes.get(self.at).copied();
            self.at += 1;
            let character = match escaped {
                Some(b'n') => '\n',
                Some(b't') => '\t',
                Some(b'r') => '\r',
                Some(b'b') => '\u{8}',
                Some(b'f') => '\u{c}',
                Some(other @ (b'"' | b'\\' | b'/')) => char::from(other),
                Some(b'u') => self.unicode()?,
                _ => refuse!("an unknown escape in a text"),
            };
            text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        match String::from_utf8(text) {
            Ok(text) => Ok(text),
            Err(_) => refuse!("a text that is no UTF-8"),
        }
    }

    /// What follows `\u`; halves of a pair are put together.
    fn unicode(&mut self) -> Result<char, Refusal> {
        let first = self.unit()?;
        let mut code = u32::from(first);
        if (0xd800..0xdc00).contains(&first) && self.bytes.get(self.at..self.at + 2) == Some(b"\\u") {
            self.at += 2;
            let second = self.unit()?;
            if (0xdc00..0xe000).contains(&second) {
                code = 0x10000 + ((u32::from(first) - 0xd800) << 10) + (u32::from(second) - 0xdc00);
            }
        }
        match char::from_u32(code) {
            Some(character) => Ok(character),
            None => refuse!("half a character in a text"),
        }
    }

    fn unit(&mut self) -> Result<u16, Refusal> {
        let digits = self.bytes.get(self.at..self.at + 4);
        let unit = digits
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u16::from_str_radix(digits, 16).ok());
        match unit {
            Some(unit) => {
                self.at += 4;
                Ok(unit)
            }
            None => refuse!("an escape without its four digits"),
        }
    }
}

/// The integer that a word is, if it is one of 64 bits.
fn integer(word: &str) -> Option<i64> {
    word.bytes().next().filter(|&byte| byte != b'+')?;
    word.parse().ok()
}

/// Whether a word is a number, or one of the names of what is none. Rust reads more names than JSON has.
fn is_float(word: &str) -> bool {
    match word {
        "NaN" | "Infinity" | "-Infinity" => true,
        _ => {
            word.bytes()
                .next()
                .is_some_and(|byte| byte == b'-' || byte.is_ascii_digit())
                && word.bytes().any(|byte| byte.is_ascii_digit())
        }
    }
}

fn float(word: &str) -> Result<f64, Refusal> {
    match word.parse() {
        Ok(float) if is_float(word) => Ok(float),
        _ => refuse!("`{}` is no value", short(word)),
    }
}

fn number(word: &str, numbers: &mut Numbers) -> Result<(), Refusal> {
    match (integer(word), word.parse()) {
        (Some(whole), _) => numbers.push_int(whole),
        (_, Ok(single)) if is_float(word) => numbers.push_single(single),
        _ => refuse!("`{}` is no number", short(word)),
    }
    Ok(())
}

fn short(word: &str) -> String {
    word.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_numbers_are_compact() {
        let list = |text: &str| read(text.as_bytes(), &[]).unwrap();
        assert_eq!(
            list("[1, -2 ,3]"),
            Document::Numbers(Numbers::I32(vec![1, -2, 3]))
        );
        assert_eq!(
            list("[1,4294967296]"),
            Document::Numbers(Numbers::I64(vec![1, 1 << 32]))
        );
        assert_eq!(
            list("[1,2.5E-1,-Infinity,7]"),
            Document::Numbers(Numbers::F32(vec![1.0, 0.25, f32::NEG_INFINITY, 7.0]))
        );
        assert_eq!(list("[true,false]"), Document::Numbers(Numbers::I32(vec![1, 0])));
        assert_eq!(list("[]"), Document::Numbers(Numbers::I32(vec![])));
        let mixed = vec![Document::Int(1), Document::Text("a".into()), Document::Bool(true)];
        assert_eq!(list("[1,\"a\",true]"), Document::List(mixed));
        let Document::Numbers(Numbers::F32(nan)) = list("[NaN]") else {
            unreachable!()
        };
        assert!(nan[0].is_nan());
    }

    #[test]
    fn a_single_is_rounded_once() {
        // Halfway between two singles but for a digit that double cannot hold.
        let text = "[1.00000005960464477539062500000000000000000001]";
        let single = Document::Numbers(Numbers::F32(vec![1.000_000_1]));
        assert_eq!(read(text.as_bytes(), &[]).unwrap(), single);
    }

    #[test]
    fn texts_are_unescaped() {
        let text = read(br#""a\u00e9\ud83d\ude00\n\"\\""#, &[]).unwrap();
        assert_eq!(text.text(), Some("a\u{e9}\u{1f600}\n\"\\"));
        assert!(read(br#""\ud83d""#, &[]).is_err());
        assert!(read(br#""\u00"#, &[]).is_err());
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "{",
            "[1,",
            "[1 2]",
            "{\"a\" 1}",
            "nan",
            "inf",
            "+1",
            "1 2",
            "[infinity]",
            "[1-2]",
            "\"",
            "{a:1}",
        ] {
            assert!(read(text.as_bytes(), &[]).is_err(), "{text}");
        }
        let deep = "[".repeat(300_000);
        assert!(
            read(deep.as_bytes(), &[])
                .unwrap_err()
                .to_string()
                .contains("nested deeper")
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = read(&bytes, &[]);
        }

        #[test]
        fn no_text_panics(text in "[\\[\\]{},:\" \\\\u0-9a-fNI.+eE-]{0,60}") {
            let _ = read(text.as_bytes(), &[]);
        }
    }
}
