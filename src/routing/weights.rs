//! The weights of a route: which share of the requests each variant gets that ask for none.

use std::fmt;
use std::str::FromStr;

/// A weight may be this large; parts of a million are fine enough.
pub const MAX_WEIGHT: u32 = 1_000_000;
/// Variants of one route.
pub const MAX_VARIANTS: usize = 32;

/// Weights by the names of variants, as they are typed: `champion=90 challenger=10`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// The variant.
    pub variant: String,
    /// Its share is this, over the sum of all.
    pub weight: u32,
}

/// A text that is no weight.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no weight; write VARIANT=WEIGHT with a whole number from 0 to {MAX_WEIGHT}, such as challenger=10"
)]
pub struct NoWeight(String);

impl FromStr for Weight {
    type Err = NoWeight;

    fn from_str(text: &str) -> Result<Weight, NoWeight> {
        let problem = || NoWeight(text.chars().take(100).collect());
        let (variant, weight) = text.split_once('=').ok_or_else(problem)?;
        let weight = weight.parse().ok().filter(|weight| *weight <= MAX_WEIGHT);
        match weight {
            Some(weight) if !variant.is_empty() => Ok(Weight {
                variant: variant.to_owned(),
                weight,
            }),
            _ => Err(problem()),
        }
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}={}", self.variant, self.weight)
    }
}

/// Why weights do not fit a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightsError {
    /// No variant has that name.
    #[error("there is no variant `{variant}`; there are {known}")]
    Unknown {
        /// The name.
        variant: String,
        /// The names there are.
        known: String,
    },
    /// A variant is named twice.
    #[error("variant `{0}` has two weights; give it one")]
    Twice(String),
    /// All are 0.
    #[error("all weights would be 0, so that nobody would answer; leave one variant some")]
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_as_they_are_written() {
        for text in ["champion=90", "challenger=0", "b=1000000"] {
            assert_eq!(text.parse::<Weight>().unwrap().to_string(), text);
        }
        for text in ["", "a", "a=", "=1", "a=-1", "a=1.5", "a=1000001", "a=b"] {
            assert!(text.parse::<Weight>().is_err(), "{text}");
        }
    }
}
