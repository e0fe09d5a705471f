//! Values that are read when somebody scrapes. Fault 15 of `docs/faults.md`, as far as the core goes.

use inferometer::{
    Collector, CollectorError, CollectorFamily, CollectorSink, Kind, NameError, RegisterError, Registry, Snapshot,
    Unit, Value,
};
use std::cell::RefCell;
use std::error::Error;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// Far longer than anything takes, so that a test fails rather than hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// A collector's timeout where a test waits for it.
const SHORT: Duration = Duration::from_millis(200);
/// How much longer than its timeout a collector may hold up a scrape on a machine that is busy.
const SLACK: Duration = Duration::from_secs(2);

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

struct Custom<F> {
    families: Vec<CollectorFamily>,
    timeout: Duration,
    collect: F,
}

impl<F: FnMut(&mut CollectorSink<'_>) -> Outcome + Send + 'static> Collector for Custom<F> {
    fn families(&self) -> Vec<CollectorFamily> {
        self.families.clone()
    }

    fn collect(&mut self, sink: &mut CollectorSink<'_>) -> Outcome {
        (self.collect)(sink)
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

fn collector<F>(families: &[CollectorFamily], collect: F) -> Custom<F>
where
    F: FnMut(&mut CollectorSink<'_>) -> Outcome + Send + 'static,
{
    Custom { families: families.to_vec(), timeout: PATIENCE, collect }
}

/// A collector with one gauge.
fn level(
    timeout: Duration,
    name: &'static str,
    mut value: impl FnMut() -> Result<f64, Box<dyn Error + Send + Sync>> + Send + 'static,
) -> impl Collector {
    Custom { timeout, ..collector(&[gauge(name)], move |sink| Ok(sink.gauge(name, &[], value()?)?)) }
}

/// The same with a short timeout.
fn impatient(
    name: &'static str,
    value: impl FnMut() -> Result<f64, Box<dyn Error + Send + Sync>> + Send + 'static,
) -> impl Collector {
    level(SHORT, name, value)
}

fn gauge(name: &str) -> CollectorFamily {
    CollectorFamily::gauge(name, "A level.")
}

fn errors(snapshot: &Snapshot, collector: &str, reason: &str) -> u64 {
    let labels = [("collector", collector), ("reason", reason)];
    snapshot.counter("inferometer_collector_errors_total", &labels).expect("it is there from the start")
}

/// A gauge whose collector says when it is entered, and waits for leave to go on.
fn hanging(timeout: Duration, name: &'static str) -> (impl Collector, Receiver<()>, Sender<()>) {
    let (entered, has_entered) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel();
    let value = move || {
        let _ = entered.send(());
        let _ = may_leave.recv();
        Ok(1.0)
    };
    (level(timeout, name, value), has_entered, leave)
}

/// Snapshots until one has the gauge.
fn wait_for_gauge(registry: &Registry, name: &str) -> f64 {
    let start = Instant::now();
    loop {
        if let Some(value) = registry.snapshot().gauge(name, &[]) {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "{name} does not come back");
    }
}

fn silently(work: impl FnOnce()) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    work();
    std::panic::set_hook(hook);
}

#[test]
fn a_collectors_values_are_read_at_each_scrape() {
    let registry = Registry::new();
    registry.set_prefix("engine_").unwrap();
    registry.set_constant_labels(&[("host", "a")]).unwrap();
    let families = [
        CollectorFamily::counter("sent.bytes_total", "Bytes sent.").labels(&["peer", "kind"]),
        CollectorFamily::counter("busy_seconds_total", "Time at work."),
        CollectorFamily::gauge("depth", "Requests that wait.").unit(Unit::Count),
    ];
    let mut polls = 0;
    let collect = move |sink: &mut CollectorSink<'_>| {
        polls += 1;
        sink.counter("sent.bytes_total", &["b", "\"\n\\ {}"], 10 + polls)?;
        sink.counter("sent.bytes_total", &["a", ""], u64::MAX)?;
        sink.float_counter("busy_seconds_total", &[], 0.5)?;
        sink.gauge("depth", &[], -(polls as f64))?;
        Ok(())
    };
    registry.register_collector("test", collector(&families, collect)).unwrap();
    registry.snapshot();
    let snapshot = registry.snapshot();
    let sent = &snapshot.families[0];
    assert_eq!(
        (sent.name.as_str(), sent.kind, sent.unit),
        ("engine_sent_bytes_total", Kind::Counter, Some(Unit::Bytes))
    );
    assert_eq!(sent.help, "Bytes sent.");
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(sent.series[0].labels, [label("host", "a"), label("peer", "a"), label("kind", "")]);
    assert_eq!(sent.series[0].value, Value::Counter(u64::MAX));
    assert_eq!(sent.series[1].labels[1..], [label("peer", "b"), label("kind", "\"\n\\ {}")]);
    assert_eq!(sent.series[1].value, Value::Counter(12));
    assert_eq!(snapshot.families[1].series[0].value, Value::FloatCounter(0.5));
    assert_eq!((snapshot.families[2].unit, snapshot.gauge("engine_depth", &[])), (Some(Unit::Count), Some(-2.0)));
    for reason in ["panicked", "timed_out", "failed", "duplicate"] {
        let labels = [("collector", "test"), ("reason", reason)];
        assert_eq!(snapshot.counter("engine_inferometer_collector_errors_total", &labels), Some(0));
    }
}

#[test]
fn bad_and_taken_names_are_refused_and_leave_nothing_behind() {
    let registry = Registry::new();
    registry.counter("requests_total", &[]).unwrap();
    registry.gauge("kv.usage", &[]).unwrap();
    registry.set_constant_labels(&[("host", "a")]).unwrap();
    registry.register_collector("first", collector(&[gauge("taken")], |_| Ok(()))).unwrap();
    let before = registry.snapshot();
    let refused = |family: CollectorFamily| {
        let families = [gauge("good"), family];
        registry.register_collector("second", collector(&families, |_| Ok(()))).unwrap_err()
    };
    let name = |name: &str, error| RegisterError::Name { name: name.to_owned(), error };
    let label = |error| RegisterError::Label { name: "x".to_owned(), error };
    let taken = |name: &str| RegisterError::Taken { name: name.to_owned() };
    assert_eq!(refused(gauge("Level")), name("Level", NameError::UpperCase));
    assert_eq!(refused(gauge("x_count")), name("x_count", NameError::ReservedSuffix));
    assert_eq!(refused(gauge("x_bytes").unit(Unit::Seconds)), name("x_bytes", NameError::UnitContradictsName));
    assert_eq!(refused(gauge("x").labels(&["le"])), label(NameError::ReservedLabel));
    assert_eq!(refused(gauge("x").labels(&["a", "a"])), label(NameError::DuplicateLabel));
    assert_eq!(refused(gauge("x").labels(&["host"])), label(NameError::DuplicateLabel));
    for of_others in ["requests_total", "kv_usage", "kv.usage", "taken", "good", "inferometer_collector_errors_total"] {
        assert_eq!(refused(gauge(of_others)), taken(of_others));
    }
    let again = registry.register_collector("first", collector(&[gauge("good")], |_| Ok(())));
    assert_eq!(again, Err(RegisterError::CollectorTaken { name: "first".to_owned() }));
    assert_eq!(registry.snapshot(), before);
    // Nor can anybody record to a collector's family.
    assert_eq!(registry.gauge("taken", &[]).unwrap_err(), taken("taken"));
    assert_eq!(registry.gauge_fn("taken", &[], || 1.0), Err(taken("taken")));
    assert!(registry.set_constant_labels(&[("host", "b")]).is_ok());
    // A name that was refused is free.
    registry.register_collector("second", collector(&[gauge("good")], |_| Ok(()))).unwrap();
}

#[test]
fn constant_labels_cannot_take_the_name_of_a_collectors_label() {
    let registry = Registry::new();
    registry.register_collector("test", collector(&[gauge("depth").labels(&["queue"])], |_| Ok(()))).unwrap();
    let error = NameError::DuplicateLabel;
    let refused = Err(RegisterError::Label { name: "depth".to_owned(), error });
    assert_eq!(registry.set_constant_labels(&[("queue", "a")]), refused);
}

#[test]
fn values_that_were_not_declared_are_typed_errors() {
    let registry = Registry::new();
    let (errors, seen) = mpsc::channel();
    let families = [gauge("depth").labels(&["queue"]), CollectorFamily::counter("sent_total", "Sent.")];
    let collect = move |sink: &mut CollectorSink<'_>| {
        let _ = errors.send(sink.gauge("length", &["a"], 1.0));
        let _ = errors.send(sink.gauge("depth", &[], 1.0));
        let _ = errors.send(sink.counter("depth", &["a"], 1));
        let _ = errors.send(sink.float_counter("sent_total", &["a"], 1.0));
        sink.gauge("depth", &["a"], 3.0)?;
        Ok(())
    };
    registry.register_collector("test", collector(&families, collect)).unwrap();
    let snapshot = registry.snapshot();
    let [length, depth, sent] = ["length", "depth", "sent_total"].map(str::to_owned);
    let want = [
        CollectorError::Undeclared { name: length },
        CollectorError::OtherLabels { name: depth.clone(), declared: 1, given: 0 },
        CollectorError::OtherKind { name: depth, declared: Kind::Gauge },
        CollectorError::OtherLabels { name: sent, declared: 0, given: 1 },
    ];
    assert_eq!(seen.try_iter().map(Result::unwrap_err).collect::<Vec<_>>(), want);
    // Whoever goes on has what was right.
    assert_eq!(snapshot.gauge("depth", &[("queue", "a")]), Some(3.0));
    assert_eq!(snapshot.counter("sent_total", &[]), None);
}

#[test]
fn of_two_values_for_the_same_labels_the_first_stays_and_nan_is_none() {
    let registry = Registry::new();
    let families = [gauge("depth").labels(&["queue", "kind"])];
    let collect = |sink: &mut CollectorSink<'_>| {
        sink.gauge("depth", &["ab", "c"], 1.0)?;
        sink.gauge("depth", &["ab", "c"], 2.0)?;
        sink.gauge("depth", &["a", "bc"], 4.0)?;
        sink.gauge("depth", &["n", ""], f64::NAN)?;
        sink.gauge("depth", &["i", ""], f64::INFINITY)?;
        Ok(())
    };
    registry.register_collector("test", collector(&families, collect)).unwrap();
    registry.snapshot();
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.gauge("depth", &[("queue", "ab")]), Some(1.0));
    assert_eq!(snapshot.gauge("depth", &[("queue", "a")]), Some(4.0));
    assert_eq!(snapshot.gauge("depth", &[("queue", "n")]), None);
    assert_eq!(snapshot.gauge("depth", &[("queue", "i")]), Some(f64::INFINITY));
    assert_eq!(errors(&snapshot, "test", "duplicate"), 2);
}

