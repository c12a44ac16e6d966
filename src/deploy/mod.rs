//! Deployments: a version loaded and ready, the slots that hold them, and how the next version gets there.
//!
//! `decide` says what a slot should do, `reconcile` carries it out by `install`, `slot` holds what answers.

pub mod background;
pub mod budget;
pub mod copies;
pub mod decide;
pub mod deployment;
mod drain;
pub mod fleet;
pub mod gate;
pub mod install;
pub mod journal;
pub mod meters;
pub mod parity;
pub mod place;
pub mod prove;
pub mod recent;
pub mod reconcile;
pub mod retire;
pub mod row_size;
pub mod sample;
pub mod slot;
pub mod starter;
pub mod status;
mod stuck;
mod sync;
