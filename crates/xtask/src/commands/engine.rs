//! `cargo xtask engine`: the example engine, built for this machine's processor.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::log::display;
use crate::report::seconds;
use crate::workspace::{Build, Workspace};

pub(crate) const PACKAGE: &str = "inferometer-example-engine";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Build for any processor of this architecture; the model runs several times slower.
    #[arg(long)]
    portable: bool,

    /// Build it and stop.
    #[arg(long)]
    build_only: bool,

    /// The engine's own arguments; `-- --help` lists them.
    #[arg(last = true, value_name = "ARGS")]
    engine: Vec<String>,
}

/// What builds the engine, and where its binary is afterwards.
pub(crate) fn build(workspace: &Workspace, kind: Build) -> (Command, PathBuf) {
    let mut cargo = workspace.cargo(kind);
    cargo.args(["build", "--release", "-p", PACKAGE, "--bin", "engine"]);
    (cargo, workspace.target_of(kind).join("release").join(format!("engine{}", std::env::consts::EXE_SUFFIX)))
}

/// What runs the engine's own tests. In release as well, so that the model's code is compiled once.
pub(crate) fn tests(workspace: &Workspace) -> Command {
    let mut cargo = workspace.cargo(Build::Native);
    cargo.args(["test", "--release", "--no-fail-fast", "-p", PACKAGE]);
    cargo
}

pub(crate) fn run(workspace: &Workspace, args: Args) -> Result<ExitCode> {
    let kind = if args.portable { Build::Plain } else { Build::Native };
    let (mut cargo, engine) = build(workspace, kind);
    eprintln!("== build: {}", display(&cargo));
    if !engine.exists() {
        eprintln!("   the first build compiles the model's code: some 7 minutes on two cores");
    }
    let started = Instant::now();
    let status = cargo.status().context("cannot run cargo")?;
    if !status.success() {
        bail!("the engine could not be built; the message of cargo is above");
    }
    eprintln!("   built in {}", seconds(started.elapsed()));
    if args.build_only {
        println!("{}", engine.display());
        return Ok(ExitCode::SUCCESS);
    }
    let mut run = Command::new(&engine);
    run.args(args.engine);
    eprintln!("== run: {}", display(&run));
    become_program(run)
}

/// Puts the engine in this program's place, so that it gets the signals and its exit code is the command's.
#[cfg(unix)]
fn become_program(mut program: Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    let error = program.exec();
    Err(error).with_context(|| format!("cannot run `{}`", display(&program)))
}

#[cfg(not(unix))]
fn become_program(program: Command) -> Result<ExitCode> {
    super::pass_on(program)
}
