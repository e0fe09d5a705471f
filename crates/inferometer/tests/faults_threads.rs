//! Threads that come and go, and records at odd moments. The numbers are those of `docs/faults.md`.

use inferometer::{Counter, Family, Histogram, LabelSet, Registry, counter};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

// Fault 42
#[test]
fn totals_stay_when_threads_end_or_panic() {
    let registry = Registry::new();
    let counter = registry.counter("x_total", &[]).unwrap();
    let histogram: Histogram<u64> = registry.histogram("x", &[]).unwrap();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for i in 0..50_u64 {
        let (counter, histogram) = (counter.clone(), histogram.clone());
        let ended = thread::spawn(move || {
            counter.increment(1);
            histogram.record(i);
            assert!(i % 2 == 0, "a thread panics");
        })
        .join();
        assert_eq!(ended.is_err(), i % 2 == 1);
        let snapshot = registry.snapshot();
        assert_eq!(snapshot.counter("x_total", &[]), Some(i + 1));
        assert_eq!(snapshot.histogram("x", &[]).unwrap().count(), i + 1);
    }
    std::panic::set_hook(hook);
}

// Faults 42 and 43
#[test]
fn records_in_destructors_of_thread_locals_are_kept_in_any_order() {
    struct RecordsLate(Cell<u64>);

    impl Drop for RecordsLate {
        fn drop(&mut self) {
            for _ in 0..self.0.get() {
                counter!("late_total").increment(1);
                // A run-time label, whose cache may be gone as well.
                let label = String::from("late");
                counter!("late_labelled_total", "label" => label).increment(1);
            }
        }
    }

    thread_local! {
        static BEFORE: RecordsLate = const { RecordsLate(Cell::new(0)) };
        static AFTER: RecordsLate = const { RecordsLate(Cell::new(0)) };
    }

    let total = |name| Registry::global().snapshot().counter(name, &[]).unwrap_or(0);
    let mut want = 0;
    for i in 0..300 {
        thread::spawn(move || match i % 3 {
            // Registered before the storage's own destructor, after it, and without any record before.
            0 => {
                BEFORE.with(|late| late.0.set(3));
                counter!("late_total").increment(1);
            }
            1 => {
                counter!("late_total").increment(1);
                AFTER.with(|late| late.0.set(5));
            }
            _ => BEFORE.with(|late| late.0.set(2)),
        })
        .join()
        .unwrap();
        want += [4, 6, 2][i % 3];
    }
    assert_eq!(total("late_total"), want);
    assert_eq!(total("late_labelled_total"), 100 * (3 + 5 + 2));
}

// Fault 43
#[test]
fn records_in_a_panic_hook_are_kept() {
    let registry = Registry::new();
    let panics = registry.counter("panics_total", &[]).unwrap();
    let recorded = panics.clone();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |_| recorded.increment(1)));
    for _ in 0..3 {
        assert!(thread::spawn(|| panic!("counted")).join().is_err());
    }
    std::panic::set_hook(hook);
    assert!(registry.snapshot().counter("panics_total", &[]).unwrap() >= 3, "others panic in this process too");
    drop(panics);
}

// Fault 44
#[test]
fn ten_thousand_short_threads_inherit_a_few_slabs() {
    let registry = Registry::new();
    let counters: Vec<Counter> =
        (0..200).map(|i| registry.counter("x_total", &[("i", &i.to_string())]).unwrap()).collect();
    let counters = &counters;
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/statm").ok()?;
        status.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let batch = |batches: usize| {
        for _ in 0..batches {
            thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|thread| {
                        scope.spawn(move || counters.iter().skip(thread).for_each(|counter| counter.increment(1)))
                    })
                    .collect();
                // The end of a scope orders too, but where ThreadSanitizer does not see it.
                threads.into_iter().for_each(|thread| thread.join().unwrap());
            });
        }
    };
    batch(100);
    let before = resident();
    batch(2_400);
    // A sanitizer's own memory grows with the number of threads.
    if let (Some(before), Some(after), false) = (before, resident(), cfg!(inferometer_tsan)) {
        assert!(after < before + 1_000, "memory grew from {before} to {after} pages");
    }
    let total: u64 = (0..4).map(|thread| 200 - thread).sum::<u64>() * 2_500;
    assert_eq!(registry.snapshot().counter("x_total", &[]), Some(total));
}

