//! Mistakes that the compiler finds, and what it says.
//!
//! The messages are those of one compiler version; `TRYBUILD=overwrite cargo test -p inferometer --test compile_fail`
//! renews them.

#[test]
fn mistakes_in_declarations_are_compile_errors_with_a_reason() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
