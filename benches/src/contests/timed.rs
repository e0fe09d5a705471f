//! Timing a section in which nothing is done, so that only the timing is left.

use crate::library::{BOUNDS, Buckets, Exporter, Library, Ours, Prometheus, PrometheusClient};
use crate::timing::Contestant;
use crate::workload::ONE;
use ::prometheus::local::LocalHistogram;
use inferometer::{Histogram, Moment, Registry, Sampling, metric, time};
use std::hint::black_box;
use std::time::Instant;

/// Sections of which one in 64 is timed.
#[metric(name = "bench_timed_seconds", buckets = &BOUNDS, sampling = Sampling::EveryN(64))]
static SAMPLED: Histogram = Histogram::new();

/// Sections that are timed within the process's budget.
#[metric(name = "bench_timed_in_budget_seconds", buckets = &BOUNDS)]
static IN_BUDGET: Histogram = Histogram::new();

/// What is timed. The optimiser has to take it for something.
#[inline(always)]
fn section() {
    black_box(());
}

/// Our declared histogram, one section in 64.
#[inline(never)]
pub fn sampled(n: u64) {
    for _ in 0..n {
        time!(SAMPLED, section());
    }
}

/// Our declared histogram, within the budget.
#[inline(never)]
pub fn in_budget(n: u64) {
    for _ in 0..n {
        time!(IN_BUDGET, section());
    }
}

/// A handle, which samples as its family does.
#[inline(never)]
pub fn through_handle(histogram: &Histogram, n: u64) {
    for _ in 0..n {
        time!(histogram, section());
    }
}

/// A histogram of a fresh registry.
pub fn handle(sampling: Sampling) -> Histogram {
    let mut registry = Ours::registry();
    let histogram = Ours::histogram(&Ours::histograms(&mut registry, "bench_timed_seconds", Buckets::Both), ONE);
    histogram.set_sampling(sampling);
    histogram
}

/// How many sections within the budget there were, and how many of them were timed.
pub fn in_budget_so_far() -> [u64; 2] {
    let snapshot = Registry::global().snapshot();
    let of = |name| snapshot.counter(name, &[]).unwrap_or(0);
    [of("bench_timed_in_budget_seconds_events_total"), of("bench_timed_in_budget_seconds_samples_total")]
}

/// Some 50 ns of work.
#[inline(always)]
fn work(x: u64) -> u64 {
    (0..40).fold(x, |x, _| x.wrapping_mul(x | 5))
}

#[inline(never)]
fn work_alone(n: u64) {
    black_box((0..n).fold(1, |x, _| work(x)));
}

#[inline(never)]
fn work_in_budget(n: u64) {
    black_box((0..n).fold(1, |x, _| time!(IN_BUDGET, work(x))));
}

/// A budget that is neither too small for sections of such work nor enough for all.
pub const BUDGET_FOR_WORK: f64 = 0.04;

/// Sections of 50 ns, within the budget and without a timer.
pub fn working() -> Vec<Contestant<'static>> {
    vec![Contestant::new("within the budget", work_in_budget), Contestant::new("no timer", work_alone)]
}

/// What the peers have no timers for is two readings of the clock and a record; it is also the cheapest for those that
/// have.
#[inline(never)]
fn by_hand<L: Library<Time = f64>>(histogram: &L::Histogram, n: u64) {
    for _ in 0..n {
        let start = Instant::now();
        section();
        L::observe(histogram, start.elapsed().as_secs_f64());
    }
}

#[inline(never)]
fn start_timer(histogram: &::prometheus::Histogram, n: u64) {
    for _ in 0..n {
        let timer = histogram.start_timer();
        section();
        timer.observe_duration();
    }
}

#[inline(never)]
fn local(histogram: &LocalHistogram, n: u64) {
    for _ in 0..n {
        histogram.observe_closure_duration(section);
    }
}

#[inline(never)]
fn clock(n: u64) {
    for _ in 0..n {
        let start = Instant::now();
        section();
        black_box(start.elapsed());
    }
}

#[inline(never)]
fn moments(n: u64) {
    for _ in 0..n {
        let start = Moment::now();
        section();
        black_box(start.elapsed());
    }
}

fn peer<L: Library<Time = f64>>(name: &str) -> Contestant<'static> {
    let mut registry = L::registry();
    let histogram = L::histogram(&L::histograms(&mut registry, "bench_timed_seconds", Buckets::Classic), ONE);
    let upkeep = move || L::upkeep(&registry);
    Contestant::with_upkeep(name, move |n| by_hand::<L>(black_box(&histogram), n), upkeep)
}

fn prometheus_histogram() -> ::prometheus::Histogram {
    let mut registry = Prometheus::registry();
    Prometheus::histogram(&Prometheus::histograms(&mut registry, "bench_timed_seconds", Buckets::Classic), ONE)
}

/// The others, who time all sections.
pub fn peers() -> Vec<Contestant<'static>> {
    let timer = prometheus_histogram();
    let own = std::rc::Rc::new(prometheus_histogram().local());
    let flushed = std::rc::Rc::clone(&own);
    vec![
        peer::<Exporter>("metrics-exporter-prometheus, Instant"),
        peer::<Prometheus>("prometheus, Instant"),
        Contestant::new("prometheus, start_timer", move |n| start_timer(black_box(&timer), n)),
        Contestant::with_upkeep(
            "prometheus, local histogram",
            move |n| local(black_box(&own), n),
            move || flushed.flush(),
        ),
        peer::<PrometheusClient>("prometheus-client, Instant"),
    ]
}

/// Ours: one in 64, and within the budget.
pub fn ours() -> Vec<Contestant<'static>> {
    vec![Contestant::new("inferometer", sampled), Contestant::new("inferometer, within the budget", in_budget)]
}

/// Our other ways, our clock by itself, and the one that the peers read.
pub fn others() -> Vec<Contestant<'static>> {
    let way = |name, sampling| {
        let histogram = handle(sampling);
        Contestant::new(name, move |n| through_handle(black_box(&histogram), n))
    };
    vec![
        way("1 in 64 by handle", Sampling::EveryN(64)),
        way("all", Sampling::Always),
        way("only counted", Sampling::EveryN(Sampling::MAX_N)),
        Contestant::new("two moments", moments),
        Contestant::new("two readings of the system's clock", clock),
    ]
}
