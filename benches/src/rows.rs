//! The rows of the design's table "Figures to reach" that are about records, scrapes, registration and memory.

mod catalogue;
mod counter;
mod create;
mod decode_step;
mod histogram;
mod label;
pub mod memory;
mod scrape;
mod threads;
mod timed;

use crate::timing::Timing;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use std::fmt::Write as _;

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The operation.
    pub name: &'static str,
    /// Ours.
    pub ours: f64,
    /// Of all the figures.
    pub unit: &'static str,
    /// The others'.
    #[serde(serialize_with = "as_map")]
    pub peers: Vec<(String, f64)>,
    /// Those of others that do less, so that no goal is about them.
    #[serde(serialize_with = "as_map", skip_serializing_if = "Vec::is_empty")]
    pub lesser: Vec<(String, f64)>,
    /// What must be reached.
    pub goals: Vec<Goal>,
    /// Whether being worse than a peer is a regression.
    #[serde(skip)]
    pub rivals: bool,
    /// Inputs and threads.
    pub conditions: &'static str,
    /// Further figures.
    pub notes: Vec<String>,
}

fn as_map<S: Serializer>(pairs: &[(String, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (name, value) in pairs {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

/// What our figure must be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// At most this, in the row's unit.
    AtMost(f64),
    /// At most this share of the peer's figure.
    ShareOf(&'static str, f64),
    /// At most this share of the best peer's figure.
    ShareOfBest(f64),
}

/// A peer's figure may be this much smaller than ours before we count as worse: batches on a busy machine differ so
/// much.
const TOLERANCE: f64 = 1.1;

impl Row {
    /// The goals that are missed, in words.
    pub fn missed_goals(&self) -> Vec<String> {
        let missed = |goal: &Goal| match *goal {
            Goal::AtMost(most) => (self.ours > most).then(|| format!("above {} {}", digits(most), self.unit)),
            Goal::ShareOf(peer, share) => {
                let value = self.peers.iter().find(|(name, _)| name == peer)?.1;
                (self.ours > share * value).then(|| format!("above {share:.3} of {peer}"))
            }
            Goal::ShareOfBest(share) => {
                let (peer, value) = self.best_peer()?;
                (self.ours > share * value).then(|| format!("above {share:.3} of {peer}"))
            }
        };
        self.goals.iter().filter_map(missed).collect()
    }

    fn best_peer(&self) -> Option<&(String, f64)> {
        self.peers.iter().min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Why this is a regression: twice the goal, or worse than a peer.
    pub fn regressions(&self) -> Vec<String> {
        let mut regressions = Vec::new();
        for goal in &self.goals {
            if let Goal::AtMost(most) = *goal
                && self.ours > 2.0 * most
            {
                regressions.push(format!("{} {} is more than twice {}", digits(self.ours), self.unit, digits(most)));
            }
        }
        if let Some((peer, value)) = self.best_peer()
            && self.rivals
            && self.ours > TOLERANCE * value
        {
            regressions.push(format!("{} {} is worse than {peer}'s {}", digits(self.ours), self.unit, digits(*value)));
        }
        regressions
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut text = String::from(self.name);
        let missed = self.missed_goals();
        let verdict = if missed.is_empty() { "reached".to_owned() } else { format!("MISSED: {}", missed.join(", ")) };
        let _ = writeln!(text, "\n  {:<44} {:>10} {}   {verdict}", "inferometer", digits(self.ours), self.unit);
        let mut line = |peer: &str, value: f64, remark: &str| {
            let ratio = value / self.ours;
            let _ = writeln!(text, "  {peer:<44} {:>10} {}   {ratio:.1} x ours{remark}", digits(value), self.unit);
        };
        self.peers.iter().for_each(|(peer, value)| line(peer, *value, ""));
        self.lesser.iter().for_each(|(peer, value)| line(peer, *value, ", and does less"));
        let _ = writeln!(text, "  {}", self.conditions);
        for note in &self.notes {
            let _ = writeln!(text, "  {note}");
        }
        text
    }
}

/// Three digits that matter.
pub(crate) fn digits(value: f64) -> String {
    match value.abs() {
        x if x >= 100.0 => format!("{value:.0}"),
        x if x >= 10.0 => format!("{value:.1}"),
        x if x >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Ours is the first of the timings.
fn split(timings: Vec<Timing>) -> (f64, Vec<(String, f64)>) {
    let mut times = timings.into_iter().map(|timing| (timing.name, timing.quiet));
    let ours = times.next().map_or(0.0, |(_, time)| time);
    (ours, times.collect())
}

/// Further timings in one line.
fn note(title: &str, timings: &[Timing]) -> String {
    let timings: Vec<String> =
        timings.iter().map(|timing| format!("{} {}", timing.name, digits(timing.quiet))).collect();
    format!("{title}: {} ns", timings.join(", "))
}

/// Something that measures one or more rows.
#[derive(Clone, Copy, Debug)]
pub struct Measurement {
    /// A short name, by which it can be chosen.
    pub name: &'static str,
    /// Does it.
    pub run: fn() -> Vec<Row>,
}

/// All of them, in the order of the design's table. The memory rows are measured first by the binary, since they need
/// processes of their own.
pub const ALL: [Measurement; 11] = [
    Measurement { name: "counter", run: counter::rows },
    Measurement { name: "threads", run: threads::rows },
    Measurement { name: "label", run: label::rows },
    Measurement { name: "histogram", run: histogram::declared_rows },
    Measurement { name: "histogram-run-time", run: histogram::run_time_rows },
    Measurement { name: "timed", run: timed::rows },
    Measurement { name: "decode-step", run: decode_step::rows },
    Measurement { name: "catalogue", run: catalogue::rows },
    Measurement { name: "scrape", run: scrape::rows },
    Measurement { name: "create", run: create::rows },
    Measurement { name: "memory", run: memory::rows },
];

/// The rows of the design's table that are not measured here, and why.
pub const LEFT_OUT: [(&str, &str); 1] =
    [("end to end on a real model, upper 95 % bound of the overhead", "see the bench `inference`")];
