//! The OpenMetrics parser of Python's `prometheus_client`, which nobody here wrote and which lets little pass.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::exposition::Labels;
use crate::skip::skip;

/// Reads a page from its input and prints what it holds, a line of JSON for each family.
const SCRIPT: &str = r#"
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
page = sys.stdin.buffer.read().decode("utf-8")
for family in text_string_to_metric_families(page):
    samples = []
    for s in family.samples:
        exemplar = s.exemplar and {"labels": s.exemplar.labels, "value": repr(s.exemplar.value), "time": s.exemplar.timestamp is not None}
        samples.append({"name": s.name, "labels": s.labels, "value": repr(s.value), "exemplar": exemplar})
    print(json.dumps({"name": family.name, "type": family.type, "unit": family.unit, "help": family.documentation, "samples": samples}))
"#;

/// A family as Python read it.
#[derive(Debug)]
pub struct Family {
    /// Its name, without the suffixes of its samples.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Its unit, or nothing.
    pub unit: String,
    /// Its help text.
    pub help: String,
    /// Its samples.
    pub samples: Vec<Sample>,
}

/// A sample as Python read it.
#[derive(Debug)]
pub struct Sample {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
    /// Its exemplar's labels and value.
    pub exemplar: Option<(Labels, f64)>,
}

/// Reads a page: what it holds, or what the parser has against it. `None` if the test has to be skipped.
///
/// # Panics
///
/// If Python cannot be run, or prints what this cannot read.
pub fn parse(page: &str) -> Option<Result<Vec<Family>, String>> {
    let python = || {
        let mut command = Command::new("python3");
        if let Some(packages) = std::env::var_os("INFEROMETER_PYTHON_PACKAGES") {
            command.env("PYTHONPATH", packages);
        }
        command
    };
    let there = python().args(["-c", "import prometheus_client.openmetrics.parser"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        skip("no Python with prometheus_client: pip install prometheus_client");
        return None;
    }
    let mut child = python()
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it ran a moment ago");
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    let page = page.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(page.as_bytes()));
    let output = child.wait_with_output().expect("a child can be waited for");
    let _ = writer.join().expect("the thread does not panic"); // it may have stopped reading, and said why
    if !output.status.success() {
        return Some(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    Some(Ok(text.lines().map(family).collect()))
}

fn family(line: &str) -> Family {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let text = |name: &str| value[name].as_str().unwrap_or_else(|| panic!("no {name}: {line}")).to_owned();
    let samples = value["samples"].as_array().expect("a list of samples").iter().map(sample).collect();
    Family { name: text("name"), kind: text("type"), unit: text("unit"), help: text("help"), samples }
}

fn sample(value: &Value) -> Sample {
    let labels = |value: &Value| -> Labels {
        let labels: BTreeMap<String, String> = serde_json::from_value(value.clone()).expect("labels are text");
        labels
    };
    let exemplar = &value["exemplar"];
    let exemplar = (!exemplar.is_null()).then(|| {
        assert_eq!(exemplar["time"], true, "an exemplar without a time");
        (labels(&exemplar["labels"]), number(&exemplar["value"]))
    });
    let name = value["name"].as_str().expect("a sample has a name").to_owned();
    Sample { name, labels: labels(&value["labels"]), value: number(&value["value"]), exemplar }
}

/// Python writes a float so that it is read as the same one.
fn number(value: &Value) -> f64 {
    let text = value.as_str().expect("a number as text");
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}
