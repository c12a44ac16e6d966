//! Reading numbers, text and bytes of a pickle.

use std::ops::Range;
use std::sync::Arc;

use crate::flavor::refusal::{Refusal, refuse};

use super::super::object::Object;
use super::machine::Machine;

impl<'b> Machine<'_, 'b> {
    /// The place of the next so many bytes, which are passed.
    pub(super) fn place(&mut self, length: usize) -> Result<Range<usize>, Refusal> {
        let end = self
            .at
            .checked_add(length)
            .filter(|end| *end <= self.shared.bytes.len());
        let Some(end) = end else {
            refuse!(
                "{length} bytes announced, {} are left",
                self.shared.bytes.len() - self.at
            );
        };
        let place = self.at..end;
        self.at = end;
        Ok(place)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'b [u8], Refusal> {
        let place = self.place(length)?;
        Ok(self.shared.bytes.get(place).unwrap_or_default())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        match self.take(N)?.first_chunk() {
            Some(bytes) => Ok(*bytes),
            None => refuse!("the file is cut"),
        }
    }

    pub(super) fn byte(&mut self) -> Result<u8, Refusal> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A length of so many bytes, the least significant first.
    pub(super) fn length(&mut self, bytes: usize) -> Result<usize, Refusal> {
        let length = self
            .take(bytes)?
            .iter()
            .rev()
            .fold(0u64, |length, &byte| length << 8 | u64::from(byte));
        match usize::try_from(length) {
            Ok(length) => Ok(length),
            Err(_) => refuse!("{length} bytes announced"),
        }
    }

    /// The bytes up to the end of a line, which is passed.
    pub(super) fn raw_line(&mut self) -> Result<&'b [u8], Refusal> {
        let rest = self.shared.bytes.get(self.at..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'\n', rest) else {
            refuse!("the file is cut");
        };
        self.at += end + 1;
        Ok(rest.get(..end).unwrap_or_default())
    }

    pub(super) fn line(&mut self) -> Result<&'b str, Refusal> {
        match std::str::from_utf8(self.raw_line()?) {
            Ok(line) => Ok(line),
            Err(_) => refuse!("a line that is no text"),
        }
    }

    pub(super) fn number_line(&mut self) -> Result<u32, Refusal> {
        match self.line()?.parse() {
            Ok(number) => Ok(number),
            Err(_) => refuse!("a memo number that is none"),
        }
    }

    pub(super) fn whole(&mut self, digits: &str) -> Result<(), Refusal> {
        let unsigned = digits.strip_prefix('-').unwrap_or(digits);
        if unsigned.is_empty() || !unsigned.bytes().all(|digit| digit.is_ascii_digit()) {
            refuse!("an integer that is none");
        }
        self.push(digits.parse().map_or(Object::BigInt, Object::Int))
    }

    pub(super) fn long(&mut self, length: usize) -> Result<(), Refusal> {
        let bytes = self.take(length)?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let object = if bytes.len() <= 8 {
            let filled = bytes.iter().rev();
            let start = if negative { -1i64 } else { 0 };
            Object::Int(filled.fold(start, |whole, &byte| whole << 8 | i64::from(byte)))
        } else {
            Object::BigInt
        };
        self.push(object)
    }

    pub(super) fn text(&mut self, length: usize) -> Result<(), Refusal> {
        let length = self.length(length)?;
        let Ok(text) = std::str::from_utf8(self.take(length)?) else {
            refuse!("text that is no UTF-8");
        };
        let id = self.shared.arena.text(text)?;
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<(), Refusal> {
        let length = self.length(length)?;
        let place = self.place(length)?;
        let id = self.shared.arena.add(Object::Bytes(Arc::from([])))?;
        self.shared.places.insert(id, place);
        self.stack.push(id);
        Ok(())
    }
}

/// Text of protocol 0: Latin-1, in which any other letter is `\uXXXX` or `\UXXXXXXXX`.
pub(super) fn unescaped(line: &[u8]) -> Result<String, Refusal> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = match (byte, after.first()) {
            (b'\\', Some(b'u')) => after.get(1..5),
            (b'\\', Some(b'U')) => after.get(1..9),
            _ => {
                text.push(char::from(byte));
                rest = after;
                continue;
            }
        };
        let letter = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .and_then(char::from_u32);
        let (Some(letter), Some(digits)) = (letter, digits) else {
            refuse!("text with a broken escape");
        };
        text.push(letter);
        rest = after.get(1 + digits.len()..).unwrap_or_default();
    }
    Ok(text)
}
