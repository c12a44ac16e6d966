//! What is done with the sums of the trees.

use crate::flavor::PredictError;
use crate::flavor::plan::value::{Form, Kind, Value};
use crate::flavor::plan::{Inputs, Step};

/// `sum * scale + bias`, a bias for each output.
#[derive(Debug)]
pub(super) struct ScaleBias {
    pub(super) scale: f64,
    pub(super) bias: Vec<f64>,
}

impl Step for ScaleBias {
    fn describe(&self) -> String {
        format!("times {}, plus bias", self.scale)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f64(self.bias.len()) => Ok(*form),
            _ => Err(format!("{} sums expected, got {inputs:?}", self.bias.len())),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut sums = inputs.take(0)?.into_f64()?;
        for row in sums.each_row_mut() {
            for (sum, bias) in row.iter_mut().zip(&self.bias) {
                *sum = *sum * self.scale + bias;
            }
        }
        Ok(Value::F64(sums))
    }
}

/// Which columns are raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Raised {
    /// `exp(x)` of every column.
    All,
    /// Of two columns, mean and logarithm of the deviation, the second to `exp(2 * x)`, the variance.
    Variance,
}

/// The exponential with the bits of CatBoost's own: by a table of 2048 powers of two and a polynomial between them, which
/// differs from the C library's in every second value by a unit in the last place.
pub(super) struct Exponential {
    raised: Raised,
    /// Mantissas of `2^(i / 2048)`.
    table: Vec<u64>,
}

impl Exponential {
    /// Bits of an index into the table.
    const BITS: u32 = 11;
    const SIZE: f64 = (1u64 << Exponential::BITS) as f64;
    const MANTISSA: u64 = (1 << 52) - 1;
    /// Added to a double, it leaves the whole part in the lowest bits.
    const ROUND: f64 = (3u64 << 51) as f64;
    /// Makes the whole part, times the table's size, a biased exponent.
    const BIAS: u64 = (1 << (Exponential::BITS + 10)) - (1 << Exponential::BITS);

    pub(super) fn new(raised: Raised) -> Exponential {
        let mantissa = |index: u32| {
            let power = (f64::from(index) * (1.0 / Exponential::SIZE)).exp2();
            power.to_bits() & Exponential::MANTISSA
        };
        let table = (0..1 << Exponential::BITS).map(mantissa).collect();
        Exponential { raised, table }
    }

    fn of(&self, x: f64) -> f64 {
        // Compared so that NaN goes on through the polynomial and stays NaN.
        if x <= -708.396_418_532_264_1 {
            return 0.0;
        }
        if x >= 709.782_712_893_384 {
            return f64::INFINITY;
        }
        let shifted = x * (Exponential::SIZE / std::f64::consts::LN_2) + Exponential::ROUND;
        let bits = shifted.to_bits();
        let index = (bits & ((1 << Exponential::BITS) - 1)) as usize;
        let mantissa = self.table.get(index).copied().unwrap_or(0);
        let t = (shifted - Exponential::ROUND) * (std::f64::consts::LN_2 / Exponential::SIZE) - x;
        let exponent = (bits.wrapping_add(Exponential::BIAS) >> Exponential::BITS) << 52;
        let polynomial = (3.000_000_002_795_539_4 - t) * (t * t) * 0.166_666_666_852_278_35 - t + 1.0;
        polynomial * f64::from_bits(exponent | mantissa)
    }
}

impl Step for Exponential {
    fn describe(&self) -> String {
        match self.raised {
            Raised::All => "exp".into(),
            Raised::Variance => "mean and variance".into(),
        }
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::F64 && (self.raised == Raised::All || form.width == 2) => Ok(*form),
            _ => Err(format!("sums expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut sums = inputs.take(0)?.into_f64()?;
        match self.raised {
            Raised::All => sums.data.iter_mut().for_each(|sum| *sum = self.of(*sum)),
            Raised::Variance => {
                for deviation in sums.data.iter_mut().skip(1).step_by(2) {
                    *deviation = self.of(2.0 * *deviation);
                }
            }
        }
        Ok(Value::F64(sums))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_has_the_bits_of_catboosts() {
        let exponential = Exponential::new(Raised::All);
        // Sums of a Poisson model and its predictions, by catboost 1.2.10.
        for (sum, wanted) in [
            (1.9669739938524815, 7.149010774035584),
            (0.3237765793613614, 1.382338429681193),
            (2.356516619378053, 10.55412331782081),
            (1.8423120829222723, 6.311113222376213),
            (-1.0250184845291153, 0.3587898332835364),
            (0.15890581635620005, 1.1722275368206172),
        ] {
            assert_eq!(exponential.of(sum), wanted, "{sum}");
            assert_ne!(sum.exp(), wanted, "as the C library has it, {sum}");
        }
        assert_eq!(exponential.of(-1e3), 0.0);
        assert_eq!(exponential.of(1e3), f64::INFINITY);
        for x in [-700.0, -1.0, 0.0, 1e-9, 1.0, 700.0f64] {
            assert!((exponential.of(x) / x.exp() - 1.0).abs() < 1e-12, "{x}");
        }
    }
}
