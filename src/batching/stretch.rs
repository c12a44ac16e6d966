//! How many times as long as the model works on a batch, the batch keeps its predictor from the next: with it come putting
//! calls together and taking them apart, and whatever else has the core meanwhile, such as requests that are read and
//! refused on it. All of that grows with the time that the model takes, so it is learnt as a factor: that holds for
//! batches of any size, also for such as have not been seen yet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Weight of the newest batch in the mean.
const WEIGHT: f64 = 0.1;
/// A batch that took more than so many times what would be expected counts as that much: the machine held it up.
const OUTLIER: f64 = 3.0;
/// A core that does nothing but refuse comes to a multiple like this; beyond it no estimate is of any use.
const MOST: f64 = 100.0;

/// The factor; at least one.
#[derive(Debug)]
pub(super) struct Stretch(AtomicU64);

impl Stretch {
    pub(super) fn new() -> Stretch {
        Stretch(AtomicU64::new(1f64.to_bits()))
    }

    fn factor(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// What work of the model takes the line.
    pub(super) fn whole(&self, work: Duration) -> Duration {
        Duration::try_from_secs_f64(work.as_secs_f64() * self.factor()).unwrap_or(Duration::MAX)
    }

    /// The work of the model that takes the line so long.
    pub(super) fn work(&self, whole: Duration) -> Duration {
        Duration::try_from_secs_f64(whole.as_secs_f64() / self.factor()).unwrap_or(Duration::MAX)
    }

    /// Learns from a batch in which the model should have worked so long, and which took the line so long. Of two that end
    /// at once, one may be forgotten.
    pub(super) fn learn(&self, work: Duration, whole: Duration) {
        let before = self.factor();
        let seen = whole.as_secs_f64() / work.as_secs_f64();
        if seen.is_nan() {
            return;
        }
        let seen = seen.clamp(1.0, (OUTLIER * before).min(MOST));
        let after = before + WEIGHT * (seen - before);
        self.0.store(after.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn near(got: Duration, wanted: Duration) -> bool {
        got.abs_diff(wanted) < wanted / 50
    }

    #[test]
    fn a_batch_takes_as_long_as_the_model_until_it_is_seen_to_take_longer() {
        let stretch = Stretch::new();
        assert_eq!(
            (stretch.whole(7 * MILLI), stretch.work(7 * MILLI)),
            (7 * MILLI, 7 * MILLI)
        );
        // Half of the core goes to others: that holds for batches of any length.
        (0..60).for_each(|_| stretch.learn(3 * MILLI, 6 * MILLI));
        assert!(near(stretch.whole(10 * MILLI), 20 * MILLI), "{stretch:?}");
        assert!(near(stretch.work(10 * MILLI), 5 * MILLI), "{stretch:?}");
        // And is over soon.
        (0..40).for_each(|_| stretch.learn(3 * MILLI, 3 * MILLI));
        assert!(near(stretch.whole(10 * MILLI), 10 * MILLI), "{stretch:?}");
    }

    #[test]
    fn one_batch_that_was_held_up_says_little() {
        let stretch = Stretch::new();
        stretch.learn(MILLI, 1_000 * MILLI);
        assert!(stretch.whole(10 * MILLI) <= 12 * MILLI, "{stretch:?}");
    }

    #[test]
    fn times_of_any_length_are_learnt_from() {
        let times = [Duration::ZERO, MILLI, Duration::MAX];
        for work in times {
            for whole in times {
                let stretch = Stretch::new();
                (0..1_000).for_each(|_| stretch.learn(work, whole));
                assert!(
                    (MILLI..=100 * MILLI).contains(&stretch.whole(MILLI)),
                    "{stretch:?}"
                );
                assert!(stretch.whole(Duration::MAX) == Duration::MAX);
                assert!(stretch.work(Duration::MAX) <= Duration::MAX);
            }
        }
    }
}
