//! Universal Binary JSON, as far as XGBoost writes it: big-endian, arrays of numbers strongly typed.
//!
//! `{` (length, key, value)… `}`; `[` value… `]`, `[#` count value…, or `[$` type `#` count items. Scalars: `i` `U` `I`
//! `l` `L` (integers), `d` `D` (floats), `S` text, `C` character, `Z` `T` `F`, `N` nothing at all.

use crate::flavor::refusal::{Refusal, refuse};

use super::document::{Budget, Document, Listing, MAX_DEPTH, Numbers};

/// Reads a document; values under the keys in `skipped` are read over.
///
/// # Errors
/// When the bytes are no such document, end early or go on after it, are nested too deeply, or hold too many values.
pub fn read(bytes: &[u8], skipped: &[&str]) -> Result<Document, Refusal> {
    let mut reader = Reader {
        bytes,
        at: 0,
        skipped,
        budget: Budget::new(),
    };
    let read = reader
        .byte()
        .and_then(|marker| reader.value(marker, 0))
        .and_then(|document| match reader.bytes.len() - reader.at {
            0 => Ok(document),
            more => refuse!("{more} bytes after the document"),
        });
    read.map_err(|refusal| refusal.within(format_args!("UBJSON, byte {}", reader.at)))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    skipped: &'a [&'a str],
    budget: Budget,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Refusal> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let Some(taken) = end.and_then(|end| self.bytes.get(self.at..end)) else {
            refuse!(
                "{count} bytes are announced, {} are left",
                self.bytes.len() - self.at
            );
        };
        self.at += count;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let mut fixed = [0; N];
        fixed.copy_from_slice(self.take(N)?);
        Ok(fixed)
    }

    fn byte(&mut self) -> Result<u8, Refusal> {
        Ok(u8::from_be_bytes(self.fixed()?))
    }

    /// The next marker; `N` stands for nothing.
    fn marker(&mut self) -> Result<u8, Refusal> {
        loop {
            let marker = self.byte()?;
            if marker != b'N' {
                return Ok(marker);
            }
        }
    }

    fn integer(&mut self, marker: u8) -> Result<i64, Refusal> {
        Ok(match marker {
            b'i' => i64::from(i8::from_be_bytes(self.fixed()?)),
            b'U' => i64::from(self.byte()?),
            b'I' => i64::from(i16::from_be_bytes(self.fixed()?)),
            b'l' => i64::from(i32::from_be_bytes(self.fixed()?)),
            b'L' => i64::from_be_bytes(self.fixed()?),
            other => refuse!("unknown type `{}`", other.escape_ascii()),
        })
    }

    fn length(&mut self) -> Result<usize, Refusal> {
        let marker = self.byte()?;
        self.length_of(marker)
    }

    fn length_of(&mut self, marker: u8) -> Result<usize, Refusal> {
        let length = self.integer(marker)?;
        match usize::try_from(length) {
            Ok(length) => Ok(length),
            Err(_) => refuse!("a length of {length}"),
        }
    }

    fn text(&mut self, length: usize) -> Result<&'a str, Refusal> {
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(_) => refuse!("a text that is no UTF-8"),
        }
    }

    fn value(&mut self, marker: u8, depth: usize) -> Result<Document, Refusal> {
        if depth > MAX_DEPTH {
            refuse!("nested deeper than {MAX_DEPTH} levels");
        }
        Ok(match marker {
            b'{' => self.map(depth)?,
            b'[' => self.list(depth)?,
            b'Z' => Document::Null,
            b'T' => Document::Bool(true),
            b'F' => Document::Bool(false),
            b'd' => Document::Float(f64::from(f32::from_be_bytes(self.fixed()?))),
            b'D' => Document::Float(f64::from_be_bytes(self.fixed()?)),
            b'C' => Document::Int(i64::from(self.byte()?)),
            b'S' => {
                let length = self.length()?;
                Document::Text(self.text(length)?.into())
            }
            other => Document::Int(self.integer(other)?),
        })
    }

    fn map(&mut self, depth: usize) -> Result<Document, Refusal> {
        let mut entries = Vec::new();
        loop {
            let marker = self.marker()?;
            if marker == b'}' {
                return Ok(Document::Map(entries));
            }
            let length = self.length_of(marker)?;
            let key = self.text(length)?;
            let marker = self.marker()?;
            let value = self.value(marker, depth + 1)?;
            if !self.skipped.contains(&key) {
                self.budget.spend(2)?;
                entries.push((key.into(), value));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Document, Refusal> {
        let mut listing = Listing::default();
        let mut marker = self.marker()?;
        if marker == b'$' {
            return self.typed();
        }
        if marker == b'#' {
            // Every value takes a byte at least, so that the loop ends with the bytes.
            for _ in 0..self.length()? {
                let marker = self.marker()?;
                self.member(&mut listing, marker, depth)?;
            }
            return Ok(listing.finish());
        }
        while marker != b']' {
            self.member(&mut listing, marker, depth)?;
            marker = self.marker()?;
        }
        Ok(listing.finish())
    }

    fn member(&mut self, listing: &mut Listing, marker: u8, depth: usize) -> Result<(), Refusal> {
        let value = self.value(marker, depth + 1)?;
        let number = matches!(value, Document::Int(_) | Document::Float(_) | Document::Bool(_));
        if !number || matches!(listing, Listing::Values(_)) {
            self.budget.spend(1)?;
        }
        listing.push(value, &mut self.budget)
    }

    fn typed(&mut self) -> Result<Document, Refusal> {
        let kind = self.byte()?;
        if self.byte()? != b'#' {
            refuse!("a typed list without a count");
        }
        let count = self.length()?;
        Ok(Document::Numbers(match kind {
            b'd' => Numbers::F32(self.items(count, f32::from_be_bytes)?),
            b'D' => Numbers::F64(self.items(count, f64::from_be_bytes)?),
            b'i' => Numbers::I8(self.items(count, i8::from_be_bytes)?),
            b'U' => Numbers::U8(self.items(count, u8::from_be_bytes)?),
            b'I' => Numbers::I16(self.items(count, i16::from_be_bytes)?),
            b'l' => Numbers::I32(self.items(count, i32::from_be_bytes)?),
            b'L' => Numbers::I64(self.items(count, i64::from_be_bytes)?),
            other => refuse!("a list of type `{}`", other.escape_ascii()),
        }))
    }

    fn items<T, const N: usize>(&mut self, count: usize, item: fn([u8; N]) -> T) -> Result<Vec<T>, Refusal> {
        let Some(bytes) = count.checked_mul(N) else {
            refuse!("a list of {count} items");
        };
        let (items, _) = self.take(bytes)?.as_chunks::<N>();
        Ok(items.iter().map(|bytes| item(*bytes)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(bytes: &[u8]) -> Document {
        read(bytes, &[]).unwrap()
    }

    #[test]
    fn scalars_lists_and_maps_are_read() {
        assert_eq!(value(b"Z"), Document::Null);
        assert_eq!(value(b"I\xff\xfe"), Document::Int(-2));
        assert_eq!(value(b"SL\0\0\0\0\0\0\0\x02ab"), Document::Text("ab".into()));
        assert_eq!(
            value(b"[$l#U\x02\0\0\0\x01\xff\xff\xff\xff"),
            Document::Numbers(Numbers::I32(vec![1, -1]))
        );
        assert_eq!(
            value(b"[#i\x02i\x01L\0\0\0\x01\0\0\0\0"),
            Document::Numbers(Numbers::I64(vec![1, 1 << 32]))
        );
        let map = value(b"{i\x01a[i\x01Si\x01x]i\x01bT}");
        let members = Document::List(vec![Document::Int(1), Document::Text("x".into())]);
        assert_eq!(map.get("a"), Some(&members));
        assert_eq!(map.get("b"), Some(&Document::Bool(true)));
        let map = read(b"{i\x01a[i\x01]i\x01bT}", &["a"]).unwrap();
        assert_eq!(map, Document::Map(vec![("b".into(), Document::Bool(true))]));
    }

    #[test]
    fn lengths_beyond_the_bytes_and_nesting_beyond_reason_are_refused() {
        let refused = |bytes: &[u8]| read(bytes, &[]).unwrap_err().to_string();
        assert!(refused(b"[$d#L\x20\0\0\0\0\0\0\0").contains("9223372036854775808 bytes are announced"));
        assert!(refused(b"{L\xff\xff\xff\xff\xff\xff\xff\xffa").contains("a length of -1"));
        assert!(refused(&[b'['; 300_000]).contains("nested deeper"));
        assert!(refused(b"[#L\0\0\0\0\x7f\xff\xff\xffZ").contains("0 are left"));
        assert!(refused(b"ZZ").contains("1 bytes after"));
        assert!(refused(b"").contains("0 are left"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = read(&bytes, &[]);
        }

        #[test]
        fn no_marks_panic(marks in "[\\[\\]{}$#iUIlLdDSCZTFN\u{1}\u{2}]{0,60}") {
            let _ = read(marks.as_bytes(), &[]);
        }
    }
}
