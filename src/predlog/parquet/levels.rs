//! The definition levels of a column: which rows have a value.

use std::borrow::Cow;
use std::iter::repeat_n;

/// Levels of rows. As long as they are all the same, as in most columns, they are a number.
#[derive(Debug, Default)]
pub(super) struct Levels {
    /// That of all rows, while `mixed` is empty.
    level: i16,
    count: usize,
    /// One a row, once they differ.
    mixed: Vec<i16>,
}

impl Levels {
    /// Appends so many rows of one level.
    #[inline]
    pub(super) fn push(&mut self, level: i16, count: usize) {
        if self.mixed.is_empty() && (level == self.level || self.count == 0) {
            self.level = level;
            self.count += count;
        } else {
            self.push_another(level, count);
        }
    }

    fn push_another(&mut self, level: i16, count: usize) {
        if self.mixed.is_empty() {
            self.mixed.extend(repeat_n(self.level, self.count));
        }
        self.mixed.extend(repeat_n(level, count));
    }

    /// The level of all rows and their number, if all have the same.
    pub(super) fn uniform(&self) -> Option<(i16, usize)> {
        self.mixed.is_empty().then_some((self.level, self.count))
    }

    /// One a row.
    pub(super) fn each(&self) -> Cow<'_, [i16]> {
        match self.uniform() {
            Some((level, count)) => Cow::Owned(vec![level; count]),
            None => Cow::Borrowed(&self.mixed),
        }
    }

    /// Forgets all rows.
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.mixed.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_counted_until_they_differ() {
        let mut levels = Levels::default();
        levels.push(0, 0);
        levels.push(1, 2);
        levels.push(1, 1);
        assert_eq!(levels.uniform(), Some((1, 3)));
        assert_eq!(*levels.each(), [1, 1, 1]);
        levels.push(0, 2);
        levels.push(1, 1);
        assert_eq!(levels.uniform(), None);
        assert_eq!(*levels.each(), [1, 1, 1, 0, 0, 1]);
        levels.clear();
        levels.push(0, 1);
        assert_eq!((levels.uniform(), &*levels.each()), (Some((0, 1)), &[0][..]));
    }
}
