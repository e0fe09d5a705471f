//! `nm`, which has events with counts, sums and classic histograms, and no gauges and no labels. Its events belong to a
//! thread each, so they are not in a [`Library`](super::Library).

use super::{BOUNDS, SIZES};
use ::nm::{Event, MetricsPusher, Pull, Push};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// As it is called.
pub const NAME: &str = "nm";

/// Histograms of durations are of nanoseconds.
static NANOS: LazyLock<Vec<i64>> = LazyLock::new(|| BOUNDS.iter().map(|bound| (bound * 1e9) as i64).collect());
static NUMBERS: LazyLock<Vec<i64>> = LazyLock::new(|| SIZES.iter().map(|&size| size as i64).collect());

/// A name may be used once by a thread.
fn fresh_name() -> String {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    format!("bench_{}", NAMES.fetch_add(1, Relaxed))
}

/// Which values an event has buckets for.
#[derive(Clone, Copy, Debug)]
pub enum Of {
    /// None: it is a counter.
    Nothing,
    /// Durations in nanoseconds.
    Durations,
    /// Numbers of sequences and tokens.
    Sizes,
}

impl Of {
    fn bounds(self) -> &'static [i64] {
        match self {
            Of::Nothing => &[],
            Of::Durations => &NANOS,
            Of::Sizes => &NUMBERS,
        }
    }
}

/// An event that anybody can read at any time.
pub fn pull(of: Of) -> Event<Pull> {
    Event::builder().name(fresh_name()).histogram(of.bounds()).build()
}

/// An event that is read once its thread has pushed it.
pub fn push(of: Of, pusher: &MetricsPusher) -> Event<Push> {
    Event::builder().name(fresh_name()).histogram(of.bounds()).pusher(pusher).build()
}

/// What it can keep of a decode step: six of the nine records.
struct DecodeStep {
    durations: [Event<Push>; 2],
    sizes: [Event<Push>; 2],
    counters: [Event<Push>; 2],
    pusher: MetricsPusher,
}

thread_local! {
    static DECODE_STEP: DecodeStep = {
        let pusher = MetricsPusher::new();
        let event = |of| push(of, &pusher);
        DecodeStep {
            durations: [event(Of::Durations), event(Of::Durations)],
            sizes: [event(Of::Sizes), event(Of::Sizes)],
            counters: [event(Of::Nothing), event(Of::Nothing)],
            pusher,
        }
    };
}

/// Records a decode step of this thread.
#[inline(always)]
pub fn record_decode_step(nanos: u64) {
    DECODE_STEP.with(|step| {
        step.durations.iter().for_each(|event| event.observe(nanos as i64));
        step.sizes.iter().for_each(|event| event.observe(1));
        step.counters.iter().for_each(Event::<Push>::observe_once);
    });
}

/// Lets others read what this thread has recorded of decode steps.
pub fn push_decode_steps() {
    DECODE_STEP.with(|step| step.pusher.push());
}
