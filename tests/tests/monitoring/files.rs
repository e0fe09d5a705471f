//! The files by themselves.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use inferometer_e2e::child::Guarded;
use inferometer_e2e::client::Client;
use inferometer_e2e::monitoring::{Rendered, tool};
use inferometer_e2e::prometheus::free_address;
use inferometer_e2e::wait;

/// The names, and a time that runs fast.
const RENDERINGS: [&[&str]; 4] = [
    &[],
    &["--profile", "basic"],
    &["--profile", "vllm"],
    &["--time-scale", "15", "--slo", "e2e=2s", "--model", "llama"],
];

#[test]
fn prometheus_and_alertmanager_read_their_configurations_and_rules() {
    for options in RENDERINGS {
        let rendered = Rendered::new(options);
        let check = |name, arguments: &[&str], file: &str| tool(name, arguments, &rendered.path().join(file));
        check("promtool", &["check", "config"], "prometheus.yml").expect("a configuration");
        check("amtool", &["check-config"], "alertmanager.yml").expect("a configuration");
        for file in rendered.files("rules") {
            tool("promtool", &["check", "rules"], &file).expect("rules");
        }
    }
}

#[test]
fn the_unit_tests_of_the_rules_pass() {
    for options in RENDERINGS {
        let rendered = Rendered::new(options);
        for file in rendered.files("tests") {
            tool("promtool", &["test", "rules"], &file).expect("tests that pass");
        }
    }
}

/// Published mistakes, put into the rules: the unit tests have to notice each.
#[test]
fn the_unit_tests_notice_rules_that_are_wrong() {
    for (file, right, wrong) in [
        // Alerts that never fire.
        ("latency", "(le,", "("),
        ("latency", "inference_request_duration_seconds_bucket", "inference_request_duration_seconds"),
        ("gpu", "gpu_memory_total_bytes", "gpu_memory_size_bytes"),
        // One that a restart makes fire, and one that a failed scrape silences.
        ("slo", "rate(inference_requests_total", "delta(inference_requests_total"),
        (
            "scheduler",
            "(min_over_time(inference_requests_waiting{job=\"inference-servers\"}[1m]))",
            "(inference_requests_waiting)",
        ),
        // Ones that go on for ever.
        ("self", "unless", "or"),
        (
            "scheduler",
            "(rate(inference_preemptions_total{job=\"inference-servers\"}[5m]))",
            "(inference_preemptions_total)",
        ),
    ] {
        let rendered = Rendered::new(&[]);
        let rules = rendered.path().join(format!("rules/{file}.yml"));
        let text = fs::read_to_string(&rules).expect("rules");
        assert!(text.contains(right), "{file} has no {right}");
        fs::write(&rules, text.replace(right, wrong)).expect("rules can be written");
        let tests = rendered.path().join(format!("tests/{file}.yml"));
        assert!(tool("promtool", &["test", "rules"], &tests).is_err(), "nobody notices `{wrong}` in {file}");
    }
}

/// The script, as somebody would run it who has the packages and no containers.
#[test]
#[cfg(unix)]
fn the_start_script_starts_prometheus_and_alertmanager() {
    let [prometheus, alertmanager] = [free_address(), free_address()];
    let rendered = Rendered::new(&["--prometheus", &prometheus, "--alertmanager", &alertmanager]);
    let mut command = Command::new(rendered.path().join("start.sh"));
    let script = Guarded::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    let _script = Script(script.expect("it can be run"));
    let client = Client::new();
    for address in [&prometheus, &alertmanager] {
        wait::until(&format!("{address} to be ready"), Duration::from_secs(60), || {
            let answer = client.get(&format!("http://{address}/-/ready"))?;
            if answer.status == 200 { Ok(()) } else { Err(format!("status {}", answer.status)) }
        });
    }
}

/// Ends what it has started when it is asked to end; killed, it could not.
#[cfg(unix)]
struct Script(Guarded);

#[cfg(unix)]
impl Drop for Script {
    fn drop(&mut self) {
        self.0.terminate(Duration::from_secs(30));
    }
}