#[test]
fn series_past_a_familys_limit_are_left_out_and_counted() {
    let registry = Registry::new();
    let families = [gauge("depth").labels(&["queue"]).max_series(3), gauge("other").labels(&["queue"])];
    let collect = |sink: &mut CollectorSink<'_>| {
        for queue in 0..1_002 {
            sink.gauge("depth", &[&queue.to_string()], 1.0)?;
            sink.gauge("other", &[&queue.to_string()], 1.0)?;
        }
        Ok(())
    };
    registry.register_collector("test", collector(&families, collect)).unwrap();
    let snapshot = registry.snapshot();
    assert_eq!((snapshot.gauge("depth", &[]), snapshot.gauge("other", &[])), (Some(3.0), Some(1_000.0)));
    let dropped = |family| snapshot.counter("inferometer_series_dropped_total", &[("family", family)]);
    assert_eq!((dropped("depth"), dropped("other")), (Some(999), Some(2)));
}

#[test]
fn a_collector_that_panics_or_fails_costs_its_own_families_only_and_is_counted() {
    let registry = Registry::new();
    registry.counter("requests_total", &[]).unwrap().increment(7);
    let healthy = Arc::new(AtomicU64::new(0));
    let is_healthy = Arc::clone(&healthy);
    let families = [gauge("of_panicking"), gauge("of_panicking_too")];
    let panicking = move |sink: &mut CollectorSink<'_>| {
        // What was handed over before is not used.
        sink.gauge("of_panicking_too", &[], 1.0)?;
        assert!(is_healthy.load(SeqCst) > 0, "on purpose");
        sink.gauge("of_panicking", &[], 1.0)?;
        Ok(())
    };
    let failing = |sink: &mut CollectorSink<'_>| {
        sink.gauge("of_failing", &[], 1.0)?;
        Err("no answer from the device")?
    };
    registry.register_collector("panicking", collector(&families, panicking)).unwrap();
    registry.register_collector("failing", collector(&[gauge("of_failing")], failing)).unwrap();
    registry.register_collector("fine", impatient("of_fine", || Ok(3.0))).unwrap();
    silently(|| {
        for round in 1..=3 {
            let snapshot = registry.snapshot();
            for family in ["of_panicking", "of_panicking_too", "of_failing"] {
                assert_eq!(snapshot.gauge(family, &[]), None, "{family}");
            }
            assert_eq!(snapshot.gauge("of_fine", &[]), Some(3.0));
            assert_eq!(snapshot.counter("requests_total", &[]), Some(7));
            assert_eq!(errors(&snapshot, "panicking", "panicked"), round);
            assert_eq!(errors(&snapshot, "failing", "failed"), round);
            assert_eq!(snapshot.counter("inferometer_collector_errors_total", &[]), Some(2 * round));
        }
    });
    healthy.store(1, SeqCst);
    assert_eq!(registry.snapshot().gauge("of_panicking", &[]), Some(1.0), "it is polled again after a panic");
}

