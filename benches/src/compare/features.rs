//! What the libraries do and do not do, each tried out.

use super::unscraped;
use crate::allocations::Allocations;
use crate::inputs::Distribution;
use crate::library::{
    Buckets, Exporter, Exposition, Fastmetrics, Library, Metriken, MetrikenSharded, OpenTelemetry, Ours, Prometheus,
    PrometheusClient,
};
use crate::proof::{Length, Measured, Section};
use crate::workload::{DecodeStep, ONE, Populated, times};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// What a record or a scrape of a library is tried for. Each is true where the library does it.
#[derive(Clone, Copy, Debug)]
struct Features {
    name: &'static str,
    records_without_allocating: bool,
    bounded_unscraped: bool,
    /// What only shows in a scrape, of those that have one.
    scraped: Option<Scraped>,
}

#[derive(Clone, Copy, Debug)]
struct Scraped {
    without_allocating: bool,
    labels_apart: bool,
    not_a_number_is_harmless: bool,
    last_bucket_is_count: bool,
    sum_fits_count: bool,
}

/// A row of the table.
type Feature = (&'static str, fn(&Features) -> Option<bool>);

const FEATURES: [Feature; 8] = [
    ("Prometheus's text format", |features| Some(features.scraped.is_some())),
    ("a record through a handle allocates nothing", |features| Some(features.records_without_allocating)),
    ("memory is bounded when nobody scrapes", |features| Some(features.bounded_unscraped)),
    ("a scrape allocates nothing, once it is warm", |features| Some(features.scraped?.without_allocating)),
    ("the labels `ab`, `c` and `a`, `bc` are two series", |features| Some(features.scraped?.labels_apart)),
    ("one NaN does not spoil a sum for ever", |features| Some(features.scraped?.not_a_number_is_harmless)),
    ("`+Inf` is `_count` in each scrape while others record", |features| Some(features.scraped?.last_bucket_is_count)),
    ("`_sum` fits `_count` in each scrape while others record", |features| Some(features.scraped?.sum_fits_count)),
];

/// What is not so of ours. All the others are.
const NOT_OURS: [&str; 1] = ["`_sum` fits `_count` in each scrape while others record"];

pub(super) fn cases() -> Vec<&'static str> {
    FEATURES.iter().map(|&(name, _)| name).collect()
}

/// What can be tried without a scrape.
fn recorded<L: Library>(buckets: Buckets) -> Features {
    let mut registry = L::registry();
    let decode = DecodeStep::<L>::new(&mut registry, buckets);
    let times = times::<L>(&Distribution::ALL[0].nanos());
    decode.record_all(&times, 10_000);
    let before = Allocations::now();
    decode.record_all(&times, 10_000);
    let records_without_allocating = Allocations::since(before).count == 0;
    let bounded_unscraped = unscraped::is_bounded(&unscraped::kept::<L>(buckets));
    Features { name: L::NAME, records_without_allocating, bounded_unscraped, scraped: None }
}

/// The rest as well. `spoil` makes a histogram and records one NaN and a one.
fn all_of<L: Exposition>(buckets: Buckets, spoil: fn(&mut L::Registry), time: Duration) -> Features {
    let (last_bucket_is_count, sum_fits_count) = consistent::<L>(time);
    let scraped = Scraped {
        without_allocating: scrapes_without_allocating::<L>(),
        labels_apart: keeps_labels_apart::<L>(),
        not_a_number_is_harmless: survives::<L>(spoil),
        last_bucket_is_count,
        sum_fits_count,
    };
    Features { scraped: Some(scraped), ..recorded::<L>(buckets) }
}

fn text_of<L: Exposition>(registry: &L::Registry, scraper: &mut L::Scraper, body: &mut Vec<u8>) -> String {
    body.clear();
    L::scrape(registry, scraper, body);
    String::from_utf8_lossy(body).into_owned()
}

fn scrapes_without_allocating<L: Exposition>() -> bool {
    let populated = Populated::<L>::new(Buckets::Classic, &Distribution::ALL[0].nanos());
    let mut scraper = L::scraper(&populated.registry);
    let mut body = Vec::new();
    let mut scrape = || {
        body.clear();
        L::scrape(&populated.registry, &mut scraper, &mut body);
    };
    (0..3).for_each(|_| scrape());
    let before = Allocations::now();
    scrape();
    Allocations::since(before).count == 0
}

fn keeps_labels_apart<L: Exposition>() -> bool {
    let mut registry = L::registry();
    let counters = L::counters(&mut registry, "apart_total");
    let handles = [["ab", "c", "x"], ["a", "bc", "x"]].map(|labels| L::counter(&counters, labels));
    handles.iter().for_each(|counter| L::add(counter, 1));
    let text = text_of::<L>(&registry, &mut L::scraper(&registry), &mut Vec::new());
    // Some add the suffix of counters once more, and one leaves it out.
    let series = |line: &&str| line.starts_with("apart") && line.contains("model_name=\"a");
    let counts: Vec<&str> = text.lines().filter(series).filter_map(|line| line.rsplit(' ').next()).collect();
    assert!(!counts.is_empty(), "{}'s exposition is not understood: {text}", L::NAME);
    counts == ["1", "1"]
}

