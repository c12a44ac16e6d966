//! Which version of which model: the label set of metrics, spans, headers and logs.

use std::fmt;
use std::sync::Arc;

/// A model's name and version, as the registry knows them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VersionId {
    /// Registered name; the folder's or file's name for a model outside a registry.
    pub name: Arc<str>,
    /// Version in the registry, `None` for a model that has none.
    pub version: Option<Arc<str>>,
}

impl VersionId {
    /// A version in a registry.
    pub fn registered(name: &str, version: &str) -> VersionId {
        VersionId {
            name: name.into(),
            version: Some(version.into()),
        }
    }

    /// A model outside a registry.
    pub fn unversioned(name: &str) -> VersionId {
        VersionId {
            name: name.into(),
            version: None,
        }
    }

    /// The version as a label: the number, or `none`.
    pub fn version_label(&self) -> &str {
        self.version.as_deref().unwrap_or("none")
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(out, "{}/{version}", self.name),
            None => out.write_str(&self.name),
        }
    }
}
