//! Artifacts: model directories on disk, read as data and never trusted.
