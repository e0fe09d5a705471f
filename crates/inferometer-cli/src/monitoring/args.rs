//! What is asked for on the command line, and whether rules can be made of it.

use super::naming::{Family, Naming, Profile};
use super::time::{Clock, Time};
use crate::percent::Percent;
use anyhow::{Result, ensure};
use inferometer_serving::Metric;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Write Prometheus rules with their unit tests, routes for alerts, and Grafana dashboards.
///
/// All of it is made of the table that the metrics come from, so that no rule asks for what no server has.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The names that the servers expose.
    #[arg(long, value_name = "PROFILE", default_value = "canonical")]
    pub(crate) profile: Profile,

    /// Only this model, by its label `model_name`; all that there are otherwise, each by itself.
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,

    /// What is promised: the time to the first token, between tokens, and of a request. Each has to be a bound of the
    /// histogram's buckets, where the share of requests within it is known exactly. What is not named stays as it is.
    #[arg(long, value_name = "LIMITS", default_value = "ttft=1s,itl=50ms,e2e=5s")]
    pub(crate) slo: Slo,

    /// The share of requests that it is promised for, and that have to end without an error.
    #[arg(long, value_name = "SHARE", default_value = "99%")]
    pub(crate) objective: Percent,

    /// The 95th percentile of a request's time above which HighInferenceLatency fires; what `--slo` has for e2e otherwise.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) latency_threshold: Option<Duration>,

    /// How many requests may wait before RequestQueueBacklog fires.
    #[arg(long, value_name = "REQUESTS", default_value_t = 100)]
    pub(crate) queue_threshold: u32,

    /// Time from one scrape to the next, and between evaluations of the rules.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = humantime::parse_duration)]
    pub(crate) interval: Duration,

    /// Divide every window, `for` and interval by this number, and nothing else: to try the rules in less time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) time_scale: u32,

    /// A server to scrape, as HOST:PORT; may be given several times. More can be listed in targets/*.yml at any time.
    #[arg(long = "target", value_name = "ADDRESS", value_parser = address)]
    pub(crate) targets: Vec<String>,

    /// Where the servers have their metrics.
    #[arg(long, value_name = "PATH", default_value = "/metrics")]
    pub(crate) metrics_path: String,

    /// Where Prometheus listens, for Grafana.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090", value_parser = address)]
    pub(crate) prometheus: String,

    /// Where Alertmanager listens, for Prometheus.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9093", value_parser = address)]
    pub(crate) alertmanager: String,

    /// Where Alertmanager sends what fires and what is over.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9095/")]
    pub(crate) webhook: String,

    /// The page that explains the alerts; the links in them point to its sections.
    #[arg(long, value_name = "URL", default_value = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/runbooks.md"))]
    pub(crate) runbooks: String,

    /// The folder to write to. It is made if it is not there; files of the same names are replaced.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// What is promised of latencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slo {
    /// To the first token.
    pub(crate) ttft: Duration,
    /// From token to token.
    pub(crate) itl: Duration,
    /// Of a whole request.
    pub(crate) e2e: Duration,
}

impl Default for Slo {
    fn default() -> Self {
        Slo { ttft: Duration::from_secs(1), itl: Duration::from_millis(50), e2e: Duration::from_secs(5) }
    }
}

impl FromStr for Slo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut slo = Slo::default();
        let mut seen = Vec::new();
        for part in text.split(',') {
            let (name, time) = part.split_once('=').ok_or_else(|| format!("`{part}` is not of the form ttft=1s"))?;
            let place = match name.trim() {
                "ttft" => &mut slo.ttft,
                "itl" => &mut slo.itl,
                "e2e" => &mut slo.e2e,
                other => return Err(format!("`{other}` is none of ttft, itl and e2e")),
            };
            if seen.contains(&name.trim()) {
                return Err(format!("{} is given twice", name.trim()));
            }
            seen.push(name.trim());
            *place = humantime::parse_duration(time.trim()).map_err(|error| format!("`{time}`: {error}"))?;
        }
        Ok(slo)
    }
}

fn address(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').ok_or("an address is written HOST:PORT")?;
    let legal = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_[]:".contains(c));
    match port.parse::<u16>() {
        Ok(1..) if legal => Ok(text.to_owned()),
        _ => Err("an address is written HOST:PORT".to_owned()),
    }
}

/// What all rules and panels are made of.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) naming: Naming,
    pub(crate) clock: Clock,
    pub(crate) slo: Slo,
    /// The share of requests that may miss what is promised.
    pub(crate) allowed: f64,
    pub(crate) latency_threshold: Duration,
    pub(crate) queue_threshold: f64,
    pub(crate) interval: Duration,
    pub(crate) model: Option<String>,
    pub(crate) runbooks: String,
}

/// The shortest window that a rate is taken of; scrapes have to fit into it.
const SHORTEST_RATE: Duration = Duration::from_secs(5 * 60);

/// How many scrapes a window needs, so that one that fails leaves a rate.
const SCRAPES_PER_WINDOW: u32 = 4;

