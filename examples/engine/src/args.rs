//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use crate::gpu::GpuChoice;
use crate::model::ModelSpec;
use crate::naming::Naming;

/// A small inference server on a real model, with its metrics.
///
/// Without arguments it fetches SmolLM2-135M-Instruct, answers 16 requests of its own, prints what it measured, and
/// goes on serving until it is interrupted.
#[derive(Debug, Clone, Parser)]
#[command(version, max_term_width = 100)]
pub struct Args {
    /// Where the API listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8001")]
    pub listen: SocketAddr,

    /// Where /metrics is served; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8002")]
    pub metrics_listen: SocketAddr,

    /// smollm2, random, random-tiny, or the path of a GGUF file with a Llama model.
    #[arg(long, value_name = "MODEL", default_value = "smollm2")]
    pub model: ModelSpec,

    /// Requests to send to itself, over HTTP, before it only serves.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub requests: usize,

    /// How many of its own requests are under way at once; as many as run at once, unless told otherwise.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub concurrency: Option<usize>,

    /// Tokens to generate where a request does not say.
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one)]
    pub max_tokens: usize,

    /// An artificial delay in every step, in milliseconds. `POST /delay` changes it while the engine runs.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub delay_ms: u64,

    /// Serve for this long after its own requests; until interrupted, unless told otherwise.
    #[arg(long, value_name = "SECONDS")]
    pub linger: Option<u64>,

    /// Threads that the running sequences are spread over; as many as there are cores, unless told otherwise.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub threads: Option<usize>,

    /// Sequences that run at once.
    #[arg(long, value_name = "N", default_value = "8", value_parser = at_least_one)]
    pub max_running: usize,

    /// Prompt tokens after which no further request joins a step.
    #[arg(long, value_name = "N", default_value = "128", value_parser = at_least_one)]
    pub max_prefill_tokens: usize,

    /// Requests that may wait; further ones get status 429.
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one)]
    pub queue: usize,

    /// Which GPUs are watched for the metrics.
    #[arg(long, value_name = "GPU", default_value = "auto")]
    pub gpu: GpuChoice,

    /// Under which names the metrics stand at /metrics; several allowed. All are at /metrics?profile=NAME.
    #[arg(long, value_name = "NAME", default_value = "canonical")]
    pub profile: Vec<Naming>,

    /// Write the summary to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("not a number: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
        let args = Args::try_parse_from(["engine"]).expect("no arguments are needed");
        assert_eq!((args.requests, args.linger), (16, None));
        assert_eq!(args.model, ModelSpec::SmolLm2);
        assert_eq!(args.gpu, GpuChoice::Auto);
        assert_eq!(args.profile, [Naming::Canonical]);
        let args = Args::try_parse_from(["engine", "--profile", "vllm", "--profile", "canonical"]).expect("parses");
        assert_eq!(args.profile, [Naming::Vllm, Naming::Canonical]);
        let args = Args::try_parse_from(["engine", "--model", "m.gguf"]).expect("parses");
        assert_eq!(args.model, ModelSpec::File("m.gguf".into()));
        Args::try_parse_from(["engine", "--max-running", "0"]).expect_err("nothing could run");
    }
}
