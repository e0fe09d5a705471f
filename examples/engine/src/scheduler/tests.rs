use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use candle_core::Tensor;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::engine::{SubmitError, Submitter, engine, spawn};
use crate::model::{Model, ModelInfo};
use crate::request::GenerationParams;
use crate::telemetry::{FrontEnd, NoTelemetry, RejectReason};

/// A model whose every answer counts up from the prompt's last token, and which knows what its sequences were fed.
#[derive(Debug)]
struct Counting {
    info: ModelInfo,
    alive: Arc<AtomicUsize>,
    fail_at: Option<usize>,
}

const VOCABULARY: usize = 1_000;

impl Counting {
    fn new() -> Self {
        Self {
            info: ModelInfo {
                name: "counting".to_owned(),
                file: None,
                weights: "none".to_owned(),
                backend: "none".to_owned(),
                parameters: 0,
                vocabulary: VOCABULARY,
                context: 4_096,
            },
            alive: Arc::default(),
            fail_at: None,
        }
    }
}

impl Model for Counting {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn new_sequence(&self) -> Result<Box<dyn Sequence>, ModelError> {
        self.alive.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(CountingSequence { length: 0, fail_at: self.fail_at, alive: Arc::clone(&self.alive) }))
    }
}

struct CountingSequence {
    length: usize,
    fail_at: Option<usize>,
    alive: Arc<AtomicUsize>,
}

impl Drop for CountingSequence {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Sequence for CountingSequence {
    fn forward(&mut self, input: &Tensor, position: usize, logits: &mut Vec<f32>) -> Result<(), ModelError> {
        let tokens: Vec<u32> = input.flatten_all()?.to_vec1()?;
        assert_eq!(position, self.length, "the scheduler's position is the cache's length");
        self.length += tokens.len();
        if self.fail_at.is_some_and(|at| self.length >= at) {
            return Err(ModelError::Layout);
        }
        let last = *tokens.last().expect("never an empty piece");
        logits.clear();
        logits.resize(VOCABULARY, 0.0);
        logits[last as usize + 1] = 1.0;
        Ok(())
    }
}

/// Keeps all that it is told.
#[derive(Debug, Clone, Default)]
struct Recorded(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    arrived: usize,
    rejected: Vec<RejectReason>,
    requests: Vec<RecordedRequest>,
    steps: Vec<RecordedStep>,
    stages: Vec<Stage>,
}

/// A request that has ended.
#[derive(Debug, Clone)]
struct RecordedRequest {
    log: Recorded,
    arrived: Moment,
    scheduled: Option<Moment>,
    first_token: Option<Moment>,
    tokens: usize,
    end: Option<(FinishReason, Moment)>,
}

#[derive(Debug, Default)]
struct RecordedStep {
    prompts: Vec<usize>,
    tokens: usize,
}

/// A step of which is told what happened.
struct StepUnderWay {
    end: Moment,
    step: RecordedStep,
}

impl Recorded {
    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.0.lock().expect("not poisoned")
    }
}

/// A stage under way.
struct UnderWay;

thread_local! {
    /// Whether this thread is in a stage.
    static IN_STAGE: Cell<bool> = const { Cell::new(false) };
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        IN_STAGE.set(false);
    }
}

impl Stages for Recorded {
    type Timer = UnderWay;

    fn begin(&self, stage: Stage) -> UnderWay {
        assert!(!IN_STAGE.replace(true), "{stage:?} begins before the one before it has ended");
        self.log().stages.push(stage);
        UnderWay
    }
}

impl Telemetry for Recorded {
    type FrontEnd = Self;
    type Tracker = RecordedRequest;
    type Step<'a> = StepUnderWay;
    const READS_CLOCK: bool = true;

    fn front_end(&self) -> Self {
        self.clone()
    }
    fn woke_up(&mut self, _: Moment) {}
    fn step(&mut self, end: Moment, tell: impl FnOnce(&mut StepUnderWay)) {
        let mut step = StepUnderWay { end, step: RecordedStep::default() };
        tell(&mut step);
        self.log().steps.push(step.step);
    }
}

impl FrontEnd for Recorded {
    type Tracker = RecordedRequest;

