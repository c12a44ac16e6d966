//! What the pages of a column claim, read from their headers before anything is unpacked.
//!
//! The reader believes a page header: the size it names is the size of a buffer, the number of its values the length of
//! a vector. A body of a few bytes could so take gigabytes. The headers are Thrift structs in the compact protocol, of
//! which only a few fields matter here.

/// Structs in a page header nest this deep at most.
const MAX_DEPTH: usize = 8;

/// Values of a dictionary; writers stop at a megabyte, and a value may become much longer than it is in the page.
const MAX_DICTIONARY: u64 = 1 << 20;

/// Why the pages of a column are not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PageError {
    /// A header is malformed, or a page is longer than its column.
    #[error("a page header cannot be read")]
    Malformed,
    /// A dictionary claims more values than it has bytes, or than [`MAX_DICTIONARY`].
    #[error("a dictionary claims more values than it can have")]
    Dictionary,
    /// Text that is encoded as differences carries the number of its values within the page, unchecked by the reader.
    #[error("the encoding of a column, {0}, is not supported")]
    Encoding(&'static str),
}

/// Sum of the sizes, unpacked, that the pages of a column chunk claim.
///
/// # Errors
/// When the reader could be led to reserve more than that.
pub(super) fn unpacked_bytes(chunk: &[u8]) -> Result<u64, PageError> {
    let mut rest = chunk;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let mut cursor = Cursor { rest };
        let header = cursor.page_header().ok_or(PageError::Malformed)?;
        if header.dictionary_values > header.unpacked.min(MAX_DICTIONARY) {
            return Err(PageError::Dictionary);
        }
        match header.encoding {
            6 => return Err(PageError::Encoding("DELTA_LENGTH_BYTE_ARRAY")),
            7 => return Err(PageError::Encoding("DELTA_BYTE_ARRAY")),
            _ => {}
        }
        total = total.saturating_add(header.unpacked.max(header.packed));
        let packed = usize::try_from(header.packed).map_err(|_| PageError::Malformed)?;
        rest = cursor.rest.get(packed..).ok_or(PageError::Malformed)?;
    }
    Ok(total)
}

#[derive(Default)]
struct PageHeader {
    unpacked: u64,
    packed: u64,
    dictionary_values: u64,
    /// As Parquet numbers encodings; 0 where the page has no data.
    encoding: u64,
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    /// Reads a header; `None` when it is malformed, has no sizes, or names anything twice, since then nobody knows which
    /// of the two the reader takes.
    fn page_header(&mut self) -> Option<PageHeader> {
        let mut header = PageHeader::default();
        let mut seen: u64 = 0;
        let mut field: i64 = 0;
        while let Some(kind) = self.field(&mut field)? {
            let bit = u32::try_from(field)
                .ok()
                .and_then(|field| 1u64.checked_shl(field))?;
            if seen & bit != 0 {
                return None;
            }
            seen |= bit;
            match (field, kind) {
                (2, 5) => header.unpacked = u64::try_from(self.zigzag()?).ok()?,
                (3, 5) => header.packed = u64::try_from(self.zigzag()?).ok()?,
                // Data page: its encoding is the second field, in the second version the fourth.
                (5, 12) => header.encoding = self.member(2)?,
                (8, 12) => header.encoding = header.encoding.max(self.member(4)?),
                (7, 12) => header.dictionary_values = self.member(1)?,
                (2 | 3 | 5 | 7 | 8, _) => return None,
                _ => self.skip(kind, 0)?,
            }
        }
        (seen & 0b1100 == 0b1100).then_some(header)
    }

    /// Steps over a struct and gives one of its fields, a 32-bit number that is not negative; 0 where it is absent.
    fn member(&mut self, wanted: i64) -> Option<u64> {
        let mut value = None;
        let mut field = 0;
        while let Some(kind) = self.field(&mut field)? {
            if field != wanted {
                self.skip(kind, 1)?;
            } else if kind == 5 && value.is_none() {
                value = Some(u64::try_from(self.zigzag()?).ok()?);
            } else {
                return None;
            }
        }
        Some(value.unwrap_or(0))
    }