#[test]
fn a_collector_that_hangs_holds_up_one_scrape_for_its_timeout_and_no_other() {
    let registry = Registry::new();
    registry.counter("requests_total", &[]).unwrap().increment(7);
    let (hangs, entered, leave) = hanging(SHORT, "of_hanging");
    registry.register_collector("hanging", hangs).unwrap();
    registry.register_collector("fine", impatient("of_fine", || Ok(3.0))).unwrap();
    let start = Instant::now();
    let first = registry.snapshot();
    let took = start.elapsed();
    assert!((SHORT..SHORT + SLACK).contains(&took), "{took:?}");
    assert_eq!((first.gauge("of_hanging", &[]), first.gauge("of_fine", &[])), (None, Some(3.0)));
    assert_eq!((first.counter("requests_total", &[]), errors(&first, "hanging", "timed_out")), (Some(7), 1));
    // A hundred further scrapes take less than two of its timeouts.
    let start = Instant::now();
    for round in 2..=101 {
        let snapshot = registry.snapshot();
        assert_eq!((snapshot.gauge("of_hanging", &[]), snapshot.gauge("of_fine", &[])), (None, Some(3.0)));
        assert_eq!(errors(&snapshot, "hanging", "timed_out"), round);
    }
    let took = start.elapsed();
    assert!(took < 100 * SHORT / 4, "it holds up later scrapes: {took:?}");
    assert_eq!(entered.try_iter().count(), 1, "it is polled while it hangs");
    // It comes back when it can, and not with what it had so long ago.
    leave.send(()).unwrap();
    leave.send(()).unwrap();
    wait_for_gauge(&registry, "of_hanging");
    assert_eq!(entered.try_iter().count(), 1);
}

