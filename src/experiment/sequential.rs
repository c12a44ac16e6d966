//! Intervals that may be looked at as often as one likes.
//!
//! Who watches an ordinary 95 % interval while data comes in, and stops as soon as it excludes zero, is wrong far more
//! often than once in twenty times. The intervals here are *confidence sequences*: with a probability of `1 − α` they
//! hold the truth at *all* looks together, so that anybody may look at any time, stop when it suits, or go on.
//!
//! # Formula
//!
//! The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), "Time-uniform central
//! limit theory and asymptotic confidence sequences", Annals of Statistics 52(6), arXiv:2103.06476, theorem 2.2, with
//! Robbins' Gaussian mixture. After `t` values of mean `m` and variance `s²`:
//!
//! ```text
//! m ± s · √( 2(tρ² + 1) / (t²ρ²) · ln( √(tρ² + 1) / α ) )
//! ```
//!
//! which is, with the standard error `e = s/√t` and `k = tρ²`,
//!
//! ```text
//! m ± e · √( 2 (k + 1)/k · ln( √(k + 1) / α ) )
//! ```
//!
//! `ρ` says where the interval is narrowest compared with others, and changes nothing in what it promises:
//! `ρ² = (−2 ln α + ln(−2 ln α) + 1) / t*` is nearly best at `t*` values (the paper's appendix B.2). We take
//! `t*` = [`BEST_AT`].
//!
//! # The difference of two means
//!
//! For means `a` and `b` of independent values, `d = b − a` has the variance `v = s²_a/n_a + s²_b/n_b`. Whichever of the
//! two gets the next value, `d/v` grows by independent increments whose variance is the growth of `1/v` (the covariance of
//! `d` at two moments is its variance at the later one), so it is a random walk in the time `1/v`, as the sum of one
//! stream is in `t`. The formula holds therefore with `e = √v` and the effective size `t = s²/v`, where `s²` is the pooled
//! variance. With equal variances that is `t = 1/(1/n_a + 1/n_b)`: a quarter of all values when they are shared equally.
//! Variants may get unequal shares.
//!
//! # What it supposes
//!
//! Values are independent and have a finite variance. Nothing else is supposed of them: they need neither be normal nor
//! bounded. The promise is asymptotic, as every one that rests on an estimated variance is. Therefore there is no
//! interval before [`LEAST`] values a side, the variance of values that are 0 or 1 comes from a cautious share
//! ([`Moments`]), and a side's variance is drawn up towards the pooled one while it has few values. The tests simulate how
//! often a difference is seen where there is none: in 2,000 streams of 5,000 values, looked at after each, with α = 0.05
//!
//! | values | shared 50/50 | 90/10 |
//! | --- | --- | --- |
//! | 1 with probability 0.5 | 27 | 10 |
//! | 1 with probability 0.1 | 31 | 8 |
//! | 1 with probability 0.01 | 14 | 1 |
//! | exponential | 33 | 11 |
//! | cube of an exponential | 9 | 10 |
//! | uniform | 30 | |

use super::moments::Moments;

/// Values a side before which there is no interval.
pub const LEAST: u64 = 30;

/// The effective size at which intervals are as narrow as they can be: two variants with 4,000 values each.
pub const BEST_AT: f64 = 2_000.0;

/// How many values of a side the pooled variance counts as, where it is larger than the side's own.
const POOLED_WEIGHT: f64 = 300.0;

/// A mean, or the difference of two, and the bounds within which the truth is.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
}

impl Interval {
    /// Whether the truth is certainly above 0, as certain as the interval is.
    pub fn is_above_zero(&self) -> bool {
        self.lower > 0.0
    }

    /// Whether the truth is certainly below 0.
    pub fn is_below_zero(&self) -> bool {
        self.upper < 0.0
    }

    fn around(estimate: f64, margin: f64, within: (f64, f64)) -> Interval {
        Interval {
            estimate,
            lower: (estimate - margin).max(within.0),
            upper: (estimate + margin).min(within.1),
        }
    }
}

/// The interval of a mean; `None` of fewer than [`LEAST`] values. `alpha` is the probability of being wrong at any time.
pub fn mean(values: &Moments, alpha: f64) -> Option<Interval> {
    if values.count() < LEAST {
        return None;
    }
    let size = values.count() as f64;
    let error = (values.cautious_variance() / size).sqrt();
    let within = if values.is_binary() {
        (0.0, 1.0)
    } else {
        EVERYWHERE
    };
    Some(Interval::around(
        values.mean(),
        error * width(size, alpha),
        within,
    ))
}

