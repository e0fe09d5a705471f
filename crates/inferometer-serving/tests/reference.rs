//! The page of all metrics is that of the table, and no page or example names a metric that is not in it.

use inferometer_serving::Metric;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../examples/reference.rs"]
#[allow(dead_code)]
mod reference;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_page_is_up_to_date() {
    let page = fs::read_to_string(repository().join("docs/metrics.md")).unwrap();
    assert!(
        page == reference::page(),
        "docs/metrics.md is not the table: cargo run -p inferometer-serving --example reference > docs/metrics.md"
    );
}

#[test]
fn every_metric_that_is_named_anywhere_is_in_the_table() {
    let mut files = vec![repository().join("README.md")];
    collect(&repository().join("docs"), &mut files);
    collect(&repository().join("examples"), &mut files);
    let unknown: Vec<String> = files.iter().flat_map(|file| unknown_names(file)).collect();
    assert!(unknown.is_empty(), "not in the catalogue:\n{}", unknown.join("\n"));
    assert!(files.len() > 30, "nothing was looked at");
}

/// What the names of the catalogue can be followed by: what Prometheus adds to a histogram, and the sampler.
const SUFFIXES: [&str; 6] = ["", "_bucket", "_sum", "_count", "_events_total", "_samples_total"];

/// What looks like a metric and is none of the catalogue: the names of the profile `basic`, and those that pages give as
/// examples of mistakes or of metrics of one's own.
const OTHERS: [&str; 3] = ["inference_latency_seconds", "inference_queue_depth", "inference_steps_total"];

fn unknown_names(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let name_of = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let starts = text.match_indices("inference_").map(|(at, _)| at);
    starts
        .filter(|&at| !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "_:-".contains(c)))
        .map(|at| name_of(&text[at..]))
        // Ends in an underscore: the beginning of a name that is made up from parts.
        .filter(|name| !name.ends_with('_') && !is_known(name))
        .map(|name| format!("{}: {name}", file.display()))
        .collect()
}

fn is_known(name: &str) -> bool {
    let is = |known: &str| SUFFIXES.iter().any(|suffix| name.strip_suffix(suffix) == Some(known));
    Metric::ALL.iter().any(|metric| is(metric.spec().name)) || OTHERS.iter().any(|other| is(other))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if path.is_dir() {
            collect(&path, files);
        } else if ["md", "rs", "yml", "yaml", "json"].contains(&extension) {
            files.push(path);
        }
    }
}
