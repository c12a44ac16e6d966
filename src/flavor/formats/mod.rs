//! Readers of bytes: one file a format, knowing nothing of the models written in it.
//!
//! Every reader takes untrusted bytes and gives data or a [`Refusal`]; none follows a path,
//! resolves a name or calls anything. Lengths are checked against what is there before anything is allocated.

pub mod document;
pub mod flatbuffer;
pub mod json;
pub mod object;
pub mod ubjson;

mod arena;
mod dtype;
mod npy;
mod pickle;
mod skops;
mod zip;

use super::refusal::{Refusal, refuse};

use self::object::Objects;

/// The Python objects in a pickle (also of cloudpickle or joblib) or a skops file; its first bytes tell which.
///
/// # Errors
/// When it is neither, is broken, or would take much more memory than its size warrants.
pub fn load(bytes: &[u8]) -> Result<Objects, Refusal> {
    match bytes {
        [b'P', b'K', 3, 4, ..] => skops::load(bytes).map_err(|refusal| refusal.within("skops")),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] | [0x1f, 0x8b, ..] => {
            let inflated = zip::inflate_joblib(bytes).map_err(|refusal| refusal.within("joblib"))?;
            pickle::load(&inflated).map_err(|refusal| refusal.within("pickle"))
        }
        [b'B', b'Z', b'h', ..] | [0xfd, b'7', b'z', ..] | [0x5d, 0, 0, ..] | [0x04, 0x22, 0x4d, 0x18, ..] => {
            refuse!("the file is compressed with bz2, lzma or lz4: save it without compression")
        }
        [] => refuse!("the file is empty"),
        _ => pickle::load(bytes).map_err(|refusal| refusal.within("pickle")),
    }
}

#[cfg(test)]
mod tests;
