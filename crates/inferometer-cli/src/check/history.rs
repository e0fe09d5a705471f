//! A file with one line of JSON for each run, which belongs into the repository.

use super::report::{LoopReport, Report, share};
use super::verdict::Verdict;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The result of an earlier release, beside that of this one.
#[derive(Debug, Serialize)]
pub(crate) struct Before {
    pub(crate) version: String,
    pub(crate) date: String,
    pub(crate) verdict: Verdict,
    pub(crate) difference: f64,
    /// How much the overhead has grown since, and how much of that may be noise, with 95 % to each side.
    pub(crate) growth: f64,
    pub(crate) doubt: f64,
}

impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Before { version, date, verdict, difference, growth, doubt } = self;
        let day = date.split('T').next().unwrap_or_default();
        write!(f, "{version} ({day}): {} ({verdict}); since then {}", share(*difference), share(*growth))?;
        if *doubt > 0.0 { write!(f, ", give or take {:.2} %", 100.0 * doubt) } else { Ok(()) }
    }
}

/// What is read back of a line.
#[derive(Debug, Deserialize)]
struct Line {
    package: String,
    version: String,
    target: String,
    date: String,
    loops: Vec<PastLoop>,
}

#[derive(Debug, Deserialize)]
struct PastLoop {
    name: String,
    verdict: Verdict,
    timed: Option<PastTimed>,
    counted: Option<PastEstimate>,
}

#[derive(Debug, Deserialize)]
struct PastTimed {
    quantities: Vec<PastQuantity>,
}

#[derive(Debug, Deserialize)]
struct PastQuantity {
    on: PastEstimate,
}

#[derive(Debug, Deserialize)]
struct PastEstimate {
    difference: f64,
    #[serde(default)]
    error: f64,
}

/// The file, read and open for the line that will be added.
#[derive(Debug)]
pub(crate) struct History {
    path: PathBuf,
    file: File,
    lines: Vec<Line>,
}

impl History {
    /// Reads what there is, and makes sure that a line can be added.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let open = || OpenOptions::new().create(true).read(true).append(true).open(path);
        let mut file = open().with_context(|| format!("cannot open {}", path.display()))?;
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(|| format!("cannot read {}", path.display()))?;
        let parsed = |(number, line): (usize, &str)| {
            serde_json::from_str(line).with_context(|| format!("line {number} of {} is no result", path.display()))
        };
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).map(parsed);
        Ok(History { path: path.to_owned(), lines: lines.collect::<Result<_>>()?, file })
    }

    /// Looks for the last result of another release, of the same loop and of the same kind.
    pub(crate) fn compare(&self, report: &mut Report) {
        let others = |line: &&Line| {
            line.package == report.package && line.target == report.target && line.version != report.version
        };
        let lines: Vec<&Line> = self.lines.iter().filter(others).collect();
        for each in &mut report.loops {
            each.before = lines.iter().rev().find_map(|line| before(line, each));
        }
    }

    /// Adds a line.
    pub(crate) fn append(mut self, report: &Report) -> Result<()> {
        let line = serde_json::to_string(report)?;
        // In one piece, so that runs side by side do not mix.
        self.file
            .write_all(format!("{line}\n").as_bytes())
            .with_context(|| format!("cannot write to {}", self.path.display()))
    }
}

fn before(line: &Line, now: &LoopReport) -> Option<Before> {
    let past = line.loops.iter().find(|past| past.name == now.name)?;
    let then = match (&past.timed, &past.counted) {
        (Some(timed), _) if now.timed.is_some() => &timed.quantities.first()?.on,
        (_, Some(counted)) if now.counted.is_some() => counted,
        _ => return None,
    };
    let (difference, error) = now.difference()?;
    Some(Before {
        version: line.version.clone(),
        date: line.date.clone(),
        verdict: past.verdict,
        difference: then.difference,
        growth: difference - then.difference,
        doubt: 1.96 * error.hypot(then.error),
    })
}
