//! `inferometer check`: the release gate.

mod analysis;
mod builds;
mod compiler;
mod copies;
mod cores;
mod history;
mod instructions;
mod process;
mod race;
mod report;
#[cfg(test)]
mod simulation;
mod statistics;
mod verdict;

use crate::percent::Percent;
use anyhow::{Context, Result, bail, ensure};
use builds::Built;
use copies::Original;
use cores::{Cores, Pinning};
use history::History;
use indicatif::{ProgressBar, ProgressStyle};
use process::Process;
use race::Course;
use report::{LoopReport, Report};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

pub(crate) use compiler::as_compiler;

/// How much slower the control is than the baseline, in budgets.
const CONTROL: f64 = 2.0;

const EXIT_CODES: &str = "\
The exit code is 0 for PASS, 1 for FAIL, 3 for INVALID, 4 for INCONCLUSIVE, and 2 when there is nothing to judge: a \
wrong option, a build that fails, a program that does not answer.

PASS: the overhead is below the budget, with 95 % confidence, in the mean of the time and of the processor's time.
FAIL: it is above the budget, with the same confidence, in one of them or in a 99th percentile.
INVALID: the baseline differs from itself, or a control that is twice the budget slower was not noticed.
INCONCLUSIVE: none of these; the report says how long a run would decide.";

/// Check what recording metrics costs a loop: build it with and without, and let both take turns.
///
/// The target is a bench or an example with `harness = false` whose `main` calls `inferometer::overhead::run`, which comes
/// with the feature `overhead` of inferometer.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: builds::Target,

    /// Only this loop of those that the target has; may be given several times.
    #[arg(long = "loop", value_name = "NAME")]
    loops: Vec<String>,

    /// What recording may cost.
    #[arg(long, value_name = "SHARE", default_value = "1%")]
    budget: Percent,

    /// How long each loop is measured.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    time: Duration,

    /// Say also how long a run has to be to show that the overhead is below this share.
    #[arg(long = "target", value_name = "SHARE")]
    target_share: Option<Percent>,

    /// Count instructions under Valgrind instead of measuring time. It needs a minute and no quiet machine.
    #[arg(long, conflicts_with_all = ["time", "target_share", "cores"])]
    instructions: bool,

    /// The cores that the programs run on: `last`, `all`, or a list such as `2` or `0-3`. An engine that computes with
    /// several threads needs several.
    #[arg(long, value_name = "CORES", default_value = "last")]
    cores: Cores,

    /// How long the program may take to set up a loop, or to run a block of steps, before it counts as hanging. Models
    /// of many gigabytes are read from slow disks.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = humantime::parse_duration)]
    timeout: Duration,

    /// Append the result to this file, and compare it with the last one of another release in there.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,

    /// Print the result for programs.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,

    /// Print the result for the summary of a continuous integration.
    #[arg(long)]
    markdown: bool,

    /// Arguments for the target itself.
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    ensure!(args.time >= Duration::from_secs(1), "nothing can be measured within {:?}", args.time);
    // What can be wrong with the options is found before minutes go into building and measuring.
    let history = args.history.as_deref().map(History::open).transpose()?;
    if args.instructions {
        instructions::ensure_possible()?;
    }
    let built = args.target.build()?;
    let pinning = Pinning::new(&args.cores)?;
    let names = loops(&built, &args)?;
    let mut reports = Vec::new();
    for name in &names {
        let report = if args.instructions {
            instructions::count(&built, &args.args, name, args.timeout, args.budget)
        } else {
            race(&built, &args, name, &pinning)
        };
        reports.push(report.with_context(|| format!("cannot check `{name}`"))?);
    }
    let mut report = Report::new(&built, args.budget, reports);
    if let Some(history) = &history {
        history.compare(&mut report);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", if args.markdown { report.markdown() } else { report.text() });
    }
    // Last, so that a disk that is full takes nothing away from who waited.
    if let Some(history) = history {
        history.append(&report)?;
    }
    Ok(report.verdict.exit_code())
}

/// Asks both programs what they are, and for their loops.
fn loops(built: &Built, args: &Args) -> Result<Vec<String>> {
    let greeting = |program: &Path| -> Result<process::Hello> {
        let mut command = Command::new(program);
        command.args(&args.args);
        Ok(Process::start(command, &built.log(), args.timeout)?.hello().clone())
    };
    let (on, off) = (greeting(&built.on)?, greeting(&built.off)?);
    ensure!(on.records, "{} was compiled with `--cfg inferometer_off`, so it records nothing", built.target);
    ensure!(!off.records, "the baseline records: is the compiler called by something that drops flags?");
    ensure!(on.loops == off.loops, "the baseline has other loops: {:?} instead of {:?}", off.loops, on.loops);
    if let Some(unknown) = args.loops.iter().find(|name| !on.loops.contains(name)) {
        bail!("there is no loop `{unknown}` in {}; there are {:?}", built.target, on.loops);
    }
    Ok(if args.loops.is_empty() { on.loops } else { args.loops.clone() })
}

fn race(built: &Built, args: &Args, name: &str, pinning: &Pinning) -> Result<LoopReport> {
    let course = Course {
        off: &Original::new(&built.off)?,
        on: &Original::new(&built.on)?,
        args: &args.args,
        name,
        time: args.time,
        waste: CONTROL * args.budget.0,
        pinning,
        log: &built.log(),
        patience: args.timeout,
    };
    let bar = progress(name, args.time);
    let race = course.run(|gone| {
        let left = args.time.saturating_sub(gone);
        bar.set_position(gone.as_millis() as u64);
        bar.set_message(format!("{} s left", left.as_secs()));
    });
    bar.finish_and_clear();
    Ok(LoopReport::of_race(name, &race?, args.budget, args.target_share))
}

/// On a terminal; elsewhere it shows nothing, and one line says what goes on.
fn progress(name: &str, time: Duration) -> ProgressBar {
    let bar = ProgressBar::new(time.as_millis() as u64);
    if bar.is_hidden() {
        eprintln!("   Measuring `{name}` for {}", humantime::format_duration(time));
    }
    if let Ok(style) = ProgressStyle::with_template("   Measuring {prefix} [{bar:40}] {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_prefix(name.to_owned())
}
