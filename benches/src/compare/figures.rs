//! The rows of `figures`, in a table.

use crate::proof::{Length, Measured, Section};
use crate::rows::{self, Row, digits};
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
            let operation = row.part.map_or_else(|| row.name.to_owned(), |part| format!("memory per {part}"));
            let _ = writeln!(
                text,
                "| {} | {operation} | {} {} | {} | {} |",
                measurement.name,
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
    fn the_readme_has_each_measurement_by_its_name() {
        let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"));
        for name in cases() {
            assert!(readme.contains(&format!("| `{name}` |")), "{name}");
        }
        assert!(readme.contains("`cargo xtask figures NAME`"));
    }
}
