//! The recorder of the process.

use inferometer::Registry;
use inferometer::facade::Recorder;
use metrics::{counter, gauge, histogram};
use std::thread;

#[test]
fn the_recorder_of_the_process_takes_in_all_threads_and_cannot_be_replaced() {
    counter!("too_early").increment(1);
    Recorder::global().install().unwrap();
    let other = Registry::new();
    let refused = Recorder::new(&other).install().unwrap_err();
    assert!(!refused.to_string().is_empty());
    counter!("requests", "status" => "ok").increment(1);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                counter!("requests", "status" => "ok").increment(1);
                gauge!("depth").increment(1);
                histogram!("wait_seconds").record(0.5);
            });
        }
    });
    // What the error gives back is as good as before.
    metrics::with_local_recorder(&refused.into_inner(), || counter!("requests").increment(9));
    let seen = Registry::global().snapshot();
    assert_eq!(seen.counter("too_early", &[]), None);
    assert_eq!(seen.counter("requests", &[("status", "ok")]), Some(4));
    assert_eq!(seen.gauge("depth", &[]), Some(3.0));
    assert_eq!(seen.histogram("wait_seconds", &[]).unwrap().count(), 3);
    assert_eq!(other.snapshot().counter("requests", &[]), Some(9));
}
