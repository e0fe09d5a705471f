//! Exemplars: what is kept, where, and what is not. The numbers are those of `docs/faults.md`.

use inferometer::{
    Buckets, Exemplar, Family, FamilyView, Histogram, LabelSet, LabelValue, Registry, Sample, SeriesView, Snapshot,
    Visitor, histogram, metric,
};
use proptest::prelude::*;
use std::cell::RefCell;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How many exemplars were dropped so far in this process.
fn dropped() -> u64 {
    Registry::global().snapshot().counter("inferometer_exemplars_dropped_total", &[]).unwrap()
}

fn exemplars(snapshot: &Snapshot, name: &str, labels: &[(&str, &str)]) -> Vec<Exemplar> {
    snapshot.histogram(name, labels).unwrap().exemplars().to_vec()
}

fn values(exemplars: &[Exemplar]) -> Vec<f64> {
    exemplars.iter().map(|exemplar| exemplar.value).collect()
}

/// The value of an exemplar's only label.
fn label(exemplar: &Exemplar) -> &str {
    let [(_, value)] = &exemplar.labels[..] else { panic!("not one label: {exemplar:?}") };
    value
}

/// For records that have to come one right after the other.
fn within_a_second(body: impl FnOnce()) {
    let began = Instant::now();
    body();
    assert!(began.elapsed() < Duration::from_millis(900), "this machine is too busy for this test");
}

// ---- what is kept

/// A declared histogram, which is not registered before its first record.
#[metric(name = "declared_seconds")]
static DECLARED: Histogram = Histogram::new();

/// A family.
#[metric(name = "family_seconds")]
static FAMILY: Family<Request, Histogram> = Family::new();

#[derive(LabelSet)]
struct Request<'a> {
    model_name: &'a str,
    status: Status,
}

#[derive(LabelValue, Clone, Copy)]
enum Status {
    Ok,
    Error,
}

#[test]
fn an_exemplar_has_the_value_the_labels_and_the_time_of_its_record() {
    let registry = Registry::new();
    let durations: Histogram = registry.histogram("d_seconds", &[]).unwrap();
    let integers: Histogram<u64> = registry.histogram("i", &[]).unwrap();
    let floats: Histogram<f64> = registry.histogram("f", &[]).unwrap();
    let before = SystemTime::now();
    let labels = [("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"), ("span_id", "00f067aa0ba902b7")];
    durations.record_with_exemplar(Duration::from_micros(12_500), &labels);
    integers.record_with_exemplar(2_048, &labels);
    floats.record_with_exemplar(0.37, &labels);
    floats.handle().record_with_exemplar(Duration::from_secs(3), &[("user", "caf\u{e9} \"\\\n\0")]);
    floats.record_with_exemplar(-0.0, &[]);
    let after = SystemTime::now();

    let snapshot = registry.snapshot();
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    for (name, value) in [("d_seconds", 0.0125), ("i", 2_048.0)] {
        let seen = exemplars(&snapshot, name, &[]);
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].value, &seen[0].labels[..]), (value, &labels[..]));
        assert!((before..=after).contains(&seen[0].time), "{before:?} {:?} {after:?}", seen[0].time);
        assert_eq!(snapshot.histogram(name, &[]).unwrap().count(), 1);
    }
    let seen = exemplars(&snapshot, "f", &[]);
    assert_eq!(values(&seen), [0.0, 0.37, 3.0], "by ascending value");
    assert_eq!(seen[0].labels, []);
    assert_eq!(label(&seen[2]), "caf\u{e9} \"\\\n\0");
    assert_eq!(snapshot.histogram("f", &[]).unwrap().count(), 3);
}

#[test]
fn statics_families_and_macros_keep_exemplars_from_their_first_record_on() {
    DECLARED.record_with_exemplar(Duration::from_millis(1), &[("by", "static")]);
    let model_name = String::from("llama");
    for (status, by) in [(Status::Ok, "ok"), (Status::Error, "error")] {
        FAMILY.get(&Request { model_name: &model_name, status }).record_with_exemplar(Duration::ZERO, &[("by", by)]);
    }
    histogram!("literal_histogram").record_with_exemplar(1, &[("by", "literal")]);
    histogram!("dynamic_histogram", "model_name" => model_name).record_with_exemplar(1, &[("by", "dynamic")]);

    let snapshot = Registry::global().snapshot();
    for (name, labels, by) in [
        ("declared_seconds", &[][..], "static"),
        ("family_seconds", &[("status", "ok")], "ok"),
        ("family_seconds", &[("status", "error")], "error"),
        ("literal_histogram", &[], "literal"),
        ("dynamic_histogram", &[("model_name", "llama")], "dynamic"),
    ] {
        let seen = exemplars(&snapshot, name, labels);
        assert_eq!((seen.len(), label(&seen[0])), (1, by), "{name}");
    }
}