#[test]
fn a_late_value_is_never_used() {
    let registry = Registry::new();
    let polls = Arc::new(AtomicUsize::new(0));
    let (own, (late, is_late)) = (Arc::clone(&polls), mpsc::channel());
    let value = move || {
        let poll = own.fetch_add(1, SeqCst);
        if poll == 0 {
            thread::sleep(2 * SHORT);
            late.send(()).unwrap();
        }
        Ok(poll as f64)
    };
    registry.register_collector("late", impatient("level", value)).unwrap();
    assert_eq!(registry.snapshot().gauge("level", &[]), None);
    is_late.recv_timeout(PATIENCE).unwrap();
    thread::sleep(SHORT / 10); // until what it had is there to be taken
    assert!(wait_for_gauge(&registry, "level") >= 1.0);
}

#[test]
fn collectors_are_polled_side_by_side() {
    let registry = Registry::new();
    // None returns before all have been entered.
    let barrier = Arc::new(Barrier::new(5));
    for name in ["a", "b", "c", "d", "e"] {
        let barrier = Arc::clone(&barrier);
        let collect = move |sink: &mut CollectorSink<'_>| {
            barrier.wait();
            Ok(sink.gauge(name, &[], 1.0)?)
        };
        registry.register_collector(name, collector(&[gauge(name)], collect)).unwrap();
    }
    let snapshot = registry.snapshot();
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(snapshot.gauge(name, &[]), Some(1.0));
    }
}

