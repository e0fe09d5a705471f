//! The bounds of the histograms' classic buckets.
//!
//! Each set holds those of every profile for the metric, since classic buckets can be put together but not cut; and
//! the limits that service levels are commonly stated in, so that the share of requests within them is exact.

/// vLLM's, SGLang's and OpenTelemetry's for the time to the first token.
pub(crate) const FIRST_TOKEN: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.2, 0.25, 0.4, 0.5, 0.6, 0.75, 0.8, 1.0, 2.0, 2.5, 4.0, 5.0, 6.0,
    7.5, 8.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 160.0, 200.0, 400.0, 640.0, 2560.0,
];

/// Theirs for the time between tokens, with finer ones below 10 ms, where a single stream on an accelerator lies.
pub(crate) const BETWEEN_TOKENS: &[f64] = &[
    0.00025, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035,
    0.04, 0.05, 0.06, 0.075, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.8, 1.0, 2.0, 2.5, 4.0, 5.0, 6.0,
    7.5, 8.0, 10.0, 20.0, 40.0, 80.0,
];

/// Theirs for whole requests.
pub(crate) const REQUEST: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.1, 0.16, 0.2, 0.25, 0.3, 0.32, 0.4, 0.5, 0.6, 0.64, 0.8, 1.0, 1.28, 1.5, 2.0, 2.5, 2.56,
    4.0, 5.0, 5.12, 6.0, 7.5, 8.0, 10.0, 10.24, 15.0, 20.0, 20.48, 30.0, 40.0, 40.96, 50.0, 60.0, 80.0, 81.92, 100.0,
    120.0, 200.0, 240.0, 400.0, 480.0, 600.0, 960.0, 1200.0, 1800.0, 1920.0, 2400.0, 7680.0,
];

/// vLLM's for the parts of a request, with finer ones below for short queues and small models.
pub(crate) const REQUEST_PART: &[f64] = &[
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 7.5, 10.0,
    15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0,
];

/// From a short text to the longest.
pub(crate) const TOKENIZE: &[f64] =
    &[0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// From a forward pass of a small model to one over a long prompt.
pub(crate) const STEP: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// From what it takes to make a character of a token to what a large model computes.
pub(crate) const STAGE: &[f64] = &[
    1e-7, 2.5e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
    0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Tokens of a request: powers of two, and vLLM's steps of 1, 2 and 5.
pub(crate) const TOKENS: &[f64] = &[
    1.0, 2.0, 4.0, 5.0, 8.0, 10.0, 16.0, 20.0, 32.0, 50.0, 64.0, 100.0, 128.0, 200.0, 256.0, 500.0, 512.0, 1000.0,
    1024.0, 2000.0, 2048.0, 4096.0, 5000.0, 8192.0, 10000.0, 16384.0, 20000.0, 32768.0, 50000.0, 65536.0, 100000.0,
    131072.0, 200000.0, 262144.0, 500000.0, 524288.0, 1000000.0, 1048576.0,
];

/// Tokens of a step: vLLM's.
pub(crate) const STEP_TOKENS: &[f64] =
    &[1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];

/// Sequences of a step.
pub(crate) const BATCH: &[f64] =
    &[1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0, 192.0, 256.0, 384.0, 512.0, 1024.0];

/// Negative log-probabilities: from a token that was all but certain to one that nobody would have picked.
pub(crate) const LOGPROB: &[f64] = &[0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0];
