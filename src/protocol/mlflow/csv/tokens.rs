//! Fields of a CSV text, split as the C parser of pandas splits them.
//!
//! Commas separate; lines end with `\n`, `\r\n` or `\r`; blank lines and lines of spaces are skipped. A field that
//! begins with a quote ends with one, a doubled quote stands for one, and what follows the closing quote is taken as
//! it is; a quote elsewhere is a character like others.

use crate::protocol::mlflow::python::Raised;

/// Where a field's text is: in the body, or, from `body.len()` on, in the text made while unquoting.
#[derive(Debug, Clone, Copy)]
struct Field {
    start: u32,
    end: u32,
}

/// The fields of a body; the first record is the header.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    body: &'a str,
    /// Text of the quoted fields that are not a part of the body as they stand.
    unquoted: String,
    fields: Vec<Field>,
    /// Position in `fields` of each record's first, and the end of the last.
    records: Vec<u32>,
    width: usize,
}

/// Bodies are read up to this length, so that positions fit 32 bits, those in the unquoted text too.
pub(super) const MAX_BYTES: usize = (u32::MAX / 2) as usize;

impl<'a> Tokens<'a> {
    /// Splits a body of at most [`MAX_BYTES`].
    ///
    /// # Errors
    /// A record longer than the one before it (from the second row on), or a quote that is never closed.
    pub(super) fn new(body: &'a str) -> Result<Tokens<'a>, Raised> {
        let mut splitter = Splitter::new(body);
        splitter.split()?;
        Ok(splitter.tokens)
    }

    /// Number of records after the header.
    pub(super) fn rows(&self) -> usize {
        self.records.len().saturating_sub(2)
    }

    /// Number of fields of the widest record; shorter ones count as padded with empty fields.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The header, `None` when there is not one record.
    pub(super) fn header(&self) -> Option<Vec<&str>> {
        let end = *self.records.get(1)? as usize;
        Some(
            self.fields
                .get(..end)?
                .iter()
                .map(|field| self.text(*field))
                .collect(),
        )
    }

    /// The texts of one column, without the header.
    pub(super) fn column(&self, column: usize) -> impl Iterator<Item = &str> + Clone {
        let bounds = self.records.get(1..).unwrap_or_default();
        bounds.windows(2).map(move |bounds| {
            let &[start, end] = bounds else { return "" };
            let position = start as usize + column;
            if position >= end as usize {
                return "";
            }
            self.fields.get(position).map_or("", |field| self.text(*field))
        })
    }

    fn text(&self, field: Field) -> &str {
        let (start, end) = (field.start as usize, field.end as usize);
        match start.checked_sub(self.body.len()) {
            None => self.body.get(start..end),
            Some(start) => self.unquoted.get(start..end - self.body.len()),
        }
        .unwrap_or_default()
    }
}

struct Splitter<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Records and skipped lines so far.
    lines: usize,
    /// Fields the record before had, padding included.
    expected: usize,
    tokens: Tokens<'a>,
}

/// What ended a field.
enum End {
    Comma,
    Record,
}

impl<'a> Splitter<'a> {
    fn new(body: &'a str) -> Splitter<'a> {
        // A guess: numbers of seven characters and a comma.
        let fields = Vec::with_capacity(body.len() / 8 + 8);
        let tokens = Tokens {
            body,
            unquoted: String::new(),
            fields,
            records: vec![0],
            width: 0,
        };
        Splitter {
            bytes: body.as_bytes(),
            at: 0,
            lines: 0,
            expected: 0,
            tokens,
        }
    }

    fn split(&mut self) -> Result<(), Raised> {
        if self.bytes.starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
        while self.at < self.bytes.len() {
            if !self.skip_blank_line() {
                self.record()?;
            }
        }
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Steps over a line without anything but spaces and tabs, if the text is at one.
    fn skip_blank_line(&mut self) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let blanks = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        match rest.get(blanks) {
            None => self.at += blanks,
            Some(b'\n' | b'\r') => {
                self.at += blanks;
                self.end_of_line();
                self.lines += 1;
            }
            Some(_) => return false,
        }
        true
    }

    /// Steps over `\n`, `\r\n` or `\r`.
    fn end_of_line(&mut self) {
        if self.peek() == Some(b'\r') {
            self.at += 1;
        }
        if self.peek() == Some(b'\n') {
            self.at += 1;
        }
    }

    fn record(&mut self) -> Result<(), Raised> {
        let first = self.tokens.fields.len();
        loop {
            let end = match self.peek() {
                Some(b'"') => self.quoted_field()?,
                _ => self.plain_field(),
            };
            if matches!(end, End::Record) {
                break;
            }
        }
        self.lines += 1;
        let got = self.tokens.fields.len() - first;
        let row = self.tokens.records.len() - 1;
        // The first row may be longer than the header: what it has too much of stands for row labels.
        if row >= 2 && got > self.expected {
            let (expected, line) = (self.expected, self.lines);
            let message = format!(
                "Error tokenizing data. C error: Expected {expected} fields in line {line}, saw {got}\n"
            );
            return Err(Raised::new("pandas.errors.ParserError", message));
        }
        self.expected = self.expected.max(got);
        self.tokens.width = self.expected;
        self.tokens.records.push(position(self.tokens.fields.len()));
        Ok(())
    }

    /// Reads a field up to what ends it; quotes mean nothing within.
    fn plain_field(&mut self) -> End {
        let start = self.at;
        let end = self.skip_plain();
        self.push(start, end);
        self.end_of_field()
    }

    /// Steps to the next comma or line end, and tells where it is.
    fn skip_plain(&mut self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|byte| matches!(byte, b',' | b'\n' | b'\r'))
            .unwrap_or(rest.len());
        self.at += length;
        self.at
    }

