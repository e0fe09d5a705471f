//! Every record operation beside the peers, on one thread and on two that share the series.
//!
//! What keeps the loops honest is said in the documentation of the library.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use inferometer_benches::contests::{counter, first_touch, gauge, histogram, label, timed};
use inferometer_benches::inputs::Distribution;
use inferometer_benches::library::{Buckets, Exporter, Library, Ours, Prometheus, PrometheusClient};
use inferometer_benches::timing::Contestant;
use inferometer_benches::workload::{self, ONE, count, set, times};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(700)).sample_size(30);
    group
}

fn one_thread(criterion: &mut Criterion, name: &str, contestants: Vec<Contestant<'_>>) {
    let mut group = group(criterion, name);
    for mut contestant in contestants {
        let name = contestant.name().to_owned();
        group.bench_function(name, |bencher| bencher.iter_custom(|n| contestant.time(n)));
    }
    group.finish();
}

/// Times `work` while another thread does the same.
fn beside(work: impl Fn(u64) + Sync, n: u64) -> Duration {
    let (begun, done) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                work(1_000);
                begun.store(true, Relaxed);
            }
        });
        while !begun.load(Relaxed) {
            std::hint::spin_loop();
        }
        let start = Instant::now();
        work(n);
        let time = start.elapsed();
        done.store(true, Relaxed);
        time
    })
}

fn two_threads<L: Library>(criterion: &mut Criterion)
where
    L::Time: Sync,
{
    let counter = counter::counter::<L>();
    let gauge = gauge::gauge::<L>();
    let mut registry = L::registry();
    let histogram = black_box(L::histogram(&L::histograms(&mut registry, "bench_seconds", Buckets::Classic), ONE));
    let times = times::<L>(&Distribution::ALL[0].nanos());
    let mut bench = |name: &str, work: &(dyn Fn(u64) + Sync)| {
        group(criterion, name).bench_function(L::NAME, |bencher| {
            bencher.iter_custom(|n| {
                let time = beside(work, n);
                L::upkeep(&registry);
                time
            });
        });
    };
    bench("two threads/counter", &|n| count::<L>(counter, n));
    bench("two threads/gauge", &|n| set::<L>(gauge, n));
    bench("two threads/histogram, classic", &|n| workload::observe::<L>(&histogram, &times, n));
}

fn record(criterion: &mut Criterion) {
    one_thread(criterion, "counter", counter::contestants());
    one_thread(criterion, "label", label::contestants());
    one_thread(criterion, "gauge, set", gauge::set_contestants());
    one_thread(criterion, "up and down", gauge::up_down_contestants());
    for distribution in Distribution::ALL {
        let nanos = black_box(distribution.nanos());
        let mut contestants = histogram::declared(&nanos);
        contestants.extend(histogram::peers(&nanos));
        one_thread(criterion, &format!("histogram, declared bounds, {}", distribution.name()), contestants);
        let name = format!("histogram, run-time bounds, {}", distribution.name());
        one_thread(criterion, &name, histogram::run_time(&nanos));
    }
    let mut sections = timed::ours();
    sections.extend(timed::peers());
    sections.extend(timed::others());
    one_thread(criterion, "timed section", sections);
    one_thread(criterion, "first record of a thread", first_touch::contestants());
    two_threads::<Ours>(criterion);
    two_threads::<Exporter>(criterion);
    two_threads::<Prometheus>(criterion);
    two_threads::<PrometheusClient>(criterion);
}

criterion_group!(benches, record);
criterion_main!(benches);