/// The interval of `of` less `from`; `None` where either has fewer than [`LEAST`] values. `alpha` is the probability of
/// being wrong at any time.
pub fn difference(of: &Moments, from: &Moments, alpha: f64) -> Option<Interval> {
    if of.count().min(from.count()) < LEAST {
        return None;
    }
    let (of_size, from_size) = (of.count() as f64, from.count() as f64);
    let pooled =
        (of.cautious_variance() * of_size + from.cautious_variance() * from_size) / (of_size + from_size);
    let of_variance = not_too_small(of, pooled);
    let from_variance = not_too_small(from, pooled);
    let variance = of_variance / of_size + from_variance / from_size;
    // Without any variance both streams are constant, and of whatever size.
    let size = if variance > 0.0 {
        pooled / variance
    } else {
        of_size.min(from_size)
    };
    let within = if of.is_binary() && from.is_binary() {
        (-1.0, 1.0)
    } else {
        EVERYWHERE
    };
    let margin = variance.sqrt() * width(size, alpha);
    Some(Interval::around(of.mean() - from.mean(), margin, within))
}

/// The variance of one value of a side, never below the pooled one by more than its own values prove. A side that has
/// not met a rare large value yet has far too small a variance, and just then too small a mean: without this, a tenth of
/// the values on one side and rare amounts of money made a difference of nothing in a quarter of the streams.
fn not_too_small(values: &Moments, pooled: f64) -> f64 {
    let (own, size) = (values.cautious_variance(), values.count() as f64);
    own.max((own * size + pooled * POOLED_WEIGHT) / (size + POOLED_WEIGHT))
}

const EVERYWHERE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

/// Half the width of the interval at an effective size, in standard errors.
fn width(size: f64, alpha: f64) -> f64 {
    mixture(size * rho_squared(BEST_AT, alpha), alpha)
}

/// The boundary of the Gaussian mixture at `k = tρ²`, in standard errors.
fn mixture(k: f64, alpha: f64) -> f64 {
    (2.0 * (k + 1.0) / k * ((k + 1.0).sqrt() / alpha).ln()).sqrt()
}

