//! The `midge` program.
fn main() {}
