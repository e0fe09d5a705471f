//! The commands that measure.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::{engine, pass_on};
use crate::install::{self, Tool};
use crate::log::Log;
use crate::workspace::{Build, Workspace};

const PACKAGE: &str = "inferometer-benches";

#[derive(Debug, Default, clap::Args)]
pub(crate) struct BenchArgs {
    /// Arguments for the bench itself.
    #[arg(last = true, value_name = "ARGS")]
    bench: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FiguresArgs {
    /// Print them for a program.
    #[arg(long)]
    json: bool,

    /// Fail when one misses its goal.
    #[arg(long)]
    check: bool,

    /// Only these, by the names that docs/compare.md shows.
    #[arg(value_name = "NAME")]
    only: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PageArgs {
    /// A quick look, with wider bounds; writes nothing.
    #[arg(long)]
    pub(crate) short: bool,

    /// Only this section; may be given several times.
    #[arg(value_name = "SECTION")]
    pub(crate) only: Vec<String>,
}

/// What measures `docs/overhead.md` or `docs/compare.md`, and fails when something does not hold.
pub(crate) fn page_command(workspace: &Workspace, page: &str, args: &PageArgs) -> std::process::Command {
    let mut cargo = workspace.cargo(Build::Plain);
    cargo.args(["run", "--release", "-p", PACKAGE, "--bin", page, "--", "--check"]).args(&args.only);
    if args.short {
        cargo.arg("--short");
    } else {
        cargo.arg("--write").arg(workspace.path(format!("docs/{page}.md")));
    }
    cargo
}

pub(crate) fn page(workspace: &Workspace, page: &str, args: &PageArgs) -> Result<ExitCode> {
    pass_on(page_command(workspace, page, args))
}

/// What measures the figures. It is built without any flags, as a user's program is.
pub(crate) fn figures_command(workspace: &Workspace) -> std::process::Command {
    let mut cargo = workspace.cargo(Build::Plain);
    cargo.args(["run", "--release", "-p", PACKAGE, "--bin", "figures", "--"]);
    cargo
}

pub(crate) fn figures(workspace: &Workspace, args: &FiguresArgs) -> Result<ExitCode> {
    let mut cargo = figures_command(workspace);
    if args.json {
        cargo.arg("--json");
    }
    if args.check {
        cargo.arg("--check");
    }
    cargo.args(&args.only);
    pass_on(cargo)
}

pub(crate) fn bench(workspace: &Workspace, args: &BenchArgs) -> Result<ExitCode> {
    let mut cargo = workspace.cargo(Build::Plain);
    cargo.args(["bench", "-p", PACKAGE, "--bench", "record", "--bench", "cold", "--"]).args(&args.bench);
    pass_on(cargo)
}

pub(crate) fn instructions(workspace: &Workspace, args: &BenchArgs) -> Result<ExitCode> {
    let mut log = Log::create(workspace.target("xtask/instructions.log"))?;
    if let Tool::Missing(advice) = install::from_debian("valgrind", &mut log)? {
        bail!("{advice}");
    }
    let bin = install::gungraun_runner(workspace)?;
    let mut cargo = workspace.cargo(Build::Plain);
    cargo.args(["bench", "-p", PACKAGE, "--bench", "instructions", "--"]).args(&args.bench);
    cargo.env("PATH", install::path_with(&bin)?);
    pass_on(cargo)
}

pub(crate) fn inference(workspace: &Workspace, args: &BenchArgs) -> Result<ExitCode> {
    pass_on(inference_command(workspace, args))
}

/// What compares the engine with its instruments and without.
pub(crate) fn inference_command(workspace: &Workspace, args: &BenchArgs) -> std::process::Command {
    let mut cargo = workspace.cargo(Build::Native);
    cargo.args(["bench", "-p", engine::PACKAGE, "--bench", "inference", "--"]).args(&args.bench);
    // With the symbols that the other benches want, the model's code would be compiled a second time.
    cargo.env("CARGO_PROFILE_BENCH_DEBUG", "false");
    cargo
}
