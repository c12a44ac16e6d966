//! The text of a LightGBM model, cut into keys and values.
//!
//! `tree`, lines `key=value` up to the first `Tree=`; a block of such lines for each tree; `end of trees`; importances
//! and parameters, which no prediction needs; at last `pandas_categorical:` with JSON.

use crate::flavor::refusal::{Refusal, refuse};

/// Lines with keys that a model may have: some twenty a tree.
const MAX_LINES: usize = 8 << 20;

/// A model as text.
#[derive(Debug)]
pub(super) struct Text<'a> {
    /// What stands before the trees.
    pub(super) header: Block<'a>,
    /// The trees, in order.
    pub(super) trees: Vec<Block<'a>>,
    /// The JSON of `pandas_categorical:`, where there is any.
    pub(super) pandas_categorical: Option<&'a str>,
}

/// Lines `key=value`.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    entries: Vec<(&'a str, &'a str)>,
}

impl<'a> Text<'a> {
    /// Cuts a text.
    ///
    /// # Errors
    /// When it does not begin as a model does, or is not whole.
    pub(super) fn read(text: &'a str) -> Result<Text<'a>, Refusal> {
        let mut lines = text.lines();
        if lines.next().map(str::trim_end) != Some("tree") {
            refuse!("it does not begin with `tree`, as text of a LightGBM model does");
        }
        let mut header = Block::default();
        let mut trees: Vec<Block<'a>> = Vec::new();
        let mut ended = false;
        let mut count = 0;
        for line in lines.by_ref() {
            // The end of the trees had another name before 2.3.
            if line == "end of trees" || line == "feature importances:" || line == "feature_importances:" {
                ended = true;
                break;
            }
            // What has no `=` is a flag.
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            if key == "Tree" {
                if value.trim().parse() != Ok(trees.len()) {
                    refuse!("tree `{}` where tree {} is expected", short(value), trees.len());
                }
                trees.push(Block::default());
            } else if !line.is_empty() {
                count += 1;
                if count > MAX_LINES {
                    refuse!("more than {MAX_LINES} lines");
                }
                let block = trees.last_mut().unwrap_or(&mut header);
                block.entries.push((key, value));
            }
        }
        if !ended {
            refuse!("it ends before its trees do");
        }
        let pandas_categorical = lines
            .rev()
            .take(2)
            .find_map(|line| line.trim().strip_prefix("pandas_categorical:"));
        Ok(Text {
            header,
            trees,
            pandas_categorical,
        })
    }
}

impl<'a> Block<'a> {
    /// The value of a key; the first where there are several.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.entries
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    }

    /// The value of a key that must be there, as a count.
    ///
    /// # Errors
    /// When it is not there or none.
    pub(super) fn count(&self, key: &str) -> Result<usize, Refusal> {
        let Some(value) = self.get(key) else {
            refuse!("`{key}` is missing");
        };
        match value.trim().parse() {
            Ok(count) => Ok(count),
            Err(_) => refuse!("`{key}` is `{}`", short(value)),
        }
    }

    /// The numbers of a key, `count` of them.
    ///
    /// # Errors
    /// When there are more or fewer, or what is no number.
    pub(super) fn numbers<T: std::str::FromStr>(&self, key: &str, count: usize) -> Result<Vec<T>, Refusal> {
        let numbers = self.all_numbers(key)?;
        if numbers.len() != count {
            refuse!("`{key}` has {} numbers instead of {count}", numbers.len());
        }
        Ok(numbers)
    }

    /// The numbers of a key, however many; none where it is not there.
    ///
    /// # Errors
    /// When there is what is no number.
    pub(super) fn all_numbers<T: std::str::FromStr>(&self, key: &str) -> Result<Vec<T>, Refusal> {
        let mut numbers = Vec::new();
        for word in self.get(key).unwrap_or_default().split_ascii_whitespace() {
            match word.parse() {
                Ok(number) => numbers.push(number),
                Err(_) => refuse!("`{key}` has `{}`", short(word)),
            }
        }
        Ok(numbers)
    }
}

/// The beginning of a text of the file, for messages.
pub(super) fn short(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_into_header_trees_and_categories() {
        let text = "tree\r\nversion=v4\r\naverage_output\r\nfeature_names=a=b c\r\n\r\nTree=0\r\nnum_leaves=1\r\n\
                    leaf_value=1 2.5\r\n\r\nend of trees\r\nparameters:\r\nTree=9\r\n\r\npandas_categorical:[]\r\n";
        let text = Text::read(text).unwrap();
        assert_eq!(text.header.get("feature_names"), Some("a=b c"));
        assert_eq!(text.header.get("average_output"), Some(""));
        assert_eq!(text.trees.len(), 1);
        assert_eq!(text.trees[0].numbers::<f64>("leaf_value", 2).unwrap(), [1.0, 2.5]);
        assert!(text.trees[0].numbers::<f64>("leaf_value", 3).is_err());
        assert_eq!(text.pandas_categorical, Some("[]"));
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let refused = |text| Text::read(text).unwrap_err().to_string();
        assert!(refused("").contains("does not begin"));
        assert!(refused("tree\nTree=0\nnum_leaves=1\n").contains("ends before"));
        assert!(refused("tree\nTree=1\nend of trees\n").contains("tree `1` where tree 0"));
    }
}
