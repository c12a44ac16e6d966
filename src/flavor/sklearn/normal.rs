//! The inverse of the normal distribution, as SciPy's `ndtri` (of Cephes) computes it: rational functions, highest power first.

const P0: &[f64] = &[
    -59.96335010141079,
    98.00107541859997,
    -56.67628574690703,
    13.931260938727968,
    -1.2391658386738125,
];
const Q0: &[f64] = &[
    1.0,
    1.9544885833814176,
    4.676279128988815,
    86.36024213908905,
    -225.46268785411937,
    200.26021238006066,
    -82.03722561683334,
    15.90562251262117,
    -1.1833162112133,
];
const P1: &[f64] = &[
    4.0554489230596245,
    31.525109459989388,
    57.16281922464213,
    44.08050738932008,
    14.684956192885803,
    2.1866330685079025,
    -0.1402560791713545,
    -0.03504246268278482,
    -0.0008574567851546854,
];
const Q1: &[f64] = &[
    1.0,
    15.779988325646675,
    45.39076351288792,
    41.3172038254672,
    15.04253856929075,
    2.504649462083094,
    -0.14218292285478779,
    -0.03808064076915783,
    -0.0009332594808954574,
];
const P2: &[f64] = &[
    3.2377489177694603,
    6.915228890689842,
    3.9388102529247444,
    1.3330346081580755,
    0.20148538954917908,
    0.012371663481782003,
    0.00030158155350823543,
    2.6580697468673755e-06,
    6.239745391849833e-09,
];
const Q2: &[f64] = &[
    1.0,
    6.02427039364742,
    3.6798356385616087,
    1.3770209948908132,
    0.21623699359449663,
    0.013420400608854318,
    0.00032801446468212774,
    2.8924786474538068e-06,
    6.790194080099813e-09,
];

/// `exp(-2)`: beyond it from either end the tail is computed.
const TAIL: f64 = 0.135_335_283_236_612_7;

fn polynomial(x: f64, coefficients: &[f64]) -> f64 {
    coefficients
        .iter()
        .fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// The value below which this share of the standard normal distribution lies.
pub(super) fn inverse_normal(share: f64) -> f64 {
    if share == 0.0 {
        return f64::NEG_INFINITY;
    }
    if share == 1.0 {
        return f64::INFINITY;
    }
    if !(0.0..=1.0).contains(&share) {
        return f64::NAN;
    }
    let upper = share > 1.0 - TAIL;
    let share = if upper { 1.0 - share } else { share };
    if share > TAIL {
        let x = share - 0.5;
        let square = x * x;
        let x = x + x * (square * polynomial(square, P0) / polynomial(square, Q0));
        return x * 2.506_628_274_631_000_7;
    }
    let x = (-2.0 * share.ln()).sqrt();
    let z = 1.0 / x;
    let correction = match x < 8.0 {
        true => z * polynomial(z, P1) / polynomial(z, Q1),
        false => z * polynomial(z, P2) / polynomial(z, Q2),
    };
    let x = x - x.ln() / x - correction;
    if upper { x } else { -x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_scipy() {
        // scipy.special.ndtri, SciPy 1.16
        let cases = [
            (1e-20, -9.262340089798409),
            (1e-07, -5.1993375821928165),
            (0.01, -2.3263478740408408),
            (0.135, -1.1030625561995975),
            (0.2, -0.8416212335729142),
            (0.5, 0.0),
            (0.77, 0.7388468491852137),
            (0.9, 1.2815515655446004),
            (0.999999, 4.753424308817087),
        ];
        for (share, wanted) in cases {
            let got = inverse_normal(share);
            assert!(
                (got - wanted).abs() <= 4e-15 * f64::max(1.0, wanted.abs()),
                "{share}: {got} for {wanted}"
            );
        }
        assert!(inverse_normal(f64::NAN).is_nan());
    }
}