#[test]
fn several_that_hang_cost_a_scrape_no_more_than_one() {
    let registry = Registry::new();
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let hang: Vec<_> = names
        .map(|name| {
            let (hangs, entered, leave) = hanging(SHORT, name);
            registry.register_collector(name, hangs).unwrap();
            (entered, leave)
        })
        .into();
    let start = Instant::now();
    let snapshot = registry.snapshot();
    let took = start.elapsed();
    assert!(took < SHORT + SLACK, "{took:?}");
    assert!(SHORT * 12 > SHORT + SLACK, "one after the other would not be noticed");
    assert_eq!(snapshot.counter("inferometer_collector_errors_total", &[("reason", "timed_out")]), Some(12));
    drop(hang);
}

#[test]
fn scrapes_that_come_while_a_collector_hangs_wait_for_one_timeout_between_them() {
    let registry = Registry::new();
    let (hangs, entered, leave) = hanging(SHORT, "of_hanging");
    registry.register_collector("hanging", hangs).unwrap();
    registry.register_collector("fine", impatient("of_fine", || Ok(3.0))).unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(registry.snapshot().gauge("of_fine", &[]), Some(3.0)));
        }
    });
    let took = start.elapsed();
    assert!(took < SHORT + SLACK, "{took:?}");
    assert_eq!(entered.try_iter().count(), 1);
    assert_eq!(errors(&registry.snapshot(), "hanging", "timed_out"), 17);
    drop(leave);
}

#[test]
fn scrapes_beside_each_other_each_get_values_read_after_they_began() {
    let registry = Registry::new();
    let clock = Arc::new(AtomicU64::new(0));
    let own = Arc::clone(&clock);
    let collect = move |sink: &mut CollectorSink<'_>| Ok(sink.counter("reads_total", &[], own.load(SeqCst))?);
    let families = [CollectorFamily::counter("reads_total", "Reads.")];
    registry.register_collector("test", collector(&families, collect)).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let now = clock.fetch_add(1, SeqCst) + 1;
                    assert!(registry.snapshot().counter("reads_total", &[]) >= Some(now));
                }
            });
        }
    });
}

