//! The result, for people, programs and the summaries of continuous integrations.

use super::analysis;
use super::builds::Built;
use super::history::Before;
use super::race::{Clock, Race};
use super::statistics::Estimate;
use super::verdict::{Comparison, Verdict};
use crate::percent::Percent;
use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use comfy_table::{CellAlignment, Table, TableStyle};
use serde::Serialize;
use std::fmt::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// A run that decides later than this does not decide.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The version of this program.
    pub(crate) inferometer: &'static str,
    pub(crate) package: String,
    pub(crate) version: String,
    /// What `git describe` says, where there is a repository.
    pub(crate) revision: Option<String>,
    pub(crate) target: String,
    pub(crate) date: String,
    pub(crate) budget: Percent,
    pub(crate) verdict: Verdict,
    pub(crate) loops: Vec<LoopReport>,
}

/// One loop.
#[derive(Debug, Serialize)]
pub(crate) struct LoopReport {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// In words.
    pub(crate) reason: String,
    /// Of a run that measured time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timed: Option<Timed>,
    /// Of a run that counted instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) counted: Option<Counted>,
    /// The last result of another release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Before>,
}

/// What was measured of a loop.
#[derive(Debug, Serialize)]
pub(crate) struct Timed {
    pub(crate) quantities: Vec<Quantity>,
    /// How long a step of the baseline takes.
    pub(crate) step_seconds: f64,
    pub(crate) steps_a_block: u64,
    pub(crate) pairs: usize,
    pub(crate) crews: usize,
    pub(crate) seconds: f64,
    /// How long a run is likely to decide, if this one did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds_to_decide: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to_show: Option<ToShow>,
}

/// One row.
#[derive(Debug, Serialize)]
pub(crate) struct Quantity {
    pub(crate) name: &'static str,
    /// Whether the verdict waits for this one. Those that do not can only fail.
    pub(crate) required: bool,
    pub(crate) verdict: Verdict,
    #[serde(flatten)]
    pub(crate) comparison: Comparison,
}

/// What it takes to show that the overhead is below a target.
#[derive(Debug, Serialize)]
pub(crate) struct ToShow {
    pub(crate) target: Percent,
    /// If the overhead is this.
    pub(crate) assumed: Percent,
    pub(crate) pairs: f64,
    pub(crate) seconds: f64,
}

/// Instructions of a step.
#[derive(Debug, Serialize)]
pub(crate) struct Counted {
    pub(crate) off: f64,
    pub(crate) on: f64,
    pub(crate) difference: f64,
    pub(crate) steps: u64,
}

impl LoopReport {
    /// From what was measured.
    pub(crate) fn of_race(name: &str, race: &Race, budget: Percent, target: Option<Percent>) -> Self {
        let mut quantities = Vec::new();
        let mut add = |name, required: bool, comparison: Option<Comparison>| {
            quantities.extend(comparison.map(|comparison| {
                let verdict = match comparison.verdict(budget) {
                    // A tail is so noisy that this says little about the run.
                    Verdict::Invalid if !required => Verdict::Inconclusive,
                    verdict => verdict,
                };
                Quantity { name, required, verdict, comparison }
            }));
        };
        add("time of a step", true, analysis::of_mean(race, Clock::Wall));
        add("processor's time", true, analysis::of_mean(race, Clock::Cpu));
        add("p99 of the time", false, analysis::of_p99(race, Clock::Wall));
        add("p99 of the processor's", false, analysis::of_p99(race, Clock::Cpu));

        let counting = |quantity: &&Quantity| quantity.required || quantity.verdict == Verdict::Fail;
        let worst = quantities.iter().filter(counting).max_by_key(|quantity| quantity.verdict);
        let verdict = worst.map_or(Verdict::Inconclusive, |worst| worst.verdict);
        let required = || quantities.iter().filter(|quantity| quantity.required).map(|quantity| &quantity.comparison);
        let longest = |growth: &dyn Fn(&Comparison) -> f64| required().map(growth).reduce(f64::max);
        let seconds = race.time.as_secs_f64();
        let undecided = matches!(verdict, Verdict::Inconclusive | Verdict::Invalid);
        let seconds_to_decide =
            longest(&|each| each.growth_to_decide(budget)).filter(|_| undecided).map(|growth| growth * seconds);
        let to_show = target.and_then(|target| {
            let growth = longest(&|each| each.growth_to_show(target))?;
            let assumed = required().map(|each| each.assumed(target).0).fold(0.0, f64::max);
            let pairs = (race.rounds as f64 * growth).ceil();
            Some(ToShow { target, assumed: Percent(assumed), pairs, seconds: seconds * growth })
        });
        let reason = reason(worst, budget, seconds_to_decide);
        LoopReport {
            name: name.to_owned(),
            verdict,
            reason,
            timed: Some(Timed {
                quantities,
                step_seconds: race.step.as_secs_f64(),
                steps_a_block: race.steps,
                pairs: race.rounds,
                crews: race.crews.len(),
                seconds,
                seconds_to_decide,
                to_show,
            }),
            counted: None,
            before: None,
        }
    }

    /// From what was counted.
    pub(crate) fn of_instructions(name: &str, counted: Counted, budget: Percent) -> Self {
        let passes = counted.difference < budget.0;
        let (verdict, is) = if passes { (Verdict::Pass, "is") } else { (Verdict::Fail, "is not") };
        let reason = format!("{}, which {is} below {budget}, in instructions", share(counted.difference));
        LoopReport { name: name.to_owned(), verdict, reason, timed: None, counted: Some(counted), before: None }
    }