    fn request_arrived(&self, request: &Request) -> RecordedRequest {
        self.log().arrived += 1;
        let (arrived, log) = (request.arrived, self.clone());
        RecordedRequest { log, arrived, scheduled: None, first_token: None, tokens: 0, end: None }
    }
    fn tokenize<R>(&self, work: impl FnOnce() -> R) -> R {
        work()
    }
}

impl Tracker for RecordedRequest {
    fn scheduled(&mut self, now: Moment) {
        assert_eq!(self.scheduled.replace(now), None, "once");
    }
    fn finished(self, reason: FinishReason, now: Moment) {
        let log = self.log.clone();
        log.log().requests.push(Self { end: Some((reason, now)), ..self });
    }
    fn rejected(self, reason: RejectReason) {
        self.log.log().rejected.push(reason);
    }
}

impl Step<RecordedRequest> for StepUnderWay {
    fn prefill(&mut self, tokens: usize) {
        self.step.prompts.push(tokens);
    }
    fn token(&mut self, request: &mut RecordedRequest) {
        request.first_token.get_or_insert(self.end);
        request.tokens += 1;
        self.step.tokens += 1;
    }
}

struct Bench {
    submitter: Submitter<Recorded>,
    scheduler: Scheduler<Recorded>,
    recorded: Recorded,
    alive: Arc<AtomicUsize>,
}

fn bench(model: Counting, config: SchedulerConfig) -> Bench {
    let recorded = Recorded::default();
    let alive = Arc::clone(&model.alive);
    let (submitter, scheduler) = engine(Arc::new(model), config, recorded.clone());
    Bench { submitter, scheduler, recorded, alive }
}

impl Bench {
    fn submit(&self, prompt: &[u32], max_tokens: usize) -> UnboundedReceiver<Event> {
        let params = GenerationParams { max_tokens, ..GenerationParams::default() };
        let (request, events) = Request::new(prompt.to_vec(), params);
        self.submitter.submit(request).expect("there is room");
        events
    }
}

fn drain(events: &mut UnboundedReceiver<Event>) -> VecDeque<Event> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

fn tokens(events: &VecDeque<Event>) -> Vec<u32> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Token(token) => Some(*token),
            _ => None,
        })
        .collect()
}

#[test]
fn sequences_join_and_leave_between_steps() {
    let mut bench = bench(Counting::new(), SchedulerConfig::default());
    assert_eq!(bench.scheduler.step(), Progress::Idle);

    let mut long = bench.submit(&[10, 20], 4);
    assert_eq!(bench.scheduler.step(), Progress::Stepped);
    let mut short = bench.submit(&[100; 300], 2);
    assert_eq!(bench.scheduler.step(), Progress::Stepped);
    assert_eq!(bench.scheduler.running(), 2);
    assert_eq!(bench.scheduler.step(), Progress::Stepped);
    assert_eq!(bench.scheduler.running(), 1);
    assert_eq!(bench.scheduler.step(), Progress::Stepped);
    assert_eq!(bench.scheduler.step(), Progress::Idle);
    assert_eq!(bench.alive.load(Ordering::Relaxed), 0, "caches are let go");

    let long = drain(&mut long);
    assert_eq!(tokens(&long), [21, 22, 23, 24]);
    let end = Event::Finished { reason: FinishReason::Length, generated: 4 };
    assert_eq!(long.back(), Some(&end));
    assert_eq!(tokens(&drain(&mut short)), [101, 102]);

    let log = bench.recorded.log();
    let sizes: Vec<usize> = log.steps.iter().map(|step| step.tokens).collect();
    assert_eq!(sizes, [1, 2, 2, 1]);
    let prompts: Vec<&[usize]> = log.steps.iter().map(|step| &*step.prompts).collect();
    assert_eq!(prompts, [&[2][..], &[300], &[], &[]]);
}

#[test]
fn the_counts_agree() {
    let config = SchedulerConfig { max_running: 3, ..SchedulerConfig::default() };
    let mut bench = bench(Counting::new(), config);
    let clients: Vec<_> = (1..=10).map(|n| bench.submit(&[n, 2 * n], n as usize)).collect();
    while bench.scheduler.step() == Progress::Stepped {}
    let log = bench.recorded.log();
    assert_eq!((log.arrived, log.requests.len()), (10, 10));
    let generated: usize = log.steps.iter().map(|step| step.tokens).sum();
    assert_eq!(generated, 55);
    assert_eq!(generated, log.requests.iter().map(|request| request.tokens).sum::<usize>());
    assert_eq!(log.steps.iter().map(|step| step.prompts.len()).sum::<usize>(), 10);
    assert!(log.steps.iter().all(|step| step.tokens <= 3));
    for request in &log.requests {
        let moments = [Some(request.arrived), request.scheduled, request.first_token, request.end.map(|(_, end)| end)];
        assert!(moments.iter().all(Option::is_some) && moments.is_sorted(), "{request:?}");
    }
    drop(clients);
}

