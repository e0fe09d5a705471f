//! Prometheus's own judge of a page.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Has `promtool check metrics` read a page: `Ok` if it has nothing to say against it.
///
/// # Panics
///
/// If it cannot be run. The message says what to install.
pub fn check(page: &str) -> Result<(), String> {
    let output = run(page);
    if output.status.success() { Ok(()) } else { Err(told(&output)) }
}

/// Has it read a page, whatever it thinks of the names: `Ok` if it can.
///
/// # Panics
///
/// If it cannot be run. The message says what to install.
pub fn read(page: &str) -> Result<(), String> {
    /// What it exits with when it has read the page and has something to say.
    const LINTED: i32 = 3;
    let output = run(page);
    if output.status.success() || output.status.code() == Some(LINTED) { Ok(()) } else { Err(told(&output)) }
}

fn told(output: &Output) -> String {
    let [said, complained] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{}: {said}{complained}", output.status)
}

fn run(page: &str) -> Output {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run promtool ({error}): apt-get install prometheus"));
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    let page = page.to_owned();
    // It prints while it reads; with both ends here, each could wait for the other.
    let writer = std::thread::spawn(move || stdin.write_all(page.as_bytes()));
    let output = child.wait_with_output().expect("a child can be waited for");
    let _ = writer.join().expect("the thread does not panic"); // it may have stopped reading, and said why
    output
}
