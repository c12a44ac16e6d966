//! Why a file is not served: one sentence for the operator.

use std::fmt::{self, Write as _};

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
    /// Names in a file may be of any length and of any characters; what is told of them is not. Of a long text, the middle
    /// is left out: the place is at its beginning, the cause at its end.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.chars().count();
        let gap = HEAD..count.saturating_sub(TAIL);
        for (at, character) in self.0.chars().enumerate() {
            if gap.contains(&at) {
                if at == gap.start {
                    out.write_char('…')?;
                }
            } else if character.is_control() {
                write!(out, "{}", character.escape_default())?;
            } else {
                out.write_char(character)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for LoadError {
    fn from(refusal: Refusal) -> LoadError {
        LoadError::Refused(refusal.to_string())
    }
}

/// Characters of a long refusal that are told of its beginning, and of its end.
const HEAD: usize = 600;
const TAIL: usize = 400;

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
        // Also where it is told as a part of another sentence.
        assert_eq!(Refusal::new("mode `LE\u{1}F`").to_string(), "mode `LE\\u{1}F`");
        let told = LoadError::from(refusal).to_string();
        assert!(told.starts_with("tree 3: class `a\\nb\\u{1b}`: xxx"), "{told}");
        assert!(told.len() < 1100);
    }
}
