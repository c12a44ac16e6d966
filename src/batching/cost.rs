//! What a call is expected to take, learnt from the calls before it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Weight of the newest call. Small enough that one slow call does not send the next hundred to threads, large enough
/// that a model that really became slower is noticed within about ten.
const WEIGHT: f64 = 0.2;

/// Bits of a NaN: nothing learnt yet.
const UNKNOWN: u64 = f64::NAN.to_bits();

/// Seconds a row, as an exponentially weighted average.
///
/// One number is enough for the question that is asked of it (is the call below a limit?): for models whose fixed cost
/// outweighs that of their rows, it errs towards a thread for large batches, which is the safe side.
#[derive(Debug)]
pub(super) struct Cost {
    seconds_a_row: AtomicU64,
}

impl Cost {
    pub(super) fn new() -> Cost {
        Cost {
            seconds_a_row: AtomicU64::new(UNKNOWN),
        }
    }

    /// What a call of that many rows should take; `None` before the first.
    pub(super) fn expect(&self, rows: usize) -> Option<Duration> {
        let seconds = f64::from_bits(self.seconds_a_row.load(Ordering::Relaxed)) * rows.max(1) as f64;
        // Not a number, before the first call, is out of range as well.
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Learns from a call.
    pub(super) fn learn(&self, rows: usize, took: Duration) {
        let newest = took.as_secs_f64() / rows.max(1) as f64;
        let known = f64::from_bits(self.seconds_a_row.load(Ordering::Relaxed));
        let average = if known.is_nan() {
            newest
        } else {
            known + WEIGHT * (newest - known)
        };
        // Of two calls that learn at once one is forgotten: an average can bear that.
        self.seconds_a_row.store(average.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_call_is_unknown_and_later_ones_scale_with_rows() {
        let cost = Cost::new();
        assert_eq!(cost.expect(1), None);
        cost.learn(10, Duration::from_millis(10));
        assert_eq!(cost.expect(1), Some(Duration::from_millis(1)));
        assert_eq!(cost.expect(100), Some(Duration::from_millis(100)));
    }

    #[test]
    fn a_change_is_noticed_within_ten_calls() {
        let cost = Cost::new();
        cost.learn(1, Duration::from_micros(10));
        (0..10).for_each(|_| cost.learn(1, Duration::from_millis(10)));
        assert!(cost.expect(1).unwrap() > Duration::from_millis(5));
    }
}
