//! Fault 40 of `docs/faults.md`: the wall clock jumps. (Faults 38, 39 and 41 are about the clock of timed sections, and
//! are tested where it is.)

#![cfg(not(inferometer_off))]

use inferometer::testing::MockClock;
use inferometer::{
    Buckets, Counter, Family, FamilyView, Histogram, LabelSet, Registry, Sample, Sampling, SeriesView, UpDownCounter,
    Visitor,
};
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const HOUR: Duration = Duration::from_secs(3_600);

/// Some time in 2027.
fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

#[derive(LabelSet)]
struct Model<'a> {
    model_name: &'a str,
}

/// When the series of a registry began, by name and labels.
fn starts(registry: &Registry) -> BTreeMap<String, SystemTime> {
    #[derive(Default)]
    struct Starts {
        family: String,
        series: BTreeMap<String, SystemTime>,
    }

    impl Visitor for Starts {
        fn family(&mut self, family: &FamilyView<'_>) -> bool {
            self.family = family.name().to_owned();
            true
        }

        fn series(&mut self, series: &SeriesView<'_>, _: Sample<'_>) {
            self.series.insert(format!("{}{series:?}", self.family), series.started());
        }
    }

    let mut seen = Starts::default();
    registry.visit(&mut seen);
    seen.series
}

#[test]
fn a_jump_of_the_wall_clock_moves_no_start_time() {
    let clock = MockClock::install();
    clock.set_wall(noon());
    let registry = Registry::new();
    let counter: Counter = registry.counter("steps_total", &[]).unwrap();
    let running: UpDownCounter = registry.up_down_counter("requests_running", &[]).unwrap();
    let usage = registry.gauge("usage_ratio", &[]).unwrap();
    let step: Histogram = registry.histogram("step_seconds", &[]).unwrap();
    step.set_sampling(Sampling::Always);
    let loads: Family<Model<'static>, Counter> = registry.register_family("loads_total", "Loads.").unwrap();
    registry.gauge_fn("computed_ratio", &[], || 0.5).unwrap();
    registry.counter_fn("computed_total", &[], || 2.0).unwrap();
    let record = || {
        counter.increment(1);
        running.increment(1);
        usage.set(0.5);
        step.start().stop();
        loads.get(&Model { model_name: "llama" }).increment(1);
    };
    record();
    let made = starts(&registry);
    // The histogram is timed, and so has its events and its samples beside it.
    assert_eq!(made.len(), 9, "{made:?}");
    assert!(made.values().all(|&started| started == noon()), "{made:?}");
    for now in [noon() - HOUR, noon() + HOUR, UNIX_EPOCH] {
        clock.set_wall(now);
        record();
        assert_eq!(starts(&registry), made, "{now:?}");
    }
    assert_eq!(registry.snapshot().counter("steps_total", &[]), Some(4));
}

#[test]
fn a_series_that_is_made_after_a_jump_back_is_not_from_the_future() {
    let clock = MockClock::install();
    clock.set_wall(noon());
    let registry = Registry::new();
    let loads: Family<Model<'static>, Counter> = registry.register_family("loads_total", "Loads.").unwrap();
    let model = |model_name| Model { model_name };
    let start_of = |model_name: &str| starts(&registry)[&format!("loads_total{{\"model_name\": {model_name:?}}}")];
    loads.get(&model("replaced")).increment(1);
    let handle = loads.get(&model("restarted")).handle();
    assert_eq!([start_of("replaced"), start_of("restarted")], [noon(); 2]);

    clock.set_wall(noon() - HOUR);
    assert!(loads.remove(&model("replaced")));
    assert!(loads.remove(&model("restarted")));
    let begun = ["new", "replaced", "restarted"].map(|model_name| {
        loads.get(&model(model_name)).increment(1);
        start_of(model_name)
    });
    assert_eq!(begun, [noon() - HOUR; 3]);
    drop(handle);
}

#[test]
fn exemplars_give_way_by_their_age_and_not_by_the_wall_clock() {
    let clock = MockClock::install();
    clock.set_wall(noon());
    let registry = Registry::new();
    let buckets = Buckets::classic(&[1.0]);
    let step: Histogram = registry.histogram_with_buckets("step_seconds", &[], &buckets).unwrap();
    let record = |trace| step.record_with_exemplar(Duration::from_millis(3), &[("trace_id", trace)]);
    let kept = || {
        let seen = registry.snapshot().histogram("step_seconds", &[]).unwrap();
        let [exemplar] = seen.exemplars() else { panic!("not one exemplar: {:?}", seen.exemplars()) };
        (exemplar.labels[0].1.clone(), exemplar.time)
    };
    record("first");
    // An hour later by the wall clock, and still within the second that the first one is kept for.
    clock.set_wall(noon() + HOUR);
    record("second");
    assert_eq!(kept(), ("first".to_owned(), noon()));
    // A second later, and an hour earlier by the wall clock.
    thread::sleep(Duration::from_millis(1_050));
    clock.set_wall(noon() - HOUR);
    record("third");
    assert_eq!(kept(), ("third".to_owned(), noon() - HOUR));
}

#[test]
fn a_section_during_which_the_wall_clock_jumps_is_as_long_as_it_was() {
    let clock = MockClock::install();
    let registry = Registry::new();
    let step: Histogram = registry.histogram("step_seconds", &[]).unwrap();
    step.set_sampling(Sampling::Always);
    for now in [noon() - HOUR, noon() + HOUR] {
        let timer = step.start();
        clock.set_wall(now);
        clock.advance(Duration::from_millis(3));
        assert_eq!(timer.stop(), Some(Duration::from_millis(3)));
    }
}
