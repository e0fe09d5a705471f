//! `cargo xtask test`: all that has to pass, stage by stage.

mod counted;
mod end_to_end;
mod library;
mod weight;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::log::Log;
use crate::report::{Outcome, Report};
use crate::workspace::Workspace;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only what takes a few minutes: no engine, no models, no sanitizer, no figures.
    #[arg(long)]
    quick: bool,

    /// Only this stage, by its name; may be given several times.
    #[arg(long, value_name = "STAGE")]
    only: Vec<String>,

    /// Print the stages' names and stop.
    #[arg(long)]
    list: bool,
}

/// When a stage runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Always.
    Always,
    /// Not with `--quick`.
    Full,
}

type Run = fn(&Workspace, &mut Log) -> Result<Outcome>;

/// In this order: what fails most often and soonest comes first.
const STAGES: &[(&str, When, Run)] = &[
    ("format", When::Always, library::format),
    ("lints of the libraries", When::Always, library::lints),
    ("docs", When::Always, library::docs),
    ("tests of the libraries", When::Always, library::tests),
    ("tests with recording off", When::Always, library::tests_off),
    ("weight of the core", When::Always, weight::run),
    ("judges of the formats", When::Full, end_to_end::judges),
    ("GPU dashboards", When::Full, end_to_end::gpu_dashboards),
    ("live page", When::Full, end_to_end::live_page),
    ("models under loom", When::Full, library::loom),
    ("ThreadSanitizer", When::Full, library::thread_sanitizer),
    ("fuzzing", When::Full, library::fuzzing),
    ("engine", When::Full, end_to_end::engine),
    ("tests of the engine", When::Full, end_to_end::engine_tests),
    ("end to end", When::Full, end_to_end::engine_over_http),
    ("live Prometheus", When::Full, end_to_end::live_prometheus),
    ("serving dashboards", When::Full, end_to_end::serving_dashboards),
    ("monitoring", When::Full, end_to_end::monitoring),
    ("lints of all", When::Full, library::lints_of_all),
    ("tests of the benches", When::Full, library::bench_tests),
    ("release gate", When::Full, library::release_gate),
    ("figures", When::Full, library::figures),
    ("overhead", When::Full, library::overhead),
    ("comparison", When::Full, library::comparison),
];

pub(crate) fn run(workspace: &Workspace, args: Args) -> Result<ExitCode> {
    if args.list {
        for (name, ..) in STAGES {
            println!("{name}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) = args.only.iter().find(|only| !STAGES.iter().any(|(name, ..)| name == only)) {
        bail!("there is no stage `{unknown}`; `cargo xtask test --list` names them");
    }
    let mut report = Report::new(workspace);
    for &(name, when, stage) in STAGES {
        if !args.only.is_empty() {
            if args.only.iter().any(|only| only == name) {
                report.stage(name, |log| stage(workspace, log));
            }
        } else if args.quick && when == When::Full {
            report.skip(name, "--quick");
        } else {
            report.stage(name, |log| stage(workspace, log));
        }
    }
    Ok(report.finish())
}
