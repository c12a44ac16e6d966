//! What a call is expected to take, learnt from the calls before it: `a·rows + b`.
//!
//! The line is the least-squares fit over recent calls, older ones weighing less and less. Calls of one size say nothing
//! about the slope, so while only such come, the slope learnt before is kept and the fixed part follows.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the calls before weigh beside a new one. Small enough that a model that really became slower is noticed within
/// about ten.
const MEMORY: f64 = 0.9;
/// A call that takes more than this many times what was expected counts as that much: one that the machine held up
/// should not send the next ten to threads.
const OUTLIER: f64 = 20.0;
/// Spread of the sizes, over their mean, from which on the slope can be learnt.
const SPREAD: f64 = 0.1;

/// Bits of a NaN: nothing learnt yet.
const UNKNOWN: u64 = f64::NAN.to_bits();

/// The line, in seconds.
#[derive(Debug)]
pub(super) struct Cost {
    a_row: AtomicU64,
    a_call: AtomicU64,
    recent: Mutex<Recent>,
}

/// Weighted sums over recent calls.
#[derive(Debug, Default)]
struct Recent {
    weight: f64,
    rows: f64,
    seconds: f64,
    rows_squared: f64,
    rows_seconds: f64,
}

impl Cost {
    pub(super) fn new() -> Cost {
        Cost {
            a_row: AtomicU64::new(UNKNOWN),
            a_call: AtomicU64::new(UNKNOWN),
            recent: Mutex::new(Recent::default()),
        }
    }

    fn line(&self) -> (f64, f64) {
        let read = |bits: &AtomicU64| f64::from_bits(bits.load(Ordering::Relaxed));
        (read(&self.a_row), read(&self.a_call))
    }

    /// What `calls` calls should take that have so many rows together; `None` before the first.
    pub(super) fn expect(&self, rows: usize, calls: usize) -> Option<Duration> {
        let (a_row, a_call) = self.line();
        // Not a number, before the first call, is out of range as well.
        Duration::try_from_secs_f64(a_row * rows as f64 + a_call * calls as f64).ok()
    }

    /// Whether a call of so many rows should take less than that; none does before the first.
    pub(super) fn is_below(&self, rows: usize, limit: Duration) -> bool {
        let (a_row, a_call) = self.line();
        a_row * (rows as f64) + a_call < limit.as_secs_f64()
    }

    /// What a call takes whatever its rows: what a request saves that shares one. Zero before the first.
    pub(super) fn fixed(&self) -> Duration {
        Duration::try_from_secs_f64(self.line().1).unwrap_or_default()
    }

    /// Rows of one call that should take no longer than that; at least one, and all before the first.
    pub(super) fn rows_within(&self, time: Duration) -> usize {
        let (a_row, a_call) = self.line();
        let rows = (time.as_secs_f64() - a_call) / a_row;
        // Casts saturate; no slope is no limit, and what is not a number has none either.
        if rows.is_nan() {
            usize::MAX
        } else {
            (rows as usize).max(1)
        }
    }

    /// Learns from a call. Of two that end at once, one may be forgotten: a fit can bear that.
    pub(super) fn learn(&self, rows: usize, took: Duration) {
        let Ok(mut recent) = self.recent.try_lock() else {
            return;
        };
        let (rows, mut seconds) = (rows.max(1) as f64, took.as_secs_f64());
        let (a_row, a_call) = self.line();
        let expected = a_row * rows + a_call;
        if expected > 0.0 {
            seconds = seconds.min(OUTLIER * expected);
        }
        recent.add(rows, seconds);
        let (a_row, a_call) = recent.fit(a_row);
        self.a_row.store(a_row.to_bits(), Ordering::Relaxed);
        self.a_call.store(a_call.to_bits(), Ordering::Relaxed);
    }
}

impl Recent {
    fn add(&mut self, rows: f64, seconds: f64) {
        let sums = [
            (&mut self.weight, 1.0),
            (&mut self.rows, rows),
            (&mut self.seconds, seconds),
            (&mut self.rows_squared, rows * rows),
            (&mut self.rows_seconds, rows * seconds),
        ];
        for (sum, value) in sums {
            *sum = *sum * MEMORY + value;
        }
    }

    /// Seconds a row and seconds a call; `slope` is the one learnt before, or not a number.
    fn fit(&self, slope: f64) -> (f64, f64) {
        let (rows, seconds) = (self.rows / self.weight, self.seconds / self.weight);
        let variance = self.rows_squared / self.weight - rows * rows;
        let a_row = if variance > (SPREAD * rows).powi(2) {
            (self.rows_seconds / self.weight - rows * seconds) / variance
        } else if slope.is_nan() {
            // One size only, ever: all of it may be the rows', which errs on the safe side for large calls.
            seconds / rows
        } else {
            slope
        };
        let a_row = a_row.max(0.0);
        let a_call = seconds - a_row * rows;
        if a_call < 0.0 {
            // A line through nothing: a call cannot take less than no time.
            (seconds / rows, 0.0)
        } else {
            (a_row, a_call)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICRO: Duration = Duration::from_micros(1);

    #[test]
    fn the_first_call_is_unknown_and_later_ones_scale_with_rows() {
        let cost = Cost::new();
        assert_eq!((cost.expect(1, 1), cost.rows_within(MICRO)), (None, usize::MAX));
        assert!(!cost.is_below(1, 1_000 * MICRO));
        cost.learn(10, 10_000 * MICRO);
        assert_eq!(cost.expect(1, 1), Some(1_000 * MICRO));
        assert_eq!(cost.expect(100, 1), Some(100_000 * MICRO));
        assert!(cost.is_below(1, 1_001 * MICRO) && !cost.is_below(1, 999 * MICRO));
    }

    #[test]
    fn the_fixed_part_is_told_from_that_of_the_rows() {
        let cost = Cost::new();
        let took = |rows: usize| 30 * MICRO + 10 * MICRO * rows as u32;
        for rows in [1, 32, 1, 32] {
            cost.learn(rows, took(rows));
        }
        let near = |got: Duration, wanted: Duration| got.abs_diff(wanted) < MICRO;
        assert!(near(cost.fixed(), 30 * MICRO), "{:?}", cost.fixed());
        assert!(near(cost.expect(64, 1).unwrap(), took(64)));
        assert!(near(cost.expect(64, 2).unwrap(), took(64) + 30 * MICRO));
        assert!((46..=47).contains(&cost.rows_within(500 * MICRO)));
        // Calls of one row only, for long: what was learnt about rows stays.
        (0..1000).for_each(|_| cost.learn(1, took(1)));
        assert!(near(cost.expect(64, 1).unwrap(), took(64)));
    }

    #[test]
    fn a_change_is_noticed_within_ten_calls_and_one_slow_call_is_not() {
        let cost = Cost::new();
        (0..100).for_each(|_| cost.learn(1, 10 * MICRO));
        cost.learn(1, 10_000 * MICRO);
        assert!(cost.expect(1, 1).unwrap() < 50 * MICRO);
        (0..10).for_each(|_| cost.learn(1, 10_000 * MICRO));
        assert!(cost.expect(1, 1).unwrap() > 5_000 * MICRO);
    }

    #[test]
    fn more_rows_never_cost_less() {
        let cost = Cost::new();
        for (rows, micros) in [(1, 100), (10, 10), (1, 100), (10, 10)] {
            cost.learn(rows, micros * MICRO);
        }
        assert!(cost.expect(10, 1) >= cost.expect(1, 1));
        assert!(cost.rows_within(MICRO) >= 1);
    }
}
