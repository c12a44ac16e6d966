//! Names of the columns, made unique as pandas makes them.

use std::collections::{HashMap, HashSet};

/// A column of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    /// Its name, unlike any other.
    pub(super) name: String,
    /// Where the name was made for a name that had occurred before: that name.
    pub(super) copy_of: Option<String>,
}

/// Columns without a name become `Unnamed: 2`; a name that occurs again becomes `a.1`.
pub(super) fn labels(header: &[&str]) -> Vec<Label> {
    let mut labels: Vec<Label> = header
        .iter()
        .enumerate()
        .map(|(position, name)| {
            let name = if name.is_empty() {
                format!("Unnamed: {position}")
            } else {
                (*name).to_owned()
            };
            Label { name, copy_of: None }
        })
        .collect();
    let mut taken: HashSet<String> = labels.iter().map(|label| label.name.clone()).collect();
    if taken.len() == labels.len() {
        return labels;
    }
    let mut counts: HashMap<String, usize> = HashMap::new();
    let (named, unnamed): (Vec<usize>, Vec<usize>) =
        (0..labels.len()).partition(|&position| header.get(position).is_some_and(|name| !name.is_empty()));
    // Names that were given are kept before names that were made up.
    for position in named.into_iter().chain(unnamed) {
        let Some(label) = labels.get_mut(position) else {
            continue;
        };
        let original = label.name.clone();
        let mut count = counts.get(&original).copied().unwrap_or(0);
        while count > 0 {
            counts.insert(original.clone(), count + 1);
            label.name = format!("{original}.{count}");
            count = if taken.contains(&label.name) {
                count + 1
            } else {
                counts.get(&label.name).copied().unwrap_or(0)
            };
            label.copy_of = Some(original.clone());
        }
        taken.insert(label.name.clone());
        counts.insert(label.name.clone(), count + 1);
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &[&str], expected: &[&str]) {
        let names: Vec<String> = labels(header).into_iter().map(|label| label.name).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn names_are_made_unique() {
        check(&["a", "b"], &["a", "b"]);
        check(&["a", "a", "a.1", "a"], &["a", "a.2", "a.1", "a.3"]);
        check(&["", ""], &["Unnamed: 0", "Unnamed: 1"]);
        check(
            &["Unnamed: 1", "", ""],
            &["Unnamed: 1", "Unnamed: 1.1", "Unnamed: 2"],
        );
        check(&["", "Unnamed: 0"], &["Unnamed: 0.1", "Unnamed: 0"]);
    }
}
