//! The composition: commands, each built from the modules below.

