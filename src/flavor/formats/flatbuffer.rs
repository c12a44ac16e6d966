//! FlatBuffers: tables whose fields are found by offsets within the bytes.
//!
//! Nothing is copied but what is asked for, and every access is checked: an offset that leaves the bytes is a refusal.
//! A field that a table does not have reads as `None`, or as nothing in it; what that stands for is the schema's matter.

use crate::flavor::refusal::{Refusal, refuse};

/// A table: fields by number.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    bytes: &'a [u8],
    /// Where the table starts.
    at: usize,
    /// Where its list of field offsets starts, the two sizes before it left out.
    fields: usize,
    /// Number of fields in that list.
    count: usize,
}

/// The table that a buffer holds.
///
/// # Errors
/// When its place is not within the bytes.
pub fn root(bytes: &[u8]) -> Result<Table<'_>, Refusal> {
    let at = u32_at(bytes, 0)? as usize;
    Table::at(bytes, at)
}

impl<'a> Table<'a> {
    fn at(bytes: &'a [u8], at: usize) -> Result<Table<'a>, Refusal> {
        let back = i32::from_le_bytes(array(bytes, at)?);
        let sizes = i64::try_from(at)
            .ok()
            .and_then(|at| at.checked_sub(i64::from(back)));
        let Some(sizes) = sizes.and_then(|sizes| usize::try_from(sizes).ok()) else {
            refuse!("a table at byte {at} has its list of fields outside the buffer");
        };
        let size = usize::from(u16::from_le_bytes(array(bytes, sizes)?));
        let fields = sizes.saturating_add(4);
        if size < 4 || bytes.len() < sizes.saturating_add(size) {
            refuse!("a table at byte {at} has a list of fields of {size} bytes");
        }
        Ok(Table {
            bytes,
            at,
            fields,
            count: (size - 4) / 2,
        })
    }

    /// Where the field is, if the table has it.
    fn place(&self, field: usize) -> Result<Option<usize>, Refusal> {
        if field >= self.count {
            return Ok(None);
        }
        let offset = usize::from(u16::from_le_bytes(array(self.bytes, self.fields + 2 * field)?));
        Ok((offset != 0).then(|| self.at.saturating_add(offset)))
    }

    /// Where what the field refers to is, if the table has it.
    fn target(&self, field: usize) -> Result<Option<usize>, Refusal> {
        let Some(place) = self.place(field)? else {
            return Ok(None);
        };
        Ok(Some(follow(self.bytes, place)?))
    }

    /// A number; `default` when the table does not have it.
    ///
    /// # Errors
    /// When it lies outside the bytes.
    pub fn number<T: Fixed>(&self, field: usize, default: T) -> Result<T, Refusal> {
        match self.place(field)? {
            Some(place) => T::read(self.bytes, place),
            None => Ok(default),
        }
    }

    /// A table within it.
    ///
    /// # Errors
    /// When it lies outside the bytes.
    pub fn table(&self, field: usize) -> Result<Option<Table<'a>>, Refusal> {
        self.target(field)?
            .map(|at| Table::at(self.bytes, at))
            .transpose()
    }

    /// Text.
    ///
    /// # Errors
    /// When it lies outside the bytes or is no UTF-8.
    pub fn text(&self, field: usize) -> Result<Option<&'a str>, Refusal> {
        self.target(field)?.map(|at| text(self.bytes, at)).transpose()
    }

    /// A list of numbers, or of structures of numbers; empty when the table does not have it.
    ///
    /// # Errors
    /// When it lies outside the bytes.
    pub fn numbers<T: Fixed>(&self, field: usize) -> Result<Vec<T>, Refusal> {
        let Some(at) = self.target(field)? else {
            return Ok(Vec::new());
        };
        let bytes = items(self.bytes, at, T::SIZE)?;
        bytes.chunks_exact(T::SIZE).map(|item| T::read(item, 0)).collect()
    }

    /// Bytes; none when the table does not have them.
    ///
    /// # Errors
    /// When they lie outside the buffer.
    pub fn bytes(&self, field: usize) -> Result<&'a [u8], Refusal> {
        match self.target(field)? {
            Some(at) => items(self.bytes, at, 1),
            None => Ok(&[]),
        }
    }

    /// A list of tables; empty when the table does not have it.
    ///
    /// # Errors
    /// When one lies outside the bytes.
    pub fn tables(&self, field: usize) -> Result<Vec<Table<'a>>, Refusal> {
        self.each_target(field, Table::at)
    }

    /// A list of texts; empty when the table does not have it.
    ///
    /// # Errors
    /// When one lies outside the bytes or is no UTF-8.
    pub fn texts(&self, field: usize) -> Result<Vec<&'a str>, Refusal> {
        self.each_target(field, text)
    }

    /// How many items a list has.
    ///
    /// # Errors
    /// When it lies outside the bytes.
    pub fn length(&self, field: usize) -> Result<usize, Refusal> {
        match self.target(field)? {
            Some(at) => Ok(u32_at(self.bytes, at)? as usize),
            None => Ok(0),
        }
    }

    fn each_target<T>(
        &self,
        field: usize,
        read: impl Fn(&'a [u8], usize) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let Some(at) = self.target(field)? else {
            return Ok(Vec::new());
        };
        let count = items(self.bytes, at, 4)?.len() / 4;
        (0..count)
            .map(|item| {
                let place = at.saturating_add(4).saturating_add(4 * item);
                read(self.bytes, follow(self.bytes, place)?)
            })
            .collect()
    }
}

