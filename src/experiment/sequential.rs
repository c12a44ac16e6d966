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
//! interval before [`LEAST`] values a side, and the variance of values that are 0 or 1 comes from a cautious share
//! ([`Moments`]). The tests simulate how often a difference is seen where there is none.

use super::moments::Moments;

/// Values a side before which there is no interval.
pub const LEAST: u64 = 30;

/// The effective size at which intervals are as narrow as they can be: two variants with 4,000 values each.
pub const BEST_AT: f64 = 2_000.0;

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
    let within = if values.is_binary() { (0.0, 1.0) } else { EVERYWHERE };
    Some(Interval::around(values.mean(), error * width(size, alpha), within))
}

/// The interval of `of` less `from`; `None` where either has fewer than [`LEAST`] values. `alpha` is the probability of
/// being wrong at any time.
pub fn difference(of: &Moments, from: &Moments, alpha: f64) -> Option<Interval> {
    if of.count().min(from.count()) < LEAST {
        return None;
    }
    let (of_size, from_size) = (of.count() as f64, from.count() as f64);
    let (of_variance, from_variance) = (of.cautious_variance(), from.cautious_variance());
    let variance = of_variance / of_size + from_variance / from_size;
    let pooled = (of_variance * of_size + from_variance * from_size) / (of_size + from_size);
    // Without any variance both streams are constant, and of whatever size.
    let size = if variance > 0.0 { pooled / variance } else { of_size.min(from_size) };
    let within = if of.is_binary() && from.is_binary() { (-1.0, 1.0) } else { EVERYWHERE };
    let margin = variance.sqrt() * width(size, alpha);
    Some(Interval::around(of.mean() - from.mean(), margin, within))
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
        difference(of, from, ALPHA).is_some_and(|interval| interval.is_above_zero() || interval.is_below_zero())
    }

    /// The number of streams that a binomial count of rate α exceeds once in a thousand times (3.1 standard deviations).
    fn bound(streams: u32) -> u32 {
        let streams = f64::from(streams);
        (streams * ALPHA + 3.1 * (streams * ALPHA * (1.0 - ALPHA)).sqrt()).floor() as u32
    }

    #[test]
    fn probe() {
        for (name, n) in [("0.5", 0.5), ("0.1", 0.1), ("0.01", 0.01), ("0.001", 0.001), ("0.99", 0.99)] {
            println!("binary {name}: {}", ever(STREAMS, 0.5, |r, _| r.ones(n), excludes));
            println!("binary {name} 90/10: {}", ever(STREAMS, 0.1, |r, _| r.ones(n), excludes));
        }
        println!("exp: {}", ever(STREAMS, 0.5, |r, _| r.exponential(), excludes));
        println!("exp 90/10: {}", ever(STREAMS, 0.1, |r, _| r.exponential(), excludes));
        println!("exp^3 : {}", ever(STREAMS, 0.5, |r, _| r.exponential().powi(3), excludes));
        println!("exp^3 90/10: {}", ever(STREAMS, 0.1, |r, _| r.exponential().powi(3), excludes));
        println!("rare 90/10: {}", ever(STREAMS, 0.1, |r, _| r.ones(0.05)*r.exponential().powi(2), excludes));
        println!("uniform: {}", ever(STREAMS, 0.5, |r, _| r.uniform(), excludes));
    }
}
