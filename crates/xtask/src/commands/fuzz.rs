//! `cargo xtask fuzz`: the fuzz targets, each for a while.

use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};

use super::pass_on;
use crate::install;
use crate::workspace::{Build, Workspace};

/// The targets in `fuzz/fuzz_targets`.
pub(crate) const TARGETS: [&str; 4] = ["request", "labels", "protobuf", "web_config"];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For how long each target runs.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    seconds: u64,

    /// Only these targets: request, labels, protobuf, web_config.
    #[arg(value_name = "TARGET")]
    only: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    for target in &args.only {
        ensure!(TARGETS.contains(&target.as_str()), "there is no target `{target}`; there are {}", TARGETS.join(", "));
    }
    for target in
        TARGETS.into_iter().filter(|target| args.only.is_empty() || args.only.iter().any(|only| only == target))
    {
        println!("== {target}");
        let ended = pass_on(command(workspace, target, args.seconds)?)?;
        if ended != ExitCode::SUCCESS {
            return Ok(ended);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What runs a target for some seconds and fails when it finds something.
pub(crate) fn command(workspace: &Workspace, target: &str, seconds: u64) -> Result<Command> {
    let bin = install::cargo_fuzz(workspace)?;
    let mut cargo = workspace.cargo(Build::Fuzz);
    // The sanitizers are unstable options of a stable compiler.
    cargo.env("PATH", install::path_with(&bin)?).env("RUSTC_BOOTSTRAP", "1");
    cargo.args(["fuzz", "run", "--fuzz-dir"]).arg(workspace.path("fuzz"));
    cargo.arg("--target-dir").arg(workspace.target_of(Build::Fuzz)).arg(target);
    // Inputs to start from, beside those that were found: words of the format are hard to guess.
    let corpus = workspace.target_of(Build::Fuzz).join("corpus").join(target);
    std::fs::create_dir_all(&corpus)?;
    cargo.arg(corpus);
    let seeds = workspace.path("fuzz/seeds").join(target);
    if seeds.is_dir() {
        cargo.arg(seeds);
    }
    // Texts longer than a page find nothing new, and slow all others.
    cargo.args(["--", &format!("-max_total_time={seconds}"), "-max_len=4096", "-print_final_stats=1"]);
    Ok(cargo)
}
