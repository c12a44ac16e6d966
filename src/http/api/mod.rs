//! What is for people and their tools, in plain JSON and with one shape of errors: predictions of one flat record.

pub(super) mod error;
pub(super) mod predict;