    /// What releases are compared by.
    pub(crate) fn difference(&self) -> Option<(f64, f64)> {
        let timed = self.timed.as_ref().and_then(|timed| timed.quantities.first());
        let timed = timed.map(|quantity| (quantity.comparison.on.difference, quantity.comparison.on.error));
        timed.or(self.counted.as_ref().map(|counted| (counted.difference, 0.0)))
    }
}

fn reason(worst: Option<&Quantity>, budget: Percent, seconds_to_decide: Option<f64>) -> String {
    let Some(Quantity { name, verdict, comparison, .. }) = worst else {
        return "the programs start too slowly for so short a run; give it more time".to_owned();
    };
    let Comparison { on, again, control } = comparison;
    let longer = || match seconds_to_decide.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    {
        Some(time) if time <= PATIENCE => format!("a run of {} is likely to decide", rounded(time)),
        _ => "the overhead is so near to the budget that no run of a day would decide".to_owned(),
    };
    match verdict {
        Verdict::Pass => format!("below {budget}, with 95 % confidence ({name}: {})", share(on.upper)),
        Verdict::Fail => format!("above {budget}, with 95 % confidence ({name}: {})", share(on.lower)),
        Verdict::Inconclusive => {
            format!("between {} and {} ({name}); {}", share(on.lower), share(on.upper), longer())
        }
        Verdict::Invalid if !again.may_be_none() => format!(
            "the baseline differs from itself by {} ({name}): something changed the machine during the run",
            share(again.difference)
        ),
        Verdict::Invalid => format!(
            "too noisy to notice a control that is {} slower ({name}: at least {}); {}",
            Percent(super::CONTROL * budget.0),
            share(control.lower),
            longer()
        ),
    }
}

impl Report {
    pub(crate) fn new(built: &Built, budget: Percent, loops: Vec<LoopReport>) -> Self {
        Report {
            inferometer: env!("CARGO_PKG_VERSION"),
            package: built.package.clone(),
            version: built.version.clone(),
            revision: revision(),
            target: built.target.clone(),
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            budget,
            verdict: loops.iter().map(|each| each.verdict).max().unwrap_or(Verdict::Inconclusive),
            loops,
        }
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for each in &self.loops {
            // Writing to a string does not fail.
            let _ = writeln!(text, "\n{} {}: {}\n", each.verdict, each.name, each.reason);
            for line in each.table(NOTHING).lines() {
                let _ = writeln!(text, "  {}", line.trim_end());
            }
            text.push('\n');
            for line in each.notes() {
                let _ = writeln!(text, "  {line}");
            }
        }
        text
    }

    /// For the page of a continuous integration.
    pub(crate) fn markdown(&self) -> String {
        let revision = self.revision.as_deref().map_or_else(String::new, |revision| format!(" ({revision})"));
        let mut text = format!(
            "## Overhead of recording: {}\n\n`{}` of {} {}{revision}, budget {}\n",
            self.verdict, self.target, self.package, self.version, self.budget
        );
        for each in &self.loops {
            let _ = writeln!(text, "\n### {}: {}\n\n{}\n", each.name, each.verdict, each.reason);
            let _ = writeln!(text, "{}\n", each.table(ASCII_MARKDOWN));
            for line in each.notes() {
                let _ = writeln!(text, "- {line}");
            }
        }
        text
    }
}

impl LoopReport {
    fn table(&self, style: TableStyle) -> Table {
        let mut table = Table::new();
        table.load_style(style);
        if let Some(timed) = &self.timed {
            table.set_header(["", "overhead", "95 % bound", "off again", "control", ""]);
            for Quantity { name, required, verdict, comparison } in &timed.quantities {
                let Comparison { on, again, control } = comparison;
                let verdict =
                    if *required || *verdict == Verdict::Fail { verdict.to_string() } else { format!("({verdict})") };
                table.add_row([
                    (*name).to_owned(),
                    share(on.difference),
                    share(on.upper),
                    range(again),
                    range(control),
                    verdict,
                ]);
            }
        }
        if let Some(counted) = &self.counted {
            table.set_header(["", "off", "on", "overhead"]);
            table.add_row([
                "instructions of a step".to_owned(),
                format!("{:.0}", counted.off),
                format!("{:.0}", counted.on),
                share(counted.difference),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(timed) = &self.timed {
            notes.push(format!(
                "a step takes {}; {} pairs of blocks of {} steps, by {} sets of processes, in {}",
                short(timed.step_seconds),
                timed.pairs,
                timed.steps_a_block,
                timed.crews,
                rounded(Duration::from_secs_f64(timed.seconds)),
            ));
            if let Some(ToShow { target, assumed, pairs, seconds }) = &timed.to_show {
                let time = Duration::try_from_secs_f64(*seconds).unwrap_or(Duration::MAX);
                notes.push(format!(
                    "to show that the overhead is below {target}: {pairs:.0} pairs, {}, if it is {}",
                    rounded(time),
                    share(assumed.0),
                ));
            }
        }
        if let Some(before) = &self.before {
            notes.push(before.to_string());
        }
        notes
    }
}

/// A share with its sign.
pub(crate) fn share(value: f64) -> String {
    format!("{:+.2} %", 100.0 * value)
}

fn range(estimate: &Estimate) -> String {
    format!("{:+.2} to {:+.2} %", 100.0 * estimate.interval.0, 100.0 * estimate.interval.1)
}

/// In whole seconds, minutes or hours, rounded up: what a run needs should not be shortened.
fn rounded(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil() as u64;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3_600)),
    }
}

/// The time of a step.
fn short(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.3} us", s * 1e6),
        s if s < 1.0 => format!("{:.3} ms", s * 1e3),
        s => format!("{s:.3} s"),
    }
}

fn revision() -> Option<String> {
    let mut git = Command::new("git");
    let output = git.args(["describe", "--always", "--dirty", "--tags"]).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
