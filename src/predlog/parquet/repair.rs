//! How much of a part is whole: everything up to its last footer.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::file::metadata::ParquetMetaDataReader;

/// What a file begins and each footer ends with.
const MAGIC: &[u8; 4] = b"PAR1";
/// Length and magic, after the footer.
const TAIL: u64 = 8;
/// A footer that is longer is none of ours.
const MAX_FOOTER: u64 = 64 << 20;
const STEP: u64 = 1 << 20;

/// The length of the file up to the end of its last footer, 0 when it has none.
pub(super) fn whole(mut file: &File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut piece = Vec::new();
    while end > TAIL {
        let start = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        piece.clear();
        file.take(end - start).read_to_end(&mut piece)?;
        for at in memchr::memmem::rfind_iter(&piece, MAGIC) {
            let after = start + at as u64 + MAGIC.len() as u64;
            if is_footer(file, after)? {
                return Ok(after);
            }
        }
        if start == 0 {
            break;
        }
        // A magic that lies across the border is seen by the next step.
        end = start + MAGIC.len() as u64 - 1;
    }
    Ok(0)
}

/// Whether a footer that can be read ends here.
fn is_footer(mut file: &File, end: u64) -> io::Result<bool> {
    if end < TAIL + MAGIC.len() as u64 {
        return Ok(false);
    }
    let mut length = [0; 4];
    file.seek(SeekFrom::Start(end - TAIL))?;
    file.read_exact(&mut length)?;
    let length = u64::from(u32::from_le_bytes(length));
    let Some(start) = end.checked_sub(TAIL + length).filter(|_| length <= MAX_FOOTER) else {
        return Ok(false);
    };
    file.seek(SeekFrom::Start(start))?;
    let mut footer = Vec::new();
    file.take(length).read_to_end(&mut footer)?;
    // These bytes may be any: the reader is known to panic on some.
    let read = catch_unwind(AssertUnwindSafe(|| {
        ParquetMetaDataReader::decode_metadata(&footer)
    }));
    Ok(matches!(read, Ok(Ok(metadata)) if metadata.num_row_groups() > 0))
}
