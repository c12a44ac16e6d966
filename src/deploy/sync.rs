//! What `stuck` and `drain` are made of. A test puts others in their place, to try every order in which threads can run.

pub(super) use std::sync::Arc;
pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
