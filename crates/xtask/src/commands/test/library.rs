//! The stages of the library crates and of the benches.

use anyhow::{Result, bail, ensure};
use std::process::Command;
use std::thread;

use super::counted;
use crate::commands::{bench, fuzz};
use crate::install;
use crate::log::Log;
use crate::report::Outcome;
use crate::workspace::{Build, Workspace};

/// The crates that are published.
const LIBRARIES: [&str; 12] = [
    "-p",
    "inferometer",
    "-p",
    "inferometer-cli",
    "-p",
    "inferometer-derive",
    "-p",
    "inferometer-gpu",
    "-p",
    "inferometer-prometheus",
    "-p",
    "inferometer-serving",
];

/// Integration tests of the core in which threads meet.
const THREADED_TESTS: [&str; 4] = ["conservation", "exemplars", "faults_threads", "sampling"];

/// Integration tests of features that are off by default.
const TESTS_OF_FEATURES: [&str; 9] = [
    "allocation",
    "current_span",
    "facade",
    "facade_allocation",
    "facade_installed",
    "alongside",
    "authentication",
    "tls",
    "profiles",
];

/// The sanitizer's runtime comes with the compiler for this target.
const SANITIZED_TARGET: &str = "x86_64-unknown-linux-gnu";

fn passed(note: &str) -> Outcome {
    Outcome::Passed(note.to_owned())
}

pub(super) fn format(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    log.run(workspace.cargo(Build::Plain).args(["fmt", "--all", "--check"]))?;
    Ok(passed("all crates"))
}

/// Of what `cargo build` builds without being told; with all that is off by default, and without what is on.
pub(super) fn lints(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    let clippy = |options: &[&str]| {
        let mut cargo = workspace.cargo(Build::Plain);
        cargo.arg("clippy").args(options);
        cargo
    };
    for mut cargo in [
        clippy(&[]),
        with_features(workspace, "clippy"),
        clippy(&["-p", "inferometer-gpu", "--no-default-features"]),
        // The service without the server.
        clippy(&["-p", "inferometer-prometheus", "--no-default-features", "--features", "tower"]),
    ] {
        log.run(cargo.args(["--all-targets", "--", "-D", "warnings"]))?;
    }
    Ok(passed("no warnings"))
}

/// Cargo for the libraries with the features that are off by default: all of them at once, so that each crate is built for
/// it once.
fn with_features(workspace: &Workspace, command: &str) -> Command {
    let mut cargo = workspace.cargo(Build::Plain);
    cargo.args([command, "-p", "inferometer", "-p", "inferometer-prometheus"]);
    cargo.args(["-p", "inferometer-gpu", "-p", "inferometer-serving"]);
    for features in [
        "inferometer/metrics,inferometer/overhead,inferometer/tracing",
        "inferometer-prometheus/tls",
        "inferometer-gpu/profiles,inferometer-serving/profiles",
    ] {
        cargo.args(["--features", features]);
    }
    cargo.arg("--features").arg(format!("inferometer-prometheus/{}", metrics_exporter()));
    cargo
}

/// The feature for what is served alongside, in as many formats as can be built here.
fn metrics_exporter() -> &'static str {
    let protoc = std::env::var_os("PROTOC").unwrap_or_else(|| "protoc".into());
    let is_there = Command::new(protoc).arg("--version").output().is_ok_and(|output| output.status.success());
    if is_there { "metrics-exporter-protobuf" } else { "metrics-exporter" }
}