#[test]
fn a_record_in_a_destructor_of_a_thread_local_keeps_its_exemplar() {
    struct RecordsLate(Histogram<u64>);

    impl Drop for RecordsLate {
        fn drop(&mut self) {
            self.0.record_with_exemplar(7, &[("by", "destructor")]);
        }
    }

    thread_local! {
        static LATE: RefCell<Option<RecordsLate>> = const { RefCell::new(None) };
    }

    let registry = Registry::new();
    for name in ["cold", "warm"] {
        let histogram: Histogram<u64> = registry.histogram(name, &[]).unwrap();
        let handle = histogram.clone();
        let ended = thread::spawn(move || {
            if name == "warm" {
                handle.record(1);
            }
            LATE.with(|late| late.replace(Some(RecordsLate(handle))));
        });
        ended.join().unwrap();
        assert_eq!(label(&exemplars(&registry.snapshot(), name, &[])[0]), "destructor");
    }
}

#[test]
fn a_bucket_keeps_its_exemplar_for_a_second_and_then_takes_the_next() {
    let registry = Registry::new();
    let histogram: Histogram<u64> = registry.histogram("x", &[]).unwrap();
    let seen = || values(&exemplars(&registry.snapshot(), "x", &[]));
    within_a_second(|| {
        histogram.record_with_exemplar(100, &[("i", "1")]);
        histogram.record_with_exemplar(101, &[("i", "2")]);
        histogram.record_with_exemplar(10, &[("i", "3")]);
    });
    let first = seen();
    assert_eq!(first, [10.0, 100.0], "each bucket for itself");
    thread::sleep(Duration::from_millis(1_050));
    assert_eq!(seen(), first, "until there is another");
    within_a_second(|| {
        histogram.record_with_exemplar(102, &[("i", "4")]);
        histogram.record_with_exemplar(103, &[("i", "5")]);
    });
    assert_eq!(seen(), [10.0, 102.0]);
    assert_eq!(registry.snapshot().histogram("x", &[]).unwrap().count(), 5);
}

// ---- what is not kept

