//! The commands.

mod bench;
mod engine;
mod fuzz;
mod release;
mod soak;
mod test;

use std::process::{Command as Process, ExitCode};

use anyhow::{Context, Result};
use clap::Subcommand;

use crate::log::display;
use crate::workspace::Workspace;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build the example engine for this machine's processor and run it.
    Engine(engine::Args),
    /// Run everything that has to pass; the continuous integration runs the same.
    Test(test::Args),
    /// Run the time benches beside the peers.
    Bench(bench::BenchArgs),
    /// Measure the figures of the README and compare them with their goals.
    Figures(bench::FiguresArgs),
    /// Measure what docs/overhead.md shows, and write it there.
    Overhead(bench::PageArgs),
    /// Measure what docs/compare.md shows, and write it there.
    Compare(bench::PageArgs),
    /// Count the instructions of each operation under Valgrind.
    Instructions(bench::BenchArgs),
    /// Measure what instrumentation costs inference on a real model.
    Inference(bench::BenchArgs),
    /// Measure what a release has to show, and refuse it otherwise.
    ReleaseCheck(release::Args),
    /// Run the conservation tests for a long time.
    Soak(soak::Args),
    /// Run the fuzz targets for a long time.
    Fuzz(fuzz::Args),
}

impl Command {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<ExitCode> {
        match self {
            Self::Engine(args) => engine::run(workspace, args),
            Self::Test(args) => test::run(workspace, args),
            Self::Bench(args) => bench::bench(workspace, &args),
            Self::Figures(args) => bench::figures(workspace, &args),
            Self::Overhead(args) => bench::page(workspace, "overhead", &args),
            Self::Compare(args) => bench::page(workspace, "compare", &args),
            Self::Instructions(args) => bench::instructions(workspace, &args),
            Self::Inference(args) => bench::inference(workspace, &args),
            Self::ReleaseCheck(args) => release::run(workspace, &args),
            Self::Soak(args) => soak::run(workspace, &args),
            Self::Fuzz(args) => fuzz::run(workspace, &args),
        }
    }
}

/// Runs a program with this one's input and output, and passes its exit code on.
fn pass_on(mut process: Process) -> Result<ExitCode> {
    eprintln!("$ {}", display(&process));
    let status = process.status().with_context(|| format!("cannot run `{}`", display(&process)))?;
    Ok(match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) => ExitCode::from(code),
        None => ExitCode::FAILURE,
    })
}
