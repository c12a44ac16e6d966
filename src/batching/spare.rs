//! What a call is given beyond the time that it should wait: what is expected is an estimate, and an answer that comes late
//! has cost as much as one in time.
//!
//! It follows the calls before: those that waited longer than that beyond what was expected of them raise it, the others
//! lower it, so that one in fifty would be late (a quantile, approached by steps). Where a thread has a core to itself
//! that is little; where it shares cores with others, it may be as long as the wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Of so many calls, one may wait longer.
const ONE_IN: u32 = 50;
/// One that does raises the time by this part of what was expected of it, each other lowers it by the fiftieth of that.
const STEP: u32 = 20;
/// Before the first call, and at least, these parts of the wait are given.
const AT_FIRST: u32 = 2;
const AT_LEAST: u32 = 8;
/// No more than this part of what is left is given, or who waits for little would never be let in.
const AT_MOST: u32 = 2;

/// Nothing learnt yet.
const UNKNOWN: u64 = u64::MAX;

/// The time, in nanoseconds.
#[derive(Debug)]
pub(super) struct Spare(AtomicU64);

impl Spare {
    pub(super) fn new() -> Spare {
        Spare(AtomicU64::new(UNKNOWN))
    }

    /// What a call needs beyond its wait that has so much time left.
    pub(super) fn beyond(&self, wait: Duration, left: Duration) -> Duration {
        match self.0.load(Ordering::Relaxed) {
            UNKNOWN => wait / AT_FIRST,
            nanos => Duration::from_nanos(nanos)
                .min(left / AT_MOST)
                .max(wait / AT_LEAST),
        }
    }

    /// Learns from a call that was expected to wait for `wait` and `took` so long, or longer than it had. Of two at once, one
    /// may be forgotten.
    pub(super) fn learn(&self, wait: Duration, took: Option<Duration>) {
        let whole = nanos(wait / STEP);
        let before = match self.0.load(Ordering::Relaxed) {
            UNKNOWN => nanos(wait / AT_FIRST),
            nanos => nanos,
        };
        let within = took.is_some_and(|took| nanos(took) <= nanos(wait).saturating_add(before));
        let after = match within {
            true => before.saturating_sub(whole / u64::from(ONE_IN)),
            false => before.saturating_add(whole),
        };
        self.0.store(after.min(UNKNOWN - 1), Ordering::Relaxed);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn before_the_first_call_half_of_the_wait_is_given() {
        assert_eq!(Spare::new().beyond(10 * MILLI, 12 * MILLI), 5 * MILLI);
    }

    #[test]
    fn one_call_in_fifty_takes_longer() {
        let spare = Spare::new();
        let mut random = fastrand::Rng::with_seed(1);
        let (wait, left) = (20 * MILLI, 100 * MILLI);
        let mut late = 0;
        for call in 0..20_000 {
            // From half of what was expected to twice that.
            let took = wait.mul_f64(0.5 + 1.5 * random.f64());
            late += usize::from(call >= 10_000 && took > wait + spare.beyond(wait, left));
            spare.learn(wait, Some(took));
        }
        assert!((100..=300).contains(&late), "{late} of 10,000");
        assert!((15 * MILLI..=21 * MILLI).contains(&spare.beyond(wait, left)));
    }

    #[test]
    fn late_calls_raise_it_soon_and_calls_in_time_lower_it_slowly() {
        let (spare, wait, left) = (Spare::new(), 10 * MILLI, 30 * MILLI);
        (0..10).for_each(|_| spare.learn(wait, None));
        assert_eq!(spare.beyond(wait, left), 10 * MILLI);
        // Never more than half of what is left.
        (0..1_000).for_each(|_| spare.learn(wait, None));
        assert_eq!(spare.beyond(wait, left), left / 2);
        assert_eq!(spare.beyond(2 * MILLI, 3 * MILLI), MILLI * 3 / 2);
        (0..1_000_000).for_each(|_| spare.learn(wait, Some(wait)));
        assert_eq!(spare.beyond(wait, left), wait / 8);
    }

    #[test]
    fn waits_of_any_length_are_learnt_from() {
        for wait in [Duration::ZERO, Duration::MAX] {
            let spare = Spare::new();
            for took in [None, Some(Duration::ZERO), Some(Duration::MAX)] {
                spare.learn(wait, took);
                assert!(spare.beyond(wait, MILLI) >= wait / 8);
            }
        }
    }
}
