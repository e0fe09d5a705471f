//! The rows of `figures`, in a table.

use crate::proof::{Length, Measured, Section};
use crate::rows::{self, Measurement, Row, digits};
use std::fmt::Write as _;

pub(super) fn cases() -> Vec<&'static str> {
    rows::ALL.iter().map(|measurement| measurement.name).collect()
}

pub(super) fn section(length: Length) -> Measured {
    let mut text =
        String::from("| name | operation | inferometer | the others | who does less |\n|---|---|---|---|---|\n");
    let mut failures = Vec::new();
    // There is no short form of them: a short look measures the first.
    let measurements = if length == Length::Short { &rows::ALL[..1] } else { &rows::ALL[..] };
    for measurement in measurements {
        for row in (measurement.run)() {
            let _ = writeln!(
                text,
                "{} {} {} | {} | {} |",
                beginning(measurement, &row),
                digits(row.ours),
                row.unit,
                in_order(&row, &row.peers),
                in_order(&row, &row.lesser),
            );
            failures.extend(row.regressions());
        }
    }
    Section { text, failures }.into()
}

/// A line of the table, as far as no figure is in it.
fn beginning(measurement: &Measurement, row: &Row) -> String {
    format!("| {} | {} |", measurement.name, row.name)
}

/// What the page in this text does not show of a row that was measured: the operation, or somebody who takes part.
pub fn not_shown(page: &str, measurement: &Measurement, row: &Row) -> Option<String> {
    let beginning = beginning(measurement, row);
    let Some(line) = page.lines().find(|line| line.starts_with(&beginning)) else {
        return Some(format!("the line of `{}`", row.name));
    };
    // Each stands at the end of a cell or before a break.
    let shows = |name: &str| [" |", "<br>"].iter().any(|end| line.contains(&format!(" {name}{end}")));
    let missing = row.peers.iter().chain(&row.lesser).find(|(name, _)| !shows(name));
    missing.map(|(name, _)| format!("{name} in the line of `{}`", row.name))
}

/// The best first.
fn in_order(row: &Row, figures: &[(String, f64)]) -> String {
    let mut figures = figures.to_vec();
    figures.sort_by(|a, b| a.1.total_cmp(&b.1));
    let figures: Vec<String> =
        figures.iter().map(|(name, value)| format!("{} {} {name}", digits(*value), row.unit)).collect();
    figures.join("<br>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_somebody_who_takes_part_is_stale() {
        let peers = vec![("a".to_owned(), 1.0), ("a, b".to_owned(), 2.0)];
        let row = Row {
            name: "counting",
            ours: 1.0,
            unit: "ns",
            peers,
            lesser: vec![("c".to_owned(), 3.0)],
            goals: Vec::new(),
            rivals: false,
            conditions: "",
            notes: Vec::new(),
        };
        let measurement = Measurement { name: "count", run: Vec::new };
        let shown = |page: &str| not_shown(page, &measurement, &row);
        assert_eq!(shown("| count | counting | 1 ns | 1 ns a<br>2 ns a, b | 3 ns c |"), None);
        for (page, missing) in [
            ("| count | other | 1 ns | 1 ns a<br>2 ns a, b | 3 ns c |", "the line"),
            ("| count | counting | 1 ns | 2 ns a, b | 3 ns c |", "a in"),
            ("| count | counting | 1 ns | 1 ns a | 3 ns c |", "a, b in"),
            ("| count | counting | 1 ns | 1 ns a<br>2 ns a, b |  |", "c in"),
        ] {
            assert!(shown(page).is_some_and(|what| what.starts_with(missing)), "{page}: {:?}", shown(page));
        }
    }

    #[test]
    fn the_readme_has_each_measurement_by_its_name() {
        let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"));
        for name in cases() {
            assert!(readme.contains(&format!("| `{name}` |")), "{name}");
        }
        assert!(readme.contains("`cargo xtask figures NAME`"));
    }
}
