//! The engine's metrics. Names, labels and bounds are those that dashboards for inference servers expect.

use inferometer::{Counter, Family, Histogram, LabelSet, LabelValue, Sampling, UpDownCounter, metric};

use super::{Phase, RejectReason, Stage};
use crate::request::{FinishReason, Status};

/// The engine's index in its process. There is one.
pub(super) const ENGINE: &str = "0";

/// The labels of what a front end counts.
#[derive(Debug, Clone, Copy, LabelSet)]
pub(super) struct Model<'a> {
    pub(super) model_name: &'a str,
}

/// The labels of what an engine counts.
#[derive(Debug, Clone, Copy, LabelSet)]
pub(super) struct Engine<'a> {
    pub(super) model_name: &'a str,
    pub(super) engine: &'a str,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, LabelSet)]
pub(super) struct Outcome<'a> {
    pub(super) model_name: &'a str,
    pub(super) engine: &'a str,
    pub(super) finish_reason: FinishReasonLabel,
    pub(super) status: StatusLabel,
}

/// A request that was turned away.
#[derive(Debug, Clone, Copy, LabelSet)]
pub(super) struct Rejection<'a> {
    pub(super) model_name: &'a str,
    pub(super) reason: RejectReasonLabel,
}

/// What kind of step it was.
#[derive(Debug, Clone, Copy, LabelSet)]
pub(super) struct Step<'a> {
    pub(super) model_name: &'a str,
    pub(super) engine: &'a str,
    pub(super) phase: PhaseLabel,
}

/// A part of the host's work.
#[derive(Debug, Clone, Copy, LabelSet)]
pub(super) struct HostStage<'a> {
    pub(super) model_name: &'a str,
    pub(super) engine: &'a str,
    pub(super) stage: StageLabel,
}

/// Declares a label's closed set of values beside the engine's own type, which knows nothing of metrics.
macro_rules! label {
    ($(#[$meta:meta])* $label:ident of $type:ident { $($variant:ident),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, LabelValue)]
        pub(super) enum $label { $($variant),* }

        impl From<$type> for $label {
            fn from(value: $type) -> Self {
                match value { $($type::$variant => Self::$variant),* }
            }
        }
    };
}

label! {
    /// The values of `finish_reason`.
    FinishReasonLabel of FinishReason { Stop, Length, Abort, Error, Rejected }
}
label! {
    /// The values of `status`.
    StatusLabel of Status { Ok, Error, Cancelled }
}
label! {
    /// The values of `reason`.
    RejectReasonLabel of RejectReason { QueueFull, ShuttingDown }
}
label! {
    /// The values of `phase`.
    PhaseLabel of Phase { Prefill, Decode, Mixed }
}
label! {
    /// The values of `stage`.
    StageLabel of Stage { Schedule, Prepare, Forward, Sample, HandOut, Detokenize, Stream }
}

// The bounds hold those of vLLM, SGLang and OpenTelemetry together, so that each one's dashboards work unchanged.

const TTFT_BOUNDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.2, 0.25, 0.4, 0.5, 0.6, 0.75, 0.8, 1.0, 2.0, 2.5, 4.0, 5.0, 6.0,
    7.5, 8.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 160.0, 200.0, 400.0, 640.0, 2560.0,
];

/// With finer bounds below 10 ms, where a single stream on an accelerator lies.
const ITL_BOUNDS: &[f64] = &[
    0.00025, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035,
    0.04, 0.05, 0.06, 0.075, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.8, 1.0, 2.0, 2.5, 4.0, 5.0, 6.0, 7.5,
    8.0, 10.0, 20.0, 40.0, 80.0,
];

const REQUEST_BOUNDS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.1, 0.16, 0.2, 0.3, 0.32, 0.4, 0.5, 0.6, 0.64, 0.8, 1.0, 1.28, 1.5, 2.0, 2.5, 2.56, 4.0,
    5.0, 5.12, 6.0, 8.0, 10.0, 10.24, 15.0, 20.0, 20.48, 30.0, 40.0, 40.96, 50.0, 60.0, 80.0, 81.92, 100.0, 120.0,
    200.0, 240.0, 400.0, 480.0, 600.0, 960.0, 1200.0, 1800.0, 1920.0, 2400.0, 7680.0,
];

