//! The most frequent of many labels, in bounded memory.
//!
//! Counts are exact up to [`MAX_LABELS`] labels. Beyond that, a new label takes over the place and the count of the least
//! frequent (Space-Saving: Metwally, Agrawal and El Abbadi 2005, "Efficient computation of frequent and top-k elements in
//! data streams"): a label more frequent than one in [`MAX_LABELS`] is never lost, and no count is too small, or too large
//! by more than what it took over.

use std::collections::HashMap;

use super::hash::BuildFnv;

/// Labels counted apart.
pub const MAX_LABELS: usize = 128;
/// Bytes of a label that are kept; longer ones are cut, and count as the same when they begin alike.
const MAX_BYTES: usize = 64;

/// Counts of the most frequent labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frequent {
    counts: HashMap<Box<str>, Count, BuildFnv>,
    total: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Count {
    /// Of this label, and of those whose place it took.
    count: u64,
    /// What it took over.
    taken_over: u64,
}

/// How often a label was seen.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Label {
    /// The label.
    pub label: String,
    /// How often it was seen at most.
    pub count: u64,
    /// By how much that may be too large; 0 where the count is exact.
    pub error: u64,
}

impl Frequent {
    /// Counts a label.
    pub fn add(&mut self, label: &str) {
        let label = cut(label);
        self.total += 1;
        if let Some(count) = self.counts.get_mut(label) {
            count.count += 1;
            return;
        }
        let mut taken_over = 0;
        if self.counts.len() >= MAX_LABELS {
            // Of equal ones the greatest label, so that the outcome does not depend on the order of a hash map.
            let least = self
                .counts
                .iter()
                .min_by(|(one, a), (two, b)| a.count.cmp(&b.count).then_with(|| two.cmp(one)))
                .map(|(label, count)| (label.clone(), count.count));
            if let Some((least, count)) = least {
                self.counts.remove(&least);
                taken_over = count;
            }
        }
        let count = Count {
            count: taken_over + 1,
            taken_over,
        };
        self.counts.insert(label.into(), count);
    }

    /// How many labels were counted in all, each as often as it came.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The most frequent labels, most frequent first, equal ones by name.
    pub fn top(&self, number: usize) -> Vec<Label> {
        let mut labels: Vec<Label> = self
            .counts
            .iter()
            .map(|(label, count)| Label {
                label: label.to_string(),
                count: count.count,
                error: count.taken_over,
            })
            .collect();
        labels.sort_by(|one, two| two.count.cmp(&one.count).then_with(|| one.label.cmp(&two.label)));
        labels.truncate(number);
        labels
    }
}

/// The label, or its beginning where it is too long to be kept.
fn cut(label: &str) -> &str {
    label.get(..label.floor_char_boundary(MAX_BYTES)).unwrap_or(label)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_labels_are_counted_exactly() {
        let mut frequent = Frequent::default();
        for label in ["b", "a", "b", "c", "a", "b"] {
            frequent.add(label);
        }
        let top: Vec<(String, u64, u64)> = frequent
            .top(2)
            .into_iter()
            .map(|label| (label.label, label.count, label.error))
            .collect();
        assert_eq!(top, [("b".to_owned(), 3, 0), ("a".to_owned(), 2, 0)]);
        assert_eq!(frequent.total(), 6);
    }

    #[test]
    fn long_labels_are_cut_between_characters() {
        let mut frequent = Frequent::default();
        frequent.add(&"é".repeat(40));
        frequent.add(&format!("a{}", "é".repeat(40)));
        let lengths: Vec<usize> = frequent.top(9).iter().map(|label| label.label.len()).collect();
        assert_eq!(lengths, [63, 64]);
    }

    proptest! {
        #[test]
        fn counts_keep_their_promise(labels in proptest::collection::vec((0u32..1000).prop_map(|n| n * n / 2000), 0..800)) {
            let mut frequent = Frequent::default();
            let mut exact: HashMap<String, u64> = HashMap::new();
            for label in &labels {
                frequent.add(&label.to_string());
                *exact.entry(label.to_string()).or_default() += 1;
            }
            prop_assert!(frequent.counts.len() <= MAX_LABELS);
            let top = frequent.top(usize::MAX);
            for label in &top {
                let truth = exact[&label.label];
                prop_assert!(label.count >= truth && label.count - label.error <= truth);
            }
            for (label, truth) in &exact {
                let kept = top.iter().any(|found| found.label == *label);
                prop_assert!(kept || *truth <= labels.len() as u64 / MAX_LABELS as u64, "{label}: {truth}");
            }
        }
    }
}
