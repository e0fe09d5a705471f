//! Fault 46 of `docs/faults.md`, for collectors: their threads do not come along into the child. One test a process,
//! because a child has one thread only.
#![cfg(unix)]

mod support;

use inferometer::{Collector, CollectorFamily, CollectorSink, Registry};
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use support::in_a_child;

/// Far longer than anything takes, so that a test fails rather than hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gauge whose collector can be told to wait.
struct Gate {
    name: &'static str,
    closed: Arc<AtomicBool>,
    entered: mpsc::Sender<()>,
}

impl Collector for Gate {
    fn families(&self) -> Vec<CollectorFamily> {
        vec![CollectorFamily::gauge(self.name, "A level.")]
    }

    fn collect(&mut self, sink: &mut CollectorSink<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        while self.closed.load(SeqCst) {
            let _ = self.entered.send(());
            thread::sleep(Duration::from_millis(1));
        }
        sink.gauge(self.name, &[], f64::from(std::process::id()))?;
        Ok(sink.gauge(self.name, &[], 0.0)?) // a duplicate, to have something to count
    }

    fn timeout(&self) -> Duration {
        PATIENCE
    }
}

#[test]
fn a_forked_child_polls_what_rested_and_does_not_wait_for_what_its_parent_was_polling() {
    let registry = Registry::new();
    let closed = Arc::new(AtomicBool::new(false));
    let (entered, has_entered) = mpsc::channel();
    let gate = Gate { name: "of_gate", closed: Arc::clone(&closed), entered: entered.clone() };
    let register_open = || {
        let open = Gate { name: "of_open", closed: Arc::default(), entered: entered.clone() };
        registry.register_collector("open", open).unwrap();
    };
    registry.register_collector("gate", gate).unwrap();
    register_open();
    let own = || Some(f64::from(std::process::id()));
    let both = |registry: &Registry| {
        let snapshot = registry.snapshot();
        (snapshot.gauge("of_open", &[]), snapshot.gauge("of_gate", &[]))
    };

    let errors = |reason| {
        let labels = [("collector", "gate"), ("reason", reason)];
        registry.snapshot().counter("inferometer_collector_errors_total", &labels)
    };

    // Before there are threads, and when they rest; the child of a child as well.
    for _ in 0..2 {
        in_a_child(|| {
            assert_eq!(both(&registry), (own(), own()));
            assert_eq!(errors("duplicate"), Some(2), "the child's own");
            in_a_child(|| assert_eq!(both(&registry), (own(), own())));
            assert_eq!(both(&registry), (own(), own()));
            assert!(registry.unregister_collector("gate"));
            assert_eq!(both(&registry), (own(), None));
        });
        assert_eq!(both(&registry), (own(), own()));
    }

    // While the parent polls one, and a scrape waits. It does not poll the other one, which would be under way as well.
    assert!(registry.unregister_collector("open"));
    closed.store(true, SeqCst);
    thread::scope(|scope| {
        let scrape = scope.spawn(|| both(&registry));
        has_entered.recv_timeout(PATIENCE).unwrap();
        register_open();
        in_a_child(|| {
            let start = Instant::now();
            for _ in 0..3 {
                assert_eq!(both(&registry), (own(), None));
            }
            assert!(start.elapsed() < PATIENCE / 2, "the child waits for a thread of its parent");
            assert_eq!(errors("timed_out"), Some(4));
            assert!(registry.unregister_collector("gate"));
            assert_eq!(both(&registry), (own(), None));
        });
        closed.store(false, SeqCst);
        assert_eq!(scrape.join().unwrap().1, own(), "the parent goes on");
    });

    // While threads scrape.
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    both(&registry);
                }
            });
        }
        for _ in 0..50 {
            in_a_child(|| {
                let (open, gate) = both(&registry);
                // Either may have been under way, and is gone then.
                assert!([None, own()].contains(&open) && [None, own()].contains(&gate), "{open:?} {gate:?}");
            });
        }
    });
    assert_eq!(both(&registry), (own(), own()));
}

/// Lets the threads end even if the test fails; the scope waits for them.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}
