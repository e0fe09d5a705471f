//! The dashboards as Grafana's own types see them. There is no Grafana to show them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use inferometer_e2e::monitoring::Rendered;
use inferometer_e2e::skip::skip;

const PACKAGES: [&str; 2] = ["@grafana/schema@13.2.3", "typescript@5.9.3"];

#[test]
fn dashboards_are_of_grafanas_types() {
    let project = tempfile::tempdir().expect("a temporary directory can be made");
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]).arg(project.path()).args(PACKAGES);
    match npm.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            return skip(&format!("npm cannot install {PACKAGES:?}: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Err(error) => return skip(&format!("cannot run npm ({error}): apt-get install npm")),
    }
    for profile in ["canonical", "basic", "vllm"] {
        for file in Rendered::new(&["--profile", profile]).files("grafana/dashboards") {
            let json = fs::read_to_string(&file).expect("a dashboard");
            check(project.path(), &json).unwrap_or_else(|error| panic!("{profile}: {}: {error}", file.display()));
        }
    }
    // What is wrong is noticed.
    let json = fs::read_to_string(inferometer_e2e::root().join("examples/monitoring/grafana/dashboards/gpu.json"));
    let json = json.expect("a dashboard");
    for (right, wrong) in [("\"gridPos\"", "\"gridpos\""), ("\"schemaVersion\": 39", "\"schemaVersion\": \"39\"")] {
        let wrong = json.replace(right, wrong);
        assert_ne!(wrong, json);
        assert!(check(project.path(), &wrong).is_err(), "{right}");
    }
}

/// Has a dashboard type-checked as what Grafana says that one is.
fn check(project: &Path, json: &str) -> Result<(), String> {
    let source =
        format!("import type {{ Dashboard }} from '@grafana/schema';\nexport const dashboard: Dashboard = {json};\n");
    fs::write(project.join("dashboard.ts"), source).expect("a file can be written");
    let output = Command::new("node")
        .arg("node_modules/typescript/bin/tsc")
        .args(["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"])
        .arg("dashboard.ts")
        .current_dir(project)
        .output()
        .expect("node comes with npm");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stdout).into_owned()) }
}
