//! The variant of a routing key: weighted rendezvous hashing.
//!
//! Every variant draws a number from the hash of the key and its own name, and the smallest wins. The numbers are
//! exponentially distributed with the weight as their rate, so that a variant wins with the share of its weight (Efraimidis
//! and Spirakis, "Weighted random sampling with a reservoir", 2006; as rendezvous hashing: Schindelhauer and Schomaker,
//! "Weighted distributed hash tables", 2005). A number depends on one variant alone: when a weight rises, keys move to that
//! variant only, and when it falls, from it only. Nothing is drawn at random, so every replica agrees, before and after a
//! restart.

use sha2::{Digest, Sha256};

/// The hash of a name or a key; the first eight bytes of its SHA-256, so that it can be computed anywhere.
pub(super) fn hash(parts: [&[u8]; 2]) -> u64 {
    let [first, second] = parts;
    let digest = Sha256::new()
        // With its length, or ("a", "bc") would be ("ab", "c").
        .chain_update((first.len() as u64).to_le_bytes())
        .chain_update(first)
        .chain_update(second)
        .finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |hash, &byte| hash << 8 | u64::from(byte))
}

/// The number that a variant draws for a key, from their hashes; the smallest wins. Infinite without weight.
pub(super) fn draw(key: u64, variant: u64, weight: u32) -> f64 {
    // In the open interval from 0 to 1: 53 bits, and half of the smallest step.
    let uniform = ((mix(key ^ variant) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    match weight {
        0 => f64::INFINITY,
        weight => -uniform.ln() / f64::from(weight),
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): each bit of the input changes each of the output in half of
/// the cases.
fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_any_sha_256() {
        // Python: int.from_bytes(hashlib.sha256((4).to_bytes(8, "little") + b"iris" + b"user-1").digest()[:8], "big")
        assert_eq!(hash([b"iris", b"user-1"]), 0xc20f_708c_5ac6_1392);
        assert_ne!(hash([b"a", b"bc"]), hash([b"ab", b"c"]));
    }

    #[test]
    fn a_variant_without_weight_never_wins() {
        assert_eq!(draw(1, 2, 0), f64::INFINITY);
        assert!((0..1000).all(|key| draw(key, 7, 1).is_finite()));
    }
}