#[test]
fn a_request_that_arrives_while_the_step_begins_is_not_scheduled_before_it_arrived() {
    let mut bench = bench(Counting::new(), SchedulerConfig::default());
    let (mut request, _client) = Request::new(vec![1], GenerationParams { max_tokens: 1, ..Default::default() });
    request.arrived += Duration::from_millis(10);
    bench.submitter.submit(request).expect("there is room");
    bench.scheduler.step();
    let log = bench.recorded.log();
    assert_eq!(log.requests[0].scheduled, Some(log.requests[0].arrived));
}

#[test]
fn long_prompts_join_one_after_the_other() {
    let config = SchedulerConfig { max_prefill_tokens: 100, ..SchedulerConfig::default() };
    let mut bench = bench(Counting::new(), config);
    let clients: Vec<_> = [60, 60, 500, 10].map(|length| bench.submit(&vec![1; length], 9)).into();
    for running in [2, 3, 4] {
        bench.scheduler.step();
        assert_eq!(bench.scheduler.running(), running);
    }
    drop(clients);
}

#[test]
fn an_end_token_ends_the_answer_and_is_counted() {
    let config = SchedulerConfig { end_tokens: vec![8], ..SchedulerConfig::default() };
    let mut bench = bench(Counting::new(), config);
    let mut client = bench.submit(&[5], 100);
    while bench.scheduler.step() == Progress::Stepped {}
    let events = drain(&mut client);
    assert_eq!(tokens(&events), [6, 7, 8]);
    let end = Event::Finished { reason: FinishReason::Stop, generated: 3 };
    assert_eq!(events.back(), Some(&end));
}

#[test]
fn a_client_that_goes_away_cancels_its_request() {
    let config = SchedulerConfig { max_running: 1, ..SchedulerConfig::default() };
    let mut bench = bench(Counting::new(), config);
    let running = bench.submit(&[1], 500);
    let waiting = bench.submit(&[1], 500);
    let mut patient = bench.submit(&[7], 1);
    bench.scheduler.step();
    drop(running);
    drop(waiting);
    // The place is free at once, and the dead request in the queue does not take it.
    bench.scheduler.step();
    assert_eq!(tokens(&drain(&mut patient)), [8]);
    let log = bench.recorded.log();
    let end = |request: &RecordedRequest| (request.end.map(|(reason, _)| reason), request.scheduled.is_some());
    let ends: Vec<_> = log.requests.iter().map(end).collect();
    let [abort, length] = [FinishReason::Abort, FinishReason::Length].map(Some);
    assert_eq!(ends, [(abort, true), (abort, false), (length, true)]);
}

#[test]
fn a_full_queue_refuses() {
    let config = SchedulerConfig { max_running: 1, queue: 2, ..SchedulerConfig::default() };
    let mut bench = bench(Counting::new(), config);
    let clients = [bench.submit(&[1], 9), bench.submit(&[1], 9)];
    let submit = |bench: &Bench| {
        let (request, events) = Request::new(vec![1], GenerationParams::default());
        (bench.submitter.submit(request), events)
    };
    assert_eq!(submit(&bench).0, Err(SubmitError::Full));
    assert_eq!(bench.submitter.waiting(), 2);
    // One starts to run, which makes room for one.
    bench.scheduler.step();
    assert_eq!(submit(&bench).0, Ok(()));
    assert_eq!(submit(&bench).0, Err(SubmitError::Full));
    assert_eq!(bench.recorded.log().rejected, [RejectReason::QueueFull; 2]);
    drop(clients);
}

#[test]
fn a_failure_ends_one_request_and_no_other() {
    let mut model = Counting::new();
    model.fail_at = Some(10);
    let mut bench = bench(model, SchedulerConfig::default());
    let mut doomed = bench.submit(&[1; 9], 5);
    let mut fine = bench.submit(&[1; 2], 5);
    while bench.scheduler.step() == Progress::Stepped {}
    let doomed = drain(&mut doomed);
    assert_eq!(tokens(&doomed), [2]);
    assert!(matches!(doomed.back(), Some(Event::Failed(_))), "{doomed:?}");
    assert_eq!(tokens(&drain(&mut fine)).len(), 5);
}