/// Of the engine, the benches and the end-to-end tests as well.
pub(super) fn lints_of_all(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    log.run(workspace.cargo(Build::Plain).args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    Ok(passed("no warnings"))
}

pub(super) fn docs(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    let mut cargo = workspace.cargo(Build::Plain);
    cargo
        .args([
            "doc",
            "--no-deps",
            "--features",
            "inferometer/metrics,inferometer/overhead",
            "--features",
            "inferometer-prometheus/metrics-exporter,inferometer-prometheus/tls",
            "--features",
            "inferometer-gpu/profiles,inferometer-serving/profiles",
        ])
        .args(LIBRARIES);
    log.run(cargo.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(passed("no warnings"))
}

pub(super) fn tests(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    let mut output = log.run(workspace.cargo(Build::Plain).args(["test", "--no-fail-fast"]))?;
    // What comes with features that are off by default.
    let mut cargo = with_features(workspace, "test");
    cargo.args(["--no-fail-fast", "--lib"]);
    for test in TESTS_OF_FEATURES {
        cargo.args(["--test", test]);
    }
    output += &log.run(&mut cargo)?;
    // More than one filter, so behind the dashes.
    let mut cargo = with_features(workspace, "test");
    output += &log.run(cargo.args(["--doc", "--", "facade", "alongside", "web_config", "serve_with", "profiles"]))?;
    // The NVML library that the tests load.
    output += &log.run(workspace.cargo(Build::Plain).args(["test", "-p", "inferometer-fake-nvml"]))?;
    // The end-to-end tests' own tools, and the programs in the README.
    let mut cargo = workspace.cargo(Build::Plain);
    output += &log.run(cargo.args(["test", "-p", "inferometer-e2e", "--lib", "--test", "faults_map"]))?;
    output += &log.run(workspace.cargo(Build::Plain).args(["test", "-p", "inferometer-e2e", "--doc"]))?;
    counted::outcome(&output)
}

/// All that records builds without recording; the tests of what is recorded cannot pass, and one file has those of this
/// build.
pub(super) fn tests_off(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    let mut cargo = workspace.cargo(Build::Off);
    cargo.args(["build", "-p", "inferometer-gpu", "-p", "inferometer-prometheus", "-p", "inferometer-serving"]);
    log.run(&mut cargo)?;
    let mut cargo = workspace.cargo(Build::Off);
    cargo.args(["test", "-p", "inferometer", "--features", "metrics", "--test", "switched_off"]);
    counted::outcome(&log.run(&mut cargo)?)
}

pub(super) fn loom(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    let mut cargo = workspace.cargo(Build::Loom);
    counted::outcome(&log.run(cargo.args(["test", "-p", "inferometer", "--lib", "--release", "models::"]))?)
}

/// Twice: as it is, which has to be clean, and with a memory ordering weakened, which has to be noticed. Without the
/// second run, a sanitizer that sees nothing would look like a program without races.
pub(super) fn thread_sanitizer(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    if cfg!(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))) {
        return Ok(Outcome::Skipped(format!("it is set up for {SANITIZED_TARGET} only")));
    }
    let tests = |build| {
        let mut cargo = workspace.cargo(build);
        // A target of its own keeps the sanitizer out of the build scripts and the macros. Without optimisation, the
        // functions that the suppressions name are not inlined.
        cargo.args(["test", "--no-fail-fast", "-p", "inferometer", "--target", SANITIZED_TARGET]);
        for test in THREADED_TESTS {
            cargo.args(["--test", test]);
        }
        // The systems that are broken on purpose use what the sanitizer does not understand.
        cargo.args(["--", "--skip", "the_check_catches"]);
        let suppressions = workspace.path("crates/inferometer/tests/tsan-suppressions.txt");
        cargo.env("TSAN_OPTIONS", format!("suppressions={}", suppressions.display()));
        // Everything is some ten times slower, and the tests insist on having done something.
        cargo.env("INFEROMETER_SOAK_SECONDS", "6");
        cargo
    };
    let outcome = counted::outcome(&log.run(&mut tests(Build::ThreadSanitizer))?)?;
    let (status, output) = log.run_to_any_end(&mut tests(Build::ThreadSanitizerControl))?;
    ensure!(
        !status.success() && output.contains("ThreadSanitizer: data race"),
        "ThreadSanitizer does not notice the race that was made on purpose"
    );
    Ok(match outcome {
        Outcome::Passed(note) => Outcome::Passed(format!("{note}, and a race made on purpose is noticed")),
        skipped @ Outcome::Skipped(_) => skipped,
    })
}

