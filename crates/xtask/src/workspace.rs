//! Where things are, and cargo with the flags and the target directory of each kind of build.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// A way to compile the workspace. Each has a target directory of its own: other flags in the same directory would
/// rebuild everything at every change from one to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// As cargo does it without being told anything.
    Plain,
    /// For this machine's processor: what runs the model is several times faster.
    Native,
    /// With all recording compiled away.
    Off,
    /// With loom's types in place of std's.
    Loom,
    /// Under ThreadSanitizer.
    ThreadSanitizer,
    /// The same, with a memory ordering weakened, which the sanitizer must notice.
    ThreadSanitizerControl,
    /// For the fuzzer, which sets the flags itself.
    Fuzz,
}

impl Build {
    /// The directory below `target`.
    fn directory(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Native => "native",
            Self::Off => "off",
            Self::Loom => "loom",
            Self::ThreadSanitizer => "tsan",
            Self::ThreadSanitizerControl => "tsan-control",
            Self::Fuzz => "fuzz",
        }
    }

    /// What goes into RUSTFLAGS.
    fn flags(self) -> &'static str {
        match self {
            Self::Plain | Self::Fuzz => "",
            Self::Native => "-C target-cpu=native",
            Self::Off => "--cfg inferometer_off",
            Self::Loom => "--cfg loom",
            Self::ThreadSanitizer => "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg inferometer_tsan",
            Self::ThreadSanitizerControl => {
                "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg inferometer_tsan \
                 --cfg inferometer_weak_publication"
            }
        }
    }
}

/// The checkout.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// The one that this program belongs to.
    pub(crate) fn find() -> Result<Self> {
        // Cargo sets it for what it runs; without cargo, it is where the program was compiled.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest)
            .ancestors()
            .nth(2)
            .filter(|root| root.join("crates/xtask").is_dir())
            .with_context(|| format!("{} is not inside the workspace", Path::new(&manifest).display()))?
            .to_owned();
        let target = match std::env::var_os("CARGO_TARGET_DIR").filter(|directory| !directory.is_empty()) {
            Some(directory) => std::path::absolute(directory)?,
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// A path below the root.
    pub(crate) fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// A path below the target directory.
    pub(crate) fn target(&self, below: impl AsRef<Path>) -> PathBuf {
        self.target.join(below)
    }

    /// The target directory of a kind of build.
    pub(crate) fn target_of(&self, build: Build) -> PathBuf {
        // `join("")` would end the path in a slash, which cargo takes for another path.
        if build == Build::Plain { self.target.clone() } else { self.target.join(build.directory()) }
    }

    /// A program that runs in the root.
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command.current_dir(&self.root);
        command
    }

    /// Cargo.
    pub(crate) fn cargo(&self, build: Build) -> Command {
        let mut command = self.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.env("CARGO_TARGET_DIR", self.target_of(build));
        if !build.flags().is_empty() {
            let flags = match std::env::var("RUSTFLAGS") {
                Ok(own) if !own.trim().is_empty() => format!("{own} {}", build.flags()),
                _ => build.flags().to_owned(),
            };
            // The encoded form would win over the other.
            command.env("RUSTFLAGS", flags).env_remove("CARGO_ENCODED_RUSTFLAGS");
        }
        if matches!(build, Build::ThreadSanitizer | Build::ThreadSanitizerControl) {
            // The sanitizers are unstable options of a stable compiler.
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace() {
        let workspace = Workspace::find().expect("this test runs in the workspace");
        let manifest = std::fs::read_to_string(workspace.path("Cargo.toml")).expect("the root has a manifest");
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn no_two_builds_share_a_directory() {
        let builds = [
            Build::Plain,
            Build::Native,
            Build::Off,
            Build::Loom,
            Build::ThreadSanitizer,
            Build::ThreadSanitizerControl,
            Build::Fuzz,
        ];
        let workspace = Workspace::find().expect("this test runs in the workspace");
        let mut directories: Vec<_> = builds.iter().map(|&build| workspace.target_of(build)).collect();
        directories.sort();
        directories.dedup();
        assert_eq!(directories.len(), builds.len());
    }
}
