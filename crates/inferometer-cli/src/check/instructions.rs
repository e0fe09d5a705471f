//! Instructions instead of time: the same count on every machine and at every load.
//!
//! Valgrind runs the program, and counts what is done between the entry of the function that does the steps and its end.
//! An instruction is not a unit of time: what waits for memory costs more, and so does a system call. But a machine that
//! is too noisy for anything else can count.

use super::builds::Built;
use super::process::{Order, Process};
use super::report::{Counted, LoopReport};
use crate::percent::Percent;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The function of `inferometer::overhead` that does the steps and nothing else, whatever the compiler adds to its name.
const COUNTED: &str = "*inferometer_measured_steps*";

/// How long the steps take that are counted, under Valgrind.
const TIME: Duration = Duration::from_secs(10);

/// Fewer are no sample of what an engine does.
const FEWEST_STEPS: u64 = 10;

/// Whether there is a Valgrind.
pub(crate) fn ensure_possible() -> Result<()> {
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    ensure!(
        valgrind.is_ok_and(|status| status.success()),
        "counting instructions needs `valgrind`, which does not run"
    );
    Ok(())
}

pub(crate) fn count(
    built: &Built,
    args: &[String],
    name: &str,
    patience: Duration,
    budget: Percent,
) -> Result<LoopReport> {
    eprintln!("   Counting `{name}`");
    // As many for both, or they would be at different points of what they do.
    let start = |program| Counter::start(built, program, args, name, patience);
    let steps = start(&built.off)?.steps_within(TIME)?;
    let counted = |program| -> Result<f64> {
        let mut counter = start(program)?;
        counter.run(steps)?;
        Ok(counter.instructions()? as f64 / steps as f64)
    };
    let (off, on) = (counted(&built.off)?, counted(&built.on)?);
    Ok(LoopReport::of_instructions(name, Counted { off, on, difference: on / off - 1.0, steps }, budget))
}

/// A program under Valgrind.
struct Counter {
    process: Process,
    counts: std::path::PathBuf,
}

impl Counter {
    fn start(built: &Built, program: &Path, args: &[String], name: &str, patience: Duration) -> Result<Self> {
        let counts = built.directory.join("callgrind.out");
        let mut valgrind = Command::new("valgrind");
        valgrind.arg("--tool=callgrind").arg(format!("--toggle-collect={COUNTED}"));
        let mut file = std::ffi::OsString::from("--callgrind-out-file=");
        file.push(&counts);
        valgrind.arg(file).arg(program).args(args);
        let mut process = Process::start(valgrind, &built.log(), patience)?;
        process.open(name, 1, 0)?;
        Ok(Counter { process, counts })
    }

    /// Twice as many steps, of which the first half is not counted: what the first steps do is done once, such as to find
    /// out how fast the processor's counter is.
    fn run(&mut self, steps: u64) -> Result<()> {
        self.process.run(Order { lead: steps, steps, group: 0, waste: 0.0 }).map(|_| ())
    }

    /// How many steps take about so long.
    fn steps_within(mut self, time: Duration) -> Result<u64> {
        let begun = Instant::now();
        let mut steps = 1;
        while begun.elapsed() < time {
            self.run(steps)?;
            steps *= 2;
        }
        Ok(steps.max(FEWEST_STEPS))
    }

    /// Ends the program and reads what was counted.
    fn instructions(self) -> Result<u64> {
        self.process.end()?;
        let text =
            fs::read_to_string(&self.counts).with_context(|| format!("Valgrind wrote no {}", self.counts.display()))?;
        match instructions_in(&text) {
            Some(count) if count > 0 => Ok(count),
            _ => bail!(
                "Valgrind has not seen the steps: are the program's symbols stripped? (`strip = false` in the profile)"
            ),
        }
    }
}

/// The sum that callgrind writes at the end.
fn instructions_in(text: &str) -> Option<u64> {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("totals:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_found() {
        let file = "version: 1\nevents: Ir\nsummary: 0\n\nfn=(1) f\n3 17\n\ntotals: 123456\n";
        assert_eq!(instructions_in(file), Some(123_456));
        assert_eq!(instructions_in("version: 1\n"), None);
    }
}