    /// Steps over what ended a field.
    fn end_of_field(&mut self) -> End {
        if self.peek() == Some(b',') {
            self.at += 1;
            return End::Comma;
        }
        self.end_of_line();
        End::Record
    }

    fn quoted_field(&mut self) -> Result<End, Raised> {
        self.at += 1;
        let start = self.at;
        let close = self.closing_quote()?;
        if matches!(self.peek(), None | Some(b',' | b'\n' | b'\r')) {
            self.push(start, close);
            return Ok(self.end_of_field());
        }
        // The text differs from what the body has: it is put together aside.
        let base = self.bytes.len() + self.tokens.unquoted.len();
        self.keep(start, close);
        while self.peek() == Some(b'"') {
            let start = self.at;
            self.at += 1;
            let close = self.closing_quote()?;
            self.keep(start, close);
        }
        let start = self.at;
        let end = self.skip_plain();
        self.keep(start, end);
        self.push(base, self.bytes.len() + self.tokens.unquoted.len());
        Ok(self.end_of_field())
    }

    /// Steps over the next quote, and tells where it is.
    fn closing_quote(&mut self) -> Result<usize, Raised> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(length) = memchr::memchr(b'"', rest) else {
            let row = self.lines;
            let message = format!("Error tokenizing data. C error: EOF inside string starting at row {row}");
            return Err(Raised::new("pandas.errors.ParserError", message));
        };
        self.at += length + 1;
        Ok(self.at - 1)
    }

    fn keep(&mut self, start: usize, end: usize) {
        self.tokens
            .unquoted
            .push_str(self.tokens.body.get(start..end).unwrap_or_default());
    }

    fn push(&mut self, start: usize, end: usize) {
        self.tokens.fields.push(Field {
            start: position(start),
            end: position(end),
        });
    }
}

/// A position within a body of at most [`MAX_BYTES`], or within twice its length.
fn position(at: usize) -> u32 {
    debug_assert!(at <= u32::MAX as usize);
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(body: &str) -> Vec<Vec<String>> {
        let tokens = Tokens::new(body).unwrap();
        let Some(header) = tokens.header() else {
            return Vec::new();
        };
        let mut records = vec![header.into_iter().map(str::to_owned).collect()];
        for row in 0..tokens.rows() {
            let cells = 0..tokens.width();
            records.push(
                cells
                    .map(|column| tokens.column(column).nth(row).unwrap().to_owned())
                    .collect(),
            );
        }
        records
    }

    fn check(body: &str, expected: &[&[&str]]) {
        assert_eq!(records(body), expected, "{body:?}");
    }

    fn check_error(body: &str, expected: &str) {
        let raised = Tokens::new(body).unwrap_err();
        assert_eq!(
            raised.message,
            format!("Error tokenizing data. C error: {expected}"),
            "{body:?}"
        );
    }

    #[test]
    fn every_line_end_ends_a_record() {
        for body in [
            "a,b\n1,2\n3,4\n",
            "a,b\r\n1,2\r\n3,4",
            "a,b\r1,2\r3,4\r",
            "\u{feff}a,b\n1,2\r\n\r\n\r3,4",
        ] {
            check(body, &[&["a", "b"], &["1", "2"], &["3", "4"]]);
        }
        check("a,b\r1,2\r,4\r", &[&["a", "b"], &["1", "2"], &["", "4"]]);
    }

    #[test]
    fn blank_lines_are_skipped() {
        check(" \n\t\na\n1\n  \n2\n ", &[&["a"], &["1"], &["2"]]);
        check("a,b\n  ,1\n", &[&["a", "b"], &["  ", "1"]]);
        check("a\r  b\r c\r", &[&["a"], &["  b"], &[" c"]]);
        for body in ["", "\n", "\n\n \n", "\u{feff}"] {
            check(body, &[]);
        }
    }

    #[test]
    fn quotes_are_read_as_pandas_reads_them() {
        check("a,b\n\"1,2\",3\n", &[&["a", "b"], &["1,2", "3"]]);
        check("a,b\n\"x\"\"y\",3\n", &[&["a", "b"], &["x\"y", "3"]]);
        check("a,b\n\"x\"y,3\n", &[&["a", "b"], &["xy", "3"]]);
        check("a,b\nx\"y\",3\n", &[&["a", "b"], &["x\"y\"", "3"]]);
        check("a,b\n\"x\r\ny\",\"\"\n", &[&["a", "b"], &["x\r\ny", ""]]);
        check("a,b\n \"x\",\"é\"\"\"", &[&["a", "b"], &[" \"x\"", "é\""]]);
    }

    #[test]
    fn short_rows_are_padded_and_long_ones_refused() {
        check("a,b\n1\n2,3\n", &[&["a", "b"], &["1", ""], &["2", "3"]]);
        check("a\n1,2,\n3\n", &[&["a"], &["1", "2", ""], &["3", "", ""]]);
        check_error("a,b\n1,2\n4,5,6\n", "Expected 2 fields in line 3, saw 3\n");
        check_error("a,b\n\n\n1,2,\n1,2,3,4\n", "Expected 3 fields in line 5, saw 4\n");
    }

    #[test]
    fn a_quote_must_be_closed() {
        check_error("a,b\n\"x", "EOF inside string starting at row 1");
        check_error("a,b\n1,2\n\n\"x\"\"y", "EOF inside string starting at row 3");
    }
}
