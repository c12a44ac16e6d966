//! x
pub mod frequent;
pub mod moments;
pub mod sequential;
pub mod sketch;
