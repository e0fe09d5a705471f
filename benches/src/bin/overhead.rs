//! Measures what `docs/overhead.md` shows. See [`proof`] and its [`command_line`](proof::command_line()).

use inferometer_benches::proof;
use std::process::ExitCode;

fn main() -> ExitCode {
    proof::command_line(&proof::ALL, std::env::args().skip(1))
}
