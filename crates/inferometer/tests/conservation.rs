//! Nothing is lost, nothing is counted twice, nothing goes down: under threads that come and go, series that are
//! registered and removed, and scrapes in a tight loop.
//!
//! The check is written against a trait, so that systems which are broken on purpose can be put under it: it must catch
//! each of them. `INFEROMETER_SOAK_SECONDS` makes the real run longer.

use inferometer::{
    Counter, Family, FamilyView, Gauge, Histogram, LabelSet, LabelValue, Registry, Sample, SeriesView, UpDownCounter,
    Visitor,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const WRITERS: usize = 8;

/// What is under the check: a counter and a histogram that many threads record to.
trait System: Send + Sync + 'static {
    fn record(&self, value: u64);
    /// The counter, the histogram's buckets and its count.
    fn scrape(&self) -> (u64, Vec<u64>, u64);
    /// A thread that recorded is about to end.
    fn thread_ends(&self) {}
}

/// Records from threads that come and go while scraping in a loop; says what was wrong.
fn check(system: Arc<impl System>, time: Duration) -> Result<(), String> {
    let deadline = Instant::now() + time;
    let recorded = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let scraper = {
        let (system, stop) = (system.clone(), stop.clone());
        thread::spawn(move || {
            let mut last = (0, Vec::new(), 0);
            let mut scrapes = 0_u64;
            while !stop.load(Relaxed) || scrapes < 3 {
                let (counter, buckets, count) = system.scrape();
                if buckets.iter().sum::<u64>() != count {
                    return Err(format!("count {count} is not the sum of {buckets:?}"));
                }
                if counter < last.0 || count < last.2 || buckets.iter().zip(&last.1).any(|(now, then)| now < then) {
                    return Err("a series went down".to_owned());
                }
                last = (counter, buckets, count);
                scrapes += 1;
            }
            Ok(scrapes)
        })
    };
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (system, recorded) = (system.clone(), recorded.clone());
            thread::spawn(move || {
                // Short-lived threads, one after the other, so that slabs are handed on all the time.
                while Instant::now() < deadline {
                    let (system, recorded) = (system.clone(), recorded.clone());
                    let worker = thread::spawn(move || {
                        for i in 0..2_000 {
                            system.record((i * 7 + writer as u64) % 50);
                        }
                        recorded.fetch_add(2_000, SeqCst);
                        system.thread_ends();
                    });
                    worker.join().unwrap();
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    stop.store(true, Relaxed);
    let scrapes = scraper.join().unwrap()?;
    let want = recorded.load(SeqCst);
    let (counter, _, count) = system.scrape();
    if counter != want || count != want {
        return Err(format!("recorded {want}, scraped {counter} and {count}"));
    }
    assert!(want > 0 && scrapes > 3, "the check ran idle: {want} records, {scrapes} scrapes");
    Ok(())
}

fn duration() -> Duration {
    let seconds = std::env::var("INFEROMETER_SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

// ---- the real thing

struct Real {
    registry: Registry,
    counter: Counter,
    histogram: Histogram<u64>,
}

impl System for Real {
    fn record(&self, value: u64) {
        self.counter.increment(1);
        self.histogram.record(value);
    }

    fn scrape(&self) -> (u64, Vec<u64>, u64) {
        struct Read(u64, Vec<u64>, u64);

        impl Visitor for Read {
            fn family(&mut self, _: &FamilyView<'_>) -> bool {
                true
            }

            fn series(&mut self, _: &SeriesView<'_>, sample: Sample<'_>) {
                match sample {
                    Sample::Counter(value) => self.0 = value,
                    Sample::Histogram(view) => {
                        self.1 = view.classic_counts().to_vec();
                        self.2 = view.count();
                        let native = view.native().unwrap();
                        let sum = native.zero_count + native.buckets.iter().map(|(_, count)| count).sum::<u64>();
                        assert_eq!(sum, view.count(), "native and classic buckets disagree");
                    }
                    _ => unreachable!(),
                }
            }
        }

        let mut read = Read(0, Vec::new(), 0);
        self.registry.visit(&mut read);
        (read.0, read.1, read.2)
    }
}

#[test]
fn what_is_recorded_is_scraped_exactly() {
    let registry = Registry::new();
    let system = Real {
        counter: registry.counter("records_total", &[]).unwrap(),
        histogram: registry.histogram("values", &[]).unwrap(),
        registry,
    };
    check(Arc::new(system), duration()).unwrap();
}

// ---- broken on purpose

/// Threads share a cell without an atomic add.
#[derive(Default)]
struct LosesRecords(AtomicU64, [AtomicU64; 2]);

impl System for LosesRecords {
    fn record(&self, value: u64) {
        for cell in [&self.0, &self.1[usize::from(value > 25)]] {
            let old = cell.load(Relaxed);
            std::hint::spin_loop();
            cell.store(old + 1, Relaxed);
        }
    }

    fn scrape(&self) -> (u64, Vec<u64>, u64) {
        // The count is derived, so that only the loss can be found.
        let buckets: Vec<u64> = self.1.iter().map(|cell| cell.load(Relaxed)).collect();
        let count = buckets.iter().sum();
        (count, buckets, count)
    }
}

/// A count of its own beside the buckets.
#[derive(Default)]
struct TearsHistograms([AtomicU64; 2], AtomicU64);

impl System for TearsHistograms {
    fn record(&self, value: u64) {
        self.0[usize::from(value > 25)].fetch_add(1, Relaxed);
        self.1.fetch_add(1, Relaxed);
    }

    fn scrape(&self) -> (u64, Vec<u64>, u64) {
        (self.1.load(Relaxed), self.0.iter().map(|cell| cell.load(Relaxed)).collect(), self.1.load(Relaxed))
    }
}

/// A thread that ends takes its counts out of the total for a moment, before it folds them into the archive.
#[derive(Default)]
struct FoldsOnExit {
    live: Mutex<HashMap<thread::ThreadId, u64>>,
    archive: Mutex<u64>,
}

impl System for FoldsOnExit {
    fn record(&self, _: u64) {
        *self.live.lock().unwrap().entry(thread::current().id()).or_default() += 1;
    }

    fn scrape(&self) -> (u64, Vec<u64>, u64) {
        let archive = *self.archive.lock().unwrap();
        let count = archive + self.live.lock().unwrap().values().sum::<u64>();
        (count, vec![count], count)
    }

    fn thread_ends(&self) {
        let own = self.live.lock().unwrap().remove(&thread::current().id()).unwrap_or(0);
        thread::yield_now();
        *self.archive.lock().unwrap() += own;
    }
}

#[test]
fn the_check_catches_lost_records() {
    let found = check(Arc::new(LosesRecords::default()), Duration::from_secs(2)).unwrap_err();
    assert!(found.contains("recorded") || found.contains("went down"), "{found}");
}

#[test]
fn the_check_catches_torn_histograms() {
    let found = check(Arc::new(TearsHistograms::default()), Duration::from_secs(2)).unwrap_err();
    assert!(found.contains("is not the sum"), "{found}");
}

#[test]
fn the_check_catches_totals_that_fall_when_a_thread_ends() {
    let found = check(Arc::new(FoldsOnExit::default()), Duration::from_secs(2)).unwrap_err();
    assert!(found.contains("went down"), "{found}");
}

// ---- labels, removal and reuse

#[derive(LabelSet)]
struct Model<'a> {
    model_name: &'a str,
    status: Status,
}

#[derive(LabelValue)]
enum Status {
    Ok,
    Error,
}

/// Values of all counters and histograms by name and labels.
#[derive(Default)]
struct Values {
    name: String,
    values: HashMap<(String, Vec<(String, String)>), u64>,
}

impl Visitor for Values {
    fn family(&mut self, family: &FamilyView<'_>) -> bool {
        self.name = family.name().to_owned();
        true
    }

    fn series(&mut self, series: &SeriesView<'_>, sample: Sample<'_>) {
        let labels = series.labels().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let value = match sample {
            Sample::Counter(value) => value,
            Sample::Histogram(view) => {
                assert_eq!(view.classic_counts().iter().sum::<u64>(), view.count());
                view.count()
            }
            _ => return,
        };
        let double = self.values.insert((self.name.clone(), labels), value);
        assert_eq!(double, None, "a series is listed twice");
    }
}

#[test]
fn series_come_and_go_and_their_slots_are_reused_without_a_wrong_count() {
    let registry = Registry::new();
    let requests: Family<Model<'static>, Counter> = registry.register_family("requests_total", "Requests.").unwrap();
    let latency: Family<Model<'static>, Histogram> = registry.register_family("latency_seconds", "Latency.").unwrap();
    let steady = registry.counter("steady_total", &[]).unwrap();
    let stop = AtomicBool::new(false);
    let deadline = Instant::now() + duration();
    let (mut generations, mut recorded_steady) = (0, 0);
    thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            let mut last: HashMap<_, u64> = HashMap::new();
            while !stop.load(Relaxed) {
                let mut now = Values::default();
                registry.visit(&mut now);
                for (key, value) in &now.values {
                    if let Some(before) = last.get(key) {
                        assert!(value >= before, "{key:?} went down from {before} to {value}");
                    }
                }
                last = now.values;
            }
        });
        let workers: Vec<_> = (0..WRITERS)
            .map(|worker| {
                let (registry, requests, latency, steady) = (&registry, &requests, &latency, &steady);
                scope.spawn(move || {
                    let mut generation = 0_u64;
                    while Instant::now() < deadline {
                        // A label value that never comes back, so a count that is off is a fault.
                        let name = format!("model-{worker}-{generation}");
                        let ok = Model { model_name: &name, status: Status::Ok };
                        let error = Model { model_name: &name, status: Status::Error };
                        let records = generation % 13 + 1;
                        let kept = requests.get(&error).handle();
                        for _ in 0..records {
                            requests.get(&ok).increment(2);
                            kept.increment(1);
                            latency.get(&ok).record(Duration::from_millis(records));
                            steady.increment(1);
                        }
                        let snapshot = registry.snapshot();
                        let labels = [("model_name", name.as_str()), ("status", "ok")];
                        assert_eq!(snapshot.counter("requests_total", &labels), Some(2 * records), "{name}");
                        let seen = snapshot.histogram("latency_seconds", &labels).unwrap();
                        assert_eq!(seen.count(), records, "{name}");
                        assert!((seen.sum() - (records * records) as f64 / 1e3).abs() < 1e-9, "{name}");

                        assert!(requests.remove(&ok) && latency.remove(&ok));
                        let labels = [("model_name", name.as_str())];
                        assert_eq!(registry.snapshot().counter("requests_total", &labels), None, "removed");
                        // A handle that is still alive does not record into nothing.
                        kept.increment(5);
                        let snapshot = registry.snapshot();
                        let labels = [("model_name", name.as_str()), ("status", "error")];
                        assert_eq!(snapshot.counter("requests_total", &labels), Some(records + 5), "listed again");
                        drop(kept);
                        assert!(requests.remove(&ok));
                        generation += 1;
                    }
                    (generation, (0..generation).map(|generation| generation % 13 + 1).sum::<u64>())
                })
            })
            .collect();
        for worker in workers {
            let (own, steady) = worker.join().unwrap();
            generations += own;
            recorded_steady += steady;
        }
        stop.store(true, Relaxed);
        scraper.join().unwrap();
    });
    assert!(generations > 20, "the check ran idle");
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("steady_total", &[]), Some(recorded_steady));
    assert_eq!(snapshot.counter("requests_total", &[]), None);
}

#[test]
fn up_down_counters_and_gauges_keep_their_sum_over_threads() {
    let registry = Registry::new();
    let in_flight: UpDownCounter = registry.up_down_counter("in_flight", &[]).unwrap();
    let level: Gauge = registry.gauge("level", &[]).unwrap();
    thread::scope(|scope| {
        let record = || {
            for _ in 0..20_000 {
                in_flight.increment(3);
                level.increment(1);
                in_flight.decrement(2);
            }
        };
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(record)).collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.gauge("in_flight", &[]), Some((WRITERS * 20_000) as f64));
    assert_eq!(snapshot.gauge("level", &[]), Some((WRITERS * 20_000) as f64));
}
