//! Sums as NumPy makes them, bit by bit.

/// The sum of numbers that lie side by side, as `numpy.sum` adds them: up to seven in order, up to 128 in eight lanes,
/// more in halves.
pub fn pairwise(numbers: &[f64]) -> f64 {
    match numbers.len() {
        0..8 => numbers.iter().fold(-0.0, |sum, number| sum + number),
        8..=128 => {
            let mut lanes = [0.0; 8];
            let (groups, rest) = numbers.as_chunks::<8>();
            for (index, group) in groups.iter().enumerate() {
                for (lane, number) in lanes.iter_mut().zip(group) {
                    *lane = if index == 0 { *number } else { *lane + number };
                }
            }
            let [a, b, c, d, e, f, g, h] = lanes;
            let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
            rest.iter().fold(sum, |sum, number| sum + number)
        }
        length => {
            let half = length / 2;
            // The depth is the logarithm of the length.
            let (left, right) = numbers.split_at(half - half % 8);
            pairwise(left) + pairwise(right)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::pairwise;

    #[test]
    fn sums_have_the_bits_of_numpy() {
        // numpy.sum(1 / numpy.arange(1, n + 1)) of NumPy 2.4.6
        for (count, expected) in [
            (1, 1.0),
            (7, 2.5928571428571425),
            (8, 2.7178571428571425),
            (9, 2.8289682539682537),
            (27, 3.8914567532520827),
            (128, 5.433147092589173),
            (129, 5.440899030573669),
            (300, 6.282663880299504),
            (1000, 7.485470860550345),
            (5001, 9.094708812992435),
        ] {
            let numbers: Vec<f64> = (1..=count).map(|index| 1.0 / f64::from(index)).collect();
            assert_eq!(pairwise(&numbers).to_bits(), f64::to_bits(expected), "{count}");
        }
    }
}