/// The `ρ²` whose interval is nearly the narrowest at this size.
fn rho_squared(size: f64, alpha: f64) -> f64 {
    let twice = -2.0 * alpha.ln();
    (twice + twice.ln() + 1.0) / size
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPHA: f64 = 0.05;
    const STREAMS: u32 = 2_000;
    const VALUES: u32 = 5_000;

    /// SplitMix64 (Steele, Lea and Flood 2014): the streams are the same in every run.
    struct Random(u64);

    impl Random {
        fn bits(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        /// Above 0 and at most 1.
        fn uniform(&mut self) -> f64 {
            ((self.bits() >> 11) + 1) as f64 / (1u64 << 53) as f64
        }

        fn ones(&mut self, share: f64) -> f64 {
            f64::from(self.uniform() <= share)
        }

        fn exponential(&mut self) -> f64 {
            -self.uniform().ln()
        }
    }

    /// Streams of [`VALUES`] values, each for one of two sides, of which `share` for the second, that are given to
    /// `excludes` after each value from the first look on; how many streams it was ever true of.
    fn ever(
        streams: u32,
        share: f64,
        mut draw: impl FnMut(&mut Random, bool) -> f64,
        excludes: impl Fn(&Moments, &Moments) -> bool,
    ) -> u32 {
        let mut random = Random(20_240_601);
        let mut found = 0;
        for _ in 0..streams {
            let mut sides = [Moments::default(); 2];
            for _ in 0..VALUES {
                let second = random.uniform() <= share;
                let value = draw(&mut random, second);
                sides[usize::from(second)].add(value);
                if excludes(&sides[1], &sides[0]) {
                    found += 1;
                    break;
                }
            }
        }
        found
    }

    fn excludes(of: &Moments, from: &Moments) -> bool {
        difference(of, from, ALPHA)
            .is_some_and(|interval| interval.is_above_zero() || interval.is_below_zero())
    }

    /// The number of streams that a binomial count of rate α exceeds once in a thousand times (3.1 standard deviations).
    fn bound(streams: u32) -> u32 {
        let streams = f64::from(streams);
        (streams * ALPHA + 3.1 * (streams * ALPHA * (1.0 - ALPHA)).sqrt()).floor() as u32
    }

    fn check(streams: u32, share: f64, draw: impl FnMut(&mut Random, bool) -> f64) {
        let found = ever(streams, share, draw, excludes);
        assert!(found <= bound(streams), "{found} of {streams} streams");
    }

    #[test]
    fn no_difference_is_seen_where_there_is_none() {
        check(STREAMS, 0.5, |random, _| random.ones(0.1));
        check(200, 0.1, |random, _| random.ones(0.01));
        check(200, 0.5, |random, _| random.exponential());
        // Amounts that are mostly nothing, and a side that gets few of them.
        check(200, 0.1, |random, _| {
            random.ones(0.05) * random.exponential().powi(2)
        });
        check(200, 0.02, |random, _| random.exponential().powi(3));
        check(50, 0.5, |_, _| 3.0);
    }

    #[test]
    fn an_interval_made_for_one_look_sees_differences_where_there_are_none() {
        let once = |of: &Moments, from: &Moments| {
            let error = of.variance() / of.count() as f64 + from.variance() / from.count() as f64;
            of.count().min(from.count()) >= LEAST && (of.mean() - from.mean()).abs() > 1.96 * error.sqrt()
        };
        let found = ever(200, 0.5, |random, _| random.ones(0.1), once);
        assert!(found > 2 * bound(200), "{found}");
    }

    #[test]
    fn differences_are_found() {
        let rates = |random: &mut Random, second| random.ones(if second { 0.3 } else { 0.2 });
        let above = |of: &Moments, from: &Moments| {
            difference(of, from, ALPHA).is_some_and(|interval| interval.is_above_zero())
        };
        assert!(ever(100, 0.5, rates, above) >= 99);
        assert!(ever(100, 0.1, rates, above) >= 60);
        let times = |random: &mut Random, second| random.exponential() * if second { 0.8 } else { 1.0 };
        let below = |of: &Moments, from: &Moments| {
            difference(of, from, ALPHA).is_some_and(|interval| interval.is_below_zero())
        };
        assert!(ever(100, 0.5, times, below) >= 95);
    }

    #[test]
    fn the_truth_is_within_the_interval_of_a_mean() {
        let mut random = Random(7);
        let mut outside = 0;
        for _ in 0..200 {
            let mut values = Moments::default();
            let left = (0..2_000).any(|_| {
                values.add(random.exponential());
                mean(&values, ALPHA).is_some_and(|interval| interval.lower > 1.0 || interval.upper < 1.0)
            });
            outside += u32::from(left);
        }
        assert!(outside <= bound(200), "{outside}");
    }

    #[test]
    fn the_formula_is_that_of_the_paper() {
        let (size, variance, rho2) = (777.0f64, 4.0f64, rho_squared(BEST_AT, ALPHA));
        let root = (size * rho2 + 1.0).sqrt();
        let inner = 2.0 * (size * rho2 + 1.0) / (size * size * rho2) * (root / ALPHA).ln();
        let ours = (variance / size).sqrt() * width(size, ALPHA);
        assert!((ours - variance.sqrt() * inner.sqrt()).abs() < 1e-12, "{ours}");
    }

    #[test]
    fn the_interval_is_nearly_as_narrow_as_can_be_where_it_should() {
        let best = (1..100_000)
            .map(|step| mixture(f64::from(step) / 1000.0, ALPHA))
            .fold(f64::INFINITY, f64::min);
        let ours = width(BEST_AT, ALPHA);
        assert!(ours <= best * 1.001, "{ours} {best}");
    }

    #[test]
    fn few_values_have_no_interval_and_bounds_are_kept() {
        assert_eq!(mean(&Moments::of_share(0, LEAST - 1), ALPHA), None);
        assert_eq!(
            difference(
                &Moments::of_share(9, 900),
                &Moments::of_share(0, LEAST - 1),
                ALPHA
            ),
            None
        );
        let found = mean(&Moments::of_share(0, LEAST), ALPHA).unwrap();
        assert_eq!((found.estimate, found.lower), (0.0, 0.0));
        assert!(found.upper > 0.0 && found.upper <= 1.0);
        let found = difference(&Moments::of_share(30, 30), &Moments::of_share(0, 30), ALPHA).unwrap();
        assert!(found.is_above_zero() && found.upper == 1.0, "{found:?}");
    }
}
