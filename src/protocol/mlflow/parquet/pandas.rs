//! What pandas notes in a file about the table it was: which columns are row labels, and whether names are numbers.

use ::parquet::file::metadata::FileMetaData;
use serde_json::Value as Json;

use crate::model::batch::Name;

/// The notes; empty for a file that pandas did not write.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Notes {
    /// Columns that hold row labels.
    index: Vec<String>,
    /// Whether column names were integers.
    numbered: bool,
}

impl Notes {
    /// Reads them from a file's metadata; notes that are not understood count as none.
    pub(super) fn new(file: &FileMetaData) -> Notes {
        let entries = file.key_value_metadata().map(Vec::as_slice).unwrap_or_default();
        let text = entries
            .iter()
            .find(|entry| entry.key == "pandas")
            .and_then(|entry| entry.value.as_deref());
        text.map_or_else(Notes::default, Notes::parse)
    }

    fn parse(text: &str) -> Notes {
        let Ok(notes) = serde_json::from_str::<Json>(text) else {
            return Notes::default();
        };
        let list = |key: &str| {
            notes
                .get(key)
                .and_then(Json::as_array)
                .map(Vec::as_slice)
                .unwrap_or_default()
        };
        // A range of labels is an object, and has no column.
        let index = list("index_columns")
            .iter()
            .filter_map(|name| Some(name.as_str()?.to_owned()))
            .collect();
        let numbered = list("column_indexes")
            .first()
            .and_then(|names| names.get("pandas_type"))
            == Some(&Json::String("int64".into()));
        Notes { index, numbered }
    }

    /// The label of a column in the table, `None` when it holds row labels.
    pub(super) fn name(&self, column: &str) -> Option<Name> {
        if self.index.iter().any(|name| name == column) {
            return None;
        }
        Some(match column.parse() {
            Ok(number) if self.numbered => Name::Index(number),
            _ => Name::from(column),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_labels_are_no_columns() {
        let text = r#"{"index_columns": ["__index_level_0__", {"kind": "range"}], "column_indexes": [{"pandas_type": "unicode"}]}"#;
        let notes = Notes::parse(text);
        assert_eq!(notes.name("__index_level_0__"), None);
        assert_eq!(notes.name("0"), Some(Name::from("0")));
    }

    #[test]
    fn numbers_are_numbers_again() {
        let notes = Notes::parse(r#"{"index_columns": [], "column_indexes": [{"pandas_type": "int64"}]}"#);
        assert_eq!(notes.name("0"), Some(Name::Index(0)));
        assert_eq!(Notes::parse("{"), Notes::default());
    }
}
