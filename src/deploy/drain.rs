//! Values that others may still use, kept until they do not.

use super::sync::Arc;

/// Holds values that nobody can get a new reference to; the last reference to each is the one held here.
pub(super) struct Drain<T>(Vec<Arc<T>>);

impl<T> Drain<T> {
    /// Holds nothing.
    pub(super) fn new() -> Drain<T> {
        Drain(Vec::new())
    }

    /// Takes a value to hold.
    pub(super) fn push(&mut self, value: Arc<T>) {
        self.0.push(value);
    }

    /// Whether it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells of each value that nobody else uses any more, and drops it.
    pub(super) fn sweep(&mut self, tell: impl Fn(&T)) {
        // A count of one can only stay one, for whoever made another reference would have to hold one.
        self.0.retain(|value| {
            let in_use = Arc::strong_count(value) > 1;
            if !in_use {
                tell(value);
            }
            in_use
        });
    }
}
