//! x
pub mod frequent;
pub mod moments;
pub mod ratio;
pub mod sequential;
pub mod sketch;
pub mod spread;
