//! Registries: which version a model URI means, and where its files are.
