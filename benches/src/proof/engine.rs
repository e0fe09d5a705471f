//! What recording costs the example engine: by the release gate, by its records and what each of them costs, and by
//! instructions.

use super::{Length, Measured, Section};
use crate::contests::{counter, gauge, label, timed};
use crate::inputs::Distribution;
use crate::library::{Buckets, Library, Ours};
use crate::records::{KINDS, Records};
use crate::timing::{Contestant, Course, race};
use crate::workload::{ONE, Weights, count, observe, times};
use inferometer::{Registry, Sampling};
use serde_json::Value;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::rc::Rc;
use std::time::Instant;

/// What recording may cost, and what is hoped for.
const BUDGET: f64 = 0.01;
const TARGET: &str = "0.1%";

/// From this length on, in seconds, a step can have read as much as makes records cold.
const COLD_STEP: f64 = 1e-3;

/// The loops of the bench, and how long the gate measures each.
const MODELS: [(&str, &str); 3] = [("random-tiny", "60s"), ("random", "60s"), ("smollm2", "8m")];

/// Those whose instructions are counted. Under Valgrind, ten steps of the real model would take a quarter of an hour, and
/// they record the same.
const COUNTED: [&str; 2] = ["random-tiny", "random"];

pub(super) fn cases() -> Vec<&'static str> {
    MODELS.iter().map(|&(name, _)| name).chain(KINDS).collect()
}

