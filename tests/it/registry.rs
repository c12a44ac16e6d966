//! The embedded registry, through the command line.
