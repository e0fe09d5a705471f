//! What the crate says of itself: its cost, its threads, its series and its memory. All of it is of the whole process, so
//! the tests take turns.

#![cfg(not(inferometer_off))]

use inferometer::{Histogram, Registry, Sampling, Value};
use std::hint::black_box;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

/// Runs a test while no other one here runs, on a thread of its own: what its threads keep is given back when they have
/// ended, and the one that the harness gives a test ends some time after the test.
fn alone(test: fn()) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Err(panic) = std::thread::spawn(test).join() {
        std::panic::resume_unwind(panic);
    }
}

/// What is exposed under a name, with this first label value if there are labels.
fn read(name: &str, label: Option<&str>) -> Option<f64> {
    let snapshot = Registry::global().snapshot();
    let family = snapshot.families.into_iter().find(|family| family.name == name)?;
    let series = family
        .series
        .into_iter()
        .find(|series| label.is_none_or(|label| series.labels.first().is_some_and(|(_, value)| value == label)))?;
    match series.value {
        Value::FloatCounter(value) | Value::Gauge(value) => Some(value),
        ref other => panic!("{other:?}"),
    }
}

/// What a record costs is known badly, on a busy machine, where nothing is optimised.
const AT_MOST: f64 = if cfg!(debug_assertions) { 5.0 } else { 1.0 };

/// What recording has cost, in seconds. A scrape shows what the one before has reckoned.
fn overhead() -> f64 {
    Registry::global().snapshot();
    read("inferometer_overhead_seconds_total", None).unwrap()
}

#[test]
fn the_account_grows_with_what_is_recorded() {
    alone(|| {
        let counter = inferometer::counter!("account_test_total");
        let before = overhead();
        (0..1_000_000).for_each(|_| counter.increment(1));
        let per_call = (overhead() - before) / 1e6;
        assert!((0.05e-9..AT_MOST * 100e-9).contains(&per_call), "{per_call}");
        // One call is one call, whatever it adds.
        let before = overhead();
        counter.increment(1 << 40);
        assert!(overhead() - before < 1e-3);
    });
}

#[test]
fn what_is_recorded_to_another_registry_is_in_the_account_once_it_is_read() {
    alone(|| {
        let registry = Registry::new();
        let histogram: Histogram = registry.histogram("account_seconds", &[("model_name", "a")]).unwrap();
        (0..100_000).for_each(|_| histogram.record_nanos(black_box(5_000)));
        let before = overhead();
        registry.snapshot();
        let after = overhead();
        assert!(after - before > 1e-5, "{before} {after}");
        // And only once, also when the series goes.
        drop(histogram);
        assert_eq!(registry.unregister(&[("model_name", "a")]), 1);
        registry.snapshot();
        assert!(overhead() - after < 1e-5);
    });
}

#[test]
fn the_ratio_is_that_of_the_cost_to_the_time_of_the_threads_that_record() {
    alone(|| {
        let registry = Registry::new();
        let counter = registry.counter("busy_total", &[]).unwrap();
        let cpu = || read("inferometer_recording_cpu_seconds_total", None).unwrap_or(0.0);
        let before = cpu();
        let thread = std::thread::spawn(move || {
            let end = Instant::now() + Duration::from_millis(200);
            while Instant::now() < end {
                counter.increment(1);
            }
            std::thread::sleep(Duration::from_millis(200)); // takes no time of the processor
        });
        thread.join().unwrap();
        // The thread has ended; its time has not gone.
        let used = cpu() - before;
        if cfg!(target_os = "linux") {
            assert!((0.02..0.35).contains(&used), "{used}");
            let ratio = read("inferometer_overhead_ratio", None).unwrap();
            assert!(ratio > 0.0 && ratio < AT_MOST, "{ratio}");
        } else {
            assert!(used >= 0.0);
        }
    });
}

