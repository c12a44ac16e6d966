//! The `modelsd` command.

fn main() {}
