//! This program in the place of the compiler.
//!
//! The baseline is compiled with one more flag, `--cfg inferometer_off`, and all other flags have to stay as they are.
//! Cargo takes flags from one of four places (two variables and two tables of its configuration) and ignores the others, so
//! whoever adds a flag in one place may lose those in another, and compare a program for this processor with one
//! for any. A wrapper around the compiler adds the flag wherever the others come from.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

/// What makes this program a wrapper: the wrapper that it has displaced, or nothing.
const VARIABLE: &str = "INFEROMETER_CHECK_WRAPPER";

/// Where cargo looks for a wrapper, in this order.
const WRAPPERS: [&str; 2] = ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"];

/// Makes cargo call this program for the compiler.
pub(crate) fn wrap(cargo: &mut Command, this: &Path) {
    let displaced = WRAPPERS.iter().filter_map(std::env::var_os).find(|wrapper| !wrapper.is_empty());
    cargo.env(WRAPPERS[0], this).env(VARIABLE, displaced.unwrap_or_default());
}

/// If cargo has called this program for the compiler, compiles.
pub(crate) fn as_compiler() -> Option<ExitCode> {
    let displaced = std::env::var_os(VARIABLE)?;
    let mut command = command(displaced, std::env::args_os().skip(1))?;
    Some(match command.status() {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            eprintln!("error: cannot run `{}`: {error}", command.get_program().display());
            ExitCode::FAILURE
        }
    })
}

fn command(displaced: OsString, called: impl IntoIterator<Item = OsString>) -> Option<Command> {
    // The first is the compiler itself.
    let mut words = Some(displaced).filter(|wrapper| !wrapper.is_empty()).into_iter().chain(called);
    let mut command = Command::new(words.next()?);
    command.args(words).args(["--cfg", "inferometer_off"]).env_remove(VARIABLE);
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(displaced: &str) -> Vec<String> {
        let called = ["/bin/rustc", "-C", "opt-level=3"].map(OsString::from);
        let command = command(displaced.into(), called).expect("a command");
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn one_flag_is_added() {
        assert_eq!(words(""), ["/bin/rustc", "-C", "opt-level=3", "--cfg", "inferometer_off"]);
    }

    #[test]
    fn another_wrapper_stays_in_its_place() {
        assert_eq!(words("sccache"), ["sccache", "/bin/rustc", "-C", "opt-level=3", "--cfg", "inferometer_off"]);
    }

    #[test]
    fn nothing_is_compiled_without_a_compiler() {
        assert!(command(OsString::new(), []).is_none());
    }
}