/// Each target for a short while, two at a time since each has one thread; `cargo xtask fuzz` does it for long.
pub(super) fn fuzzing(workspace: &Workspace, _: &mut Log) -> Result<Outcome> {
    const SECONDS: u64 = 30;
    if !install::has("c++") {
        return Ok(Outcome::Skipped("the fuzzer is C++, and there is no compiler for it".to_owned()));
    }
    install::cargo_fuzz(workspace)?;
    let (first, second) = fuzz::TARGETS.split_at(fuzz::TARGETS.len() / 2);
    let runs = |targets: &'static [&'static str]| -> Result<Vec<String>> {
        targets.iter().map(|target| fuzz_run(workspace, target, SECONDS)).collect()
    };
    let (first, second) = thread::scope(|scope| {
        let second = scope.spawn(|| runs(second));
        (runs(first), second.join())
    });
    let second = second.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let runs = [first?, second?].concat();
    Ok(Outcome::Passed(format!("{SECONDS} s each without a finding; inputs: {}", runs.join(", "))))
}

/// Runs a target, and says how many inputs it had.
fn fuzz_run(workspace: &Workspace, target: &str, seconds: u64) -> Result<String> {
    let mut log = Log::create(workspace.target(format!("xtask/fuzzing-{target}.log")))?;
    let output = match log.run(&mut fuzz::command(workspace, target, seconds)?) {
        Ok(output) => output,
        Err(error) => bail!("{error:#}\n{}", log.failure()),
    };
    let units = output.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let units: u64 = units.and_then(|units| units.trim().parse().ok()).unwrap_or(0);
    ensure!(units > 1_000, "the target `{target}` ran {units} times only");
    Ok(format!("{target} {units}"))
}

/// As the figures are built.
pub(super) fn bench_tests(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    let mut cargo = workspace.cargo(Build::Plain);
    counted::outcome(&log.run(cargo.args(["test", "--release", "--no-fail-fast", "-p", "inferometer-benches"]))?)
}

/// The measurements of `docs/overhead.md`, in short. What clients do to the recording thread (`attacks` and `polls`) is
/// left out: it is told from what a neighbour does to the machine by many turns only.
pub(super) fn overhead(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    let only = ["break-even", "sweep", "engine", "budget", "account", "honesty"].map(str::to_owned).to_vec();
    until_quiet(|| {
        log.run(&mut bench::page_command(workspace, "overhead", &bench::PageArgs { short: true, only: only.clone() }))
    })?;
    Ok(passed(
        "steps may be short, the budget holds and the account is right, as far as a short look can tell; not run: \
         attacks and polls, by `cargo xtask overhead attacks polls`",
    ))
}

/// What `docs/compare.md` says that this library does, and that it keeps nothing when nobody scrapes.
pub(super) fn comparison(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    let args = bench::PageArgs { short: true, only: ["features", "unscraped"].map(str::to_owned).to_vec() };
    log.run(&mut bench::page_command(workspace, "compare", &args))?;
    Ok(passed("it does what docs/compare.md says"))
}

/// The gate as its users run it: on loops of known overhead, and on a crate outside the workspace.
pub(super) fn release_gate(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    let output = until_quiet(|| {
        let mut cargo = workspace.cargo(Build::Plain);
        cargo.args(["test", "--no-fail-fast", "-p", "inferometer-cli", "--test", "check", "--test", "outside"]);
        // One at a time: gates that measure at once disturb each other.
        log.run(cargo.args(["--", "--include-ignored", "--test-threads", "1"]))
    })?;
    counted::outcome(&output)
}

/// A machine in the cloud may compute at half its speed for a while. What fails each time is a failure.
pub(super) fn until_quiet<T>(mut measure: impl FnMut() -> Result<T>) -> Result<T> {
    const TRIES: usize = 3;
    for _ in 1..TRIES {
        if let Ok(done) = measure() {
            return Ok(done);
        }
    }
    measure()
}

/// A goal that is missed by little on a busy machine is no failure; how many there were is said.
pub(super) fn figures(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    let output = until_quiet(|| log.run(bench::figures_command(workspace).arg("--check")))?;
    let missed = output.lines().filter(|line| line.contains("MISSED")).count();
    Ok(Outcome::Passed(format!("no regression, {missed} goals missed; `cargo xtask figures` shows them")))
}
