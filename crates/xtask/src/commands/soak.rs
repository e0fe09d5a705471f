//! `cargo xtask soak`: the conservation tests for as long as one likes.

use std::process::ExitCode;

use anyhow::Result;

use super::pass_on;
use crate::workspace::{Build, Workspace};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For how long each test runs.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    seconds: u64,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let mut cargo = workspace.cargo(Build::Plain);
    cargo
        .args(["test", "--release", "-p", "inferometer", "--test", "conservation", "--", "--nocapture"])
        .env("INFEROMETER_SOAK_SECONDS", args.seconds.to_string());
    pass_on(cargo)
}