/// The burn rate that is worth waking somebody for, of which the share of misses has to stay below all.
pub(crate) const FASTEST_BURN: f64 = 14.4;

impl Context {
    /// How long a scrape may take: as Prometheus has it by default, unless the next one is due.
    pub(crate) fn scrape_timeout(&self) -> Time {
        self.clock.time(self.interval.min(Duration::from_secs(10)))
    }

    pub(crate) fn new(args: &Args) -> Result<Self> {
        let longest = SHORTEST_RATE / SCRAPES_PER_WINDOW;
        ensure!(
            args.interval <= longest && args.interval >= Duration::from_secs(1),
            "--interval {} is not from 1s to {}: rates are taken over {} and need {SCRAPES_PER_WINDOW} scrapes",
            humantime::format_duration(args.interval),
            humantime::format_duration(longest),
            humantime::format_duration(SHORTEST_RATE),
        );
        ensure!(
            args.interval / args.time_scale >= Duration::from_millis(100),
            "--time-scale {} makes the interval shorter than 100ms",
            args.time_scale
        );
        let allowed = 1.0 - args.objective.0;
        ensure!(
            allowed > 0.0 && allowed * FASTEST_BURN < 1.0,
            "--objective {} is not above {:.1} % and below 100 %: an alert fires when misses come {FASTEST_BURN} times as \
             fast as they may, which has to be possible",
            args.objective,
            100.0 * (1.0 - 1.0 / FASTEST_BURN),
        );
        let naming = Naming::new(args.profile, args.model.clone());
        let latency_threshold = args.latency_threshold.unwrap_or(args.slo.e2e);
        for (what, metric, limit) in [
            ("--slo ttft", Metric::TimeToFirstToken, args.slo.ttft),
            ("--slo itl", Metric::InterTokenLatency, args.slo.itl),
            ("--slo e2e", Metric::RequestDuration, args.slo.e2e),
            ("--latency-threshold", Metric::RequestDuration, latency_threshold),
        ] {
            if let Some(family) = naming.family(metric) {
                ensure_bound(what, &family, limit)?;
            }
        }
        Ok(Context {
            naming,
            clock: Clock::new(args.time_scale),
            slo: args.slo,
            allowed,
            latency_threshold,
            queue_threshold: f64::from(args.queue_threshold),
            interval: args.interval,
            model: args.model.clone(),
            runbooks: args.runbooks.clone(),
        })
    }
}

/// Only at a bound is it known how many were faster.
fn ensure_bound(what: &str, family: &Family, limit: Duration) -> Result<()> {
    let bounds =
        family.limits().iter().map(|&bound| humantime::format_duration(Duration::from_secs_f64(bound)).to_string());
    ensure!(
        family.bound(limit).is_some(),
        "{what} is {}, which is none of the bounds that {} has below its last: {}",
        humantime::format_duration(limit),
        family.selector.name(),
        bounds.collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn context(words: &str) -> Result<Context, String> {
        let words = ["monitoring", "--out", "x"].into_iter().chain(words.split_whitespace());
        let command = Command::try_parse_from(words).map_err(|error| error.to_string())?;
        Context::new(&command.args).map_err(|error| error.to_string())
    }

    #[test]
    fn promises_that_are_not_named_stay() {
        let slo = context("--slo e2e=2s").expect("a bound").slo;
        assert_eq!(slo, Slo { e2e: Duration::from_secs(2), ..Slo::default() });
        assert_eq!("ttft=1s,itl=50ms,e2e=5s".parse(), Ok(Slo::default()));
    }

    #[test]
    fn what_cannot_be_done_is_said_with_what_can() {
        for (words, said) in [
            ("--profile datadog", "possible values: canonical, basic, vllm"),
            ("--slo ttft", "not of the form ttft=1s"),
            ("--slo p99=1s", "none of ttft, itl and e2e"),
            ("--slo e2e=1s,e2e=2s", "twice"),
            ("--slo e2e=fast", "`fast`"),
            ("--slo e2e=3s", "2s, 2s 500ms, 2s 560ms, 4s, 5s"),
            ("--slo itl=45ms", "40ms, 50ms"),
            ("--profile basic --slo e2e=10s", "1s, 2s, 2s 500ms, 5s, 7s 500ms"),
            ("--latency-threshold 3s", "--latency-threshold is 3s"),
            ("--interval 2m", "from 1s to 1m 15s"),
            ("--interval 1s --time-scale 30", "shorter than 100ms"),
            ("--objective 90%", "above 93.1 % and below 100 %"),
            ("--objective 100%", "below 100 %"),
            ("--target localhost", "HOST:PORT"),
            ("--target http://localhost:80", "HOST:PORT"),
        ] {
            let error = context(words).map(|_| ()).expect_err(words);
            assert!(error.contains(said), "{words}: {error}");
        }
    }

    #[test]
    fn a_profile_without_a_histogram_asks_for_no_bound_of_it() {
        assert!(context("--profile basic --slo ttft=3s").is_ok());
    }
}