#[test]
fn a_collector_that_hangs_holds_up_neither_records_nor_registrations() {
    let registry = Registry::new();
    let (hangs, entered, leave) = hanging(Duration::MAX, "of_hanging");
    registry.register_collector("hanging", hangs).unwrap();
    thread::scope(|scope| {
        let scrape = scope.spawn(|| registry.snapshot());
        entered.recv_timeout(PATIENCE).unwrap();
        registry.counter("new_total", &[("a", "1")]).unwrap().increment(5);
        registry.register_collector("new", impatient("of_new", || Ok(1.0))).unwrap();
        assert!(registry.unregister_collector("new"));
        registry.describe("new_total", None, "New.").unwrap();
        assert!(!scrape.is_finished());
        leave.send(()).unwrap();
        let snapshot = scrape.join().unwrap();
        assert_eq!(snapshot.gauge("of_hanging", &[]), Some(1.0));
        // Polled first, read after.
        assert_eq!(snapshot.counter("new_total", &[]), Some(5));
    });
}

#[test]
fn a_collector_may_record_and_read_the_registry_that_it_is_of() {
    let registry = Registry::new();
    let hits = registry.counter("hits_total", &[]).unwrap();
    hits.increment(3);
    let own = registry.clone();
    let collect = move |sink: &mut CollectorSink<'_>| {
        own.counter("polls_total", &[])?.increment(1);
        let snapshot = own.snapshot();
        assert_eq!(snapshot.gauge("hit_ratio", &[]), None, "it waits for itself");
        sink.gauge("hit_ratio", &[], snapshot.counter("hits_total", &[]).ok_or("no hits")? as f64 / 4.0)?;
        Ok(())
    };
    registry.register_collector("ratio", collector(&[gauge("hit_ratio")], collect)).unwrap();
    let snapshot = registry.snapshot();
    assert_eq!((snapshot.gauge("hit_ratio", &[]), snapshot.counter("polls_total", &[])), (Some(0.75), Some(1)));
    assert_eq!(snapshot.counter("inferometer_collector_errors_total", &[]), Some(0));
    registry.unregister_collector("ratio"); // each owns the other
}

thread_local! {
    static AT_THREAD_END: RefCell<Option<SaysGoodbye>> = const { RefCell::new(None) };
}

struct SaysGoodbye(Sender<&'static str>, &'static str);

