//! The two types of numbers that forests compare and add.

use std::fmt::Debug;

/// `f32` or `f64`.
pub trait Number: Copy + PartialOrd + Debug + Default + Send + Sync + 'static + std::ops::AddAssign {
    /// Beyond every number, so that any row that is no NaN goes left.
    const INFINITY: Self;
    /// Below every number.
    const BELOW: Self;
    /// Zero.
    const ZERO: Self;

    /// Whether it is NaN.
    fn missing(self) -> bool;

    /// The value in double; exact.
    fn double(self) -> f64;
}

impl Number for f32 {
    const INFINITY: f32 = f32::INFINITY;
    const BELOW: f32 = f32::NEG_INFINITY;
    const ZERO: f32 = 0.0;

    fn missing(self) -> bool {
        self.is_nan()
    }

    fn double(self) -> f64 {
        f64::from(self)
    }
}

impl Number for f64 {
    const INFINITY: f64 = f64::INFINITY;
    const BELOW: f64 = f64::NEG_INFINITY;
    const ZERO: f64 = 0.0;

    fn missing(self) -> bool {
        self.is_nan()
    }

    fn double(self) -> f64 {
        self
    }
}

/// The largest single that is not above `threshold`: for every single `x`, `x <= threshold` in double is the same as
/// `x <= round_down(threshold)` in single.
pub fn round_down(threshold: f64) -> f32 {
    let nearest = threshold as f32;
    if f64::from(nearest) > threshold {
        nearest.next_down()
    } else {
        nearest
    }
}
