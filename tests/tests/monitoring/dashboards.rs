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
    let mut dashboards = Vec::new();
    for profile in ["canonical", "basic", "vllm"] {
        for file in Rendered::new(&["--profile", profile]).files("grafana/dashboards") {
            dashboards.push(fs::read_to_string(&file).expect("a dashboard"));
        }
    }
    assert!(dashboards.len() >= 10, "{}", dashboards.len());
    let complaints = check(project.path(), &dashboards);
    assert!(complaints.is_empty(), "{complaints}");
    // What is wrong is noticed, in each.
    let json = fs::read_to_string(inferometer_e2e::root().join("examples/monitoring/grafana/dashboards/gpu.json"));
    let json = json.expect("a dashboard");
    let wrong = [("\"gridPos\"", "\"gridpos\""), ("\"schemaVersion\": 39", "\"schemaVersion\": \"39\"")];
    let wrong = wrong.map(|(right, wrong)| json.replace(right, wrong));
    let complaints = check(project.path(), &wrong);
    for (at, wrong) in wrong.iter().enumerate() {
        assert!(*wrong != json && complaints.contains(&format!("dashboard-{at}.ts")), "{at}: {complaints}");
    }
}

/// Has dashboards type-checked, all at once, as what Grafana says that one is. Returns what is wrong.
fn check(project: &Path, dashboards: &[String]) -> String {
    let mut compiler = Command::new("node");
    compiler
        .arg("node_modules/typescript/bin/tsc")
        .args(["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"])
        .current_dir(project);
    for (at, json) in dashboards.iter().enumerate() {
        let name = format!("dashboard-{at}.ts");
        let source = format!(
            "import type {{ Dashboard }} from '@grafana/schema';\nexport const dashboard: Dashboard = {json};\n"
        );
        fs::write(project.join(&name), source).expect("a file can be written");
        compiler.arg(name);
    }
    let output = compiler.output().expect("node comes with npm");
    let complaints = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.success(), complaints.is_empty(), "{complaints}");
    complaints
}
