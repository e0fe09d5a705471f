//! The gate as its users run it.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::process::{Command, Output};

pub(crate) const PASS: i32 = 0;
pub(crate) const FAIL: i32 = 1;
pub(crate) const FAILED_TO_RUN: i32 = 2;
pub(crate) const INVALID: i32 = 3;
pub(crate) const INCONCLUSIVE: i32 = 4;

/// `inferometer check` with these words.
pub(crate) fn check(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inferometer"));
    command.arg("check").args(words);
    command
}

/// How it ended and what it printed to its two streams.
pub(crate) fn outcome(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
    (status.code().expect("nobody has killed it"), text(stdout), text(stderr))
}

/// The same on the loop whose overhead is known.
pub(crate) fn synthetic(options: &str, loop_options: &str) -> (i32, String, String) {
    let words: Vec<&str> = ["-p", "inferometer-cli", "--example", "synthetic"]
        .into_iter()
        .chain(options.split_whitespace())
        .chain(["--"])
        .chain(loop_options.split_whitespace())
        .collect();
    outcome(&mut check(&words))
}
