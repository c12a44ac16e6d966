//! The data plane, protocol-free: what happens to one request between its bytes and its answer.
//!
//! [`endpoint::Endpoint::begin`] gives a [`call::Call`]; the protocol decodes with its signature, predicts through it,
//! encodes, and finishes it. Dropping the call records it, whatever happened.

pub mod admission;
mod asked;
pub mod call;
mod drift;
pub mod endpoint;
pub mod error;
pub mod recording;
pub mod routes;
pub mod shadow;
pub mod tally;
mod wall;
