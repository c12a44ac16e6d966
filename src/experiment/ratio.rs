//! Whether the variants got the shares of requests that they were meant to get.
//!
//! A variant that gets more or fewer requests than its weight says (a *sample ratio mismatch*) is not one that was drawn
//! by lot: requests were lost, or chose. What such variants differ in says nothing about the variants, so there is no
//! verdict while the shares do not fit.
//!
//! The test is that of Lindon and Malek (2022), "Anytime-valid inference for multinomial count data", NeurIPS 35,
//! arXiv:2011.03567 (2020). Of the counts `n_i` with the sum `n`, and the weights `θ_i` with the sum 1, the Bayes factor
//! of shares from a Dirichlet distribution around the weights with the concentration `c`, against the weights themselves:
//!
//! ```text
//!       Γ(c) / Γ(c + n) · ∏ Γ(cθ_i + n_i) / Γ(cθ_i)
//! B =  ─────────────────────────────────────────────
//!                     ∏ θ_i ^ n_i
//! ```
//!
//! `B` is a martingale of mean 1 where the weights are true, so it exceeds `1/α` at any time with a probability of `α` at
//! most, and `p = min(1, 1/B)` may be looked at after every request. A χ² test may be looked at once.

/// How closely shares lie around the weights where they do not fit: by 1.6 of 100 for two equal weights. The larger, the
/// smaller the mismatch that is found in the end, and the later a large one: with all requests on one side, after 140.
const CONCENTRATION: f64 = 1_000.0;

/// The p-value below which shares do not fit. Smaller than that of a comparison: this is a question of working machinery,
/// and with it a false alarm stops everything.
pub const ALPHA: f64 = 0.01;

/// Whether the shares fit the weights.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Ratio {
    /// Draws that were counted, in all.
    pub draws: u64,
    /// The always-valid p-value.
    pub p_value: f64,
    /// Whether the shares fit: `p_value` is at least [`ALPHA`].
    pub fits: bool,
}

/// Checks counts against weights, as (weight, count). What has no weight is left out. Weights need no particular sum.
pub fn check(shares: &[(f64, u64)]) -> Ratio {
    let weighted = || {
        shares
            .iter()
            .filter(|(weight, _)| *weight > 0.0 && weight.is_finite())
    };
    let sum: f64 = weighted().map(|(weight, _)| weight).sum();
    let draws: u64 = weighted().map(|(_, count)| count).sum();
    let mut log_factor = log_gamma(CONCENTRATION) - log_gamma(CONCENTRATION + draws as f64);
    for (weight, count) in weighted() {
        let (share, count) = (weight / sum, *count as f64);
        let prior = CONCENTRATION * share;
        log_factor += log_gamma(prior + count) - log_gamma(prior) - count * share.ln();
    }
    let p_value = (-log_factor).exp().min(1.0);
    Ratio {
        draws,
        p_value,
        fits: p_value >= ALPHA,
    }
}

/// The natural logarithm of Γ, for positive arguments: Stirling's series (Abramowitz and Stegun 6.1.41) from 10 on, and
/// the recurrence below.
fn log_gamma(x: f64) -> f64 {
    let mut shifted = x;
    let mut product = 1.0;
    while shifted < 10.0 {
        product *= shifted;
        shifted += 1.0;
    }
    let inverse = 1.0 / shifted;
    let square = inverse * inverse;
    let series = inverse
        * (1.0 / 12.0
            - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0))));
    let half_log_tau = 0.5 * std::f64::consts::TAU.ln();
    (shifted - 0.5) * shifted.ln() - shifted + half_log_tau + series - f64::ln(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64, above 0 and below 1.
    fn uniform(state: &mut u64) -> f64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// In how many of `streams` streams the shares ever did not fit, looked at after every draw.
    fn alarms(streams: u32, truth: f64, weights: [f64; 2], draws: u32) -> u32 {
        let mut state = 11;
        let mut alarms = 0;
        for _ in 0..streams {
            let mut counts = [0u64; 2];
            let alarm = (0..draws).any(|_| {
                let second = uniform(&mut state) >= truth;
                counts[usize::from(second)] += 1;
                !check(&[(weights[0], counts[0]), (weights[1], counts[1])]).fits
            });
            alarms += u32::from(alarm);
        }
        alarms
    }

    #[test]
    fn log_gamma_is_that_of_the_tables() {
        for (x, expected) in [
            (1.0, 0.0),
            (2.0, 0.0),
            (0.5, 0.572_364_942_924_700_1),
            (10.0, 12.801_827_480_081_469),
            (1000.0, 5_905.220_423_209_181),
            (1e-3, 6.907_178_885_383_854),
        ] {
            let found = log_gamma(x);
            assert!(
                (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
                "{x}: {found}"
            );
        }
    }

    #[test]
    fn one_draw_says_nothing() {
        // The predictive distribution of the first draw is that of the weights.
        let ratio = check(&[(0.9, 0), (0.1, 1)]);
        assert!(
            (ratio.p_value - 1.0).abs() < 1e-9 && ratio.fits && ratio.draws == 1,
            "{ratio:?}"
        );
        assert_eq!(check(&[]).p_value, 1.0);
        assert_eq!(check(&[(0.0, 5), (f64::NAN, 5)]).draws, 0);
    }

    #[test]
    fn the_factor_is_the_product_of_predictions() {
        // ∏ (cθ + n_i) / (c + n) / θ, draw by draw.
        let (mut product, mut counts) = (1.0, [0.0; 3]);
        let shares = [0.5, 0.3, 0.2];
        for (draw, side) in [0, 0, 2, 1, 0, 2, 2, 2, 0, 0].into_iter().enumerate() {
            let predicted = (CONCENTRATION * shares[side] + counts[side]) / (CONCENTRATION + draw as f64);
            product *= predicted / shares[side];
            counts[side] += 1.0;
        }
        let weighted: Vec<(f64, u64)> = (0..3)
            .map(|side| (shares[side] * 7.0, counts[side] as u64))
            .collect();
        let p_value = check(&weighted).p_value;
        assert!(
            (p_value - (1.0f64 / product).min(1.0)).abs() < 1e-9,
            "{p_value} {product}"
        );
    }

    #[test]
    fn shares_that_fit_raise_no_alarm() {
        // Once in a hundred streams at most; 3.1 standard deviations more are one case in a thousand.
        assert!(alarms(300, 0.9, [9.0, 1.0], 2_000) <= 3 + 5);
    }

    #[test]
    fn shares_that_do_not_fit_are_found() {
        assert_eq!(alarms(20, 1.0, [1.0, 1.0], 150), 20);
        assert!(alarms(20, 0.55, [1.0, 1.0], 4_000) >= 19);
        assert!(!check(&[(1.0, 505_000), (1.0, 495_000)]).fits);
        assert!(check(&[(1.0, 500_500), (1.0, 499_500)]).fits);
    }
}
