//! The steps that plans are made of, apart from forests.

pub mod columns;
pub mod join;
pub mod labels;
pub mod link;
pub mod sums;
