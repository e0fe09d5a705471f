//! `inferometer`: the command line beside the library. `inferometer check` is the release gate, and `inferometer
//! monitoring` writes alerts and dashboards; see the README.

mod check;
mod monitoring;
mod percent;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(
    name = "inferometer",
    version,
    about = "Checks what inferometer costs an inference engine, and has its metrics watched.",
    max_term_width = 100
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Monitoring(monitoring::Args),
}

/// What was asked for could not be done. Clap ends with the same code when it does not understand what was asked for.
const FAILED_TO_RUN: u8 = 2;

fn main() -> ExitCode {
    if let Some(code) = check::as_compiler() {
        return code;
    }
    let result = match Args::parse().command {
        Command::Check(args) => check::run(args),
        Command::Monitoring(args) => monitoring::run(&args),
    };
    result.unwrap_or_else(|error| {
        // In one line with its causes; a backtrace, which `RUST_BACKTRACE` would add, tells a user nothing.
        eprintln!("error: {error:#}");
        ExitCode::from(FAILED_TO_RUN)
    })
}
