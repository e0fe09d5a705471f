//! What Prometheus' own tool thinks of the text. Says so and does nothing where the tool is not installed.

use inferometer::{Buckets, Histogram, ProcessCollector, Registry};
use inferometer_prometheus::Exporter;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The exit status of `promtool check metrics` and what it prints; `None` when there is no promtool.
fn check(text: &[u8]) -> Option<(Option<i32>, String)> {
    let command = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = command else {
        println!("skipped: promtool is not installed");
        return None;
    };
    child.stdin.take().unwrap().write_all(text).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
}

fn registry() -> Registry {
    let registry = Registry::new();
    let help = "A \\ \"quoted\"\nhelp.";
    for name in
        ["requests_total", "requests_running", "cache_usage_ratio", "step_seconds", "prompt_tokens", "build_info"]
    {
        registry.describe(name, None, help).unwrap();
    }
    for model in ["llama", "a\"b\\c\nd", "", "模型"] {
        let labels = [("model_name", model), ("status", "ok")];
        registry.counter("requests_total", &labels).unwrap().increment(u64::MAX);
        registry.up_down_counter("requests_running", &labels).unwrap().decrement(1);
        let buckets = Buckets::classic(&[0.000_01, 0.03, 1.0, 1_000_000.0]);
        let steps: Histogram = registry.histogram_with_buckets("step_seconds", &labels, &buckets).unwrap();
        steps.record(Duration::from_nanos(12_345));
        registry.histogram::<u64>("prompt_tokens", &labels).unwrap().record(4_096);
    }
    for (at, level) in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e300, 5e-324].into_iter().enumerate() {
        registry.gauge("cache_usage_ratio", &[("at", &at.to_string())]).unwrap().set(level);
    }
    registry
}

#[test]
fn promtool_has_nothing_to_say_about_a_described_registry() {
    let exporter = Exporter::builder().registry(registry()).build().unwrap();
    if let Some((status, said)) = check(&exporter.render(None).body) {
        assert_eq!((status, said.as_str()), (Some(0), ""));
    }
}

#[test]
fn promtool_finds_no_fault_with_the_exporters_own_metrics() {
    let registry = registry();
    let exporter = Exporter::builder().registry(registry).build().unwrap();
    #[cfg(feature = "http")]
    let _server = exporter.serve("127.0.0.1:0").unwrap();
    if let Some((status, said)) = check(&exporter.render(None).body) {
        assert_eq!((status, said.as_str()), (Some(0), ""));
    }
}

#[test]
fn promtool_finds_no_fault_with_the_metrics_of_the_process() {
    let registry = Registry::new();
    registry.register_collector("process", ProcessCollector::new()).unwrap();
    let exporter = Exporter::builder().registry(registry).build().unwrap();
    let body = exporter.render(None).body;
    let text = String::from_utf8_lossy(&body);
    assert!(!cfg!(unix) || text.contains("\nprocess_cpu_seconds_total "), "{text}");
    if let Some((status, said)) = check(&body) {
        assert_eq!((status, said.as_str()), (Some(0), ""), "{text}");
    }
}

#[test]
fn promtool_would_notice_a_broken_text() {
    let exporter = Exporter::builder().registry(registry()).build().unwrap();
    let whole = exporter.render(None).body;
    if let Some((status, said)) = check(&whole[..whole.len() - 1]) {
        assert_eq!(status, Some(1), "{said}");
    }
}

#[test]
fn an_empty_registry_is_valid() {
    let exporter = Exporter::builder().registry(Registry::new()).build().unwrap();
    if let Some((status, said)) = check(&exporter.render(None).body) {
        assert_eq!((status, said.as_str()), (Some(0), ""));
    }
}
