//! Artifacts: model directories on disk, read as data and never trusted.
mod dir;
pub use dir::{ArtifactDir, ArtifactError};
