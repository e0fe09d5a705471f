//! Measures what `docs/compare.md` shows. See [`compare`] and the [`command_line`](proof::command_line()).

use inferometer_benches::allocations::Counting;
use inferometer_benches::rows::memory;
use inferometer_benches::{compare, proof};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if memory::is_child(&arguments) {
        return ExitCode::SUCCESS;
    }
    proof::command_line(&compare::ALL, arguments.into_iter())
}
