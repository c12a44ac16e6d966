//! Deployments: a version loaded and ready, and the slots that hold them.

pub mod deployment;
pub mod load;
pub mod meters;
pub mod slot;