fn follow(bytes: &[u8], place: usize) -> Result<usize, Refusal> {
    let offset = u32_at(bytes, place)? as usize;
    Ok(place.saturating_add(offset))
}

/// The bytes of the items of a list at `at`.
fn items(bytes: &[u8], at: usize, size: usize) -> Result<&[u8], Refusal> {
    let count = u32_at(bytes, at)? as usize;
    let start = at.saturating_add(4);
    let end = start.saturating_add(count.saturating_mul(size));
    match bytes.get(start..end) {
        Some(items) => Ok(items),
        None => refuse!(
            "a list at byte {at} of {count} items goes beyond the {} bytes",
            bytes.len()
        ),
    }
}

fn text(bytes: &[u8], at: usize) -> Result<&str, Refusal> {
    match std::str::from_utf8(items(bytes, at, 1)?) {
        Ok(text) => Ok(text),
        Err(_) => refuse!("the text at byte {at} is no UTF-8"),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Refusal> {
    Ok(u32::from_le_bytes(array(bytes, at)?))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Refusal> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk::<N>());
    match found {
        Some(found) => Ok(*found),
        None => refuse!("byte {at} of {} is asked for", bytes.len()),
    }
}

/// What takes a fixed number of bytes: numbers, and structures of them.
pub trait Fixed: Sized {
    /// Bytes it takes.
    const SIZE: usize;

    /// Reads it from the bytes at `at`.
    ///
    /// # Errors
    /// When it lies outside the bytes.
    fn read(bytes: &[u8], at: usize) -> Result<Self, Refusal>;
}

macro_rules! fixed {
    ($($type:ty),*) => {
        $(impl Fixed for $type {
            const SIZE: usize = size_of::<$type>();

            fn read(bytes: &[u8], at: usize) -> Result<$type, Refusal> {
                Ok(<$type>::from_le_bytes(array(bytes, at)?))
            }
        })*
    };
}
fixed!(i8, u8, u16, i32, u32, f32, f64);

impl Fixed for bool {
    const SIZE: usize = 1;

    fn read(bytes: &[u8], at: usize) -> Result<bool, Refusal> {
        Ok(u8::read(bytes, at)? != 0)
    }
}

impl<A: Fixed, B: Fixed> Fixed for (A, B) {
    // Right for parts of the same size, which is all that is asked for here: nothing lies between them.
    const SIZE: usize = A::SIZE + B::SIZE;

    fn read(bytes: &[u8], at: usize) -> Result<(A, B), Refusal> {
        Ok((A::read(bytes, at)?, B::read(bytes, at.saturating_add(A::SIZE))?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A table with field 0 = the number 7, field 2 = the text "ab"; field 1 absent.
    fn small() -> Vec<u8> {
        let mut bytes = vec![14, 0, 0, 0];
        bytes.extend([10, 0, 12, 0, 4, 0, 0, 0, 8, 0]); // at 4: the list of fields
        bytes.extend([10, 0, 0, 0]); // at 14: the table, its list ten bytes back
        bytes.extend([7, 0, 0, 0]); // field 0
        bytes.extend([4, 0, 0, 0]); // field 2, four bytes on:
        bytes.extend([2, 0, 0, 0, b'a', b'b', 0]);
        bytes
    }

    #[test]
    fn fields_are_found_by_number_and_absent_ones_have_defaults() {
        let bytes = small();
        let table = root(&bytes).unwrap();
        assert_eq!(table.number(0, 1i32).unwrap(), 7);
        assert_eq!(table.number(1, 5i32).unwrap(), 5);
        assert_eq!(table.number(9, 0.5f64).unwrap(), 0.5);
        assert_eq!(table.text(2).unwrap(), Some("ab"));
        assert_eq!(table.bytes(2).unwrap(), b"ab");
        assert!(table.tables(1).unwrap().is_empty());
    }

    #[test]
    fn a_list_that_claims_more_than_there_is_is_refused() {
        let mut bytes = small();
        bytes[26] = 200;
        let error = root(&bytes).unwrap().text(2).unwrap_err().to_string();
        assert!(error.contains("200 items"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), field in 0usize..4) {
            if let Ok(table) = root(&bytes) {
                let _ = table.number(field, 0f64);
                let _ = table.text(field);
                let _ = table.numbers::<(u16, u16)>(field);
                let _ = table.texts(field);
                if let Ok(Some(inner)) = table.table(field) {
                    let _ = inner.tables(field);
                }
            }
        }
    }
}
