//! The developer commands of inferometer.
fn main() {}
