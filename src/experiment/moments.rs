//! Number, mean and variance of values that come one by one.

/// Number, mean and variance of a stream of values, by Welford's recurrence: no sum of squares is subtracted from another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
    /// Whether every value was 0 or 1.
    binary: bool,
}

impl Default for Moments {
    fn default() -> Moments {
        Moments {
            count: 0,
            mean: 0.0,
            squares: 0.0,
            binary: true,
        }
    }
}

impl Moments {
    /// The moments of `ones` ones among `count` values that are 0 or 1.
    pub fn of_share(ones: u64, count: u64) -> Moments {
        if count == 0 {
            return Moments::default();
        }
        let share = ones.min(count) as f64 / count as f64;
        Moments {
            count,
            mean: share,
            squares: count as f64 * share * (1.0 - share),
            binary: true,
        }
    }

    /// Adds a finite value.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
        self.binary &= value == 0.0 || value == 1.0;
    }

    /// Adds the values of another stream.
    pub fn merge(&mut self, other: &Moments) {
        if other.count == 0 {
            return;
        }
        let count = self.count + other.count;
        let apart = other.mean - self.mean;
        let share = other.count as f64 / count as f64;
        self.squares += other.squares + apart * apart * self.count as f64 * share;
        self.mean += apart * share;
        self.count = count;
        self.binary &= other.binary;
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; 0 of none.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Whether there were values, and each was 0 or 1.
    pub fn is_binary(&self) -> bool {
        self.binary && self.count > 0
    }

    /// The unbiased variance of one value; 0 of fewer than two.
    pub fn variance(&self) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        (self.squares / (self.count - 1) as f64).max(0.0)
    }

    /// The variance to reckon with where a wrong decision is dear. That of values which are 0 or 1 is taken from their
    /// share after one more 0 and one more 1 (Laplace's rule): a hundred zeros are no proof that there are no ones, and a
    /// variance of nothing would make any difference certain.
    pub(super) fn cautious_variance(&self) -> f64 {
        if !self.is_binary() {
            return self.variance();
        }
        let count = self.count as f64;
        let share = (self.mean * count + 1.0) / (count + 2.0);
        share * (1.0 - share)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Moments {
        let mut moments = Moments::default();
        values.iter().for_each(|value| moments.add(*value));
        moments
    }

    #[test]
    fn values_of_a_large_mean_keep_their_variance() {
        let moments = of(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]);
        assert_eq!((moments.mean(), moments.variance()), (1e9 + 10.0, 30.0));
    }

    #[test]
    fn too_few_values_have_no_variance() {
        assert_eq!(
            (of(&[]).mean(), of(&[]).variance(), of(&[3.0]).variance()),
            (0.0, 0.0, 0.0)
        );
        assert!(!of(&[]).is_binary() && of(&[1.0, 0.0]).is_binary() && !of(&[1.0, 0.5]).is_binary());
    }

    #[test]
    fn zeros_alone_are_not_certain() {
        let moments = Moments::of_share(0, 98);
        assert_eq!(moments.variance(), 0.0);
        assert!((moments.cautious_variance() - 0.0099).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn the_moments_are_those_of_two_passes(values in proptest::collection::vec(-1e6f64..1e6, 2..200)) {
            let moments = of(&values);
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
            prop_assert!((moments.mean() - mean).abs() <= 1e-9 * 1e6);
            prop_assert!((moments.variance() - variance).abs() <= 1e-9 * 1e12);
        }

        #[test]
        fn two_streams_merge_into_one(one in proptest::collection::vec(-1e3f64..1e3, 0..50),
                                      other in proptest::collection::vec(-1e3f64..1e3, 0..50)) {
            let mut merged = of(&one);
            merged.merge(&of(&other));
            let whole = of(&[one, other].concat());
            prop_assert_eq!(merged.count(), whole.count());
            prop_assert!((merged.mean() - whole.mean()).abs() < 1e-9);
            prop_assert!((merged.variance() - whole.variance()).abs() < 1e-6);
        }

        #[test]
        fn a_share_is_the_stream_of_its_values(ones in 0u64..50, zeros in 0u64..50) {
            let mut moments = Moments::default();
            (0..ones).for_each(|_| moments.add(1.0));
            (0..zeros).for_each(|_| moments.add(0.0));
            let share = Moments::of_share(ones, ones + zeros);
            prop_assert_eq!(share.count(), moments.count());
            prop_assert!((share.mean() - moments.mean()).abs() < 1e-12);
            prop_assert!((share.variance() - moments.variance()).abs() < 1e-12);
        }
    }
}
