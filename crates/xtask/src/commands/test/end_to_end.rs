//! The stages that run the engine.

use anyhow::{Result, ensure};

use super::counted;
use crate::commands::engine;
use crate::install::{self, Tool};
use crate::log::Log;
use crate::report::Outcome;
use crate::workspace::{Build, Workspace};

pub(super) fn engine(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    let (mut cargo, engine) = engine::build(workspace, Build::Native);
    log.run(&mut cargo)?;
    ensure!(engine.is_file(), "cargo built no {}", engine.display());
    Ok(Outcome::Passed("built for this machine's processor".to_owned()))
}

pub(super) fn engine_tests(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    counted::outcome(&log.run(&mut engine::tests(workspace))?)
}

pub(super) fn engine_over_http(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    // `promtool`, the judge of the page, comes with Prometheus.
    if let Tool::Missing(advice) = install::from_debian("prometheus", log)? {
        return Ok(Outcome::Skipped(advice));
    }
    run(workspace, log, &["engine"])
}

pub(super) fn live_prometheus(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    if let Tool::Missing(advice) = install::from_debian("prometheus", log)? {
        return Ok(Outcome::Skipped(advice));
    }
    run(workspace, log, &["prometheus"])
}

/// Dashboards that others made, on a Prometheus that scrapes the engine under the names of others.
pub(super) fn serving_dashboards(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    if let Tool::Missing(advice) = install::from_debian("prometheus", log)? {
        return Ok(Outcome::Skipped(advice));
    }
    run(workspace, log, &["serving_dashboards"])
}

/// The alerts and dashboards that the command line writes: read by the programs they are for, and run.
pub(super) fn monitoring(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    for package in ["prometheus", "prometheus-alertmanager"] {
        if let Tool::Missing(advice) = install::from_debian(package, log)? {
            return Ok(Outcome::Skipped(advice));
        }
    }
    if !install::has("npm") {
        return Ok(Outcome::Skipped("there is no npm to check the dashboards' types with: install Node.js".to_owned()));
    }
    // The test runs it.
    log.run(workspace.cargo(Build::Plain).args(["build", "-p", "inferometer-cli"]))?;
    run(workspace, log, &["monitoring"])
}

/// What those who read metrics think of each format. The engine is not needed.
pub(super) fn judges(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    if let Tool::Missing(advice) = install::from_debian("prometheus", log)? {
        return Ok(Outcome::Skipped(advice));
    }
    let packages = match install::from_pypi("prometheus_client", "0.26.0", workspace, log)? {
        Ok(packages) => packages,
        Err(advice) => return Ok(Outcome::Skipped(advice)),
    };
    let mut cargo = workspace.cargo(Build::Plain);
    cargo.args(["test", "--no-fail-fast", "-p", "inferometer-e2e", "--test", "judges"]);
    cargo.args(["--test", "secured", "--", "--nocapture"]);
    counted::outcome(&log.run(cargo.env("INFEROMETER_PYTHON_PACKAGES", packages))?)
}

/// Dashboards that others made, on a Prometheus that scrapes GPUs which are not there. The engine is not needed.
pub(super) fn gpu_dashboards(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    if let Tool::Missing(advice) = install::from_debian("prometheus", log)? {
        return Ok(Outcome::Skipped(advice));
    }
    let mut cargo = workspace.cargo(Build::Plain);
    cargo.args(["test", "--no-fail-fast", "-p", "inferometer-e2e", "--test", "gpu_dashboards", "--", "--nocapture"]);
    counted::outcome(&log.run(&mut cargo)?)
}

/// The page at `/` in Chromium, which comes with the driver. The engine is not needed.
pub(super) fn live_page(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    if let Tool::Missing(advice) = install::from_debian_package("chromedriver", "chromium-driver", log)? {
        return Ok(Outcome::Skipped(advice));
    }
    let mut cargo = workspace.cargo(Build::Plain);
    cargo.args(["test", "--no-fail-fast", "-p", "inferometer-e2e", "--test", "page", "--", "--nocapture"]);
    counted::outcome(&log.run(&mut cargo)?)
}

fn run(workspace: &Workspace, log: &mut Log, tests: &[&str]) -> Result<Outcome> {
    let (_, engine) = engine::build(workspace, Build::Native);
    ensure!(engine.is_file(), "there is no {}; the stage `engine` builds it", engine.display());
    let mut cargo = workspace.cargo(Build::Plain);
    cargo.args(["test", "--no-fail-fast", "-p", "inferometer-e2e"]).env("INFEROMETER_ENGINE", engine);
    for test in tests {
        cargo.args(["--test", test]);
    }
    // What a test prints is in the log, and among it why one was skipped.
    cargo.args(["--", "--nocapture"]);
    counted::outcome(&log.run(&mut cargo)?)
}
