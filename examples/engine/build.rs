//! Records which compiler builds this, and how: for the engine's report, and for the pages of the benches.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=RUSTC");
    let version = env::var("RUSTC")
        .ok()
        .and_then(|rustc| Command::new(rustc).arg("--version").output().ok())
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=BUILT_BY={}", version.trim());
    let profile = env::var("PROFILE").unwrap_or_default();
    println!("cargo::rustc-env=BUILT_AS={profile}");
}