// Fault 45
#[test]
fn a_panic_under_the_registrys_lock_poisons_nothing() {
    struct PanicsInHash;

    // The only code of a user that runs under a lock of the registry: the drop of a computed value's function.
    impl Drop for PanicsInHash {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("in a destructor");
            }
        }
    }

    let registry = Registry::new();
    let guard = PanicsInHash;
    registry
        .gauge_fn("x", &[("a", "1")], move || {
            let _ = &guard;
            1.0
        })
        .unwrap();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let removing = registry.clone();
    let removed = thread::spawn(move || removing.unregister(&[("a", "1")])).join();
    std::panic::set_hook(hook);
    assert!(removed.is_err());
    registry.counter("y_total", &[]).unwrap().increment(1);
    assert_eq!(registry.snapshot().counter("y_total", &[]), Some(1));
    registry.gauge_fn("x", &[("a", "1")], || 2.0).unwrap();
    assert_eq!(registry.snapshot().gauge("x", &[]), Some(2.0));
}

// Faults 49 and 51
#[test]
fn a_scrape_that_is_stuck_holds_up_neither_records_nor_registrations() {
    let registry = Registry::new();
    let (entered, leave) = (std::sync::Arc::new(AtomicBool::new(false)), std::sync::Arc::new(AtomicBool::new(false)));
    let (is_entered, may_leave) = (entered.clone(), leave.clone());
    registry
        .gauge_fn("stuck", &[], move || {
            is_entered.store(true, Relaxed);
            while !may_leave.load(Relaxed) {
                thread::yield_now();
            }
            1.0
        })
        .unwrap();
    let stuck = registry.clone();
    let scrape = thread::spawn(move || stuck.snapshot());
    while !entered.load(Relaxed) {
        thread::yield_now();
    }
    let started = Instant::now();
    for i in 0..100 {
        let counter = registry.counter("x_total", &[("i", &i.to_string())]).unwrap();
        counter.increment(1);
    }
    assert!(registry.unregister(&[("i", "0")]) == 1);
    assert!(started.elapsed() < Duration::from_secs(5), "waited for the scrape");
    leave.store(true, Relaxed);
    scrape.join().unwrap();
    assert_eq!(registry.snapshot().counter("x_total", &[]), Some(99));
}

// Fault 50
#[test]
fn a_scrape_in_the_middle_of_records_sees_whole_histograms() {
    #[derive(LabelSet)]
    struct Model<'a> {
        model_name: &'a str,
    }

    let registry = Registry::new();
    let family: Family<Model<'static>, Histogram> = registry.register_family("x_seconds", "X.").unwrap();
    let stop = AtomicBool::new(false);
    let recorded = AtomicU64::new(0);
    thread::scope(|scope| {
        let recorder = scope.spawn(|| {
            let mut n = 0_u64;
            while !stop.load(Relaxed) {
                family.get(&Model { model_name: "llama" }).record(Duration::from_micros(n % 5_000));
                n += 1;
            }
            recorded.store(n, Relaxed);
        });
        // Until the other thread has recorded something, there is nothing to be seen.
        while registry.snapshot().histogram("x_seconds", &[]).is_none_or(|seen| seen.count() == 0) {
            thread::yield_now();
        }
        for _ in 0..2_000 {
            if let Some(seen) = registry.snapshot().histogram("x_seconds", &[]) {
                let infinite = seen.classic().last().unwrap().1;
                assert_eq!(infinite, seen.count());
                assert!(seen.classic().map(|(_, count)| count).is_sorted());
            }
        }
        stop.store(true, Relaxed);
        recorder.join().unwrap();
    });
    assert_eq!(registry.snapshot().histogram("x_seconds", &[]).unwrap().count(), recorded.load(Relaxed));
}
