//! The same counter from two threads.

use super::{Goal, Row, digits};
use crate::contests::counter::{call_site, counter};
use crate::library::{
    Exporter, Fastmetrics, Library as _, Metriken, MetrikenSharded, OpenTelemetry, Prometheus, PrometheusClient,
};
use crate::timing::quantile;
use crate::workload::count;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::Instant;

/// A name, and what both threads do.
type Contestant = (&'static str, Box<dyn Fn(u64) + Sync>);

const ROUNDS: usize = 301;
const BATCH: u64 = 20_000;
/// How many records the second thread makes between two looks at its orders.
const PART: u64 = 500;
/// How many parts the second thread must have done during a batch, or else it did not run beside the first: on a busy
/// machine the two take turns, and then nothing contends.
const BESIDE: u64 = BATCH / PART / 2;
/// Fewer batches than this say nothing.
const FEWEST: usize = 10;

/// What the second thread does beside a contestant's work.
const IDLE: usize = usize::MAX;
const STOP: usize = usize::MAX - 1;

/// Nanoseconds an operation, alone and beside a thread that does the same.
struct Times {
    alone: Vec<f64>,
    together: Vec<f64>,
}

#[inline(never)]
fn count_alone(own: &AtomicU64, n: u64) {
    for _ in 0..n {
        own.store(own.load(Relaxed) + 1, Relaxed);
    }
}

fn measure(contestants: &[Contestant]) -> Vec<Times> {
    let (order, obeyed) = (AtomicUsize::new(IDLE), AtomicUsize::new(IDLE));
    let parts = AtomicU64::new(0);
    let mut times: Vec<Times> = contestants.iter().map(|_| Times { alone: Vec::new(), together: Vec::new() }).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let own = black_box(AtomicU64::new(0));
            loop {
                let now = order.load(Acquire);
                obeyed.store(now, Release);
                match now {
                    STOP => break,
                    // Busy, because two cores can be two halves of one: then a thread alone is faster for that.
                    IDLE => count_alone(&own, PART),
                    at => contestants[at].1(PART),
                }
                parts.fetch_add(1, Relaxed);
            }
        });
        let command = |what| {
            order.store(what, Release);
            while obeyed.load(Acquire) != what {
                std::hint::spin_loop();
            }
        };
        for _ in 0..ROUNDS {
            for (at, (_, work)) in contestants.iter().enumerate() {
                let timed = |times: &mut Vec<f64>| {
                    let before = parts.load(Relaxed);
                    let start = Instant::now();
                    work(BATCH);
                    let time = start.elapsed().as_nanos() as f64 / BATCH as f64;
                    if parts.load(Relaxed) - before >= BESIDE {
                        times.push(time);
                    }
                };
                command(IDLE);
                timed(&mut times[at].alone);
                command(at);
                timed(&mut times[at].together);
            }
        }
        command(STOP);
    });
    times
}

pub(super) fn rows() -> Vec<Row> {
    let exporter = counter::<Exporter>();
    let prometheus = counter::<Prometheus>();
    let client = counter::<PrometheusClient>();
    let fastmetrics = counter::<Fastmetrics>();
    let opentelemetry = counter::<OpenTelemetry>();
    let metriken = counter::<Metriken>();
    let sharded = counter::<MetrikenSharded>();
    let contestants: Vec<Contestant> = vec![
        ("inferometer", Box::new(call_site)),
        ("metrics-exporter-prometheus, handle", Box::new(|n| count::<Exporter>(exporter, n))),
        ("prometheus, handle", Box::new(|n| count::<Prometheus>(prometheus, n))),
        ("prometheus-client, handle", Box::new(|n| count::<PrometheusClient>(client, n))),
        ("fastmetrics, handle", Box::new(|n| count::<Fastmetrics>(fastmetrics, n))),
        ("opentelemetry, bound", Box::new(|n| count::<OpenTelemetry>(opentelemetry, n))),
        (Metriken::NAME, Box::new(|n| count::<Metriken>(metriken, n))),
        (MetrikenSharded::NAME, Box::new(|n| count::<MetrikenSharded>(sharded, n))),
    ];
    let times = measure(&contestants);
    let median = |times: &[f64]| quantile(times, 0.5);
    let ratio = |times: &Times| median(&times.together) / median(&times.alone);
    let note = |((name, _), times): (&Contestant, &Times)| {
        format!("{name}: {} ns alone, {} ns with two", digits(median(&times.alone)), digits(median(&times.together)))
    };
    if times.iter().any(|times| times.together.len().min(times.alone.len()) < FEWEST) {
        eprintln!("SKIPPED: the same counter, 2 threads: the machine never ran two threads at once");
        return Vec::new();
    }
    vec![Row {
        name: "the same counter, 2 threads",
        ours: ratio(&times[0]),
        unit: "x",
        peers: contestants
            .iter()
            .zip(&times)
            .skip(1)
            .map(|((name, _), times)| ((*name).to_owned(), ratio(times)))
            .collect(),
        lesser: Vec::new(),
        goals: vec![Goal::AtMost(1.2)],
        rivals: true,
        conditions: "two threads record into one series; the time of one of them, over its time while the other counts in memory \
                     of its own",
        notes: contestants.iter().zip(&times).map(note).collect(),
    }]
}
