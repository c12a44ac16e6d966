//! The data plane, protocol-free: what happens to one request between its bytes and its answer.

pub mod error;
