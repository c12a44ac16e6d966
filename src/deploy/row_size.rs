//! How many rows a request should have, by the bytes of its body and by the requests before it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Parts of a byte that are counted.
const PARTS: u64 = 256;
/// What the size learnt before weighs beside a smaller one, as a power of two.
const MEMORY: u32 = 6;

/// Bytes a row of the requests of a deployment. Larger rows count at once, and smaller ones slowly: where requests differ,
/// rather fewer rows are expected than come.
#[derive(Debug, Default)]
pub struct RowSize(AtomicU64);

impl RowSize {
    /// Learns from a request. Of two at once, one may be forgotten.
    pub fn learn(&self, bytes: usize, rows: usize) {
        let one = (bytes as u64).saturating_mul(PARTS);
        let size = if rows > 1 { one / rows as u64 } else { one };
        let before = self.0.load(Ordering::Relaxed);
        let after = match before.checked_sub(size) {
            Some(less) => before - (less >> MEMORY),
            None => size,
        };
        // Most requests are like the one before: no other core has to hear of them.
        if after != before {
            self.0.store(after, Ordering::Relaxed);
        }
    }

    /// Rows of a body of so many bytes; none before the first request.
    pub fn expect(&self, bytes: usize) -> usize {
        let bytes = (bytes as u64).saturating_mul(PARTS);
        bytes.checked_div(self.0.load(Ordering::Relaxed)).unwrap_or(0) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_expected_as_they_came() {
        let size = RowSize::default();
        assert_eq!(size.expect(254_000), 0, "nothing came yet");
        size.learn(254_000, 1000);
        assert_eq!((size.expect(254_000), size.expect(25_400)), (1000, 100));
        size.learn(0, 0);
        assert!(size.expect(254_000) >= 1000);
    }

    #[test]
    fn of_requests_that_differ_the_larger_rows_are_expected() {
        let size = RowSize::default();
        for _ in 0..100 {
            size.learn(100_000, 1000);
            size.learn(300, 1);
        }
        assert_eq!(size.expect(100_000), 333);
        // Until only the others come.
        (0..1000).for_each(|_| size.learn(100_000, 1000));
        assert!(
            (990..=1000).contains(&size.expect(100_000)),
            "{}",
            size.expect(100_000)
        );
    }
}
