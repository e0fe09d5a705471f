//! The target, built twice by cargo.

use super::compiler;
use anyhow::{Context, Result, bail};
use cargo_metadata::{Message, Metadata, MetadataCommand, TargetKind};
use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What to build, in cargo's own words.
#[derive(Debug, clap::Args)]
pub(crate) struct Target {
    /// The package; without it, that of the current directory.
    #[arg(short, long, value_name = "PKG")]
    package: Option<String>,

    #[command(flatten)]
    name: Name,

    /// Features to switch on, separated by commas.
    #[arg(short = 'F', long, value_name = "FEATURES")]
    features: Vec<String>,

    /// Switch all features on.
    #[arg(long)]
    all_features: bool,

    /// Switch the default features off.
    #[arg(long)]
    no_default_features: bool,

    /// The profile; `bench` for a bench and `release` for an example unless told otherwise.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,

    /// The Cargo.toml.
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Name {
    /// The bench whose loops are checked.
    #[arg(long, value_name = "NAME")]
    bench: Option<String>,

    /// The example whose loops are checked.
    #[arg(long, value_name = "NAME")]
    example: Option<String>,
}

/// What was built.
#[derive(Debug)]
pub(crate) struct Built {
    /// The program as it is.
    pub(crate) on: PathBuf,
    /// The program without recording.
    pub(crate) off: PathBuf,
    /// Its package and the version of that.
    pub(crate) package: String,
    pub(crate) version: String,
    /// The target's name.
    pub(crate) target: String,
    /// A directory for whatever comes up, below cargo's own.
    pub(crate) directory: PathBuf,
}

impl Built {
    /// Where the programs' output goes.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("output.log")
    }
}

impl Target {
    /// Builds both.
    pub(crate) fn build(&self) -> Result<Built> {
        let metadata = self.metadata()?;
        let directory = metadata.target_directory.join("inferometer-check").into_std_path_buf();
        let (on, package) = self.cargo(self.command())?;
        let mut command = self.command();
        // Other flags in the same directory would compile everything anew at every change from one to the other.
        command.env("CARGO_TARGET_DIR", directory.join("off"));
        compiler::wrap(&mut command, &std::env::current_exe().context("cannot tell where this program is")?);
        let (off, _) = self.cargo(command)?;
        let package =
            metadata.packages.iter().find(|each| each.id == package).context("cargo built a foreign package")?;
        Ok(Built {
            on,
            off,
            package: package.name.to_string(),
            version: package.version.to_string(),
            target: self.name().0.to_owned(),
            directory,
        })
    }

    fn metadata(&self) -> Result<Metadata> {
        let mut command = MetadataCommand::new();
        if let Some(path) = &self.manifest_path {
            command.manifest_path(path);
        }
        command.no_deps().exec().map_err(|error| match error {
            cargo_metadata::Error::Io(error) => {
                anyhow::Error::new(error).context("cannot run cargo: is it on the PATH?")
            }
            error => anyhow::Error::new(error).context("cannot find the project"),
        })
    }

    fn name(&self) -> (&str, TargetKind) {
        match (&self.name.bench, &self.name.example) {
            (Some(bench), _) => (bench, TargetKind::Bench),
            (_, example) => (example.as_deref().unwrap_or_default(), TargetKind::Example),
        }
    }

    fn command(&self) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        match self.name() {
            (bench, TargetKind::Bench) => cargo.args(["bench", "--no-run", "--bench", bench]),
            (example, _) => cargo.args(["build", "--example", example]),
        };
        match (&self.profile, &self.name.example) {
            (Some(profile), _) => cargo.args(["--profile", profile]),
            (None, Some(_)) => cargo.arg("--release"),
            (None, None) => &mut cargo,
        };
        cargo.args(self.package.iter().flat_map(|package| ["--package", package]));
        cargo.args(self.features.iter().flat_map(|features| ["--features", features]));
        cargo.args(self.all_features.then_some("--all-features"));
        cargo.args(self.no_default_features.then_some("--no-default-features"));
        if let Some(path) = &self.manifest_path {
            cargo.arg("--manifest-path").arg(path);
        }
        cargo.arg("--message-format=json-render-diagnostics").stdin(Stdio::null()).stdout(Stdio::piped());
        cargo
    }

    /// Runs cargo, which reports to standard error, and returns the program and its package.
    fn cargo(&self, mut command: Command) -> Result<(PathBuf, cargo_metadata::PackageId)> {
        let mut cargo = command.spawn().context("cannot run cargo")?;
        let output = cargo.stdout.take().context("cargo has no output")?;
        let (name, kind) = self.name();
        let mut program = None;
        for message in Message::parse_stream(BufReader::new(output)) {
            if let Message::CompilerArtifact(artifact) = message.context("cannot read what cargo says")?
                && artifact.target.name == name
                && artifact.target.is_kind(kind.clone())
                && let Some(executable) = artifact.executable
            {
                program = Some((executable.into_std_path_buf(), artifact.package_id));
            }
        }
        if !cargo.wait()?.success() {
            bail!("the target could not be built; the message of cargo is above");
        }
        program.with_context(|| format!("cargo has built no program for {name}"))
    }
}
