//! Instructions for each of our records, counted under Valgrind: exact, and the same on every run and on a busy
//! machine.
//!
//! `cargo bench -p inferometer-benches --bench instructions`. It needs `valgrind`, and `gungraun-runner` in the version
//! of the `gungraun` crate (`cargo install gungraun-runner`); without them it says so and does nothing.
//!
//! Each benchmark does [`RECORDS`] records (or has [`SECTIONS`] sections) in a loop, so the count divided by that is what a
//! record costs, with its share of the loop. What is set up once, and the thread's first record, are not counted.

use std::process::{Command, ExitCode, Stdio};

/// How many records each benchmark makes.
const RECORDS: u64 = 1_000;

/// How many sections the benchmarks have in which some are sampled: whole blocks, of which each has one sample.
const SECTIONS: u64 = 64 * RECORDS;

fn main() -> ExitCode {
    // The runner starts this program again, under Valgrind.
    if std::env::args().nth(1).as_deref() != Some("--gungraun-run") {
        let runner = std::env::var("GUNGRAUN_RUNNER").unwrap_or_else(|_| "gungraun-runner".to_owned());
        for tool in ["valgrind", &runner] {
            if !is_installed(tool) {
                eprintln!(
                    "SKIPPED: no instructions are counted, because `{tool}` is not installed. See the bench's source."
                );
                return ExitCode::SUCCESS;
            }
        }
        println!(
            "Each benchmark makes {RECORDS} records; timed_section_1_in_64 and _in_budget have {SECTIONS} sections."
        );
    }
    counted::run();
    ExitCode::SUCCESS
}

