//! Tests that cannot run. They fail, with the remedy; only if INFEROMETER_ALLOW_SKIP is set do they end early and say
//! why, in the form that `cargo xtask test` looks for.

/// Ends the test: fails, or returns for the caller to return.
///
/// # Panics
///
/// If INFEROMETER_ALLOW_SKIP is not set.
pub fn skip(why: &str) {
    let allowed = std::env::var_os("INFEROMETER_ALLOW_SKIP").is_some_and(|value| !value.is_empty());
    assert!(allowed, "{why}\n(or set INFEROMETER_ALLOW_SKIP=1 to go on without this test)");
    println!("\nskipped test: {}", why.lines().next().unwrap_or_default());
}