/// What a cargo command prints.
fn cargo(length: Length, words: &[&str]) -> io::Result<String> {
    let mut cargo = Command::new("cargo");
    cargo.args(words);
    if length == Length::Short {
        // As the other tests build the engine, which takes minutes.
        let target = PathBuf::from(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
        cargo.env("CARGO_TARGET_DIR", target.join("native")).env("RUSTFLAGS", "-C target-cpu=native");
        cargo.env("CARGO_PROFILE_BENCH_DEBUG", "false").env_remove("CARGO_ENCODED_RUSTFLAGS");
    }
    let Output { status, stdout, stderr } = cargo.stdin(Stdio::null()).output()?;
    // The gate has an exit code for each verdict, and prints nothing where there is none.
    if stdout.is_empty() && !status.success() {
        let said = String::from_utf8_lossy(&stderr);
        return Err(io::Error::other(format!("`cargo {}` ended with {status}: {}", words.join(" "), said.trim())));
    }
    String::from_utf8(stdout).map_err(io::Error::other)
}

/// What the gate says of one loop.
fn gate(model: &str, options: &[&str]) -> io::Result<Value> {
    let mut words = vec!["run", "--quiet", "--release", "-p", "inferometer-cli", "--bin", "inferometer", "--", "check"];
    words.extend(["-p", "inferometer-example-engine", "--bench", "engine_step", "--loop", model, "--json"]);
    words.extend(options);
    let mut report: Value = serde_json::from_str(&cargo(Length::Full, &words)?)?;
    Ok(report["loops"][0].take())
}

/// What a model's steps record; none if the model is not there.
fn records(length: Length, model: &str) -> io::Result<Option<Records>> {
    let words =
        ["bench", "--quiet", "-p", "inferometer-example-engine", "--bench", "engine_step", "--", "--records", model];
    let printed = cargo(length, &words)?;
    let line = printed.lines().find(|line| line.starts_with('{'));
    line.map(|line| serde_json::from_str(line).map_err(io::Error::from)).transpose()
}

/// What one record of each kind costs, in nanoseconds.
struct Costs {
    /// One after the other.
    hot: Vec<f64>,
    /// Each after 48 MiB went through the caches.
    cold: Vec<f64>,
}

impl Costs {
    fn measured() -> Self {
        let weights = Weights::new();
        let kinds = operations();
        let hot = kinds.iter().map(|operation| {
            let operation = Rc::clone(operation);
            Contestant::new("hot", move |n| operation(n))
        });
        let hot = race(Course::SHORT, hot.collect()).iter().map(|timing| timing.quiet).collect();
        // The last does nothing: what is left is the clock around it.
        let nothing: Operation = Rc::new(|_| ());
        let cold = kinds.iter().chain([&nothing]).map(|operation| {
            let (operation, weights) = (black_box(Rc::clone(operation)), &weights);
            let once = move || {
                weights.stream();
                let start = Instant::now();
                operation(1);
                start.elapsed()
            };
            Contestant::timing_itself("cold", move |n| (0..n).map(|_| once()).sum())
        });
        let mut cold: Vec<f64> = race(Course::SINGLE, cold.collect()).iter().map(|timing| timing.median).collect();
        let clock = cold.pop().unwrap_or_default();
        cold.iter_mut().for_each(|cost| *cost -= clock);
        Costs { hot, cold }
    }
}

/// Does something so many times.
type Operation = Rc<dyn Fn(u64)>;

/// One of each of [`KINDS`], through a handle as the engine has it.
fn operations() -> [Operation; KINDS.len()] {
    let counted = counter::counter::<Ours>();
    let in_flight = Registry::new().up_down_counter("proof_in_flight", &[]).expect("a valid counter");
    let durations = Ours::histogram(&Ours::histograms(&mut Ours::registry(), "proof_seconds", Buckets::Both), ONE);
    let nanos = times::<Ours>(&Distribution::ALL[0].nanos());
    let [never, always] = [Sampling::EveryN(Sampling::MAX_N), Sampling::Always].map(timed::handle);
    [
        Rc::new(move |n| count::<Ours>(counted, n)),
        // Up and down again are two.
        Rc::new(move |n| gauge::up_down(&in_flight, n.div_ceil(2))),
        Rc::new(move |n| observe::<Ours>(&durations, &nanos, n)),
        Rc::new(move |n| timed::through_handle(&never, n)),
        Rc::new(move |n| timed::through_handle(&always, n)),
        Rc::new(|n| label::by_family(label::MODEL, n)),
        Rc::new(|n| (0..n).for_each(|_| _ = black_box(Instant::now()))),
    ]
}

/// What the records of a step cost, as a share of it.
fn share(records: &Records, costs: &[f64]) -> f64 {
    let nanos: f64 = records.each.iter().zip(costs).map(|(each, cost)| each * cost).sum();
    nanos / (1e9 * records.step_seconds)
}

/// What the section says, and what does not hold.
#[derive(Default)]
struct Found {
    text: String,
    failures: Vec<String>,
}

impl Found {
    /// By the gate: the first table.
    fn time(&mut self) -> io::Result<()> {
        self.text += "| model | a step | time of a step, and its 95 % bound | processor's time | verdict at 1 % | measured for | to show that it is below 0.1 % |\n\
                      |---|---|---|---|---|---|---|\n";
        for (model, time) in MODELS {
            let report = gate(model, &["--time", time, "--target", TARGET])?;
            let timed = &report["timed"];
            let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
            let quantity = |at: usize| {
                let on = &timed["quantities"][at]["on"];
                format!("{}, below {}", per_cent(number(&on["difference"])), per_cent(number(&on["upper"])))
            };
            let verdict = report["verdict"].as_str().unwrap_or_default();
            let to_show = &timed["to_show"];
            let _ = writeln!(
                self.text,
                "| {model} | {} | {} | {} | {verdict} | {:.0} s, {} pairs | {}, if it is {} |",
                milliseconds(number(&timed["step_seconds"])),
                quantity(0),
                quantity(1),
                number(&timed["seconds"]),
                timed["pairs"],
                minutes(number(&to_show["seconds"])),
                per_cent(number(&to_show["assumed"])),
            );
            if verdict != "PASS" {
                self.failures.push(format!("{model}: {verdict}: {}", report["reason"]));
            }
        }
        Ok(())
    }

    /// By the records of a step: the second.
    fn reckoned(&mut self, records: &[Records]) {
        let costs = Costs::measured();
        let mut row = |first: [String; 3], cells: &mut dyn Iterator<Item = String>| {
            let _ = writeln!(self.text, "| {} | {} |", first.join(" | "), cells.collect::<Vec<_>>().join(" | "));
        };
        let words = |words: [&str; 3]| words.map(str::to_owned);
        row(
            words(["a record, and how many a step has", "hot", "cold"]),
            &mut records.iter().map(|each| each.model.clone()),
        );
        row(words(["---"; 3]), &mut records.iter().map(|_| "---".to_owned()));
        for (at, kind) in KINDS.into_iter().enumerate() {
            let [hot, cold] = [&costs.hot, &costs.cold].map(|costs| format!("{:.1} ns", costs[at]));
            row([kind.to_owned(), hot, cold], &mut records.iter().map(|each| format!("{:.2}", each.each[at])));
        }
        row(words(["a step", "", ""]), &mut records.iter().map(|each| milliseconds(each.step_seconds)));
        for (name, costs) in [("all records, hot", &costs.hot), ("all records, cold", &costs.cold)] {
            row(words([name, "", ""]), &mut records.iter().map(|each| per_cent(share(each, costs))));
        }
        for each in records {
            // A shorter step does not push 48 MiB through the caches.
            let cold = each.step_seconds >= COLD_STEP;
            let share = share(each, if cold { &costs.cold } else { &costs.hot });
            if share >= BUDGET {
                self.failures.push(format!("{}: all records would take {}", each.model, per_cent(share)));
            }
        }
    }

    /// By instructions: the third.
    fn instructions(&mut self) -> io::Result<()> {
        self.text += "| model | instructions of a step | with its records | more |\n|---|---|---|---|\n";
        for model in COUNTED {
            let counted = gate(model, &["--instructions"])?["counted"].take();
            let number = |name: &str| counted[name].as_f64().unwrap_or(f64::NAN);
            let [off, on, more] = ["off", "on", "difference"].map(number);
            let _ = writeln!(self.text, "| {model} | {off:.0} | {on:.0} | {:.0}, {} |", on - off, per_cent(more));
            // What is no number is no proof either.
            if more.is_nan() || more >= BUDGET {
                self.failures.push(format!("{model}: {} more instructions", per_cent(more)));
            }
        }
        Ok(())
    }
}

pub(super) fn section(length: Length) -> Measured {
    let mut found = Found::default();
    let measure = |found: &mut Found| -> io::Result<()> {
        // A short look does not wait for the gate, nor for Valgrind.
        if length == Length::Full {
            found.time()?;
            found.text.push('\n');
        }
        let mut all = Vec::new();
        for (model, _) in MODELS {
            all.extend(records(length, model)?);
        }
        found.reckoned(&all);
        if length == Length::Full {
            found.text.push('\n');
            found.instructions()?;
        }
        Ok(())
    };
    let measured = measure(&mut found);
    let Found { text, mut failures } = found;
    failures.extend(measured.err().map(|error| error.to_string()));
    Section { text, failures }.into()
}

fn per_cent(share: f64) -> String {
    format!("{:.3} %", 100.0 * share)
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.3} ms", 1e3 * seconds)
}

fn minutes(seconds: f64) -> String {
    format!("{:.0} min", (seconds / 60.0).ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_take_the_sum_of_their_costs() {
        let mut each = [0.0; KINDS.len()];
        (each[0], each[2]) = (2.0, 3.0);
        let records = Records { model: "a".to_owned(), step_seconds: 1e-6, each };
        let mut costs = [0.0; KINDS.len()];
        (costs[0], costs[1], costs[2]) = (1.0, 99.0, 6.0);
        assert!((share(&records, &costs) - 0.02).abs() < 1e-12);
    }
}
