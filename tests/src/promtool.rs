//! Prometheus's own judge of a page.

use std::io::Write;
use std::process::{Command, Stdio};

/// Has `promtool check metrics` read a page: `Ok` if it has nothing to say against it.
///
/// # Panics
///
/// If it cannot be run. The message says what to install.
pub fn check(page: &str) -> Result<(), String> {
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
    writer.join().expect("the thread does not panic").map_err(|error| format!("promtool stopped reading: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}