impl Drop for SaysGoodbye {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

/// A collector that says when it is polled and when it and its thread end.
fn observed() -> (impl Collector, Receiver<&'static str>) {
    let (says, said) = mpsc::channel();
    let of_collector = SaysGoodbye(says.clone(), "collector");
    let mut first = None;
    let value = move || {
        let SaysGoodbye(says, _) = &of_collector;
        let thread = thread::current();
        says.send(match thread.name() {
            Some("collect-test") if *first.get_or_insert(thread.id()) == thread.id() => "polled",
            Some("collect-test") => "polled by another thread",
            _ => "polled by a thread without a name",
        })?;
        AT_THREAD_END.with_borrow_mut(|end| {
            end.get_or_insert_with(|| SaysGoodbye(says.clone(), "thread"));
        });
        Ok(1.0)
    };
    (impatient("level", value), said)
}

fn next_two(said: &Receiver<&'static str>) -> [&'static str; 2] {
    let mut two = [(); 2].map(|()| said.recv_timeout(PATIENCE).expect("it does not end"));
    two.sort_unstable();
    two
}

#[test]
fn the_thread_starts_at_the_first_scrape_is_named_and_ends_with_the_collector() {
    let registry = Registry::new();
    let (watched, said) = observed();
    registry.register_collector("test", watched).unwrap();
    assert!(said.try_recv().is_err());
    for _ in 0..3 {
        registry.snapshot();
        assert_eq!(said.recv_timeout(PATIENCE), Ok("polled"));
    }
    assert!(!registry.unregister_collector("other"));
    assert!(registry.unregister_collector("test"));
    assert!(!registry.unregister_collector("test"));
    assert_eq!(next_two(&said), ["collector", "thread"]);
    assert!(registry.snapshot().families.is_empty());
    // The names are free.
    registry.register_collector("test", impatient("level", || Ok(2.0))).unwrap();
    assert_eq!(registry.snapshot().gauge("level", &[]), Some(2.0));
}

#[test]
fn the_thread_ends_with_the_registry() {
    let registry = Registry::new();
    let (watched, said) = observed();
    registry.register_collector("test", watched).unwrap();
    registry.snapshot();
    assert_eq!(said.recv_timeout(PATIENCE), Ok("polled"));
    drop(registry);
    assert_eq!(next_two(&said), ["collector", "thread"]);
}

#[test]
fn a_collector_that_was_never_polled_ends_with_the_registry() {
    let registry = Registry::new();
    let (watched, said) = observed();
    registry.register_collector("test", watched).unwrap();
    drop(registry);
    assert_eq!(said.recv_timeout(PATIENCE), Ok("collector"));
}

#[test]
fn a_collector_that_is_unregistered_while_it_hangs_ends_when_it_returns() {
    let registry = Registry::new();
    let (says, said) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    let value = move || {
        AT_THREAD_END.set(Some(SaysGoodbye(says.clone(), "thread")));
        let _ = may_leave.recv();
        Ok(1.0)
    };
    registry.register_collector("test", impatient("level", value)).unwrap();
    assert_eq!(registry.snapshot().gauge("level", &[]), None);
    let start = Instant::now();
    assert!(registry.unregister_collector("test"));
    assert!(start.elapsed() < SLACK, "the removal waits");
    // Another one can take its place at once.
    registry.register_collector("test", impatient("level", || Ok(2.0))).unwrap();
    let snapshot = registry.snapshot();
    assert_eq!((snapshot.gauge("level", &[]), errors(&snapshot, "test", "timed_out")), (Some(2.0), 0));
    assert!(said.try_recv().is_err());
    drop(leave);
    assert_eq!(said.recv_timeout(PATIENCE), Ok("thread"));
    assert_eq!(registry.snapshot().gauge("level", &[]), Some(2.0));
}

#[test]
fn a_scrape_that_waits_for_a_collector_does_not_wait_on_when_it_is_unregistered() {
    let registry = Registry::new();
    let (entered, has_entered) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    let collect = move |_: &mut CollectorSink<'_>| {
        let _ = entered.send(());
        let _ = may_leave.recv();
        Ok(())
    };
    registry.register_collector("test", collector(&[gauge("level")], collect)).unwrap();
    thread::scope(|scope| {
        let scrape = scope.spawn(|| registry.snapshot());
        has_entered.recv_timeout(PATIENCE).unwrap();
        let start = Instant::now();
        registry.unregister_collector("test");
        scrape.join().unwrap();
        assert!(start.elapsed() < PATIENCE / 2);
    });
    drop(leave);
}

#[test]
fn collectors_come_and_go_beside_scrapes() {
    let registry = Registry::new();
    registry.counter("requests_total", &[]).unwrap().increment(1);
    thread::scope(|scope| {
        let scrapes = scope.spawn(|| {
            for _ in 0..300 {
                let snapshot = registry.snapshot();
                assert_eq!(snapshot.counter("requests_total", &[]), Some(1));
                assert!(snapshot.gauge("level", &[]).is_none_or(|level| level == 1.0));
            }
        });
        while !scrapes.is_finished() {
            registry.register_collector("test", impatient("level", || Ok(1.0))).unwrap();
            thread::yield_now();
            assert!(registry.unregister_collector("test"));
        }
    });
}

#[test]
fn a_name_that_no_thread_can_have_and_a_timeout_of_zero_or_for_ever_are_survived() {
    let registry = Registry::new();
    registry.register_collector("a\0b", impatient("level", || Ok(1.0))).unwrap();
    registry.register_collector("hurried", level(Duration::ZERO, "hurried", || Ok(1.0))).unwrap();
    registry.register_collector("patient", level(Duration::MAX, "patient", || Ok(1.0))).unwrap();
    let snapshot = registry.snapshot();
    assert_eq!((snapshot.gauge("level", &[]), snapshot.gauge("patient", &[])), (Some(1.0), Some(1.0)));
}