/// The values of the lines of this name.
fn values<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = f64> + 'a {
    let lines =
        text.lines().filter(move |line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok())
}

const SPOILT: &str = "spoilt_seconds";

fn survives<L: Exposition>(spoil: fn(&mut L::Registry)) -> bool {
    let mut registry = L::registry();
    spoil(&mut registry);
    let text = text_of::<L>(&registry, &mut L::scraper(&registry), &mut Vec::new());
    let Some(sum) = values(&text, &format!("{SPOILT}_sum")).next() else {
        panic!("{}'s exposition is not understood: {text}", L::NAME)
    };
    sum == 1.0
}

/// One that is not a number, and a second.
fn spoil<L: Library<Time = f64>>(registry: &mut L::Registry) {
    let histogram = L::histogram(&L::histograms(registry, SPOILT, Buckets::Classic), ONE);
    [f64::NAN, 1.0].into_iter().for_each(|seconds| L::observe(&histogram, seconds));
}

fn spoil_ours(registry: &mut inferometer::Registry) {
    let histogram: inferometer::Histogram<f64> = registry.histogram(SPOILT, &[]).expect("a valid histogram");
    [f64::NAN, 1.0].into_iter().for_each(|seconds| histogram.record(seconds));
}

/// Whether the last bucket is the count, and whether the sum of ones is, in each scrape while another thread records.
fn consistent<L: Exposition>(time: Duration) -> (bool, bool) {
    const NAME: &str = "consistent_seconds";
    let mut registry = L::registry();
    let histogram = L::histogram(&L::histograms(&mut registry, NAME, Buckets::Classic), ONE);
    let one = L::time(1_000_000_000);
    let done = AtomicBool::new(false);
    let mut consistent = (true, true);
    let scrape = |scraper: &mut L::Scraper, body: &mut Vec<u8>| {
        let text = text_of::<L>(&registry, scraper, body);
        ["_bucket", "_count", "_sum"].map(|suffix| values(&text, &format!("{NAME}{suffix}")).last())
    };
    // While nobody records, all are.
    let (mut scraper, mut body) = (L::scraper(&registry), Vec::new());
    (0..10).for_each(|_| L::observe(&histogram, one));
    assert_eq!(scrape(&mut scraper, &mut body), [Some(10.0); 3], "{}'s exposition is not understood", L::NAME);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                (0..100).for_each(|_| L::observe(&histogram, one));
                L::upkeep(&registry);
            }
        });
        let begin = Instant::now();
        while begin.elapsed() < time {
            let [last_bucket, count, sum] = scrape(&mut scraper, &mut body);
            consistent.0 &= last_bucket == count;
            // A sum of so many ones is exact.
            consistent.1 &= sum == count;
        }
        done.store(true, Relaxed);
    });
    consistent
}

fn tried(time: Duration) -> Vec<Features> {
    vec![
        all_of::<Ours>(Buckets::Both, spoil_ours, time),
        all_of::<Exporter>(Buckets::Classic, spoil::<Exporter>, time),
        all_of::<Prometheus>(Buckets::Classic, spoil::<Prometheus>, time),
        all_of::<PrometheusClient>(Buckets::Classic, spoil::<PrometheusClient>, time),
        all_of::<Fastmetrics>(Buckets::Classic, spoil::<Fastmetrics>, time),
        all_of::<OpenTelemetry>(Buckets::Classic, spoil::<OpenTelemetry>, time),
        recorded::<Metriken>(Buckets::Native),
        recorded::<MetrikenSharded>(Buckets::Native),
    ]
}

pub(super) fn section(length: Length) -> Measured {
    let time = if length == Length::Short { Duration::from_millis(200) } else { Duration::from_secs(2) };
    let libraries = tried(time);
    let mut text = String::from("| |");
    libraries.iter().for_each(|library| _ = write!(text, " {} |", library.name));
    let _ = writeln!(text, "\n|---|{}", "---|".repeat(libraries.len()));
    let mut failures = Vec::new();
    for (name, feature) in FEATURES {
        let _ = write!(text, "| {name} |");
        for library in &libraries {
            let shown = feature(library).map_or("", |does| if does { "yes" } else { "no" });
            let _ = write!(text, " {shown} |");
        }
        text.push('\n');
        if feature(&libraries[0]) == Some(false) && !NOT_OURS.contains(&name) {
            failures.push(format!("not so of ours: {name}"));
        }
    }
    Section { text, failures }.into()
}
