//! One step of the example engine, for the release gate: `inferometer check -p inferometer-example-engine --bench engine_step`.
//!
//! The loop is the engine's own scheduler with one request after another, each from its arrival through its prompt to its
//! last token. As it is, it records everything that the engine knows to record; the baseline, which is compiled with
//! `--cfg inferometer_off`, has no telemetry at all, and does not even read the clock. So what is checked is the price of
//! instrumentation as a whole.
//!
//! SmolLM2 is left out where its weights are not in the cache; the example engine fetches them.
//!
//! With `--records MODEL` it counts how often a step of that model records, and prints that as a line of JSON: what
//! `cargo xtask overhead engine` multiplies with the cost of a record.

use inferometer::Registry;
use inferometer::overhead::Loops;
use inferometer_benches::records::{Done, Records};
use inferometer_example_engine::engine::engine;
use inferometer_example_engine::fetch::{self, SMOLLM2};
use inferometer_example_engine::model::{ModelSpec, load};
use inferometer_example_engine::request::{GenerationParams, Request};
use inferometer_example_engine::scheduler::{Progress, SchedulerConfig};
use inferometer_example_engine::threads;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// What a request generates. So few, because the gate's processes live for some thirty steps of a slow model, and a
/// request's end is to be among them.
const TOKENS: usize = 8;

#[cfg(not(inferometer_off))]
fn telemetry(model: &str) -> inferometer_example_engine::telemetry::Instrumented {
    let metrics = inferometer_serving::ServingMetrics::builder(model).register().expect("the names are free");
    inferometer_example_engine::telemetry::Instrumented::new(metrics)
}

#[cfg(inferometer_off)]
fn telemetry(_: &str) -> inferometer_example_engine::telemetry::NoTelemetry {
    inferometer_example_engine::telemetry::NoTelemetry
}

/// The loop of one model. A step is one iteration of the scheduler, and what the client of the request reads of it.
fn steps(spec: &ModelSpec) -> impl FnMut() + use<> {
    let model = load(spec).expect("the model loads").model;
    let telemetry = telemetry(&model.info().name);
    let (submitter, mut scheduler) = engine(model, SchedulerConfig::default(), telemetry);
    let mut events = None;
    move || {
        if scheduler.step() == Progress::Idle {
            let (request, receiver) =
                Request::new(vec![5], GenerationParams { max_tokens: TOKENS, ..Default::default() });
            submitter.submit(request).expect("the queue is empty");
            events = Some(receiver);
            scheduler.step();
        }
        if let Some(events) = &mut events {
            while let Ok(event) = events.try_recv() {
                black_box(event);
            }
        }
    }
}

/// Counts what a model's loop records, after the sampling of its stages has settled.
fn count_records(name: &str, spec: &ModelSpec) {
    const PART: Duration = Duration::from_millis(500);
    let mut step = steps(spec);
    let mut requests_within = |time: Duration| {
        let (start, mut requests) = (Instant::now(), 0);
        while requests == 0 || start.elapsed() < time {
            (0..TOKENS).for_each(|_| step());
            requests += 1;
        }
        Done { requests, steps: requests * TOKENS, seconds: start.elapsed().as_secs_f64() }
    };
    requests_within(PART);
    let before = Registry::global().snapshot();
    let done = requests_within(PART);
    let growth = Registry::global().snapshot().delta(&before);
    let records = Records::of(name, &growth, "inference_", done);
    println!("{}", serde_json::to_string(&records).expect("numbers and a name"));
}

fn main() {
    // SAFETY: nothing else runs yet.
    unsafe { threads::configure(Some(1)) };
    // A pool of one thread would still be another thread than this one, which would sleep and be woken in every step.
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global().expect("there is no pool yet");
    let mut models = vec![("random-tiny", ModelSpec::RandomTiny), ("random", ModelSpec::Random)];
    if fetch::is_cached(&SMOLLM2) {
        models.push(("smollm2", ModelSpec::SmolLm2));
    }
    let mut arguments = std::env::args().skip_while(|argument| argument != "--records").skip(1);
    if let Some(model) = arguments.next() {
        models.iter().filter(|(name, _)| *name == model).for_each(|(name, spec)| count_records(name, spec));
    } else {
        let add = |loops: Loops, (name, spec)| loops.with(name, move || steps(&spec));
        models.into_iter().fold(Loops::new(), add).run();
    }
}