// Fault 27: one test, since the counts are the process's.
#[test]
fn bad_exemplars_are_dropped_and_counted_and_their_observations_are_not() {
    let registry = Registry::new();
    let histogram: Histogram<f64> = registry.histogram("x", &[]).unwrap();
    let (long, name) = ("x".repeat(129), "n".repeat(64));
    let wide = "\u{1f980}".repeat(129); // more than 512 bytes
    let full = "\u{e9}".repeat(128 - 64);
    let many: Vec<String> = (0..200).map(|i| format!("l{i}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
    let bad: [&[(&str, &str)]; 12] = [
        &[("a", &long)],
        &[("a", &wide)],
        &[(&long, "")],
        &[(&name, &full), ("a", "")],
        &many,
        &[("", "x")],
        &[("0x", "x")],
        &[("trace-id", "x")],
        &[("caf\u{e9}", "x")],
        &[("le", "x")],
        &[("__name__", "x")],
        &[("a", "x"), ("b", "y"), ("a", "z")],
    ];
    let before = dropped();
    for labels in bad {
        histogram.record_with_exemplar(0.5, labels);
    }
    assert_eq!(dropped() - before, 12);
    let seen = registry.snapshot().histogram("x", &[]).unwrap();
    assert_eq!((seen.count(), seen.exemplars().len()), (12, 0));

    // Values that are not recorded, whose count is that of invalid observations.
    let invalid = || Registry::global().snapshot().counter("inferometer_invalid_observations_total", &[]).unwrap();
    let (before, dropped_before) = (invalid(), dropped());
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
        histogram.record_with_exemplar(value, &[("a", "b")]);
    }
    let integers: Histogram<u64> = registry.histogram("i", &[]).unwrap();
    integers.record_with_exemplar(1 << 48, &[("a", "b")]);
    let durations: Histogram = registry.histogram("d_seconds", &[]).unwrap();
    durations.record_with_exemplar(Duration::MAX, &[("a", "b")]);
    assert_eq!((invalid() - before, dropped() - dropped_before), (6, 0));
    let snapshot = registry.snapshot();
    for (name, count) in [("x", 12), ("i", 0), ("d_seconds", 0)] {
        let seen = snapshot.histogram(name, &[]).unwrap();
        assert_eq!((seen.count(), seen.exemplars().len()), (count, 0));
    }

    // What is just short enough is kept whole.
    histogram.record_with_exemplar(0.5, &[(&name, &full)]);
    let seen = exemplars(&registry.snapshot(), "x", &[]);
    assert_eq!(seen[0].labels, [(name, full)]);

    // A histogram that could not be registered has nowhere to keep one.
    histogram!("inferometer_build_info").record_with_exemplar(1, &[("a", "b")]);
    assert_eq!(dropped() - dropped_before, 1);
}

// ---- where it is kept

/// What a scrape sees of the exemplars of one histogram.
#[derive(Debug, Default)]
struct Looks {
    bounds: Vec<f64>,
    seen: Vec<(f64, usize)>,
}

impl Visitor for Looks {
    fn family(&mut self, family: &FamilyView<'_>) -> bool {
        self.bounds = family.classic_bounds().to_vec();
        true
    }

    fn series(&mut self, _: &SeriesView<'_>, sample: Sample<'_>) {
        let Sample::Histogram(view) = sample else { return };
        for exemplar in view.exemplars() {
            let (value, bucket) = (exemplar.value(), exemplar.classic_bucket());
            let low = if bucket == 0 { f64::NEG_INFINITY } else { self.bounds[bucket - 1] };
            let high = self.bounds.get(bucket).copied().unwrap_or(f64::INFINITY);
            assert!(low < value && value <= high, "{value} is not in ({low}, {high}]");
            assert!(view.classic_counts()[bucket] > 0, "an exemplar of {value} in an empty bucket");
            for (_, text) in exemplar.labels() {
                let said: f64 = text.parse().unwrap();
                assert_eq!(said, value, "the labels are those of another observation");
            }
            self.seen.push((value, bucket));
        }
    }
}

fn look(registry: &Registry) -> Looks {
    let mut looks = Looks::default();
    registry.visit(&mut looks);
    looks
}

#[test]
fn without_classic_bounds_there_is_an_exemplar_for_each_doubling() {
    let registry = Registry::new();
    let buckets = Buckets::DEFAULT.without_classic();
    let histogram: Histogram<u64> = registry.histogram_with_buckets("x", &[], &buckets).unwrap();
    within_a_second(|| {
        for value in [0, 5, 6, 7, 8, 9, 1_000, 1_001, 1 << 47] {
            histogram.record_with_exemplar(value, &[]);
        }
    });
    let seen = values(&exemplars(&registry.snapshot(), "x", &[]));
    assert_eq!(seen, [0.0, 5.0, 9.0, 1_000.0, (1_u64 << 47) as f64]);
}

#[test]
fn however_many_buckets_there_are_64_exemplars_are_the_most() {
    let registry = Registry::new();
    let buckets = Buckets::classic_from((1..=1_000).map(f64::from).collect::<Vec<_>>()).without_native();
    let histogram: Histogram<u64> = registry.histogram_with_buckets("x", &[], &buckets).unwrap();
    for value in 0..1_100_u64 {
        histogram.record_with_exemplar(value, &[("value", &value.to_string())]);
    }
    let looks = look(&registry);
    assert_eq!(looks.seen.len(), 64);
    assert!(looks.seen.is_sorted());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn an_exemplar_lies_in_the_bucket_that_it_is_listed_under(
        bounds in prop::collection::btree_set(0_u32..100_000, 0..80),
        schema in prop::option::of(-4_i8..=8),
        seeds in prop::collection::vec((0_u64..1 << 47, 0_u32..47), 1..200),
    ) {
        let registry = Registry::new();
        let bounds: Vec<f64> = bounds.iter().map(|&bound| f64::from(bound) / 1_000.0).collect();
        let buckets = Buckets::classic_from(bounds.clone()).range(1e-3, 1e3);
        let buckets = match schema {
            Some(schema) => buckets.native(schema),
            None => buckets.without_native(),
        };
        let floats: Histogram<f64> = registry.histogram_with_buckets("f", &[], &buckets).unwrap();
        let durations: Histogram = registry.histogram_with_buckets("d_seconds", &[], &buckets).unwrap();
        // Of all magnitudes; and the bounds themselves, with their neighbours.
        let nanos = seeds.iter().map(|&(seed, shift)| seed >> shift);
        let nanos: Vec<u64> = nanos.chain(bounds.iter().map(|bound| (bound * 1e9) as u64)).collect();
        for nanos in nanos.iter().flat_map(|&nanos| [nanos, nanos + 1, nanos.saturating_sub(1)]) {
            let value = nanos as f64 / 1e9;
            let text = value.to_string();
            durations.record_with_exemplar(Duration::from_nanos(nanos), &[("value", &text)]);
            floats.record_with_exemplar(value, &[("value", &text)]);
        }
        let looks = look(&registry);
        prop_assert!(looks.seen.len() <= 2 * 64);
        if (1..64).contains(&bounds.len()) {
            // One for each bucket in which there is something.
            for name in ["f", "d_seconds"] {
                let seen = registry.snapshot().histogram(name, &[]).unwrap();
                let mut below = 0;
                let filled = seen.classic().filter(|&(_, count)| std::mem::replace(&mut below, count) < count).count();
                prop_assert_eq!(seen.exemplars().len(), filled);
            }
        }
    }
}

#[test]
fn while_threads_record_and_a_scrape_reads_each_exemplar_is_whole() {
    const BOUNDS: usize = 40;
    let rounds = if cfg!(debug_assertions) { 60 } else { 300 };
    let bounds: Vec<f64> = (0..BOUNDS).map(|i| 2_f64.powi(i as i32)).collect();
    for _ in 0..rounds {
        // A new histogram each time: all its buckets are free at first, so that the writers meet.
        let registry = Registry::new();
        let buckets = Buckets::classic_from(bounds.clone());
        let histogram: Histogram<u64> = registry.histogram_with_buckets("x", &[], &buckets).unwrap();
        let (start, done) = (Barrier::new(4), AtomicBool::new(false));
        thread::scope(|scope| {
            let writers: Vec<_> = (0..3_u64)
                .map(|writer| {
                    let (histogram, start) = (&histogram, &start);
                    scope.spawn(move || {
                        start.wait();
                        for power in 3..BOUNDS as u32 {
                            let value = 2_u64.pow(power) - writer;
                            // Two labels that say the value, long ones.
                            let (one, other) = (format!("{value:050}"), format!("{value}.{:030}", 0));
                            histogram.record_with_exemplar(value, &[("one", &one), ("other", &other)]);
                        }
                    })
                })
                .collect();
            let reader = scope.spawn(|| {
                start.wait();
                while !done.load(Relaxed) {
                    look(&registry);
                }
            });
            let results: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
            done.store(true, Relaxed);
            reader.join().unwrap();
            results.into_iter().for_each(|result| result.unwrap());
        });
        assert_eq!(look(&registry).seen.len(), BOUNDS - 3, "one of the writers has always written");
    }
}

// ---- how long it is kept

#[test]
fn a_removed_series_that_is_made_again_has_no_exemplars() {
    let registry = Registry::new();
    let labels = [("model_name", "llama")];
    let make = || registry.histogram::<u64>("x", &labels).unwrap();
    let seen = || values(&exemplars(&registry.snapshot(), "x", &[]));

    make().record_with_exemplar(100, &[]);
    registry.unregister(&labels);
    let fresh = make(); // in the slot of the old one
    assert_eq!(seen(), []);
    fresh.record_with_exemplar(101, &[]);
    assert_eq!(seen(), [101.0]);

    // And with an old handle that is still alive: then it is the same series that starts again.
    registry.unregister(&labels);
    let again = make();
    assert_eq!(seen(), []);
    again.record_with_exemplar(102, &[]);
    assert_eq!(seen(), [102.0]);
    fresh.record_with_exemplar(1, &[]);
    assert_eq!(seen(), [1.0, 102.0]);
}

#[test]
fn a_hidden_series_that_is_listed_again_has_its_exemplars() {
    let registry = Registry::new();
    let labels = [("model_name", "llama")];
    let histogram: Histogram<u64> = registry.histogram("x", &labels).unwrap();
    histogram.record_with_exemplar(100, &[]);
    registry.unregister(&labels);
    assert_eq!(registry.snapshot().histogram("x", &[]), None);
    histogram.record(5);
    assert_eq!(values(&exemplars(&registry.snapshot(), "x", &[])), [100.0]);
}

#[test]
fn a_delta_has_the_new_exemplars_and_a_sum_those_of_all_series() {
    let registry = Registry::new();
    let histogram = |i| registry.histogram::<u64>("x", &[("i", i)]).unwrap();
    let (one, two) = (histogram("1"), histogram("2"));
    one.record_with_exemplar(100, &[]);
    two.record_with_exemplar(50, &[]);
    let before = registry.snapshot();
    one.record_with_exemplar(7, &[]);
    let after = registry.snapshot();
    assert_eq!(values(&exemplars(&after, "x", &[])), [7.0, 50.0, 100.0]);
    assert_eq!(values(&exemplars(&after, "x", &[("i", "1")])), [7.0, 100.0]);
    assert_eq!(values(&exemplars(&after.delta(&before), "x", &[])), [7.0]);
}
