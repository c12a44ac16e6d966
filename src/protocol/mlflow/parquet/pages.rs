//! How many bytes the pages of a column become, read from their headers before anything is unpacked.
//!
//! The reader takes the size a page header claims as the size of a buffer; a body of a few bytes could claim
//! gigabytes. The headers are Thrift structs in the compact protocol, of which only the two sizes matter here.

/// Structs in a page header nest this deep at most.
const MAX_DEPTH: usize = 8;

/// Sum of the sizes, unpacked, that the pages of a column chunk claim; `None` when a header is malformed or a page is
/// longer than the chunk.
pub(super) fn unpacked_bytes(chunk: &[u8]) -> Option<u64> {
    let mut rest = chunk;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let mut cursor = Cursor { rest };
        let header = cursor.page_header()?;
        total = total.checked_add(header.unpacked.max(header.packed))?;
        rest = cursor.rest.get(usize::try_from(header.packed).ok()?..)?;
    }
    Some(total)
}

struct PageHeader {
    unpacked: u64,
    packed: u64,
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn page_header(&mut self) -> Option<PageHeader> {
        let (mut unpacked, mut packed) = (None, None);
        let mut field: i64 = 0;
        while let Some(kind) = self.field(&mut field)? {
            match (field, kind) {
                (2, 5) => unpacked = Some(u64::try_from(self.zigzag()?).ok()?),
                (3, 5) => packed = Some(u64::try_from(self.zigzag()?).ok()?),
                _ => self.skip(kind, 0)?,
            }
        }
        Some(PageHeader {
            unpacked: unpacked?,
            packed: packed?,
        })
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

    #[test]
    fn claimed_sizes_are_summed() {
        // type 0, unpacked 8, packed 2, an empty struct, end; then two bytes of page.
        let page = [0x15, 0, 0x15, 16, 0x15, 4, 0x2c, 0, 0, 1, 2];
        assert_eq!(unpacked_bytes(&page), Some(8));
        assert_eq!(unpacked_bytes(&page.repeat(3)), Some(24));
        assert_eq!(unpacked_bytes(&[]), Some(0));
    }

    #[test]
    fn malformed_headers_are_none() {
        let page = [0x15, 0, 0x15, 16, 0x15, 4, 0x2c, 0, 0, 1, 2];
        for end in 1..page.len() {
            assert_eq!(unpacked_bytes(page.get(..end).unwrap()), None, "{end}");
        }
        // A negative size, and structs without end.
        assert_eq!(unpacked_bytes(&[0x15, 0, 0x15, 1, 0x15, 4, 0]), None);
        assert_eq!(unpacked_bytes(&[0x1c; 100]), None);
    }
}
