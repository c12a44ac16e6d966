//! Why a file is not served: one sentence for the operator.

use std::fmt;

use super::LoadError;

/// Says what in a file cannot be served, and where: it is broken, hostile, or needs what is not covered.
///
/// Readers and lowerings of native artifacts share it; outside it is a [`LoadError::Refused`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(String);

impl Refusal {
    /// A refusal for this reason: a lower-case fragment without a full stop.
    pub fn new(reason: impl Into<String>) -> Refusal {
        Refusal(reason.into())
    }

    /// The same refusal, with where it happened before it: `tree 3: feature 9 of 4`.
    #[must_use]
    pub fn within(self, place: impl fmt::Display) -> Refusal {
        Refusal(format!("{place}: {}", self.0))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for LoadError {
    /// Names in a file may be of any length and of any characters; what is told of them is not.
    fn from(refusal: Refusal) -> LoadError {
        let mut told = String::new();
        for character in refusal.0.chars() {
            if told.len() > LONGEST {
                told.push('…');
                break;
            }
            match character.is_control() {
                true => told.extend(character.escape_default()),
                false => told.push(character),
            }
        }
        LoadError::Refused(told)
    }
}

/// Bytes of a refusal that are told.
const LONGEST: usize = 1000;

/// Ends the function with a [`Refusal`] in the words of `format!`.
macro_rules! refuse {
    ($($words:tt)*) => {
        return Err($crate::flavor::refusal::Refusal::new(format!($($words)*)))
    };
}
pub(crate) use refuse;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_short_and_on_one_line() {
        let refusal = Refusal::new(format!("class `a\nb\u{1b}`: {}", "x".repeat(5000))).within("tree 3");
        let told = LoadError::from(refusal).to_string();
        assert!(told.starts_with("tree 3: class `a\\nb\\u{1b}`: xxx"), "{told}");
        assert!(told.len() < 1100);
    }
}
