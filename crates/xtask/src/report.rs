//! Stages one after another: each is named, timed and summed up.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::log::Log;
use crate::workspace::Workspace;

/// How a stage ended, if it did not fail.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All is well, with a few words on what was seen.
    Passed(String),
    /// It did not run, or not all of it, and why.
    Skipped(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Passed,
    Failed,
    Skipped,
}

impl Mark {
    fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    mark: Mark,
    took: Duration,
    note: String,
}

/// What ran so far.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    workspace: &'a Workspace,
    started: Instant,
    rows: Vec<Row>,
}

impl<'a> Report<'a> {
    /// With nothing in it. The logs go below the workspace's target directory.
    pub(crate) fn new(workspace: &'a Workspace) -> Self {
        Self { workspace, started: Instant::now(), rows: Vec::new() }
    }

    /// Runs a stage and shows its output if it fails.
    pub(crate) fn stage(&mut self, name: &'static str, run: impl FnOnce(&mut Log) -> Result<Outcome>) {
        println!("== {name}");
        let started = Instant::now();
        let path = self.workspace.target(format!("xtask/{}.log", name.replace(' ', "-")));
        let mut shown = None;
        let result = Log::create(path).and_then(|mut log| {
            let result = run(&mut log);
            if result.is_err() {
                shown = Some((log.failure(), log.path().display().to_string()));
            }
            result
        });
        let (mark, note) = match result {
            Ok(Outcome::Passed(note)) => (Mark::Passed, note),
            Ok(Outcome::Skipped(why)) => (Mark::Skipped, why),
            Err(error) => (Mark::Failed, format!("{error:#}")),
        };
        if let Some((failure, path)) = shown {
            println!("{failure}");
            println!("   (from {path}, which has all of it)");
        }
        let took = started.elapsed();
        println!("   {} in {}: {note}", mark.as_str(), seconds(took));
        self.rows.push(Row { name, mark, took, note });
    }

    /// Enters a stage that does not run.
    pub(crate) fn skip(&mut self, name: &'static str, why: &str) {
        println!("== {name}\n   skipped: {why}");
        self.rows.push(Row { name, mark: Mark::Skipped, took: Duration::ZERO, note: why.to_owned() });
    }

    /// Prints the summary. Its last line counts the stages.
    pub(crate) fn finish(self) -> ExitCode {
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        println!();
        for row in &self.rows {
            let note = row.note.lines().next().unwrap_or_default();
            println!("{:width$}  {:7}  {:>8}  {note}", row.name, row.mark.as_str(), seconds(row.took));
        }
        let count = |mark| self.rows.iter().filter(|row| row.mark == mark).count();
        println!("{:width$}  {:7}  {:>8}", "all", "", seconds(self.started.elapsed()));
        println!("{} passed, {} failed, {} skipped", count(Mark::Passed), count(Mark::Failed), count(Mark::Skipped));
        if count(Mark::Failed) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// A duration for people.
pub(crate) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} m {:02} s", duration.as_secs() / 60, duration.as_secs() % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(seconds(Duration::from_millis(1_240)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 m 05 s");
    }

    #[test]
    fn a_failed_stage_fails_the_whole() {
        let workspace = Workspace::find().expect("this test runs in the workspace");
        let mut report = Report::new(&workspace);
        report.stage("self test good", |_| Ok(Outcome::Passed("fine".to_owned())));
        report.skip("self test skipped", "a reason");
        assert_eq!(report.rows.iter().filter(|row| row.mark == Mark::Failed).count(), 0);
        report.stage("self test bad", |_| anyhow::bail!("a cause"));
        assert_eq!(report.rows[2].mark, Mark::Failed);
        assert_eq!(report.rows[2].note, "a cause");
    }
}
