//! Lines of JSON: the fields of each, whatever their values are. `NaN` and its like, which strict readers refuse, are
//! values too.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::{ReadError, Row};

/// A longer line is none of ours.
const MAX_LINE: u64 = 1 << 30;

fn failed(path: &Path) -> impl Fn(std::io::Error) -> ReadError {
    move |source| ReadError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Reads whole lines from `start` on, as long as `each` returns true; says where it stopped. What is no entry is skipped.
pub(in crate::predlog) fn read(
    path: &Path,
    start: u64,
    each: &mut dyn FnMut(Row) -> bool,
) -> Result<u64, ReadError> {
    let mut file = File::open(path).map_err(failed(path))?;
    file.seek(SeekFrom::Start(start)).map_err(failed(path))?;
    let mut file = BufReader::with_capacity(1 << 18, file);
    let mut line = Vec::new();
    let mut end = start;
    loop {
        line.clear();
        let read = file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        let length = read.map_err(failed(path))?;
        if line.last() != Some(&b'\n') {
            return Ok(end);
        }
        end += length as u64;
        let fields = std::str::from_utf8(&line).ok().and_then(fields);
        if let Some(fields) = fields
            && !each(Row { fields })
        {
            return Ok(end);
        }
    }
}

/// The fields of an object: names, and values as they stand there. `None` for what is no object.
fn fields(line: &str) -> Option<Vec<(String, String)>> {
    let mut rest = line.trim().strip_prefix('{')?.trim_start();
    let mut fields = Vec::with_capacity(20);
    if let Some(after) = rest.strip_prefix('}') {
        return after.is_empty().then_some(fields);
    }
    loop {
        let (key, after) = value(rest)?;
        let key: String = serde_json::from_str(key).ok()?;
        let after = after.trim_start().strip_prefix(':')?.trim_start();
        let (text, after) = value(after)?;
        fields.push((key, text.to_owned()));
        let after = after.trim_start();
        match after.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None => return (after == "}").then_some(fields),
        }
    }
}

/// Splits one value off: a text, what is between brackets, or a bare word up to the next comma or bracket.
fn value(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = end_of_text(bytes, at + 1)?;
                if depth == 0 {
                    return text.split_at_checked(at);
                }
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 0 => break,
            b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return text.split_at_checked(at + 1);
                }
            }
            b',' if depth == 0 => break,
            _ => {}
        }
        at += 1;
    }
    let (word, rest) = text.split_at_checked(at)?;
    let word = word.trim_end();
    (depth == 0 && !word.is_empty()).then_some((word, rest))
}

/// The position after the closing quote.
fn end_of_text(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_split_whatever_they_hold() {
        let line = r#"{"a": NaN, "b": "x, \"}\\", "c": {"d": [1, "]"]}, "e":[ ] , "f": -Infinity}"#;
        let found = fields(line).unwrap();
        let expected = [
            ("a", "NaN"),
            ("b", r#""x, \"}\\""#),
            ("c", r#"{"d": [1, "]"]}"#),
            ("e", "[ ]"),
            ("f", "-Infinity"),
        ];
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(fields("{}"), Some(Vec::new()));
        for bad in [
            "",
            "{",
            "{\"a\"",
            "{\"a\": ",
            "{\"a\": 1",
            "{\"a\": \"",
            "[1]",
            "{\"a\": 1}}",
            "{\"a\" 1}",
        ] {
            assert_eq!(fields(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_left_for_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "{\"a\": 1}\nno entry\n{\"a\": 2}\n{\"a\": 3").unwrap();
        let mut found = Vec::new();
        let stopped = read(&path, 0, &mut |row| {
            found.push(row.get("a").unwrap().to_owned());
            true
        });
        assert_eq!(
            (stopped.unwrap(), found),
            (27, vec!["1".to_owned(), "2".to_owned()])
        );
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in r#"[{}\[\]",:\\a1 é]{0,40}"#) {
            let _ = fields(&line);
        }

        #[test]
        fn any_object_is_split(texts in proptest::collection::vec(any::<String>(), 0..5)) {
            let object: serde_json::Map<String, serde_json::Value> = texts
                .iter()
                .enumerate()
                .map(|(at, text)| (format!("{at}{text}"), serde_json::json!([text, {"k": text}])))
                .collect();
            let line = serde_json::to_string(&object).unwrap();
            let found = fields(&line).unwrap();
            prop_assert_eq!(found.len(), object.len());
            for (name, value) in found {
                let value: serde_json::Value = serde_json::from_str(&value).unwrap();
                prop_assert_eq!(Some(&value), object.get(&name));
            }
        }
    }
}
