//! Who answered: what the record of a prediction says of it.

use std::sync::Arc;

use crate::model::signature::Signature;

/// Who answered. Made once for a version in its place, and shared by all records of its predictions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Origin {
    /// Name of the route; that of the slot, for one that is no variant.
    pub route: Arc<str>,
    /// The variant of the route; empty where a route has none.
    pub variant: Arc<str>,
    /// Whether its answers go to nobody.
    pub shadow: bool,
    /// Registered name of the model.
    pub model: Arc<str>,
    /// Version, `none` outside a registry.
    pub version: Arc<str>,
    /// Digest of the files; empty for a model that is served from where it lies.
    pub digest: Arc<str>,
    /// What it takes and gives: it types columns that a batch leaves out or has no type for.
    pub signature: Option<Arc<Signature>>,
    /// What ids of predictions say of it ([`crate::model::prediction_id::tag_of`]).
    pub tag: u32,
}
