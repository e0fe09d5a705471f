//! Fault 46 of `docs/faults.md`: a process that forks. One test a process, because a child has one thread only.
#![cfg(unix)]

mod support;

use inferometer::{Counter, Histogram, Registry};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;
use support::in_a_child;

#[test]
fn a_forked_child_starts_at_zero_and_its_parent_goes_on() {
    let registry = Registry::new();
    let counter: Counter = registry.counter("x_total", &[("a", "1")]).unwrap();
    let histogram: Histogram = registry.histogram("x_seconds", &[]).unwrap();
    // A series that lives in a used slot, so that it has a baseline.
    counter.increment(100);
    drop(counter);
    registry.unregister(&[("a", "1")]);
    let counter: Counter = registry.counter("x_total", &[("a", "2")]).unwrap();
    counter.increment(5);
    histogram.record_n(Duration::from_secs(1), 2);
    histogram.record_with_exemplar(Duration::from_secs(4), &[("process", "parent")]);
    registry.snapshot();

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop_at_the_end = StopOnDrop(&stop);
        // Threads that hold locks and record while the process forks.
        for worker in 0..3 {
            let (registry, stop) = (&registry, &stop);
            scope.spawn(move || {
                let mut i = 0_u64;
                while !stop.load(Relaxed) {
                    let own = registry.counter("busy_total", &[("i", &(i % 50).to_string())]).unwrap();
                    own.increment(1);
                    // Their memory is made, and they are written, while the process forks.
                    let own: Histogram<u64> = registry.histogram("busy", &[("i", &(i % 50).to_string())]).unwrap();
                    own.record_with_exemplar(i, &[("process", "parent")]);
                    if worker == 0 {
                        registry.snapshot();
                    }
                    i += 1;
                }
            });
        }
        for _ in 0..20 {
            in_a_child(|| in_the_child(&registry, &counter, &histogram));
        }
    });
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("x_total", &[]), Some(5));
    let seen = snapshot.histogram("x_seconds", &[]).unwrap();
    assert_eq!((seen.sum(), &*seen.exemplars()[0].labels[0].1), (6.0, "parent"));
}

/// Lets the threads end even if the test fails; the scope waits for them.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn in_the_child(registry: &Registry, counter: &Counter, histogram: &Histogram) {
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("x_total", &[]), Some(0), "what the parent counted is the parent's");
    assert_eq!(snapshot.counter("busy_total", &[]).unwrap_or(0), 0); // absent when the process forked early
    let seen = snapshot.histogram("x_seconds", &[]).unwrap();
    assert_eq!((seen.count(), seen.exemplars().len()), (0, 0));
    if let Some(busy) = snapshot.histogram("busy", &[]) {
        assert_eq!((busy.count(), busy.exemplars().len()), (0, 0));
    }
    for i in 0..50_u64 {
        // Where a thread of the parent was writing, the child can write all the same.
        let own: Histogram<u64> = registry.histogram("busy", &[("i", &i.to_string())]).unwrap();
        for power in 0..48 {
            own.record_with_exemplar(1 << power, &[("process", "child")]);
        }
    }
    counter.increment(2);
    histogram.record_with_exemplar(Duration::from_secs(1), &[("process", "child")]);
    registry.counter("new_total", &[]).unwrap().increment(1);
    // The slabs of the threads that did not come along are there for new ones.
    let (counter, registry_too) = (counter.clone(), registry.clone());
    thread::spawn(move || {
        counter.increment(1);
        registry_too.counter("new_total", &[]).unwrap().increment(1);
    })
    .join()
    .unwrap();
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("x_total", &[]), Some(3));
    assert_eq!(snapshot.counter("new_total", &[]), Some(2));
    let seen = snapshot.histogram("x_seconds", &[]).unwrap();
    assert_eq!((seen.count(), seen.sum()), (1, 1.0));
    assert_eq!((seen.exemplars().len(), &*seen.exemplars()[0].labels[0].1), (1, "child"));
    let busy = snapshot.histogram("busy", &[]).unwrap();
    // Fourteen bounds, and what is above.
    assert_eq!(busy.exemplars().len(), 50 * 15);
    assert!(busy.exemplars().iter().all(|exemplar| exemplar.labels[0].1 == "child"));
}