    /// Reads a field's head: sets its number and gives its type, `Some(None)` at the end of the struct.
    fn field(&mut self, number: &mut i64) -> Option<Option<u8>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        *number = match head >> 4 {
            0 => self.zigzag()?,
            delta => number.checked_add(i64::from(delta))?,
        };
        Some(Some(head & 0xf))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match kind {
            // The value of a boolean is its type.
            1 | 2 => {}
            3 => {
                self.byte()?;
            }
            4..=6 => {
                self.varint()?;
            }
            7 => self.jump(8)?,
            8 => {
                let length = self.varint()?;
                self.jump(length)?;
            }
            9 | 10 => {
                let head = self.byte()?;
                let length = if head >> 4 == 15 {
                    self.varint()?
                } else {
                    u64::from(head >> 4)
                };
                for _ in 0..length {
                    // In a list a boolean has a byte.
                    self.skip(
                        if matches!(head & 0xf, 1 | 2) {
                            3
                        } else {
                            head & 0xf
                        },
                        depth + 1,
                    )?;
                }
            }
            12 => {
                let mut field = 0;
                while let Some(kind) = self.field(&mut field)? {
                    self.skip(kind, depth + 1)?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn jump(&mut self, length: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(length).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// type 0, unpacked 8, packed 2, a struct, end; then two bytes of page.
    fn page(field: u8, members: &[u8]) -> Vec<u8> {
        let mut page = vec![0x15, 0, 0x15, 16, 0x15, 4, (field - 3) << 4 | 0xc];
        page.extend(members);
        page.extend([0, 0, 1, 2]);
        page
    }

    #[test]
    fn claimed_sizes_are_summed() {
        let page = page(5, &[0x15, 2, 0x15, 0]);
        assert_eq!(unpacked_bytes(&page), Ok(8));
        assert_eq!(unpacked_bytes(&page.repeat(3)), Ok(24));
        assert_eq!(unpacked_bytes(&[]), Ok(0));
    }

    #[test]
    fn malformed_headers_are_refused() {
        let page = page(5, &[0x15, 2, 0x15, 0]);
        for end in 1..page.len() {
            assert_eq!(
                unpacked_bytes(page.get(..end).unwrap()),
                Err(PageError::Malformed),
                "{end}"
            );
        }
        // A negative size; structs without end; no sizes; a size twice.
        assert_eq!(
            unpacked_bytes(&[0x15, 0, 0x15, 1, 0x15, 4, 0]),
            Err(PageError::Malformed)
        );
        assert_eq!(unpacked_bytes(&[0x1c; 100]), Err(PageError::Malformed));
        assert_eq!(unpacked_bytes(&[0x15, 0, 0]), Err(PageError::Malformed));
        assert_eq!(
            unpacked_bytes(&[0x25, 2, 0x15, 0, 0x05, 4, 2, 0]),
            Err(PageError::Malformed)
        );
    }

    #[test]
    fn what_the_reader_would_believe_is_checked() {
        assert_eq!(unpacked_bytes(&page(7, &[0x15, 16])), Ok(8));
        assert_eq!(unpacked_bytes(&page(7, &[0x15, 18])), Err(PageError::Dictionary));
        let encoded = |page: Vec<u8>| unpacked_bytes(&page);
        assert_eq!(
            encoded(page(5, &[0x15, 2, 0x15, 12])),
            Err(PageError::Encoding("DELTA_LENGTH_BYTE_ARRAY"))
        );
        assert_eq!(
            encoded(page(8, &[0x15, 2, 0x35, 14])),
            Err(PageError::Encoding("DELTA_BYTE_ARRAY"))
        );
    }
}
