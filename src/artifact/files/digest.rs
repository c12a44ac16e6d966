//! The digest of a model: the name of its contents.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::FileEntry;

/// SHA-256 over the files of a model in the order of their paths: of each its path, its size and the SHA-256 of its
/// contents, so that files may be hashed side by side while they arrive.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of files in the order of their paths, each with the SHA-256 of its contents.
    pub(in crate::artifact) fn of<'a>(files: impl Iterator<Item = (&'a FileEntry, &'a [u8; 32])>) -> Digest {
        let mut hash = Sha256::new();
        for (file, contents) in files {
            // Lengths first, so that no two models hash the same text.
            hash.update((file.path.len() as u64).to_le_bytes());
            hash.update(file.path.as_bytes());
            hash.update(file.bytes.to_le_bytes());
            hash.update(contents);
        }
        Digest(hash.finalize().into())
    }

    /// Reads what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Digest> {
        let hex = text.strip_prefix("sha256:")?;
        let mut bytes = [0; 32];
        let lower = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if hex.len() != 64 || !hex.bytes().all(lower) {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Digest(bytes))
    }

    /// The name of a folder for it.
    pub(in crate::artifact) fn folder_name(&self) -> String {
        self.to_string().replacen(':', "-", 1)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back() {
        let digest = Digest([0xa7; 32]);
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        for text in [
            "",
            "sha256:",
            "sha256:a7",
            &digest.to_string().to_uppercase(),
            "../../etc/passwd",
        ] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
        assert!(digest.folder_name().starts_with("sha256-a7a7"));
    }

    #[test]
    fn paths_and_sizes_count() {
        let digest = |path: &str, bytes| {
            let file = FileEntry {
                path: path.into(),
                bytes,
            };
            Digest::of([(&file, &[0; 32])].into_iter())
        };
        assert_ne!(digest("a", 1), digest("b", 1));
        assert_ne!(digest("a", 1), digest("a", 2));
    }
}
