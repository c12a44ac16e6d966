//! Where a deployment serves.

use std::sync::Arc;

use super::gate::Door;
use super::recent::Recent;

/// Where a deployment serves: the route and the variant whose requests it answers, and where those are kept that the next
/// version is proved with.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Name of the route; that of the slot, for one that is no variant.
    pub route: Arc<str>,
    /// Name of the variant; empty for a slot that is none.
    pub variant: Arc<str>,
    /// Whether it only gets copies of requests, so that its threads have a low priority.
    pub shadow: bool,
    /// Recent requests, whichever version answered them.
    pub recent: Arc<Recent>,
    /// Where requests see that another version is on trial, or theirs is watched.
    pub door: Arc<Door>,
}
