//! Programs that a stage needs and cargo does not bring. They are installed where that can be done without a question;
//! elsewhere the stage is skipped, with the command to type.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::log::{Log, display};
use crate::workspace::{Build, Workspace};

/// Whether a program can be used.
#[derive(Debug)]
pub(crate) enum Tool {
    /// It is there.
    Ready,
    /// It is not, and why; with what to do about it.
    Missing(String),
}

/// A program from the Debian package of the same name.
pub(crate) fn from_debian(program: &str, log: &mut Log) -> Result<Tool> {
    from_debian_package(program, program, log)
}

/// A program from the Debian package that has it.
pub(crate) fn from_debian_package(program: &str, package: &str, log: &mut Log) -> Result<Tool> {
    if on_path(program).is_some() {
        return Ok(Tool::Ready);
    }
    let advice = format!("{program} is not installed: sudo apt-get install -y --no-install-recommends {package}");
    if on_path("apt-get").is_none() {
        return Ok(Tool::Missing(format!("{program} is not installed, and there is no apt-get to install it with")));
    }
    let Some(prefix) = root_prefix() else {
        return Ok(Tool::Missing(advice));
    };
    println!("   installing {package} with apt-get");
    let update = apt(&prefix, &["update"], log);
    let install = apt(&prefix, &["install", "-y", "--no-install-recommends", package], log);
    match (install, on_path(program)) {
        (Ok(()), Some(_)) => Ok(Tool::Ready),
        (Ok(()), None) => Ok(Tool::Missing(format!("apt-get installed {package}, but {program} is not on the PATH"))),
        (Err(error), _) => {
            let cause = update.err().unwrap_or(error);
            Ok(Tool::Missing(format!("{advice} ({cause:#})")))
        }
    }
}

fn apt(prefix: &[&str], arguments: &[&str], log: &mut Log) -> Result<()> {
    let words: Vec<&str> = prefix.iter().chain(&["apt-get"]).chain(arguments).copied().collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive");
    log.run(&mut command).map(|_| ())
}

/// What to put before a command that needs root, if root can be had without a password.
fn root_prefix() -> Option<Vec<&'static str>> {
    let quiet = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()
    };
    if quiet("id", &["-u"])?.stdout.trim_ascii() == b"0" {
        return Some(Vec::new());
    }
    let sudo = quiet("sudo", &["-n", "true"])?;
    sudo.status.success().then(|| vec!["sudo", "-n"])
}

/// gungraun's runner, in the version that the benches ask for: the two refuse to work together otherwise.
pub(crate) fn gungraun_runner(workspace: &Workspace) -> Result<PathBuf> {
    let lock = fs::read_to_string(workspace.path("Cargo.lock")).context("cannot read Cargo.lock")?;
    let version = locked_version(&lock, "gungraun").context("Cargo.lock names no gungraun: do the benches use it?")?;
    from_crates("gungraun-runner", version, workspace)
}

/// Cargo's command for libFuzzer.
pub(crate) fn cargo_fuzz(workspace: &Workspace) -> Result<PathBuf> {
    from_crates("cargo-fuzz", "0.13.2", workspace)
}

/// A program from the crates' registry. It goes below the target directory, and its own speed does not matter, so it is
/// compiled the quick way. Gives back the directory that it is in.
fn from_crates(program: &str, version: &str, workspace: &Workspace) -> Result<PathBuf> {
    let tools = workspace.target("tools");
    let bin = tools.join("bin");
    let installed = Command::new(bin.join(program)).arg("--version").output().ok();
    let installed = installed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    if installed.is_some_and(|text| text.split_whitespace().any(|word| word == version)) {
        return Ok(bin);
    }
    let mut command = workspace.cargo(Build::Plain);
    command
        .args(["install", program, "--locked", "--force", "--version"])
        .arg(format!("={version}"))
        .arg("--root")
        .arg(&tools)
        .env("CARGO_TARGET_DIR", workspace.target("tools/build"))
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_RELEASE_LTO", "false")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    println!("installing {program} {version}");
    let status = command.status().with_context(|| format!("cannot run `{}`", display(&command)))?;
    anyhow::ensure!(status.success(), "`{}` failed ({status})", display(&command));
    Ok(bin)
}

/// A Python package, below the target directory. Gives back the directory, for PYTHONPATH.
pub(crate) fn from_pypi(
    package: &str,
    version: &str,
    workspace: &Workspace,
    log: &mut Log,
) -> Result<Result<PathBuf, String>> {
    let packages = workspace.target("tools/python").join(format!("{package}-{version}"));
    let done = packages.join(package);
    if done.is_dir() {
        return Ok(Ok(packages));
    }
    let advice = format!("{package} {version} cannot be installed: python3 -m pip install {package}=={version}");
    if on_path("python3").is_none() {
        return Ok(Err(format!("python3 is not installed; {advice}")));
    }
    let mut pip = workspace.command("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"]);
    let (status, _) = log.run_to_any_end(pip.arg(&packages).arg(format!("{package}=={version}")))?;
    Ok(if status.success() && done.is_dir() { Ok(packages) } else { Err(advice) })
}

/// PATH with a directory before all others.
pub(crate) fn path_with(directory: &Path) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(directory.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(all).with_context(|| format!("{} cannot stand in PATH", directory.display()))
}

/// Whether there is such a program.
pub(crate) fn has(program: &str) -> bool {
    on_path(program).is_some()
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// The version of a package in the text of a Cargo.lock.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.next()?;
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        let lock = "[[package]]\nname = \"gungraun-macros\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"gungraun\"\n\
                    version = \"0.20.0\"\n";
        assert_eq!(locked_version(lock, "gungraun"), Some("0.20.0"));
        assert_eq!(locked_version(lock, "absent"), None);
    }

    #[test]
    fn programs_are_looked_up() {
        assert!(on_path("sh").is_some());
        assert!(on_path("no-such-program-7").is_none());
    }
}
