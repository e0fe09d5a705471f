//! A scrape in the text format, and in ours of the other formats.

use super::{Goal, Row};
use crate::allocations::Allocations;
use crate::inputs::Distribution;
use crate::library::{Buckets, Exporter, Exposition, Fastmetrics, OpenTelemetry, Ours, Prometheus, PrometheusClient};
use crate::timing::{Contestant, Course, race};
use crate::workload::Populated;
use inferometer_prometheus::Format;
use std::cell::RefCell;
use std::time::Instant;

/// What was seen of one library beside the time.
#[derive(Default)]
struct Seen {
    bytes: usize,
    allocations: u64,
}

/// A turn begins with a scrape that is not timed. Without it, the time would be that of fetching what the contestants before
/// have driven out of the caches, which differs by a factor of three with what else the machine does.
fn contestant<'a, L: Exposition>(populated: &'a Populated<L>, seen: &'a RefCell<Seen>) -> Contestant<'a> {
    let mut scraper = L::scraper(&populated.registry);
    let mut body = Vec::new();
    Contestant::timing_itself(L::NAME, move |n| {
        let mut scrape = || {
            let before = Allocations::now();
            body.clear();
            L::scrape(&populated.registry, &mut scraper, &mut body);
            *seen.borrow_mut() = Seen { bytes: body.len(), allocations: Allocations::since(before).count };
        };
        scrape();
        let start = Instant::now();
        (0..n).for_each(|_| scrape());
        start.elapsed()
    })
}

const TEXT: &str = "our text";

/// Our own scrape in a format.
fn formatted<'a>(name: &'static str, format: Format, populated: &'a Populated<Ours>) -> Contestant<'a> {
    let exporter = <Ours as Exposition>::scraper(&populated.registry);
    let mut body = Vec::new();
    Contestant::new(name, move |n| {
        for _ in 0..n {
            body.clear();
            exporter.render_into(format, &mut body);
        }
    })
}

fn formats(ours: &Populated<Ours>) -> impl Iterator<Item = Row> {
    let contestants = [
        (TEXT, Format::Text),
        ("the same scrape as OpenMetrics", Format::OpenMetrics),
        ("the same scrape as protobuf", Format::Protobuf),
    ];
    let timings = race(Course::SINGLE, contestants.map(|(name, format)| formatted(name, format, ours)).into());
    let text = timings.first().map_or(0.0, |timing| timing.quiet / 1e6);
    contestants.into_iter().zip(timings).skip(1).map(move |((name, _), timing)| Row {
        name,
        ours: timing.quiet / 1e6,
        unit: "ms",
        peers: vec![(TEXT.to_owned(), text)],
        lesser: Vec::new(),
        goals: vec![Goal::ShareOf(TEXT, 2.0)],
        rivals: false,
        conditions: "one thread; into a buffer that is reused",
        notes: Vec::new(),
    })
}

pub(super) fn rows() -> Vec<Row> {
    let nanos = Distribution::LogNormal(1.0).nanos();
    let ours = Populated::<Ours>::new(Buckets::Classic, &nanos);
    let exporter = Populated::<Exporter>::new(Buckets::Classic, &nanos);
    let prometheus = Populated::<Prometheus>::new(Buckets::Classic, &nanos);
    let client = Populated::<PrometheusClient>::new(Buckets::Classic, &nanos);
    let fastmetrics = Populated::<Fastmetrics>::new(Buckets::Classic, &nanos);
    let opentelemetry = Populated::<OpenTelemetry>::new(Buckets::Classic, &nanos);
    let seen: [RefCell<Seen>; 6] = Default::default();
    let timings = race(
        Course::SINGLE,
        vec![
            contestant(&ours, &seen[0]),
            contestant(&exporter, &seen[1]),
            contestant(&prometheus, &seen[2]),
            contestant(&client, &seen[3]),
            contestant(&fastmetrics, &seen[4]),
            contestant(&opentelemetry, &seen[5]),
        ],
    );
    let notes = timings.iter().zip(&seen).map(|(timing, seen)| {
        let Seen { bytes, allocations } = *seen.borrow();
        format!("{}: {bytes} bytes, {allocations} allocations", timing.name)
    });
    let notes = notes.collect();
    let mut times = timings.into_iter().map(|timing| (timing.name, timing.quiet / 1e6));
    let best = times.next().map_or(0.0, |(_, time)| time);
    let text = Row {
        name: "scrape, 1,000 counters + 100 classic histograms x 15 buckets, 3 labels, 1 thread's slab",
        ours: best,
        unit: "ms",
        peers: times.collect(),
        lesser: Vec::new(),
        goals: vec![Goal::AtMost(0.12)],
        rivals: true,
        conditions: "one thread, right after another scrape; into a buffer that is reused; ten families of 100 counters, ten of 10 histograms with \
                     1,000 observations each",
        notes,
    };
    std::iter::once(text).chain(formats(&ours)).collect()
}
