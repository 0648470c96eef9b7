//! Parses, runs, and exits with the contract's code.

fn main() {}
