//! What the cache survives.