#[test]
fn threads_are_counted_while_they_record_and_live() {
    alone(|| {
        let threads = || read("inferometer_threads", None).unwrap();
        let before = threads();
        let (recorded, wait_for_record) = mpsc::channel();
        let (end, wait_for_end) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            inferometer::counter!("thread_test_total").increment(1);
            recorded.send(()).unwrap();
            let _ = wait_for_end.recv(); // ends when the sender goes
        });
        wait_for_record.recv().unwrap();
        assert_eq!(threads(), before + 1.0);
        drop(end);
        thread.join().unwrap();
        assert_eq!(threads(), before);
    });
}

#[test]
fn series_and_their_memory_are_counted() {
    alone(|| {
        let figures = || {
            let memory = |kind| read("inferometer_memory_bytes", Some(kind)).unwrap();
            [read("inferometer_series", None).unwrap(), memory("cells"), memory("series"), memory("exemplars")]
        };
        let registry = Registry::new();
        let before = figures();
        let histograms: Vec<Histogram> = (0..100)
            .map(|i| registry.histogram("memory_seconds", &[("model_name", &format!("m{i}"))]).unwrap())
            .collect();
        for histogram in &histograms {
            histogram.record(Duration::from_millis(1));
        }
        histograms[0].record_with_exemplar(Duration::from_millis(1), &[("trace_id", "a")]);
        let with = figures();
        assert_eq!(with[0], before[0] + 100.0);
        assert!(with.iter().zip(&before).all(|(with, before)| with > before), "{before:?} {with:?}");
        drop((histograms, registry));
        let after = figures();
        // Cells stay, for the next series.
        assert_eq!((after[0], after[2], after[3]), (before[0], before[2], before[3]));
        assert_eq!(after[1], with[1]);
    });
}

#[test]
fn records_that_measure_themselves_are_not_lost_and_events_not_counted_twice() {
    alone(|| {
        let registry = Registry::new();
        let counter = registry.counter("measured_total", &[]).unwrap();
        let histogram: Histogram = registry.histogram("measured_seconds", &[]).unwrap();
        let timed: Histogram = registry.histogram("measured_section_seconds", &[]).unwrap();
        timed.set_sampling(Sampling::EveryN(3));
        let (stop, stopped) = mpsc::channel::<()>();
        let scraper = {
            let registry = registry.clone();
            std::thread::spawn(move || {
                let mut scrapes = 0;
                while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                    registry.snapshot(); // each sends the next records to the cold path
                    scrapes += 1;
                }
                scrapes
            })
        };
        const RECORDS: u64 = 300_000;
        for _ in 0..RECORDS {
            counter.increment(2);
            histogram.record_nanos(4_000);
            timed.start().stop();
        }
        drop(stop);
        assert!(scraper.join().unwrap() > 10);
        let seen = registry.snapshot();
        assert_eq!(seen.counter("measured_total", &[]), Some(2 * RECORDS));
        assert_eq!(seen.histogram("measured_seconds", &[]).unwrap().count(), RECORDS);
        assert_eq!(seen.counter("measured_section_seconds_events_total", &[]), Some(RECORDS));
    });
}

#[test]
fn whatever_is_recorded_the_tables_are_soon_right_again() {
    alone(|| {
        let registry = Registry::new();
        let timed: Histogram = registry.histogram("only_sections_seconds", &[]).unwrap();
        timed.set_sampling(Sampling::EveryN(Sampling::MAX_N));
        let time = |scrapes: bool| {
            let best = (0..50).map(|_| {
                if scrapes {
                    registry.snapshot();
                    registry.snapshot();
                }
                // More events than a record that measures itself is away.
                (0..300).for_each(|_| _ = black_box(&timed).start().stop());
                let start = Instant::now();
                (0..20_000).for_each(|_| _ = black_box(&timed).start().stop());
                start.elapsed()
            });
            best.min().unwrap()
        };
        time(true);
        let (without, with) = (time(false), time(true));
        assert!(with < without * 2, "{without:?} {with:?}");
    });
}
