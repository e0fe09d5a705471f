//! What full instrumentation costs an engine, end to end: one decode loop over a model, compiled without telemetry and
//! with all of it.
//!
//! `cargo bench -p inferometer-example-engine --bench inference` prints the criterion groups `inference/<model>/{bare,
//! instrumented}`, and then the proof, in which four arms take turns in mirrored order, so that a drift of the
//! machine's speed hits all alike:
//!
//! - bare;
//! - instrumented: its time over bare's, less one, is the overhead. It fails when the 95 % upper bound reaches 1 %;
//! - bare again (A/A): its interval must contain no difference and its upper bound be below 1 %, else the machine was too
//!   noisy to tell anything, and nothing is proved;
//! - bare with 2 % of busy waiting: the harness must fail this one, else it proves nothing.
//!
//! Beside the overhead stands what inferometer itself reckons that its records have cost. That must not be above the bound.
//!
//! Each block is one request from its arrival to its end, starts from the same state of the model, and generates the
//! same tokens. Its time is the time that its thread computed: nothing in it sleeps or waits, and other programs do not
//! count. The number of rounds is fixed before they are looked at. SmolLM2 is left out where its weights are not in the
//! cache; the example engine fetches them.

use criterion::Criterion;
use inferometer::{DEFAULT_BUDGET, Moment, Registry, set_budget};
use inferometer_benches::cpu_clock;
use inferometer_benches::inputs::SplitMix64;
use inferometer_benches::paired::Difference;
use inferometer_benches::reckoned;
use inferometer_example_engine::fetch::{self, SMOLLM2};
use inferometer_example_engine::model::{ModelSpec, SharedModel, input, load};
use inferometer_example_engine::request::{FinishReason, GenerationParams, Request};
use inferometer_example_engine::telemetry::{
    FrontEnd, Instrumented, NoTelemetry, Stage, Stages, Step, Telemetry, Tracker,
};
use inferometer_serving::ServingMetrics;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The promise.
const MOST: f64 = 0.01;
/// What the positive control adds.
const CONTROL: f64 = 0.02;
/// How long the rounds of one model go on, about.
const BUDGET: Duration = Duration::from_secs(35);
/// How often the rounds of one model are run, at most, where the machine is noisy.
const RACES: usize = 4;
/// The shortest block. A machine changes its speed within tens of milliseconds, so short blocks that take turns often
/// are compared better than long ones.
const BLOCK: Duration = Duration::from_millis(1);
const ROUNDS: std::ops::RangeInclusive<usize> = 16..=6000;
/// How many tokens a block generates.
const TOKENS: std::ops::RangeInclusive<f64> = 1.0..=64.0;
/// How often there is a scrape, about.
const SCRAPES: Duration = Duration::from_millis(100);
const PROMPT: [u32; 1] = [5];

/// One model, and how many tokens a block generates.
struct Subject {
    name: &'static str,
    model: SharedModel,
    tokens: usize,
    /// How long the positive control waits in each step.
    spin: Duration,
}

/// Generates tokens from the same state each time, and returns how long this thread computed for that, without the
/// model's prefill.
///
/// What the compiler sees of telemetry is its type: [`NoTelemetry`] leaves a loop without records and without a clock.
fn block<T: Telemetry>(subject: &Subject, telemetry: &mut T, spin: Duration) -> Duration {
    let mut sequence = subject.model.new_sequence().expect("a new sequence");
    let mut logits = Vec::new();
    sequence.forward(&input(&PROMPT).expect("an input"), 0, &mut logits).expect("a prefill");
    let front_end = telemetry.front_end();
    let (request, _events) = Request::new(PROMPT.to_vec(), GenerationParams::default());

    let begin = cpu_clock::now();
    let start = Moment::now();
    let clock = || if T::READS_CLOCK { Moment::now() } else { start };
    let mut tracker = front_end.request_arrived(&request);
    let woke_up = clock();
    telemetry.woke_up(woke_up);
    tracker.scheduled(woke_up);
    telemetry.step(clock(), |step| {
        step.prefill(PROMPT.len());
        step.token(&mut tracker);
    });
    for at in 0..subject.tokens {
        // There is nothing to schedule, to hand out or to write here, but that is timed all the same.
        telemetry.time(Stage::Schedule, || ());
        let token = telemetry.time(Stage::Sample, || argmax(&logits));
        let input = telemetry.time(Stage::Prepare, || input(&[token]).expect("an input"));
        telemetry.time(Stage::Forward, || {
            sequence.forward(&input, PROMPT.len() + at, &mut logits).expect("a step");
        });
        telemetry.step(clock(), |step| step.token(&mut tracker));
        telemetry.time(Stage::HandOut, || ());
        front_end.time(Stage::Detokenize, || ());
        front_end.time(Stage::Stream, || ());
        if !spin.is_zero() {
            let begun = cpu_clock::now();
            while cpu_clock::now() - begun < spin {
                std::hint::spin_loop();
            }
        }
    }
    tracker.finished(FinishReason::Length, clock());
    cpu_clock::now() - begin
}

