//! Pickles of protocols 0 to 5, also as cloudpickle and joblib write them.
//!
//! The machine handles data only: names are never resolved and nothing is called. What a name would have given if it
//! were called is known for a few of them ([`reduce`]); the rest stays opaque. Values live in an arena and bytes stay in
//! the file until an array is read from them, so that nesting, sharing and lengths of any size do no harm.

mod machine;
mod numpy;
mod read;
mod reduce;

use crate::flavor::refusal::Refusal;

use super::arena::Arena;
use super::object::Objects;

use self::machine::{Machine, Shared};

/// Reads a pickle.
///
/// # Errors
/// When it is broken, needs what is not covered, or its values would take far more memory than it is long.
pub(super) fn load(bytes: &[u8]) -> Result<Objects, Refusal> {
    let mut shared = Shared::new(Arena::new(bytes.len()), bytes);
    let (root, _) = Machine::new(&mut shared, 0).run()?;
    shared.finish(root)
}
