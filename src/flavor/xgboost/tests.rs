//! Models made by hand, and hostile ones.