const QUEUE_BOUNDS: &[f64] = &[
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0,
    30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0,
];

/// vLLM's bounds for the parts of a request, with finer ones below for small models.
const PART_BOUNDS: &[f64] = QUEUE_BOUNDS;

const STEP_BOUNDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// From what it takes to make a character of a token to what a large model computes.
const STAGE_BOUNDS: &[f64] = &[
    1e-7, 2.5e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
    0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

const BATCH_BOUNDS: &[f64] =
    &[1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0, 192.0, 256.0, 384.0, 512.0, 1024.0];

/// Valid requests that reached the queue, taken or not.
#[metric(name = "inference_requests_started_total")]
pub(super) static STARTED: Family<Model, Counter> = Family::new();

/// Requests that ended, by how.
#[metric(name = "inference_requests_total")]
pub(super) static FINISHED: Family<Outcome, Counter> = Family::new();

/// Requests that were turned away before they were queued, by why.
#[metric(name = "inference_requests_rejected_total")]
pub(super) static REJECTED: Family<Rejection, Counter> = Family::new();

/// Requests in the queue.
#[metric(name = "inference_requests_waiting")]
pub(super) static WAITING: Family<Engine, UpDownCounter> = Family::new();

/// Requests whose sequences take part in every step.
#[metric(name = "inference_requests_running")]
pub(super) static RUNNING: Family<Engine, UpDownCounter> = Family::new();

/// From a request's arrival to its first token.
#[metric(name = "inference_time_to_first_token_seconds", buckets = TTFT_BOUNDS)]
pub(super) static TIME_TO_FIRST_TOKEN: Family<Engine, Histogram> = Family::new();

/// Between one token of a sequence and the next.
#[metric(name = "inference_inter_token_latency_seconds", buckets = ITL_BOUNDS)]
pub(super) static INTER_TOKEN_LATENCY: Family<Engine, Histogram> = Family::new();

/// A request's mean time between tokens; requests of one token have none.
#[metric(name = "inference_time_per_output_token_seconds", buckets = ITL_BOUNDS)]
pub(super) static TIME_PER_OUTPUT_TOKEN: Family<Engine, Histogram> = Family::new();

/// From a request's arrival to its end, of requests that ran.
#[metric(name = "inference_request_duration_seconds", buckets = REQUEST_BOUNDS)]
pub(super) static REQUEST_DURATION: Family<Engine, Histogram> = Family::new();

/// From a request's arrival to the start of the step in which it joined.
#[metric(name = "inference_request_queue_seconds", buckets = QUEUE_BOUNDS)]
pub(super) static REQUEST_QUEUE: Family<Engine, Histogram> = Family::new();

/// From the start of the step in which a request joined to its first token.
#[metric(name = "inference_request_prefill_seconds", buckets = PART_BOUNDS)]
pub(super) static REQUEST_PREFILL: Family<Engine, Histogram> = Family::new();

/// From a request's first token to its end.
#[metric(name = "inference_request_decode_seconds", buckets = PART_BOUNDS)]
pub(super) static REQUEST_DECODE: Family<Engine, Histogram> = Family::new();

/// One iteration over all running sequences.
#[metric(name = "inference_step_seconds", buckets = STEP_BOUNDS)]
pub(super) static STEP: Family<Step, Histogram> = Family::new();

/// Sequences in a step.
#[metric(name = "inference_batch_size", buckets = BATCH_BOUNDS)]
pub(super) static BATCH_SIZE: Family<Step, Histogram<u64>> = Family::new();

/// The host's work for the steps, by stage. What several threads do at a time is added up.
#[metric(name = "inference_host_stage_seconds", buckets = STAGE_BOUNDS, sampling = Sampling::DEFAULT)]
pub(super) static HOST_STAGE: Family<HostStage, Histogram> = Family::new();

/// Prompt tokens processed.
#[metric(name = "inference_prompt_tokens_total")]
pub(super) static PROMPT_TOKENS: Family<Engine, Counter> = Family::new();

/// Tokens generated; moves with every step.
#[metric(name = "inference_generation_tokens_total")]
pub(super) static GENERATION_TOKENS: Family<Engine, Counter> = Family::new();
