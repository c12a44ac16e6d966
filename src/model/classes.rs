//! The names of a classifier's classes: what people call what a model counts.

use serde_json::Value as Json;

/// More names than this are no names of classes.
const MAX_CLASSES: usize = 10_000;
/// Longest text of names that is read, in bytes.
const MAX_BYTES: usize = 256 << 10;

/// Names by class: the first is that of class 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classes(Vec<String>);

impl Classes {
    /// Reads a tag: a JSON list, or names with commas between them. `None` where there is no name in it.
    pub fn of_tag(text: &str) -> Option<Classes> {
        if text.len() > MAX_BYTES {
            return None;
        }
        if text.trim_start().starts_with('[') {
            return Classes::of_json(&serde_json::from_str(text).ok()?);
        }
        let names = text.split(',').map(|name| name.trim().to_owned()).collect();
        Classes::new(names)
    }

    /// Reads a list of texts, numbers or booleans.
    pub fn of_json(list: &Json) -> Option<Classes> {
        let name = |name: &Json| match name {
            Json::String(text) => Some(text.clone()),
            Json::Number(_) | Json::Bool(_) => Some(name.to_string()),
            _ => None,
        };
        Classes::new(list.as_array()?.iter().map(name).collect::<Option<_>>()?)
    }

    fn new(names: Vec<String>) -> Option<Classes> {
        let fit =
            !names.is_empty() && names.len() <= MAX_CLASSES && names.iter().all(|name| !name.is_empty());
        fit.then_some(Classes(names))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The name of a class.
    pub fn name(&self, class: usize) -> Option<&str> {
        self.0.get(class).map(String::as_str)
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_commas_are_read_and_anything_else_is_no_list_of_names() {
        let names = |text| {
            let classes = Classes::of_tag(text)?;
            Some(classes.names().map(str::to_owned).collect::<Vec<_>>().join("|"))
        };
        for (text, wanted) in [
            (
                "setosa, versicolor,virginica",
                Some("setosa|versicolor|virginica"),
            ),
            (r#"["a, b", "c"]"#, Some("a, b|c")),
            (" [0, 1.5, true]", Some("0|1.5|true")),
            ("one", Some("one")),
            ("", None),
            ("a,,b", None),
            ("[]", None),
            ("[1, null]", None),
            ("[1, [2]]", None),
            ("[1", None),
        ] {
            assert_eq!(names(text).as_deref(), wanted, "{text}");
        }
        assert_eq!(Classes::of_tag(&"a,".repeat(MAX_CLASSES + 1)), None);
        assert_eq!(Classes::of_tag(&"a".repeat(MAX_BYTES + 1)), None);
    }
}
