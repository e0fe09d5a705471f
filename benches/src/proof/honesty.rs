//! Whether the release gate is right about loops whose overhead is known.
//!
//! `inferometer check` is run on its example `synthetic`, which takes longer by a share that it is told.

use super::{Length, Measured, Section};
use std::fmt::Write as _;
use std::io;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The gate's verdicts, by its exit code; 2 is none.
const VERDICTS: [(i32, &str); 4] = [(0, "PASS"), (1, "FAIL"), (3, "INVALID"), (4, "INCONCLUSIVE")];
const PASS: usize = 0;
const FAIL: usize = 1;

/// How often the gate may pass what costs exactly the budget.
const FALSE_PASSES: f64 = 0.05;

/// One loop.
#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    /// In budgets.
    overhead: f64,
    /// Whether every core is busy with something else.
    crowded: bool,
    /// How often it is tried, on the page and in a short look.
    runs: [usize; 2],
    right: Right,
}

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// A PASS is so rare that one in twenty is possible.
    SeldomPasses,
    NeverPasses,
    /// No FAIL, and some PASS: a gate that never passes would be right everywhere else.
    Passes,
    NeverFails,
}

const CASES: [Case; 5] = [
    Case { name: "exactly the budget", overhead: 1.0, crowded: false, runs: [100, 4], right: Right::SeldomPasses },
    Case { name: "twice the budget", overhead: 2.0, crowded: false, runs: [50, 3], right: Right::NeverPasses },
    Case { name: "none", overhead: 0.0, crowded: false, runs: [20, 3], right: Right::Passes },
    Case { name: "none, beside busy programs", overhead: 0.0, crowded: true, runs: [10, 1], right: Right::NeverFails },
    Case {
        name: "three times the budget, beside busy programs",
        overhead: 3.0,
        crowded: true,
        runs: [10, 1],
        right: Right::NeverPasses,
    },
];

pub(super) fn cases() -> Vec<&'static str> {
    CASES.iter().map(|case| case.name).collect()
}

pub(super) fn section(length: Length) -> Measured {
    // A short look at a busy machine resolves no single per cent.
    let (seconds, budget) = if length == Length::Full { (4, 1.0) } else { (3, 10.0) };
    let mut section = Section {
        text: format!(
            "Each gate ran for {seconds} s with a budget of {budget} %.\n\n\
             | overhead | gates | PASS | FAIL | INVALID | INCONCLUSIVE | PASS, with its 95 % interval |\n\
             |---|---|---|---|---|---|---|\n"
        ),
        failures: Vec::new(),
    };
    for case in &CASES {
        let runs = case.runs[usize::from(length != Length::Full)];
        match case.run(runs, seconds, budget) {
            Ok(ended) => {
                let [least, most] = interval(ended[PASS], runs).map(|share| 100.0 * share);
                let counts = ended.map(|count| count.to_string()).join(" | ");
                // Writing to a string does not fail.
                let _ = writeln!(section.text, "| {} | {runs} | {counts} | {least:.1} to {most:.1} % |", case.name);
                if !case.right.holds(ended, runs) {
                    section.failures.push(format!("{}: {ended:?} of {VERDICTS:?}", case.name));
                }
            }
            Err(error) => section.failures.push(format!("{}: {error}", case.name)),
        }
    }
    section.into()
}

impl Right {
    fn holds(self, ended: [usize; 4], runs: usize) -> bool {
        match self {
            Right::SeldomPasses => interval(ended[PASS], runs)[0] <= FALSE_PASSES,
            Right::NeverPasses => ended[PASS] == 0,
            Right::Passes => ended[PASS] > 0 && ended[FAIL] == 0,
            Right::NeverFails => ended[FAIL] == 0,
        }
    }
}

impl Case {
    /// How many gates ended with each verdict.
    fn run(&self, runs: usize, seconds: u64, budget: f64) -> io::Result<[usize; 4]> {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let cores = if self.crowded { std::thread::available_parallelism().map_or(1, usize::from) } else { 0 };
            for _ in 0..cores {
                scope.spawn(|| {
                    while !stop.load(Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let mut ended = [0; 4];
            let all =
                (0..runs).try_for_each(|_| gate(self.overhead * budget, seconds, budget).map(|at| ended[at] += 1));
            stop.store(true, Relaxed);
            all.map(|()| ended)
        })
    }
}

/// Runs one, and returns which of the verdicts it came to.
fn gate(overhead: f64, seconds: u64, budget: f64) -> io::Result<usize> {
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--release", "-p", "inferometer-cli", "--bin", "inferometer", "--", "check"]);
    cargo.args(["-p", "inferometer-cli", "--example", "synthetic"]);
    cargo.args(["--time", &format!("{seconds}s"), "--budget", &format!("{budget}%")]);
    cargo.args(["--", "--overhead", &(overhead / 100.0).to_string()]);
    let Output { status, stderr, .. } = cargo.stdin(Stdio::null()).output()?;
    let verdict = VERDICTS.iter().position(|&(code, _)| status.code() == Some(code));
    verdict.ok_or_else(|| io::Error::other(format!("no verdict: {}", String::from_utf8_lossy(&stderr).trim())))
}

/// Wilson's interval of 95 % for a share of which so many were seen.
fn interval(seen: usize, all: usize) -> [f64; 2] {
    let (seen, all, z) = (seen as f64, all as f64, 1.96_f64);
    let middle = (seen + z * z / 2.0) / (all + z * z);
    let width = z * (seen * (all - seen) / all + z * z / 4.0).sqrt() / (all + z * z);
    [(middle - width).max(0.0), middle + width]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_tables() {
        // Brown, Cai and DasGupta, 2001.
        let [least, most] = interval(0, 50);
        assert!(least < 1e-9 && (most - 0.0713).abs() < 5e-4, "{least} {most}");
        let [least, most] = interval(5, 100);
        assert!((least - 0.0215).abs() < 5e-4 && (most - 0.1118).abs() < 5e-4, "{least} {most}");
    }

    #[test]
    fn a_gate_that_passes_everything_or_nothing_is_found_out() {
        for (ended, holds) in
            [([100, 0, 0, 0], [false, false, true, true]), ([0, 0, 50, 50], [true, true, false, true])]
        {
            let rights = [Right::SeldomPasses, Right::NeverPasses, Right::Passes, Right::NeverFails];
            assert_eq!(rights.map(|right| right.holds(ended, 100)), holds, "{ended:?}");
        }
        assert!(!Right::NeverFails.holds([0, 1, 0, 0], 1));
        assert!(!Right::SeldomPasses.holds([11, 89, 0, 0], 100) && Right::SeldomPasses.holds([8, 92, 0, 0], 100));
    }
}
