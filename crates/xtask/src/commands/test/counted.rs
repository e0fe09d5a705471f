//! What the output of `cargo test` says.

use anyhow::{Result, bail};

use crate::report::Outcome;

/// How a test says that it could not run; the rest of the line is the reason.
const SKIPPED: &str = "skipped test: ";

/// The outcome of test programs that succeeded. That none of them had a test to run is a failure: a filter or a file
/// name that no longer matches anything must not look like success.
pub(crate) fn outcome(output: &str) -> Result<Outcome> {
    let (passed, ignored) = totals(output);
    if passed == 0 {
        bail!("no test ran");
    }
    let mut reasons: Vec<&str> = output.lines().filter_map(|line| Some(line.split_once(SKIPPED)?.1)).collect();
    reasons.dedup();
    if !reasons.is_empty() {
        return Ok(Outcome::Skipped(reasons.join("; ")));
    }
    let ignored = if ignored == 0 { String::new() } else { format!(", {ignored} ignored") };
    Ok(Outcome::Passed(format!("{passed} tests{ignored}")))
}

/// Passed and ignored tests, from lines such as `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
fn totals(output: &str) -> (u64, u64) {
    let mut totals = (0, 0);
    for line in output.lines().filter(|line| line.starts_with("test result: ")) {
        let number_before = |word: &str| {
            let words: Vec<&str> = line.split([' ', ';']).filter(|word| !word.is_empty()).collect();
            let at = words.iter().position(|&other| other == word)?;
            words.get(at.checked_sub(1)?)?.parse::<u64>().ok()
        };
        totals.0 += number_before("passed").unwrap_or(0);
        totals.1 += number_before("ignored").unwrap_or(0);
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "running 3 tests\n\
        test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s\n\
        test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";

    #[test]
    fn results_are_added_up() {
        let Ok(Outcome::Passed(note)) = outcome(TWO) else { panic!("passed") };
        assert_eq!(note, "7 tests, 1 ignored");
    }

    #[test]
    fn nothing_run_is_a_failure() {
        outcome("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out").expect_err("nothing ran");
    }

    #[test]
    fn a_test_that_skips_itself_is_reported() {
        let output = format!("skipped test: no network\n{TWO}");
        let Ok(Outcome::Skipped(why)) = outcome(&output) else { panic!("skipped") };
        assert_eq!(why, "no network");
    }
}
