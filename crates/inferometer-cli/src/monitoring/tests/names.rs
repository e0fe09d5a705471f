//! Whether what is asked for exists.

use super::rendered;
use crate::monitoring::files::File;
use inferometer::Registry;
use inferometer_gpu::GpuMonitor;
use inferometer_gpu::testing::FakeProbe;
use inferometer_prometheus::{Exporter, Profile, ScrapeRequest};
use inferometer_serving::{EngineState, KvBlocks, LoadPhase, LoraAdapters, ServingMetrics};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Prometheus itself says these of each target.
const OF_TARGETS: [&str; 3] = ["up", "scrape_duration_seconds", "scrape_samples_scraped"];

/// And the configuration gives these labels to all that it has.
const OF_TARGETS_LABELS: [&str; 3] = ["job", "instance", "host"];

/// Every name that an expression has is served under the profile, with the labels that it is asked for, the values of
/// those that the catalogue has, and a bucket at each bound.
#[test]
fn what_is_asked_for_is_served() {
    for profile in ["canonical", "basic", "vllm"] {
        let page = served(profile);
        let files = rendered(&format!("--profile {profile}"));
        let recorded: BTreeSet<_> = files.iter().flat_map(recorded).collect();
        let mut asked = BTreeSet::new();
        for (name, matchers) in files.iter().flat_map(selectors) {
            if OF_TARGETS.contains(&&*name) || recorded.contains(&*name) {
                continue;
            }
            let series = |line: &&str| line.strip_prefix(&*name).is_some_and(|rest| rest.starts_with(['{', ' ']));
            let lines: Vec<_> = page.lines().filter(series).collect();
            assert!(!lines.is_empty(), "{profile} has no {name}");
            for (label, value) in matchers {
                if OF_TARGETS_LABELS.contains(&&*label) {
                    continue;
                }
                let closed = ["le", "status", "finished_reason"].contains(&&*label);
                let wanted = if closed { format!("{label}=\"{value}\"") } else { format!("{label}=\"") };
                assert!(lines.iter().any(|line| line.contains(&wanted)), "{profile} has no {name}{{{wanted}}}");
            }
            asked.insert(name);
        }
        assert!(asked.len() > 10, "{profile}: {asked:?}");
    }
}

/// The guides name nothing either that is not there.
#[test]
fn what_the_guides_name_is_served() {
    /// These are there only once there is something to say.
    const SOMETIMES: [&str; 2] = ["gpu_probe_failures_total", "inferometer_budget_infeasible"];
    let page = served("canonical");
    let served: BTreeSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).chain(SOMETIMES).collect();
    for guide in ["docs/runbooks.md", "docs/monitoring.md"] {
        let text = super::page(guide);
        let named = text.split('`').skip(1).step_by(2);
        let ours = |name: &&str| ["inference_", "gpu_", "inferometer_"].iter().any(|prefix| name.starts_with(prefix));
        for name in named.filter(ours) {
            assert!(served.contains(name), "{guide}: {name}");
        }
    }
}

/// The names that a file of rules records.
fn recorded(file: &File) -> Vec<&str> {
    file.content.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("record: ")).collect()
}

type Matchers = Vec<(String, String)>;

/// The selectors in the expressions of a file.
fn selectors(file: &File) -> Vec<(String, Matchers)> {
    let mut expressions = Vec::new();
    if file.path.ends_with(".json") {
        collect(&serde_json::from_str(&file.content).expect("JSON"), &mut expressions);
    }
    let mut found = Vec::new();
    for expression in &expressions {
        for (place, _) in expression.match_indices('{') {
            let name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
            let before = expression[..place].trim_end_matches(name).len();
            let inside = &expression[place + 1..];
            let inside = &inside[..inside.find('}').expect("it is closed")];
            let matchers = inside.split("\",").map(|matcher| {
                let (label, value) = matcher.trim_end_matches('"').split_once('"').expect("a value in quotes");
                (label.trim_end_matches(['=', '~', '!']).to_owned(), value.to_owned())
            });
            found.push((expression[before..place].to_owned(), matchers.collect()));
        }
    }
    found
}

/// The expressions of alerts and panels.
fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if ["expr", "expression"].contains(&name.as_str()) => found.push(text.clone()),
                    member => collect(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// What a server with all that there is serves under a profile.
fn served(profile: &str) -> String {
    /// There is one registry for all tests, and room in it for one monitor of GPUs.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let registry = Registry::global();
    let model = |name: &str| ServingMetrics::builder(name).max_series(100).register().expect("metrics");
    let metrics = model("llama");
    // As many models as to have some refused.
    for other in 0..100 {
        model(&format!("model {other}"));
    }
    metrics.set_engine_state(EngineState::Ready);
    metrics.set_max_running_requests(8);
    metrics.set_kv_cache(8, 16);
    metrics.set_lora_adapters(&LoraAdapters { max: 1, loaded: 1, running: &["a"], waiting: &[] });
    metrics.set_model_load(LoadPhase::Weights, Duration::from_secs(1));
    metrics.set_model_weight_bytes(1);
    metrics.step_recorder().set_kv_blocks(KvBlocks { used: 1, free: 7, cached: 0 });
    let gpus = FakeProbe::example();
    gpus.xid("GPU-00000000-0000-0000-0000-000000000001", 79);
    let _monitor = GpuMonitor::builder().registry(registry).probe(gpus).start().expect("a monitor");
    while registry.snapshot().counter("gpu_xid_errors_total", &[]).is_none() {
        std::thread::yield_now();
    }
    let basic = [inferometer_serving::profiles::basic_mappings(), inferometer_gpu::profiles::basic_mappings()].concat();
    let exporter = Exporter::builder()
        .registry(registry.clone())
        .profile(Profile::new("basic", basic).expect("names that differ"))
        .profile(inferometer_serving::profiles::vllm());
    let exporter = exporter.build().expect("an exporter");
    let query = format!("profile={profile}");
    let answer = exporter.answer(&ScrapeRequest::new().query(&*query)).expect("an answer");
    String::from_utf8_lossy(&answer.body).into_owned()
}