#[test]
fn each_stage_begins_where_its_work_is_and_ends_before_the_next() {
    let mut bench = bench(Counting::new(), SchedulerConfig::default());
    let step = |bench: &mut Bench| {
        bench.scheduler.step();
        std::mem::take(&mut bench.recorded.log().stages)
    };
    let one_pass = [Stage::Prepare, Stage::Forward, Stage::Sample];
    let around = |passes: &[Stage]| [&[Stage::Schedule], passes, &[Stage::HandOut]].concat();
    assert_eq!(step(&mut bench), [], "there is nothing to do");

    // Two pieces, of which only the last one's logits are looked at.
    let _long = bench.submit(&[1; 300], 3);
    assert_eq!(step(&mut bench), around(&[&one_pass[..2], &one_pass].concat()));
    assert_eq!(step(&mut bench), around(&one_pass));

    // Several at once: on as many threads, so in any order.
    let _short = bench.submit(&[1], 1);
    let stages = step(&mut bench);
    let count = |wanted| stages.iter().filter(|&&stage| stage == wanted).count();
    let all = [Stage::Schedule, Stage::Prepare, Stage::Forward, Stage::Sample, Stage::HandOut];
    assert_eq!(all.map(count), [1, 2, 2, 2, 1], "{stages:?}");
}

#[test]
fn a_failure_leaves_no_stage_under_way() {
    let mut model = Counting::new();
    model.fail_at = Some(2);
    let mut bench = bench(model, SchedulerConfig::default());
    let _client = bench.submit(&[1; 9], 5);
    bench.scheduler.step();
    let stages = bench.recorded.log().stages.clone();
    assert_eq!(stages, [Stage::Schedule, Stage::Prepare, Stage::Forward, Stage::HandOut]);
}

#[test]
fn without_telemetry_there_is_no_clock_and_no_timer() {
    fn leaves_nothing<T: Telemetry>() -> bool {
        let nothing = size_of::<T::Timer>() == 0 && size_of::<T::Tracker>() == 0;
        !T::READS_CLOCK && nothing && !std::mem::needs_drop::<T::Timer>()
    }
    assert!(leaves_nothing::<NoTelemetry>());
    assert!(!leaves_nothing::<Recorded>());
    let (submitter, mut scheduler) = engine(Arc::new(Counting::new()), SchedulerConfig::default(), NoTelemetry);
    let (request, mut events) = Request::new(vec![1], GenerationParams { max_tokens: 3, ..Default::default() });
    submitter.submit(request).expect("there is room");
    while scheduler.step() == Progress::Stepped {}
    assert_eq!(tokens(&drain(&mut events)), [2, 3, 4]);
    assert_eq!(scheduler.now(), scheduler.epoch, "time stands still");
}

#[test]
fn the_thread_answers_and_stops() {
    let recorded = Recorded::default();
    let config = SchedulerConfig { delay: Delay::of_millis(1), ..SchedulerConfig::default() };
    let (submitter, thread) = spawn(Arc::new(Counting::new()), config, recorded.clone()).expect("a thread");
    let submit = |max_tokens| {
        let params = GenerationParams { max_tokens, ..GenerationParams::default() };
        let (request, events) = Request::new(vec![1], params);
        (submitter.submit(request), events)
    };
    let (sent, mut quick) = submit(3);
    sent.expect("there is room");
    assert_eq!(quick.blocking_recv(), Some(Event::Token(2)));

    let (sent, mut endless) = submit(900);
    sent.expect("there is room");
    assert!(matches!(endless.blocking_recv(), Some(Event::Token(_))));
    assert!(thread.is_running());
    thread.shutdown().expect("no panic");
    let last = std::iter::from_fn(|| endless.blocking_recv()).last();
    assert!(matches!(last, Some(Event::Finished { reason: FinishReason::Abort, .. })), "{last:?}");
    assert_eq!(submit(1).0, Err(SubmitError::Stopped));
    assert_eq!(recorded.log().rejected, [RejectReason::ShuttingDown]);
}
