//! The vocabulary of modelsd: values and names that every other module speaks.
//!
//! Nothing here does IO, starts threads, or knows a wire format; nothing here depends on another module of ours.

pub mod batch;
pub mod classes;
pub mod identical;
pub mod location;
pub mod mlmodel;
pub mod moment;
pub mod number;
pub mod origin;
pub mod prediction_id;
pub mod sampler;
pub mod signature;
pub mod stage;
pub mod tensor;
pub mod trace_context;
pub mod trace_state;
pub mod uri;
pub mod value;
pub mod version;
mod weight;
pub mod yaml;
