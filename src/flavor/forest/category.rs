//! Splits by sets of categories.

use super::Number;

/// Categories are small whole numbers; a set may hold ones up to here.
pub const MAX_CATEGORY: u32 = 1 << 24;

/// A set of categories as words of 32 bits, lowest category first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CategorySet {
    /// Categories that a row of which goes left ([`CategoryRule::Xgboost`]: right).
    pub members: Vec<u32>,
    /// Categories that are known at all; only [`CategoryRule::Hist`] and its like ask.
    pub known: Vec<u32>,
}

impl CategorySet {
    /// The set of these categories; `None` when one is 2²⁴ or more.
    pub fn of(categories: impl IntoIterator<Item = u32>) -> Option<CategorySet> {
        let mut members = Vec::new();
        for category in categories {
            if category >= MAX_CATEGORY {
                return None;
            }
            let word = (category / 32) as usize;
            if members.len() <= word {
                members.resize(word + 1, 0);
            }
            if let Some(word) = members.get_mut(word) {
                *word |= 1 << (category % 32);
            }
        }
        Some(CategorySet {
            members,
            known: Vec::new(),
        })
    }
}

/// How a library asks a value for its category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CategoryRule {
    /// Negative and 2²⁴ or more: left. Else cut to an integer: right if it is in the set, left if not.
    Xgboost,
    /// Cut to an integer of 32 bits, what does not fit counting as negative. Negative: right. Else left if it is in the
    /// set, right if not.
    Lightgbm,
    /// Negative: where missing values go. Else cut to eight bits, 0 for what does not fit 32: left if it is in the set,
    /// right if it is known, else where missing values go.
    Hist,
    /// Like [`CategoryRule::Hist`], but negative values are cut as well.
    HistSigned,
}

impl CategoryRule {
    /// Whether `value`, which is not missing, goes left.
    pub(super) fn left<T: Number>(self, set: &CategorySet, value: T, missing_left: bool) -> bool {
        let value = value.double();
        match self {
            CategoryRule::Xgboost => {
                !(0.0..16_777_216.0).contains(&value) || !contains(&set.members, value as u32)
            }
            CategoryRule::Lightgbm => {
                let whole = value.trunc();
                // -0.5 is cut to 0, which is not negative.
                (0.0..2_147_483_648.0).contains(&whole) && contains(&set.members, whole as u32)
            }
            CategoryRule::Hist if value < 0.0 => missing_left,
            CategoryRule::Hist | CategoryRule::HistSigned => {
                // What does not fit 32 bits becomes the lowest of them, as the processor has it.
                let fits = -2_147_483_649.0 < value && value < 2_147_483_648.0;
                let category = if fits { value as i32 as u32 & 255 } else { 0 };
                contains(&set.members, category) || (missing_left && !contains(&set.known, category))
            }
        }
    }
}

fn contains(words: &[u32], category: u32) -> bool {
    words
        .get((category / 32) as usize)
        .is_some_and(|word| word >> (category % 32) & 1 == 1)
}
