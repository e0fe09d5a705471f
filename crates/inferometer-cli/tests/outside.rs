//! A crate that is no part of this workspace, and has inferometer as it is packaged: one command checks it.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{PASS, check, outcome};

/// Packages the library as it would be published, and unpacks it.
fn packaged(directory: &Path) -> [(&'static str, PathBuf); 2] {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["package", "--no-verify", "--allow-dirty", "--quiet", "-p", "inferometer-derive", "-p", "inferometer"]);
    let (code, stdout, stderr) = outcome(cargo.arg("--target-dir").arg(directory));
    assert_eq!(code, 0, "{stdout}{stderr}");
    ["inferometer", "inferometer-derive"].map(|name| {
        let package = format!("{name}-{}", env!("CARGO_PKG_VERSION"));
        let mut tar = Command::new("tar");
        tar.current_dir(directory.join("package")).arg("-xzf").arg(format!("{package}.crate"));
        let (code, stdout, stderr) = outcome(&mut tar);
        assert_eq!(code, 0, "{stdout}{stderr}");
        (name, directory.join("package").join(package))
    })
}

#[test]
#[ignore = "measures; the stage `release gate` of `cargo xtask test` runs it"]
fn a_crate_outside_the_workspace_is_checked_in_one_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut manifest = include_str!("outside/manifest.toml").to_owned();
    for (name, path) in packaged(directory.path()) {
        manifest += &format!("{name} = {{ path = {:?} }}\n", path.display().to_string());
    }
    let outside = directory.path().join("outside");
    fs::create_dir_all(outside.join("src")).expect("a directory");
    fs::create_dir_all(outside.join("examples")).expect("a directory");
    fs::write(outside.join("Cargo.toml"), manifest).expect("a file");
    fs::write(outside.join("src/lib.rs"), include_str!("outside/lib.rs")).expect("a file");
    fs::write(outside.join("examples/decode.rs"), include_str!("outside/decode.rs")).expect("a file");

    let mut command = check(&["--example", "decode", "--time", "5s", "--budget", "20%"]);
    // Its own target directory, whatever that of this test is.
    command.current_dir(&outside).env_remove("CARGO_TARGET_DIR").env_remove("CARGO_MANIFEST_DIR");
    let (code, stdout, stderr) = outcome(&mut command);
    assert_eq!(code, PASS, "{stdout}{stderr}");
    assert!(stdout.contains("PASS decode: below 20 %"), "{stdout}");
    assert!(outside.join("target/inferometer-check/off").is_dir());
}
