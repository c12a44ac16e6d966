//! Zip archives by their central directory, and zlib; nothing inflates to more than the file warrants.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;

use flate2::Crc;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::flavor::refusal::{Refusal, refuse};

/// How much an archive may inflate to, per byte of it.
const SHARE: usize = 32;

/// How much any archive may inflate to.
const FREE: usize = 64 << 20;

/// An archive and where its entries are.
pub(super) struct Archive<'b> {
    bytes: &'b [u8],
    entries: HashMap<&'b [u8], Entry>,
    /// What may still be inflated.
    left: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    method: u16,
    crc: u32,
    packed: usize,
    size: usize,
    offset: usize,
}

impl<'b> Archive<'b> {
    /// Reads the central directory.
    ///
    /// # Errors
    /// When there is none, or it is broken.
    pub(super) fn open(bytes: &'b [u8]) -> Result<Archive<'b>, Refusal> {
        let end = end_of_directory(bytes)?;
        let mut at = u32_at(bytes, end + 16)? as usize;
        if at > end {
            refuse!("the archive is cut, or larger than 4 GiB");
        }
        let mut entries = HashMap::new();
        // The count of entries has 16 bits, forests have more: the directory ends where other records begin.
        while bytes.get(at..at + 4) == Some(b"PK\x01\x02") {
            let entry = Entry {
                method: u16_at(bytes, at + 10)?,
                crc: u32_at(bytes, at + 16)?,
                packed: u32_at(bytes, at + 20)? as usize,
                size: u32_at(bytes, at + 24)? as usize,
                offset: u32_at(bytes, at + 42)? as usize,
            };
            let [name, extra, comment] = [28, 30, 32].map(|field| u16_at(bytes, at + field).map(usize::from));
            let (name, extra, comment) = (name?, extra?, comment?);
            let Some(name_bytes) = bytes.get(at + 46..at + 46 + name) else {
                refuse!("the directory of the archive is cut");
            };
            entries.insert(name_bytes, entry);
            at += 46 + name + extra + comment;
        }
        Ok(Archive {
            bytes,
            entries,
            left: FREE.saturating_add(bytes.len().saturating_mul(SHARE)),
        })
    }

    /// The content of an entry; borrowed if it is stored as it is.
    ///
    /// # Errors
    /// When it is not there, is broken, or inflates to too much.
    pub(super) fn read(&mut self, name: &str) -> Result<Cow<'b, [u8]>, Refusal> {
        let shown = || name.chars().take(60).collect::<String>();
        let Some(entry) = self.entries.get(name.as_bytes()).copied() else {
            refuse!("the archive has no `{}`", shown());
        };
        if self.bytes.get(entry.offset..entry.offset.saturating_add(4)) != Some(b"PK\x03\x04") {
            refuse!("`{}` is not where the directory says", shown());
        }
        let name_length = usize::from(u16_at(self.bytes, entry.offset + 26)?);
        let extra_length = usize::from(u16_at(self.bytes, entry.offset + 28)?);
        let start = entry.offset + 30 + name_length + extra_length;
        let Some(packed) = self.bytes.get(start..start.saturating_add(entry.packed)) else {
            refuse!("`{}` is cut", shown());
        };
        let content = match entry.method {
            0 => Cow::Borrowed(packed),
            8 => {
                if entry.size > self.left {
                    refuse!("`{}` inflates to {} bytes", shown(), entry.size);
                }
                let content = inflate(DeflateDecoder::new(packed), entry.size)
                    .map_err(|refusal| refusal.within(shown()))?;
                self.left -= content.len();
                Cow::Owned(content)
            }
            method => refuse!("`{}` is compressed by method {method}", shown()),
        };
        let mut crc = Crc::new();
        crc.update(&content);
        if content.len() != entry.size || crc.sum() != entry.crc {
            refuse!("`{}` is damaged", shown());
        }
        Ok(content)
    }
}

/// What a file compressed by `joblib.dump(…, compress=…)` inflates to: zlib or gzip.
///
/// # Errors
/// When it is broken, or inflates to too much.
pub(super) fn inflate_joblib(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let limit = FREE.saturating_add(bytes.len().saturating_mul(SHARE));
    if bytes.starts_with(&[0x1f, 0x8b]) {
        inflate(MultiGzDecoder::new(bytes), limit)
    } else {
        inflate(ZlibDecoder::new(bytes), limit)
    }
}

fn inflate(decoder: impl Read, limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut content = Vec::new();
    // One more than may come tells a full content from one that goes on.
    if let Err(error) = decoder.take(limit as u64 + 1).read_to_end(&mut content) {
        refuse!("cannot be inflated: {error}");
    }
    if content.len() > limit {
        refuse!("inflates to more than {limit} bytes");
    }
    Ok(content)
}

/// Where the record at the end of the archive is.
fn end_of_directory(bytes: &[u8]) -> Result<usize, Refusal> {
    /// Of the record without its comment.
    const LENGTH: usize = 22;
    let last = bytes.len().checked_sub(LENGTH);
    let first = bytes.len().saturating_sub(LENGTH + usize::from(u16::MAX));
    let found = last.and_then(|last| {
        (first..=last).rev().find(|&at| {
            bytes
                .get(at..)
                .is_some_and(|rest| rest.starts_with(b"PK\x05\x06"))
        })
    });
    match found {
        Some(at) => Ok(at),
        None => refuse!("the archive has no directory: it is cut"),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Refusal> {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(bytes) => Ok(u16::from_le_bytes(*bytes)),
        None => refuse!("the archive is cut"),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Refusal> {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(bytes) => Ok(u32::from_le_bytes(*bytes)),
        None => refuse!("the archive is cut"),
    }
}
