//! The composition: commands, each built from the modules below.

pub mod inspect;
pub mod registry;
mod text;
