//! `cargo xtask release-check`: what a release has to show beyond the tests. See `RELEASING.md`.

use std::process::ExitCode;

use anyhow::{Result, ensure};

use super::bench::{self, BenchArgs};
use super::engine;
use crate::log::Log;
use crate::report::{Outcome, Report};
use crate::workspace::{Build, Workspace};

/// Where the gate's results of all releases stand.
const HISTORY: &str = "docs/release-history.jsonl";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long the gate measures each loop.
    #[arg(long, value_name = "TIME", default_value = "10m")]
    time: String,
}

/// Refuses the release, by the exit code, unless everything passes; nothing is tried twice.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let mut report = Report::new(workspace);
    report.stage("release model", |log| model(workspace, log));
    report.stage("release gate on the engine", |log| gate(workspace, log, &args.time));
    report.stage("release figures", |log| {
        log.run(bench::figures_command(workspace).arg("--check"))?;
        Ok(Outcome::Passed("no regression".to_owned()))
    });
    report.stage("release inference", |log| {
        let printed = log.run(&mut bench::inference_command(workspace, &BenchArgs::default()))?;
        ensure!(!printed.contains("SKIPPED"), "the real model was left out");
        Ok(Outcome::Passed("below 1 % on all models".to_owned()))
    });
    Ok(report.finish())
}

/// Has the engine fetch the real model's weights, without which the others would leave it out, and answer a request.
fn model(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    let (mut cargo, engine) = engine::build(workspace, Build::Native);
    log.run(&mut cargo)?;
    let any_port = ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
    log.run(workspace.command(engine).args(any_port).args(["--requests", "1", "--max-tokens", "8", "--linger", "0"]))?;
    Ok(Outcome::Passed("the real model is there and answers".to_owned()))
}

fn gate(workspace: &Workspace, log: &mut Log, time: &str) -> Result<Outcome> {
    let mut cargo = workspace.cargo(Build::Native);
    cargo.args(["run", "--release", "-p", "inferometer-cli", "--bin", "inferometer", "--", "check"]);
    // By their names, so that one that is not there is an error.
    cargo.args(["-p", "inferometer-example-engine", "--bench", "engine_step"]);
    cargo.args(["--loop", "random-tiny", "--loop", "random", "--loop", "smollm2", "--time", time, "--history"]);
    log.run(cargo.arg(workspace.path(HISTORY)).env("CARGO_PROFILE_BENCH_DEBUG", "false"))?;
    Ok(Outcome::Passed(format!("PASS; the result was appended to {HISTORY}")))
}
