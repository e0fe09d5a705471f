//! `docs/faults.md` says which test keeps which promise; this keeps it true.

use std::collections::BTreeSet;
use std::fs;

use inferometer_e2e::root;

/// The faults that the crates of this repository have to survive. The others belong to parts that are not written yet.
fn promised() -> BTreeSet<u32> {
    (1..=51).chain(60..=70).collect()
}

/// A line of the table.
#[derive(Debug)]
struct Row {
    number: u32,
    promise: String,
    /// The last column: tests as `file` `function`, or why there is none.
    tests: String,
}

fn rows(document: &str) -> Vec<Row> {
    document
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
            let [number, promise, tests] = cells[..] else { return None };
            Some(Row { number: number.parse().ok()?, promise: promise.to_owned(), tests: tests.to_owned() })
        })
        .collect()
}

/// The tests that a cell names, as pairs of a file and a function: `` `file`: `function`, `function` ``, further files
/// after semicolons.
fn tests_in(cell: &str) -> Vec<(String, String)> {
    let mut tests = Vec::new();
    for part in cell.split(';') {
        let mut code = part.split('`').skip(1).step_by(2);
        let Some(file) = code.next().filter(|file| file.ends_with(".rs")) else { continue };
        tests.extend(code.map(|function| (file.to_owned(), function.to_owned())));
    }
    tests
}

fn document() -> String {
    let path = root().join("docs/faults.md");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_fault_is_in_the_map_once() {
    let rows = rows(&document());
    let mut seen = BTreeSet::new();
    for row in &rows {
        assert!(seen.insert(row.number), "fault {} stands there twice", row.number);
        assert!(!row.promise.is_empty(), "fault {} promises nothing", row.number);
    }
    let missing: Vec<_> = promised().difference(&seen).copied().collect();
    assert!(missing.is_empty(), "not in docs/faults.md: {missing:?}");
}

#[test]
fn every_test_in_the_map_exists() {
    let mut wrong = Vec::new();
    for row in rows(&document()) {
        for (file, function) in tests_in(&row.tests) {
            match fs::read_to_string(root().join(&file)) {
                Err(error) => wrong.push(format!("fault {}: {file}: {error}", row.number)),
                Ok(source) if source.contains(&format!("fn {function}(")) => {}
                Ok(_) => wrong.push(format!("fault {}: {file} has no `fn {function}`", row.number)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_fault_has_a_test_or_a_reason() {
    let without: Vec<_> = rows(&document())
        .into_iter()
        .filter(|row| tests_in(&row.tests).is_empty())
        .filter(|row| !["not yet: ", "not tested: "].iter().any(|reason| row.tests.contains(reason)))
        .map(|row| format!("fault {}: `{}`", row.number, row.tests))
        .collect();
    assert!(without.is_empty(), "neither a test nor a reason:\n{}", without.join("\n"));
}

#[test]
fn the_table_is_read_as_it_is_meant() {
    let text =
        "| fault | promise | tests |\n|---|---|---|\n| 7 | Stays up | `a/b.rs`: `one`, `two`; `c.rs`: `three` |\n";
    let rows = rows(text);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].number, 7);
    let tests: Vec<_> = tests_in(&rows[0].tests);
    let pair = |file: &str, function: &str| (file.to_owned(), function.to_owned());
    assert_eq!(tests, [pair("a/b.rs", "one"), pair("a/b.rs", "two"), pair("c.rs", "three")]);
    assert!(tests_in("not yet: with the GPU probes").is_empty());
}