fn argmax(logits: &[f32]) -> u32 {
    let better = |best: (u32, f32), next: (u32, f32)| if next.1 > best.1 { next } else { best };
    (0..).zip(logits.iter().copied()).fold((0, f32::NEG_INFINITY), better).0
}

/// The arms of the proof.
#[derive(Clone, Copy)]
enum Arm {
    Bare,
    Instrumented,
    BareAgain,
    Control,
}

const ARMS: [Arm; 4] = [Arm::Bare, Arm::Instrumented, Arm::BareAgain, Arm::Control];

impl Subject {
    fn new(name: &'static str, spec: &ModelSpec) -> Self {
        let model = load(spec).expect("the model loads").model;
        let mut subject = Subject { name, model, tokens: 2, spin: Duration::ZERO };
        let start = Instant::now();
        let step = subject.step();
        // What another thread computes is not in this thread's time.
        assert!(5 * 2 * step > start.elapsed() / 20, "the model computes on this thread");
        subject.tokens = BLOCK.div_duration_f64(step).ceil().clamp(*TOKENS.start(), *TOKENS.end()) as usize;
        subject.spin = subject.step().mul_f64(CONTROL);
        subject
    }

    /// How long a step takes.
    fn step(&self) -> Duration {
        let fastest = (0..5).map(|_| block(self, &mut NoTelemetry, Duration::ZERO)).min();
        fastest.unwrap_or_default() / self.tokens as u32
    }

    fn run(&self, arm: Arm, telemetry: &mut Instrumented) -> Duration {
        match arm {
            Arm::Bare | Arm::BareAgain => block(self, &mut NoTelemetry, Duration::ZERO),
            Arm::Instrumented => block(self, telemetry, Duration::ZERO),
            Arm::Control => block(self, &mut NoTelemetry, self.spin),
        }
    }

    /// The logarithms of each round's ratios to bare, by arm; and how long all blocks of the instrumented arm took.
    fn race(&self, telemetry: &mut Instrumented) -> ([Vec<f64>; 4], Duration) {
        let one = Instant::now();
        self.run(Arm::Bare, telemetry);
        let rounds = BUDGET.div_duration_f64(one.elapsed() * 8) as usize;
        let rounds = rounds.clamp(*ROUNDS.start(), *ROUNDS.end());
        println!("inference/{}: {rounds} rounds of 8 blocks of {} tokens", self.name, self.tokens);
        let mut random = SplitMix64(0xABBA);
        let mut ratios: [Vec<f64>; 4] = Default::default();
        let mut instrumented = Duration::ZERO;
        let mut last_scrape = Instant::now();
        for _ in 0..rounds {
            if last_scrape.elapsed() > SCRAPES {
                Registry::global().snapshot();
                last_scrape = Instant::now();
            }
            let mut order = [0, 1, 2, 3];
            random.shuffle(&mut order);
            let mut logarithms = [0.0; 4];
            for &arm in order.iter().chain(order.iter().rev()) {
                let time = self.run(ARMS[arm], telemetry);
                logarithms[arm] += time.as_secs_f64().ln() / 2.0;
                if matches!(ARMS[arm], Arm::Instrumented) {
                    instrumented += time;
                }
            }
            for (ratios, logarithm) in ratios.iter_mut().zip(logarithms) {
                ratios.push(logarithm - logarithms[0]);
            }
        }
        (ratios, instrumented)
    }

