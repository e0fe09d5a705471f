//! What a stage's programs print: kept in a file, and shown only if it is needed.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// How much of a failed stage's output is shown; the file has all of it.
const LINES_SHOWN: usize = 60;
/// How many errors further up are shown, and how many lines of each.
const ERRORS_SHOWN: usize = 20;
const LINES_OF_AN_ERROR: usize = 5;

/// A stage's log file.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// A new file, which takes an older one's place.
    pub(crate) fn create(path: PathBuf) -> Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        }
        File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        // Appending, so that the two streams of several programs never overwrite each other.
        let file = OpenOptions::new().append(true).open(&path)?;
        Ok(Self { path, file })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a program to its end and keeps what it prints. Gives back what it printed; a program that fails is an
    /// error.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<String> {
        let (status, printed) = self.run_to_any_end(command)?;
        if !status.success() {
            bail!("`{}` failed ({status})", display(command));
        }
        Ok(printed)
    }

    /// The same for a program that may fail, or has to.
    pub(crate) fn run_to_any_end(&mut self, command: &mut Command) -> Result<(ExitStatus, String)> {
        let shown = display(command);
        writeln!(self.file, "$ {shown}")?;
        let start = self.file.metadata()?.len();
        let status = command
            .stdin(Stdio::null())
            .stdout(self.file.try_clone()?)
            .stderr(self.file.try_clone()?)
            .status()
            .with_context(|| format!("cannot run `{shown}`"))?;
        let all = fs::read(&self.path).with_context(|| format!("cannot read {}", self.path.display()))?;
        let printed = usize::try_from(start).ok().and_then(|start| all.get(start..)).unwrap_or_default();
        Ok((status, String::from_utf8_lossy(printed).into_owned()))
    }

    /// What was printed of errors, and the last lines of all.
    pub(crate) fn failure(&self) -> String {
        let text = fs::read(&self.path).unwrap_or_default();
        failure(&String::from_utf8_lossy(&text))
    }
}

/// A command as one would type it, with the variables that it sets.
pub(crate) fn display(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!("{}={}", name.display(), quoted(&value.to_string_lossy())));
        }
    }
    let program = Path::new(command.get_program());
    words.push(program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned());
    words.extend(command.get_args().map(|word| quoted(&word.to_string_lossy())));
    words.join(" ")
}

/// A test that failed says so where it ran, which may be far above the end: those lines come first.
fn failure(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let (above, end) = lines.split_at(lines.len().saturating_sub(LINES_SHOWN));
    let tells = |line: &&str| line.starts_with("error") || line.contains("panicked at") || line.contains("... FAILED");
    let mut shown = Vec::new();
    for (index, _) in above.iter().enumerate().filter(|(_, line)| tells(line)).take(ERRORS_SHOWN) {
        shown.extend(&lines[index..lines.len().min(index + LINES_OF_AN_ERROR)]);
        shown.push("[..]");
    }
    shown.extend(end);
    shown.join("\n")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_far_above_the_end_is_shown() {
        let text = format!("before\nthread 'a' panicked at x.rs:1:\nwhy\n{}the end", "quiet\n".repeat(500));
        let shown = failure(&text);
        assert!(shown.starts_with("thread 'a' panicked at x.rs:1:\nwhy\n") && shown.ends_with("the end"), "{shown}");
        assert!(shown.lines().count() <= LINES_SHOWN + LINES_OF_AN_ERROR + 1);
        assert_eq!(failure("error: short"), "error: short");
    }

    #[test]
    fn commands_read_as_typed() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["test", "a b"]).env("RUSTFLAGS", "--cfg loom");
        assert_eq!(display(&command), "RUSTFLAGS='--cfg loom' cargo test 'a b'");
    }
}
