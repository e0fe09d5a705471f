//! Scrapes beside recording threads, beside each other, and beside series that come and go.

mod support;

use inferometer::{Buckets, Counter, Histogram, Registry};
use inferometer_prometheus::Exporter;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use support::{Family, family, histograms, read, value};

/// Tells the other threads of a scope to end, also where an assertion fails: the scope would wait for them for ever.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn concurrent_scrapes_under_heavy_recording_are_consistent_and_never_go_back() {
    const SCRAPES: usize = 60;
    let registry = Registry::new();
    let buckets = Buckets::classic(&[0.000_1, 0.001, 0.01, 0.1]);
    let histogram: Histogram = registry.histogram_with_buckets("step_seconds", &[], &buckets).unwrap();
    let counter: Counter = registry.counter("steps_total", &[]).unwrap();
    let exporter = Exporter::builder().registry(registry).build().unwrap();
    let done = AtomicBool::new(false);
    let recorded: u64 = thread::scope(|scope| {
        let (histogram, counter, done, exporter) = (&histogram, &counter, &done, &exporter);
        let end = StopOnDrop(done);
        let recorders: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(move || {
                    let mut n = 0_u64;
                    while !done.load(Relaxed) {
                        histogram.record(Duration::from_nanos(n * 7_919 % 200_000_000));
                        counter.increment(1);
                        n += 1;
                    }
                    n
                })
            })
            .collect();
        let scrapers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(move || {
                    let mut last = (0, 0);
                    for _ in 0..SCRAPES {
                        // The reader checks each histogram: ascending, cumulative, +Inf == count.
                        let families = read(exporter);
                        let count = histograms(family(&families, "step_seconds")).unwrap()[0].count;
                        let steps: u64 = value(&families, "steps_total", None).parse().unwrap();
                        assert!(count >= last.0 && steps >= last.1);
                        last = (count, steps);
                    }
                })
            })
            .collect();
        for scraper in scrapers {
            scraper.join().unwrap();
        }
        drop(end);
        recorders.into_iter().map(|recorder| recorder.join().unwrap()).sum()
    });
    let families = read(&exporter);
    assert_eq!(histograms(family(&families, "step_seconds")).unwrap()[0].count, recorded);
    assert_eq!(value(&families, "steps_total", None), recorded.to_string());
}

#[test]
fn scrapes_beside_series_that_come_and_go_are_well_formed() {
    let registry = Registry::new();
    registry.set_prefix("a_").unwrap();
    let exporter = Exporter::builder().registry(registry.clone()).build().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = StopOnDrop(&done);
        scope.spawn(|| {
            for round in 0_u64.. {
                if done.load(Relaxed) {
                    break;
                }
                let model = (round % 13).to_string();
                let labels = [("model_name", model.as_str())];
                registry.counter("requests_total", &labels).unwrap().increment(1);
                registry
                    .histogram::<Duration>("step_seconds", &labels)
                    .unwrap()
                    .record(Duration::from_millis(round % 90));
                registry.gauge("usage_ratio", &labels).unwrap().set(0.5);
                registry.unregister(&[("model_name", &((round + 6) % 13).to_string())]);
                registry.set_prefix(if round % 2 == 0 { "a_" } else { "b_" }).unwrap();
            }
        });
        let prefixes = |families: &[Family]| {
            let mut prefixes: Vec<&str> = families.iter().map(|family| &family.name[..2]).collect();
            prefixes.dedup();
            prefixes.len()
        };
        for _ in 0..300 {
            // All of one scrape is of one moment of the directory.
            assert!(prefixes(&read(&exporter)) <= 1);
        }
    });
    assert_eq!(registry.set_prefix("last_"), Ok(()));
    assert!(read(&exporter).iter().all(|family| family.name.starts_with("last_")));
}

#[test]
fn what_changes_during_a_scrape_appears_in_the_next() {
    const ROUNDS: usize = 2_000;
    let registry = Registry::new();
    registry.counter("requests_total", &[]).unwrap();
    let exporter = Exporter::builder().registry(registry.clone()).build().unwrap();
    let prefix = |round: usize| format!("a{round}_");
    let (ask, asked) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let registry = &registry;
        scope.spawn(move || {
            for round in asked {
                registry.set_prefix(&prefix(round)).unwrap();
                tell.send(()).unwrap();
            }
        });
        // Owned here, so that a failure ends the other thread as well.
        let ask = ask;
        for round in 0..ROUNDS {
            ask.send(round).unwrap();
            read(&exporter);
            told.recv().unwrap();
            assert_eq!(read(&exporter)[0].name, prefix(round) + "requests_total");
        }
    });
}

#[test]
fn a_scrape_that_hangs_holds_up_no_recording_and_no_registration() {
    let registry = Registry::new();
    let (entered, enter) = mpsc::channel();
    let (leave, left) = mpsc::channel::<()>();
    let left = std::sync::Mutex::new(left);
    registry
        .gauge_fn("slow_ratio", &[], move || {
            let _ = entered.send(());
            let _ = left.lock().unwrap().recv();
            0.5
        })
        .unwrap();
    let exporter = Exporter::builder().registry(registry.clone()).build().unwrap();
    thread::scope(|scope| {
        let scrape = scope.spawn(|| read(&exporter));
        enter.recv().unwrap();
        registry.counter("requests_total", &[("status", "ok")]).unwrap().increment(1);
        registry.unregister(&[("status", "ok")]);
        registry.counter("requests_total", &[("status", "late")]).unwrap().increment(1);
        leave.send(()).unwrap();
        assert_eq!(value(&scrape.join().unwrap(), "slow_ratio", None), "0.5");
        leave.send(()).unwrap();
        assert_eq!(value(&read(&exporter), "requests_total", None), "1");
    });
}
