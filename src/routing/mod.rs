//! Which variant of a model answers a request.
//!
//! A route is a name under which several variants of a model answer, each a slot of its own: champion and challenger.
//! [`route::Route::choose`] is pure: it is told what a request asks for and which variants can answer.

pub mod gate;
pub mod route;
pub mod spec;
pub mod store;
pub mod table;
pub mod weights;

mod score;
