//! Creating series while a scrape goes on.

use super::{Goal, Row, digits};
use crate::inputs::Distribution;
use crate::library::{
    Buckets, Exporter, Exposition, Fastmetrics, Library as _, OpenTelemetry, Ours, Prometheus, PrometheusClient,
};
use crate::pin;
use crate::timing::quantile;
use crate::workload::{ONE, Populated};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const CREATIONS: usize = 2_000;
/// A round can be disturbed by other processes, which make it worse only: the best one counts, for everybody.
const ROUNDS: usize = 7;
/// Between two creations, so that they meet scrapes at all stages.
const PAUSE: Duration = Duration::from_micros(40);

/// The times of creations, in nanoseconds, each with the first record into the new series.
fn round<L: Exposition>(nanos: &[u64]) -> Vec<f64> {
    let populated = Populated::<L>::new(Buckets::Classic, nanos);
    let names: Vec<String> = (0..CREATIONS).map(|i| format!("new-tenant-{i:05}")).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let recorder = scope.spawn(|| {
            pin::to_core(0);
            let mut times = Vec::with_capacity(CREATIONS);
            for (at, tenant) in names.iter().enumerate() {
                let family = &populated.counters[at % populated.counters.len()];
                let start = Instant::now();
                let counter = L::counter(family, [ONE[0], ONE[1], tenant]);
                L::add(&counter, 1);
                times.push(start.elapsed().as_nanos() as f64);
                while start.elapsed() < PAUSE {
                    std::hint::spin_loop();
                }
            }
            done.store(true, Relaxed);
            times
        });
        scope.spawn(|| {
            pin::to_core(1);
            let mut scraper = L::scraper(&populated.registry);
            let mut body = Vec::new();
            while !done.load(Relaxed) {
                body.clear();
                L::scrape(&populated.registry, &mut scraper, &mut body);
            }
        });
        recorder.join().expect("the recorder does not panic")
    })
}

/// The best p99.9 in microseconds, and a note.
fn measure<L: Exposition>(nanos: &[u64]) -> (f64, String) {
    let rounds: Vec<Vec<f64>> = (0..ROUNDS).map(|_| round::<L>(nanos)).collect();
    let best = |share| quantile(&rounds.iter().map(|times| quantile(times, share) / 1e3).collect::<Vec<_>>(), 0.0);
    let note = format!(
        "{}: median {}, p99 {}, worst {} us",
        L::NAME,
        digits(best(0.5)),
        digits(best(0.99)),
        digits(best(1.0))
    );
    (best(0.999), note)
}

pub(super) fn rows() -> Vec<Row> {
    let nanos = Distribution::LogNormal(1.0).nanos();
    let (ours, note) = measure::<Ours>(&nanos);
    let mut notes = vec![note];
    let peers = [
        (Exporter::NAME, measure::<Exporter>(&nanos)),
        (Prometheus::NAME, measure::<Prometheus>(&nanos)),
        (PrometheusClient::NAME, measure::<PrometheusClient>(&nanos)),
        (Fastmetrics::NAME, measure::<Fastmetrics>(&nanos)),
        (OpenTelemetry::NAME, measure::<OpenTelemetry>(&nanos)),
    ];
    let mut figures = Vec::new();
    for (name, (figure, note)) in peers {
        figures.push((name.to_owned(), figure));
        notes.push(note);
    }
    vec![Row {
        name: "creating a series during a scrape, p99.9, recorder pinned",
        ours,
        unit: "us",
        peers: figures,
        lesser: Vec::new(),
        goals: vec![Goal::AtMost(20.0)],
        rivals: true,
        conditions: "one thread creates 2,000 counters in ten families of 100, one thread scrapes without a pause; pinned to \
                     a core each; the best of 7 rounds",
        notes,
    }]
}