    /// Whether the promise is kept, and the measurement can tell.
    fn prove(&self, telemetry: &mut Instrumented) -> bool {
        let mut ratios: [Vec<f64>; 4] = Default::default();
        let mut races = 0;
        let (begin, mut time) = (reckoned::seconds(), Duration::ZERO);
        let [_, instrumented, again, control] = loop {
            let (more, instrumented) = self.race(telemetry);
            time += instrumented;
            for (all, more) in ratios.iter_mut().zip(more) {
                all.extend(more);
            }
            races += 1;
            let differences = ratios.each_ref().map(|ratios| Difference::of(ratios));
            // A machine that is too noisy to tell bare from bare gets more time. Only that decides: to go on until the
            // instrumented arm looks well would be cheating.
            if differences[2].upper < MOST || races == RACES {
                break differences;
            }
            println!(
                "inference/{}: bare over bare is below {:.1} % only: too noisy, going on",
                self.name,
                100.0 * differences[2].upper
            );
        };
        let report = |what: &str, difference: &Difference, passes: bool, verdict: [&str; 2]| {
            println!(
                "inference/{}: {what:<28} {:+.3} %, 95 % upper bound {:+.3} %, 99 % interval {:+.3} to {:+.3} %: {}",
                self.name,
                100.0 * difference.estimate,
                100.0 * difference.upper,
                100.0 * difference.interval.0,
                100.0 * difference.interval.1,
                verdict[usize::from(!passes)],
            );
            passes
        };
        let steady = again.may_be_none() && again.upper < MOST;
        let failed = if steady { "FAILED" } else { "UNDECIDED" };
        let kept = report("instrumented over bare", &instrumented, instrumented.upper < MOST, ["below 1 %", failed]);
        let steady = report("bare over bare (A/A)", &again, steady, ["no difference", "INVALID: too noisy"]);
        let caught = report("bare + 2 % over bare", &control, control.upper >= MOST, ["caught", "INVALID: not caught"]);
        let account = (reckoned::seconds() - begin) / time.as_secs_f64();
        let right = account <= instrumented.upper;
        let verdict = if right { "below the bound" } else { "ABOVE THE BOUND" };
        println!("inference/{}: by inferometer's account      {:+.3} %: {verdict}", self.name, 100.0 * account);
        kept && steady && caught && right
    }
}

fn subjects() -> Vec<Subject> {
    let mut subjects =
        vec![Subject::new("random-tiny", &ModelSpec::RandomTiny), Subject::new("random", &ModelSpec::Random)];
    if fetch::is_cached(&SMOLLM2) {
        subjects.push(Subject::new("smollm2", &ModelSpec::SmolLm2));
    } else {
        println!("SKIPPED inference/smollm2: its weights are not in the cache. The example engine fetches them.");
    }
    subjects
}

fn criterion_groups(subject: &Subject, telemetry: &mut Instrumented) {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .configure_from_args();
    let mut group = criterion.benchmark_group(format!("inference/{}", subject.name));
    for (name, arm) in [("bare", Arm::Bare), ("instrumented", Arm::Instrumented)] {
        let mut blocks = |n: u64| (0..n).map(|_| subject.run(arm, telemetry)).sum();
        group.bench_function(name, |bencher| bencher.iter_custom(&mut blocks));
    }
    group.finish();
}

fn main() -> ExitCode {
    // SAFETY: nothing else runs yet. One thread computes, so that no other thread's turn is part of a block.
    unsafe { inferometer_example_engine::threads::configure(Some(1)) };
    // The instrumented arm has a quarter of this thread's time, and the budget is a share of all of it.
    set_budget(DEFAULT_BUDGET / ARMS.len() as f64);
    let only_tests = std::env::args().any(|argument| argument == "--test");
    let mut kept = true;
    for subject in subjects() {
        let mut telemetry =
            Instrumented::new(ServingMetrics::builder(subject.name).register().expect("the names are free"));
        criterion_groups(&subject, &mut telemetry);
        kept &= only_tests || subject.prove(&mut telemetry);
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