fn is_installed(tool: &str) -> bool {
    Command::new(tool)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

mod counted {
    //! What is counted. The macros write a `main` of their own.

    use super::{RECORDS, SECTIONS};
    use gungraun::{library_benchmark, library_benchmark_group, main};
    use inferometer::{Gauge, Histogram, Sampling, UpDownCounter};
    use inferometer_benches::contests::{counter, gauge, histogram, label, timed};
    use inferometer_benches::inputs::Distribution;
    use inferometer_benches::library::{Buckets, Library, Ours};
    use inferometer_benches::workload::{DecodeStep, ONE, count, observe, set, times};
    use std::hint::black_box;
    use std::time::Duration;

    pub(crate) fn run() {
        main();
    }

    /// An instrument that this thread has recorded to, with its inputs.
    type Ready<T, V> = (T, Vec<V>);

    fn durations() -> Vec<Duration> {
        times::<Ours>(&Distribution::LogNormal(0.3).nanos())
    }

    fn ready_counter() -> &'static <Ours as Library>::Counter {
        let counter = counter::counter::<Ours>();
        count::<Ours>(counter, 1);
        counter
    }

    fn ready_gauge() -> &'static Gauge {
        gauge::gauge::<Ours>()
    }

    fn ready_up_down() -> UpDownCounter {
        let counter = inferometer::Registry::global().up_down_counter("bench_in_flight", &[]).expect("a valid counter");
        gauge::up_down(&counter, 1);
        counter
    }

    fn ready_histogram() -> Ready<Histogram, Duration> {
        let mut registry = Ours::registry();
        let histogram = Ours::histogram(&Ours::histograms(&mut registry, "bench_seconds", Buckets::Both), ONE);
        let times = durations();
        observe::<Ours>(&histogram, &times, 1);
        (histogram, times)
    }

    fn ready_declared() -> Vec<Duration> {
        let times = durations();
        histogram::observe_declared(&times, 1);
        times
    }

    fn ready_integers() -> Ready<Histogram<u64>, u64> {
        let histogram = inferometer::Registry::new().histogram("bench_integers", &[]).expect("a valid histogram");
        let values = Distribution::LogNormal(0.3).nanos();
        histogram::observe_integers(&histogram, &values, 1);
        (histogram, values)
    }

    fn ready_floats() -> Ready<Histogram<f64>, f64> {
        let histogram = inferometer::Registry::new().histogram("bench_seconds", &[]).expect("a valid histogram");
        let seconds = durations().iter().map(Duration::as_secs_f64).collect::<Vec<_>>();
        histogram::observe_floats(&histogram, &seconds, 1);
        (histogram, seconds)
    }

    fn ready_step() -> Ready<DecodeStep<Ours>, Duration> {
        let mut registry = Ours::registry();
        let step = DecodeStep::new(&mut registry, Buckets::Both);
        let times = durations();
        step.record_all(&times, 1);
        (step, times)
    }

    fn ready_timed(sampling: Sampling) -> Histogram {
        let histogram = timed::handle(sampling);
        timed::through_handle(&histogram, 1);
        histogram
    }

    fn ready_counted() -> Histogram {
        ready_timed(Sampling::EveryN(Sampling::MAX_N))
    }

    fn ready_all() -> Histogram {
        ready_timed(Sampling::Always)
    }

    /// The first event is a block by itself.
    fn ready_sampled() {
        timed::sampled(1);
    }

    /// Blocks grow by a factor of four at most, up to 4,096.
    fn ready_budget() {
        timed::in_budget(10_000);
    }

    fn ready_call_site() {
        counter::call_site(1);
    }

    fn ready_macro() -> String {
        label::by_macro(label::MODEL, 1);
        label::MODEL.to_owned()
    }

    fn ready_family() -> String {
        label::by_family(label::MODEL, 1);
        label::MODEL.to_owned()
    }

    fn ready_models() -> [String; 8] {
        let models = label::models();
        label::in_turn(&models, 8);
        models
    }

    #[library_benchmark]
    #[bench::records(setup = ready_call_site)]
    fn counter_call_site((): ()) {
        counter::call_site(black_box(RECORDS));
    }

    #[library_benchmark]
    #[bench::records(setup = ready_counter)]
    fn counter_handle(counter: &'static <Ours as Library>::Counter) {
        count::<Ours>(counter, black_box(RECORDS));
    }

    #[library_benchmark]
    #[bench::records(setup = ready_macro)]
    fn counter_run_time_label(model: String) -> String {
        label::by_macro(&model, black_box(RECORDS));
        model
    }

    #[library_benchmark]
    #[bench::records(setup = ready_family)]
    fn counter_family(model: String) -> String {
        label::by_family(&model, black_box(RECORDS));
        model
    }

    #[library_benchmark]
    #[bench::records(setup = ready_models)]
    fn counter_eight_labels_in_turn(models: [String; 8]) -> [String; 8] {
        label::in_turn(&models, black_box(RECORDS));
        models
    }

    #[library_benchmark]
    #[bench::records(setup = ready_gauge)]
    fn gauge_set(gauge: &'static Gauge) {
        set::<Ours>(gauge, black_box(RECORDS));
    }

    // Two records each.
    #[library_benchmark]
    #[bench::records(setup = ready_up_down)]
    fn up_and_down(counter: UpDownCounter) -> UpDownCounter {
        gauge::up_down(&counter, black_box(RECORDS));
        counter
    }

    #[library_benchmark]
    #[bench::records(setup = ready_declared)]
    fn histogram_declared(times: Vec<Duration>) -> Vec<Duration> {
        histogram::observe_declared(&times, black_box(RECORDS));
        times
    }

    #[library_benchmark]
    #[bench::records(setup = ready_histogram)]
    fn histogram_run_time((histogram, times): Ready<Histogram, Duration>) -> Ready<Histogram, Duration> {
        observe::<Ours>(&histogram, &times, black_box(RECORDS));
        (histogram, times)
    }

    #[library_benchmark]
    #[bench::records(setup = ready_histogram)]
    fn histogram_record_n((histogram, times): Ready<Histogram, Duration>) -> Ready<Histogram, Duration> {
        histogram::observe_many(&histogram, &times, black_box(RECORDS));
        (histogram, times)
    }

    #[library_benchmark]
    #[bench::records(setup = ready_integers)]
    fn histogram_integers((histogram, values): Ready<Histogram<u64>, u64>) -> Ready<Histogram<u64>, u64> {
        histogram::observe_integers(&histogram, &values, black_box(RECORDS));
        (histogram, values)
    }

    #[library_benchmark]
    #[bench::records(setup = ready_floats)]
    fn histogram_floats((histogram, seconds): Ready<Histogram<f64>, f64>) -> Ready<Histogram<f64>, f64> {
        histogram::observe_floats(&histogram, &seconds, black_box(RECORDS));
        (histogram, seconds)
    }

    #[library_benchmark]
    #[bench::records(setup = ready_step)]
    fn decode_step((step, times): Ready<DecodeStep<Ours>, Duration>) -> Ready<DecodeStep<Ours>, Duration> {
        step.record_all(&times, black_box(RECORDS));
        (step, times)
    }

    // A section that is not sampled. One run in 260 has a sample all the same: the mode is one in 262,144.
    #[library_benchmark]
    #[bench::records(setup = ready_counted)]
    fn timed_section_counted(histogram: Histogram) -> Histogram {
        timed::through_handle(&histogram, black_box(RECORDS));
        histogram
    }

    // A section that is sampled. One sample in four measures what it costs.
    #[library_benchmark]
    #[bench::records(setup = ready_all)]
    fn timed_section_all(histogram: Histogram) -> Histogram {
        timed::through_handle(&histogram, black_box(RECORDS));
        histogram
    }

    #[library_benchmark]
    #[bench::sections(setup = ready_sampled)]
    fn timed_section_1_in_64((): ()) {
        timed::sampled(black_box(SECTIONS));
    }

    // As rarely sampled as it gets: counting alone takes more than the budget, however slow Valgrind makes it. So there are
    // 15 or 16 samples.
    #[library_benchmark]
    #[bench::sections(setup = ready_budget)]
    fn timed_section_in_budget((): ()) {
        timed::in_budget(black_box(SECTIONS));
    }

    library_benchmark_group!(
        name = records,
        benchmarks = [
            counter_call_site,
            counter_handle,
            counter_run_time_label,
            counter_family,
            counter_eight_labels_in_turn,
            gauge_set,
            up_and_down,
            histogram_declared,
            histogram_run_time,
            histogram_record_n,
            histogram_integers,
            histogram_floats,
            timed_section_counted,
            timed_section_all,
            timed_section_1_in_64,
            timed_section_in_budget,
            decode_step,
        ]
    );

    main!(library_benchmark_groups = records);
}
