//! A moment of UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment of UTC, to the microsecond. One before 1970 counts as 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(u64);

impl Moment {
    /// The beginning of 1970.
    pub const EPOCH: Moment = Moment(0);

    /// Microseconds since 1970; what is beyond the year 294,246 is that.
    #[inline]
    pub fn micros(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// Milliseconds since 1970.
    #[inline]
    pub fn millis(self) -> u64 {
        self.0 / 1_000
    }

    /// So much later.
    #[inline]
    #[must_use]
    pub fn after(self, time: Duration) -> Moment {
        Moment(self.0.saturating_add(whole_micros(time)))
    }

    /// So much earlier.
    #[inline]
    #[must_use]
    pub fn before(self, time: Duration) -> Moment {
        Moment(self.0.saturating_sub(whole_micros(time)))
    }
}

/// Not by dividing 128 bits.
fn whole_micros(time: Duration) -> u64 {
    let whole = time.as_secs().saturating_mul(1_000_000);
    whole.saturating_add(u64::from(time.subsec_micros()))
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Moment {
        Moment(whole_micros(time.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

impl From<Moment> for SystemTime {
    fn from(moment: Moment) -> SystemTime {
        // A time that the system cannot hold is none that a clock shows.
        let since = Duration::from_micros(moment.0);
        UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_moment_is_its_time_to_the_microsecond(nanos in any::<u64>(), more in 0u64..1 << 40) {
            let time = UNIX_EPOCH + Duration::from_nanos(nanos);
            let moment = Moment::from(time);
            prop_assert_eq!(moment.micros() as u64, nanos / 1_000);
            prop_assert_eq!(moment.millis(), nanos / 1_000_000);
            prop_assert_eq!(Moment::from(SystemTime::from(moment)), moment);
            let long = Duration::from_micros(more);
            prop_assert_eq!(moment.after(long).before(long), moment);
            prop_assert_eq!(moment.after(long).micros() as u64, nanos / 1_000 + more);
        }
    }

    #[test]
    fn what_is_before_1970_is_1970() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Moment::from(before), Moment::EPOCH);
        assert_eq!(Moment::EPOCH.before(Duration::from_secs(1)), Moment::EPOCH);
    }
}
