//! Memory of a series.
//!
//! Measured in a process for each figure: what one library freed, another would reuse.

use super::{Goal, Row};
use crate::allocations::Allocations;
use crate::inputs::Distribution;
use crate::library::{
    Buckets, Exporter, Exposition, Fastmetrics, Library as _, OpenTelemetry, Ours, Prometheus, PrometheusClient,
};
use crate::workload::{ONE, times};
use std::fs;
use std::process::Command;

/// The argument that makes the binary such a process.
const ARGUMENT: &str = "--memory";

/// Series in a family: as many as a family may have here.
const SERIES: usize = 1_000;
/// What each histogram has seen: so many buckets of a native one are in use.
const OBSERVATIONS: usize = 100;
const FAMILIES: [&str; 2] = ["bench_a_total", "bench_b_total"];

/// Bytes for each series.
#[derive(Clone, Copy, Debug)]
struct Bytes {
    allocated: f64,
    resident: f64,
    /// The same once the series were scraped, with what an encoder keeps for the next time.
    resident_after_scrape: f64,
}

/// A figure's kind of series.
#[derive(Clone, Copy, Debug)]
struct Kind {
    name: &'static str,
    buckets: Option<Buckets>,
    goal: f64,
}

const KINDS: [Kind; 3] = [
    Kind { name: "memory per counter (one thread)", buckets: None, goal: 200.0 },
    Kind { name: "memory per 15-bucket classic histogram (one thread)", buckets: Some(Buckets::Classic), goal: 700.0 },
    Kind { name: "memory per native + classic histogram (one thread)", buckets: Some(Buckets::Both), goal: 2_800.0 },
];

/// Makes series, records into each of them on this thread, and keeps the handles, as a program would.
fn measure<L: Exposition>(kind: Kind) -> Bytes {
    let mut registry = L::registry();
    let tenants: Vec<String> = (0..SERIES).map(|i| format!("tenant-{i:04}")).collect();
    let times = times::<L>(&Distribution::LogNormal(1.0).nanos()[..OBSERVATIONS]);
    let mut body = Vec::with_capacity(64 << 20);
    let make = |registry: &mut L::Registry, family, tenants: &[String]| {
        let mut counters = Vec::with_capacity(tenants.len());
        let mut histograms = Vec::with_capacity(tenants.len());
        match kind.buckets {
            None => {
                let family = L::counters(registry, family);
                counters.extend(tenants.iter().map(|tenant| L::counter(&family, [ONE[0], ONE[1], tenant])));
                counters.iter().for_each(|counter| L::add(counter, 1));
            }
            Some(buckets) => {
                let family = L::histograms(registry, family, buckets);
                histograms.extend(tenants.iter().map(|tenant| L::histogram(&family, [ONE[0], ONE[1], tenant])));
                for histogram in &histograms {
                    times.iter().for_each(|&time| L::observe(histogram, time));
                    // Else the samples of all histograms would wait for their buckets at the same time.
                    L::upkeep(registry);
                }
            }
        }
        (counters, histograms)
    };
    // What is there once, however many series there are.
    let _one = make(&mut registry, "bench_first_total", &tenants[..1]);
    let mut scraper = L::scraper(&registry);
    L::scrape(&registry, &mut scraper, &mut body);
    // The body is the caller's and is there already: its pages are touched, so that no scrape makes them resident.
    body.clear();
    body.resize(body.capacity(), 1);
    body.clear();

    let (resident, allocations) = (resident_bytes(), Allocations::now());
    let _handles = FAMILIES.map(|family| make(&mut registry, family, &tenants));
    let count = (FAMILIES.len() * SERIES) as f64;
    let allocated = Allocations::since(allocations).bytes as f64 / count;
    let used = (resident_bytes() - resident) as f64 / count;
    L::scrape(&registry, &mut scraper, &mut body);
    let used_after_scrape = (resident_bytes() - resident) as f64 / count;
    Bytes { allocated, resident: used, resident_after_scrape: used_after_scrape }
}

/// The memory of the process that is in use, exactly: `/proc/self/statm` may be off by many pages.
fn resident_bytes() -> i64 {
    let map = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = map.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<i64>().ok());
    kibibytes.unwrap_or(0) * 1_024
}

const LIBRARIES: [&str; 6] =
    [Ours::NAME, Exporter::NAME, Prometheus::NAME, PrometheusClient::NAME, Fastmetrics::NAME, OpenTelemetry::NAME];

/// Whether these are the arguments of such a process. If so, it has done its work.
pub fn is_child(arguments: &[String]) -> bool {
    let [argument, kind, library] = arguments else { return false };
    if argument == ARGUMENT {
        child(kind.parse().unwrap_or(usize::MAX), library);
    }
    argument == ARGUMENT
}

/// Prints the figures for `kind` (an index) and `library`.
fn child(kind: usize, library: &str) {
    let Some(&kind) = KINDS.get(kind) else { return };
    let bytes = match library {
        Ours::NAME => measure::<Ours>(kind),
        Exporter::NAME => measure::<Exporter>(kind),
        Prometheus::NAME => measure::<Prometheus>(kind),
        PrometheusClient::NAME => measure::<PrometheusClient>(kind),
        Fastmetrics::NAME => measure::<Fastmetrics>(kind),
        OpenTelemetry::NAME => measure::<OpenTelemetry>(kind),
        _ => return,
    };
    println!("{} {} {}", bytes.allocated, bytes.resident, bytes.resident_after_scrape);
}

fn ask(kind: usize, library: &str) -> Option<Bytes> {
    let output =
        Command::new(std::env::current_exe().ok()?).args([ARGUMENT, &kind.to_string(), library]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse().ok());
    Some(Bytes { allocated: numbers.next()?, resident: numbers.next()?, resident_after_scrape: numbers.next()? })
}

pub(super) fn rows() -> Vec<Row> {
    let row = |(at, kind): (usize, &Kind)| {
        let mut notes = Vec::new();
        let mut figures = Vec::new();
        for library in LIBRARIES {
            // Nobody else has both kinds of buckets in one histogram.
            if kind.buckets == Some(Buckets::Both) && ![Ours::NAME, PrometheusClient::NAME].contains(&library) {
                continue;
            }
            let Some(bytes) = ask(at, library) else { continue };
            notes.push(format!(
                "{library}: {:.0} allocated, {:.0} resident, {:.0} resident after a scrape",
                bytes.allocated, bytes.resident, bytes.resident_after_scrape
            ));
            figures.push((library.to_owned(), bytes.resident));
        }
        if kind.buckets == Some(Buckets::Both) {
            notes.push(format!(
                "{} keeps native buckets in a sparse map behind a lock, so it is smaller and is no measure here",
                PrometheusClient::NAME
            ));
        }
        let ours = if figures.is_empty() { 0.0 } else { figures.remove(0).1 };
        Row {
            name: kind.name,
            ours,
            unit: "bytes",
            peers: figures,
            lesser: Vec::new(),
            goals: vec![Goal::AtMost(kind.goal)],
            rivals: kind.buckets != Some(Buckets::Both),
            conditions: "resident, before the first scrape; 2,000 series in two families, 3 labels, one thread has recorded \
                         into all and has a handle of each; a process each; histograms with 100 observations, log-normal, sigma 1",
            notes,
        }
    };
    KINDS.iter().enumerate().map(row).collect()
}
