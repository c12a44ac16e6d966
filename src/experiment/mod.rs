//! Which variant of a route is better.
//!
//! [`tallies::Tallies`] counts what every version has answered as a variant of a route, and what came of it: the name of a
//! prediction ([`crate::model::prediction_id`]) says whose it was. [`compare`] says what the variants differ in, and whether
//! the difference is more than chance. It may be asked at any time and as often as one likes: its intervals
//! ([`sequential`]) and its check of shares ([`ratio`]) are made for that.
//!
//! Everything here is in memory and bounded; nothing does IO or has threads. The time is given.

pub mod compare;
pub mod difference;
pub mod drift;
pub mod feedback;
mod first_column;
pub mod frequent;
mod hash;
pub mod moments;
pub mod ratio;
pub mod sequential;
pub mod series;
pub mod sketch;
pub mod spread;
pub mod tallies;
