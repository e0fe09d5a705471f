//! The developer commands of inferometer: `cargo xtask help` lists them.

mod commands;
mod install;
mod log;
mod report;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Command;
use crate::workspace::Workspace;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version, about = "The developer commands of inferometer.", max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = Workspace::find().and_then(|workspace| args.command.run(&workspace));
    done.unwrap_or_else(|error| {
        // In one line with its causes; a backtrace, which `RUST_BACKTRACE` would add, tells a user nothing.
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
