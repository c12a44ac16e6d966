//! Readers of bytes: one file a format, knowing nothing of the models written in it.
//!
//! Every reader takes untrusted bytes and gives data or a [`Refusal`](super::refusal::Refusal); none follows a path,
//! resolves a name or calls anything. Lengths are checked against what is there before anything is allocated.

pub mod flatbuffer;
pub mod object;
