//! Measures the figures of the design. See the documentation of the library.
//!
//! `figures [--json] [--check] [NAME...]`: a name chooses a measurement, see [`rows::ALL`]. `--check` fails when a figure
//! is a regression, and when the page that shows the figures lacks one or somebody who was measured.

use inferometer_benches::allocations::Counting;
use inferometer_benches::compare::not_shown;
use inferometer_benches::rows::{self, Measurement, Row, memory};
use std::fs;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Where the figures are shown.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/compare.md");

/// How often a row that looks like a regression is measured before it counts as one.
const ATTEMPTS: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if memory::is_child(&arguments) {
        return ExitCode::SUCCESS;
    }
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    let (json, check) = (flag("--json"), flag("--check"));
    let chosen: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|argument| *argument == name);

    let page = if check { fs::read_to_string(PAGE).unwrap_or_default() } else { String::new() };
    let (mut all, mut stale) = (Vec::new(), Vec::new());
    for measurement in rows::ALL.iter().filter(|measurement| wanted(measurement.name)) {
        let rows = measure(measurement, check);
        if check {
            stale.extend(rows.iter().filter_map(|row| not_shown(&page, measurement, row)));
        }
        if !json {
            rows.iter().for_each(|row| println!("{}", row.to_text()));
        }
        all.extend(rows);
    }
    if json {
        match serde_json::to_string_pretty(&all) {
            Ok(text) => println!("{text}"),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    } else {
        for (name, why) in rows::LEFT_OUT {
            println!("not measured here: {name} ({why})");
        }
    }
    let regressions: Vec<String> = all.iter().flat_map(described).collect();
    if check {
        regressions.iter().for_each(|regression| eprintln!("REGRESSION {regression}"));
        stale.iter().for_each(|what| {
            eprintln!("STALE docs/compare.md does not show {what}; `cargo xtask compare figures` writes it anew");
        });
    }
    if check && !(regressions.is_empty() && stale.is_empty()) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The rows; with `check`, again while one looks like a regression, because another process may have been the reason.
fn measure(measurement: &Measurement, check: bool) -> Vec<Row> {
    let mut rows = (measurement.run)();
    for _ in 1..ATTEMPTS {
        if !check || rows.iter().all(|row| row.regressions().is_empty()) {
            break;
        }
        rows = (measurement.run)();
    }
    rows
}

fn described(row: &Row) -> Vec<String> {
    row.regressions().into_iter().map(|why| format!("{}: {why}", row.name)).collect()
}
