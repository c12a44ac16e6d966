//! Quantiles of a stream of numbers, in bounded memory.
//!
//! A number is counted in a bin that its highest bits name: sign, exponent, and the first six bits of the fraction, so
//! that a bin is 1/64 of an octave wide and its middle is within 1/128 of any number in it. That is the binning of
//! HdrHistogram, without a range given beforehand. When numbers spread over more bins than there may be, every bin is
//! joined with its neighbour (as UDDSketch does: Epicoco et al. 2020, "UDDSketch: Accurate tracking of quantiles in data
//! streams"), which doubles the error everywhere instead of spoiling the small numbers.

/// Bins at most: 32 octaves at full resolution, and 16 kB.
const MAX_BINS: usize = 2048;
/// Bits of a double that lie below those which name its bin at first.
const SHIFT: u32 = 52 - 6;
/// One bin for all numbers of a sign; nothing is left to join then.
const MAX_SHIFT: u32 = 63;

/// Counts of numbers by their size.
#[derive(Debug, Clone, PartialEq)]
pub struct Sketch {
    shift: u32,
    /// Bins and their counts, smallest number first.
    bins: Vec<(i32, u64)>,
    count: u64,
}

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch {
            shift: SHIFT,
            bins: Vec::new(),
            count: 0,
        }
    }
}

impl Sketch {
    /// Counts a number. One that is not finite is left out.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.count += 1;
        let bin = self.bin(value);
        match self.bins.binary_search_by_key(&bin, |(bin, _)| *bin) {
            Ok(place) => {
                if let Some((_, count)) = self.bins.get_mut(place) {
                    *count += 1;
                }
            }
            Err(place) => {
                self.bins.insert(place, (bin, 1));
                while self.bins.len() > MAX_BINS && self.shift < MAX_SHIFT {
                    self.join();
                }
            }
        }
    }

    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The number that this part of the numbers does not exceed, such as 0.99; `None` of no numbers.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let wanted = ((part * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut below = 0;
        let found = self.bins.iter().find(|(_, count)| {
            below += count;
            below >= wanted
        });
        found.map(|(bin, _)| self.middle(*bin))
    }

    /// How far a quantile may be from a number in its bin, as a share of that number.
    pub fn relative_error(&self) -> f64 {
        match 52u32.checked_sub(self.shift) {
            Some(bits) => 0.5f64.powi(bits as i32 + 1),
            None => 1.0,
        }
    }

    /// Bins of positive numbers count up from 0, those of negative ones down from -1: both zeros are the smallest of
    /// their sign.
    fn bin(&self, value: f64) -> i32 {
        let size = (value.abs().to_bits() >> self.shift) as i32;
        if value < 0.0 { !size } else { size }
    }

    fn middle(&self, bin: i32) -> f64 {
        let size = if bin < 0 { !bin } else { bin } as u64;
        let lowest = size << self.shift;
        let highest = lowest | ((1 << self.shift) - 1);
        // The last bin may end beyond the largest number, where infinity begins.
        let highest = f64::from_bits(highest.min(f64::MAX.to_bits()));
        // A bin at zero holds zero far more often than the tiny numbers beside it.
        let middle = if lowest == 0 {
            0.0
        } else {
            f64::from_bits(lowest) / 2.0 + highest / 2.0
        };
        if bin < 0 { -middle } else { middle }
    }

    fn join(&mut self) {
        self.shift += 1;
        let mut joined: Vec<(i32, u64)> = Vec::with_capacity(MAX_BINS);
        for (bin, count) in self.bins.drain(..) {
            // Rounds down, for the complements of negative numbers too: `!(size >> 1)` is `!size >> 1`.
            let bin = bin >> 1;
            match joined.last_mut() {
                Some((last, sum)) if *last == bin => *sum += count,
                _ => joined.push((bin, count)),
            }
        }
        self.bins = joined;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.add(*value));
        sketch
    }

    #[test]
    fn quantiles_are_within_the_error() {
        let values: Vec<f64> = (1..=10_000).map(f64::from).collect();
        let sketch = of(&values);
        assert!(sketch.relative_error() <= 1.0 / 128.0);
        for part in [0.5, 0.9, 0.99, 0.999, 1.0] {
            let found = sketch.quantile(part).unwrap();
            assert!(
                (found / (part * 10_000.0) - 1.0).abs() <= 1.0 / 128.0,
                "{part}: {found}"
            );
        }
    }

    #[test]
    fn nothing_has_no_quantiles() {
        assert_eq!(of(&[]).quantile(0.5), None);
        assert_eq!(of(&[f64::NAN, f64::INFINITY]).quantile(0.5), None);
    }

    #[test]
    fn zeros_are_zero() {
        assert_eq!(of(&[0.0, -0.0, 0.0, 5.0]).quantile(0.5), Some(0.0));
        assert_eq!(
            of(&[f64::MAX, f64::MAX]).quantile(0.5).map(f64::is_finite),
            Some(true)
        );
    }

    #[test]
    fn numbers_of_every_size_keep_to_the_bound() {
        let mut sketch = Sketch::default();
        for exponent in -150..150 {
            for step in 0..64 {
                let value = 10f64.powi(exponent) * (1.0 + f64::from(step) / 64.0);
                sketch.add(value);
                sketch.add(-value);
            }
        }
        assert!(sketch.bins.len() <= MAX_BINS, "{}", sketch.bins.len());
        assert_eq!(sketch.count(), 300 * 128);
        assert!(sketch.relative_error() <= 0.5, "{}", sketch.relative_error());
        assert!(sketch.quantile(0.24).unwrap() < -0.5 && sketch.quantile(0.76).unwrap() > 0.5);
    }

    proptest! {
        #[test]
        fn quantiles_are_near_the_numbers_that_rank_there(
            values in proptest::collection::vec(prop_oneof![-1e12f64..1e12, -1.0..1.0, Just(0.0), proptest::num::f64::NORMAL], 1..300),
            part in 0.0f64..=1.0,
        ) {
            let sketch = of(&values);
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let rank = ((part * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let expected = sorted[rank - 1];
            let found = sketch.quantile(part).unwrap();
            prop_assert!((found - expected).abs() <= sketch.relative_error() * expected.abs() * (1.0 + 1e-9) + f64::MIN_POSITIVE,
                "{found} for {expected}");
            prop_assert!(sketch.bins.len() <= MAX_BINS);
            prop_assert_eq!(sketch.bins.iter().map(|(_, count)| count).sum::<u64>(), values.len() as u64);
        }
    }
}
