//! A quick hash for small maps.

use std::hash::{BuildHasher, Hasher};

/// FNV-1a (RFC 9923). Not for maps that others could fill with keys of one hash: those here are bounded to hundreds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fnv(u64);

/// Makes hashers of [`Fnv`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BuildFnv;

impl BuildHasher for BuildFnv {
    type Hasher = Fnv;

    fn build_hasher(&self) -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// With the highest bits of all mixed in: a map of the standard library takes its groups' tags from them.
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 << 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_standard() {
        let hash = |text: &str| {
            let mut hasher = BuildFnv.build_hasher();
            hasher.write(text.as_bytes());
            hasher.0
        };
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
    }
}
