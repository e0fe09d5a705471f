//! The gate on a loop whose overhead is known. The budget is wide, so that these tests hold on a busy machine; whether
//! the gate is right at a narrow one is another file's matter.

mod support;

use support::{FAIL, FAILED_TO_RUN, INCONCLUSIVE, INVALID, PASS, check, outcome, synthetic};

#[test]
#[ignore = "measures; the stage `release gate` of `cargo xtask test` runs it"]
fn a_loop_without_overhead_passes() {
    let (code, stdout, stderr) = synthetic("--time 5s --budget 20% --target 10%", "--overhead 0");
    assert_eq!(code, PASS, "{stdout}{stderr}");
    for part in
        ["PASS synthetic: below 20 %", "time of a step", "processor's time", "to show that the overhead is below 10 %"]
    {
        assert!(stdout.contains(part), "{part} is not in {stdout}");
    }
}

#[test]
#[ignore = "measures; the stage `release gate` of `cargo xtask test` runs it"]
fn a_loop_that_costs_more_than_the_budget_fails() {
    let (code, stdout, stderr) = synthetic("--time 5s --budget 20% --json", "--overhead 0.8");
    assert_eq!(code, FAIL, "{stdout}{stderr}");
    let report: serde_json::Value = serde_json::from_str(&stdout).expect("JSON and nothing else");
    for quantity in &report["loops"][0]["timed"]["quantities"].as_array().expect("quantities")[..2] {
        let found = |comparison: &str| quantity[comparison]["difference"].as_f64().expect("a number");
        assert!((found("on") - 0.8).abs() < 0.08, "{stdout}");
        assert!(found("again").abs() < 0.04, "{stdout}");
        assert!((found("control") - 0.4).abs() < 0.04, "{stdout}");
    }
}

#[test]
#[ignore = "measures; the stage `release gate` of `cargo xtask test` runs it"]
fn a_machine_on_which_nothing_can_be_told_is_invalid() {
    let (code, stdout, stderr) = synthetic("--time 5s --json", "--scatter 3");
    assert_eq!(code, INVALID, "{stdout}{stderr}");
    let report: serde_json::Value = serde_json::from_str(&stdout).expect("JSON and nothing else");
    assert_eq!(report["verdict"], "INVALID");
    assert!(report["loops"][0]["reason"].as_str().is_some_and(|reason| reason.contains("too noisy")), "{stdout}");
    // The control says how much longer it takes, and with such a machine it takes long.
    let seconds = report["loops"][0]["timed"]["seconds_to_decide"].as_f64().expect("a time");
    assert!(seconds > 60.0, "{stdout}");
}

#[test]
#[ignore = "measures; the stage `release gate` of `cargo xtask test` runs it"]
fn a_run_that_is_too_short_is_inconclusive() {
    let (code, stdout, stderr) = synthetic("--time 2s --budget 20% --markdown", "--pause 0.5");
    assert_eq!(code, INCONCLUSIVE, "{stdout}{stderr}");
    assert!(stdout.starts_with("## Overhead of recording: INCONCLUSIVE\n"), "{stdout}");
    assert!(stdout.contains("give it more time"), "{stdout}");
}

#[test]
#[ignore = "measures; the stage `release gate` of `cargo xtask test` runs it"]
fn a_history_compares_releases() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("history.jsonl");
    let options = format!("--time 3s --budget 50% --history {}", file.display());
    let (code, stdout, stderr) = synthetic(&options, "");
    assert_eq!(code, PASS, "{stdout}{stderr}");
    assert!(!stdout.contains("since then"), "there is nothing to compare with: {stdout}");
    // The same release again is no news; what another one wrote is.
    let line = std::fs::read_to_string(&file).expect("a line");
    assert_eq!(line.lines().count(), 1);
    let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(line.contains(&version), "{line}");
    std::fs::write(&file, line.replace(&version, "\"version\":\"0.0.7\"") + &line).expect("it is writable");
    let (code, stdout, stderr) = synthetic(&options, "");
    assert_eq!(code, PASS, "{stdout}{stderr}");
    assert!(stdout.contains("0.0.7 (") && stdout.contains("since then"), "{stdout}");
    assert_eq!(std::fs::read_to_string(&file).expect("lines").lines().count(), 3);
}

#[test]
#[ignore = "builds in release; the stage `release gate` of `cargo xtask test` runs it"]
fn what_cannot_be_checked_is_an_error_of_its_own() {
    for (words, says) in [
        (&["--bench", "none", "-p", "inferometer-cli"][..], "could not be built"),
        (&["--example", "synthetic", "-p", "inferometer-cli", "--loop", "other"], "no loop `other`"),
        (&["--example", "synthetic", "-p", "inferometer-cli", "--cores", "999"], "core 999"),
        (&["--example", "synthetic", "-p", "inferometer-cli", "--time", "1ms"], "within 1ms"),
        (&["--example", "synthetic", "--budget", "1"], "with its sign"),
        (&["--example", "synthetic", "--history", "no/such/directory/history.jsonl"], "cannot open no/such"),
        (&["--example", "synthetic", "--history", "Cargo.toml"], "line 1 of Cargo.toml is no result"),
        (&[], "--bench"),
    ] {
        let (code, stdout, stderr) = outcome(&mut check(words));
        assert_eq!(code, FAILED_TO_RUN, "{words:?}: {stdout}{stderr}");
        assert!(stderr.contains(says) && stdout.is_empty(), "{words:?}: {stdout}{stderr}");
    }
}

#[test]
fn a_cargo_that_is_not_there_is_named() {
    let mut command = check(&["--example", "synthetic"]);
    let (code, _, stderr) = outcome(command.env("CARGO", "/no/such/cargo"));
    assert_eq!(code, FAILED_TO_RUN, "{stderr}");
    assert!(stderr.starts_with("error: cannot run cargo: is it on the PATH?: No such file"), "{stderr}");
}

/// The count is the same every time, so the loop's known overhead is found to a tenth of a per cent.
#[test]
#[ignore = "measures; the stage `release gate` of `cargo xtask test` runs it"]
fn instructions_are_counted_where_valgrind_is() {
    let valgrind = std::process::Command::new("valgrind").arg("--version").output();
    let (code, stdout, stderr) = synthetic("--instructions --json", "--overhead 0.05");
    if !valgrind.is_ok_and(|output| output.status.success()) {
        assert_eq!(code, FAILED_TO_RUN, "{stdout}{stderr}");
        assert!(stderr.contains("needs `valgrind`"), "{stderr}");
        return;
    }
    assert_eq!(code, FAIL, "{stdout}{stderr}");
    let report: serde_json::Value = serde_json::from_str(&stdout).expect("JSON and nothing else");
    let difference = report["loops"][0]["counted"]["difference"].as_f64().expect("a number");
    assert!((difference - 0.05).abs() < 0.001, "{stdout}");
}
