//! The program as a user runs it, on a model that needs no download.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const ENGINE: &str = env!("CARGO_BIN_EXE_engine");

/// Ends the program with the test, however that ends.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    fn start(arguments: &[&str]) -> (Self, BufReader<ChildStdout>) {
        let mut child = Command::new(ENGINE)
            .args(["--model", "random-tiny", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let output = child.stdout.take().expect("is piped");
        (Self(child), BufReader::new(output))
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.0.try_wait().expect("can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "the program does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What stands behind the prefix in the first line that has it.
fn line_after(output: &mut impl BufRead, prefix: &str) -> String {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(output.read_line(&mut line).expect("reads") > 0, "no line starts with {prefix}");
        if let Some(rest) = line.trim().strip_prefix(prefix) {
            return rest.to_owned();
        }
    }
}

fn get(url: &str) -> String {
    let (address, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
    let mut stream = TcpStream::connect(address).expect("connects");
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("reads");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

fn sample(scrape: &str, series: &str) -> f64 {
    let line = scrape.lines().find_map(|line| line.strip_prefix(series));
    line.unwrap_or_else(|| panic!("no {series}")).trim().parse().expect("a number")
}

#[test]
fn it_answers_its_own_load_and_reports_what_the_metrics_say() {
    let directory = tempfile::tempdir().expect("a directory");
    let report = directory.path().join("report.json");
    let report_path = report.to_str().expect("a UTF-8 path");
    let (mut program, mut output) =
        Program::start(&["--requests", "20", "--max-tokens", "9", "--report", report_path, "--max-running", "4"]);
    let metrics = line_after(&mut output, "metrics: ");
    let api = line_after(&mut output, "listening: ");
    line_after(&mut output, "stages      of the time in steps");
    let sampled = line_after(&mut output, "sample ");
    assert!(sampled.ends_with(" of 180 timed"), "{sampled}");
    line_after(&mut output, "account ");
    line_after(&mut output, "clients     20 answered, 0 failed");

    let scrape = get(&metrics);
    let labels = "{model_name=\"random-tiny\",engine=\"0\"}";
    assert_eq!(sample(&scrape, &format!("inference_generation_tokens_total{labels}")), 180.0);
    assert_eq!(sample(&scrape, &format!("inference_time_to_first_token_seconds_count{labels}")), 20.0);
    assert_eq!(sample(&scrape, &format!("inference_inter_token_latency_seconds_count{labels}")), 160.0);
    assert_eq!(sample(&scrape, &format!("inference_requests_waiting{labels}")), 0.0);
    assert!(sample(&scrape, "process_cpu_seconds_total") >= 0.0);
    assert!(get(&format!("{api}/health")).contains("\"ok\""));

    let text = std::fs::read_to_string(&report).expect("the report is there");
    let report: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(report["figures"]["generated_tokens"], 180);
    assert_eq!(report["load"]["completion_tokens"], 180);
    let stages = report["figures"]["stages"].as_array().expect("an array");
    assert_eq!(stages.len(), 7, "{stages:?}");
    for stage in stages {
        let labels = format!("{{model_name=\"random-tiny\",engine=\"0\",stage={}}}", stage["stage"]);
        let of = |part: &str| sample(&scrape, &format!("inference_host_stage_seconds_{part}{labels}"));
        let said = |field: &str| stage[field].as_f64().expect("a number");
        assert_eq!(of("events_total"), said("events"), "{stage}");
        assert!(said("samples") >= 1.0 && said("mean_seconds") > 0.0 && said("share_of_steps") > 0.0, "{stage}");
    }
    let overhead = report["figures"]["account"]["overhead_seconds"].as_f64().expect("a number");
    let steps = report["figures"]["step_seconds"].as_f64().expect("a number");
    assert!(overhead > 0.0 && overhead < steps, "{overhead} s of recording in {steps} s of steps");
    let sum = format!("inference_time_to_first_token_seconds_sum{labels}");
    assert!(report["figures"]["time_to_first_token"]["p50_seconds"].as_f64().expect("a number") > 0.0);
    assert!(sample(&scrape, &sum) > 0.0);

    // Ctrl-C ends it cleanly, in the middle of serving.
    let killed = Command::new("kill").args(["-INT", &program.0.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    assert!(program.wait().success());
}

/// Waits for a line of the metrics that starts so, and gives back the rest of it.
fn awaited(metrics: &str, series: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let scrape = get(metrics);
        if let Some(rest) = scrape.lines().find_map(|line| line.strip_prefix(series)) {
            return rest.trim().to_owned();
        }
        assert!(Instant::now() < deadline, "no {series} in\n{scrape}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn it_has_other_servers_names_for_its_metrics() {
    let arguments =
        ["--requests", "2", "--max-tokens", "3", "--gpu", "fake", "--profile", "vllm", "--profile", "basic"];
    let (_program, mut output) = Program::start(&arguments);
    let metrics = line_after(&mut output, "metrics: ");
    line_after(&mut output, "clients     2 answered, 0 failed");
    awaited(&metrics, "DCGM_FI_DEV_POWER_USAGE{gpu=\"0\"");
    let scrape = get(&metrics);
    let labels = "{model_name=\"random-tiny\",engine=\"0\"}";
    assert_eq!(sample(&scrape, &format!("vllm:generation_tokens_total{labels}")), 6.0);
    assert_eq!(sample(&scrape, "inference_requests_total{model_name=\"random-tiny\",status=\"ok\"}"), 2.0);
    let canonical = get(&format!("{metrics}?profile=canonical"));
    assert_eq!(sample(&canonical, &format!("inference_generation_tokens_total{labels}")), 6.0);
    let triton = get(&format!("{metrics}?profile=triton"));
    assert_eq!(sample(&triton, "nv_inference_request_success{model=\"random-tiny\",version=\"1\"}"), 2.0);
}

#[test]
fn it_watches_the_gpus_that_it_is_told_to_and_goes_on_without_any() {
    let quiet = ["--requests", "0"];
    let (_program, mut output) = Program::start(&[&quiet[..], &["--gpu", "fake"]].concat());
    let metrics = line_after(&mut output, "metrics: ");
    assert!(awaited(&metrics, "gpu_power_watts{gpu=\"0\",").ends_with(" 512"));
    assert_eq!(sample(&get(&metrics), "gpu_probe_up"), 1.0);

    let (_program, mut output) = Program::start(&[&quiet[..], &["--gpu", "off"]].concat());
    let metrics = line_after(&mut output, "metrics: ");
    assert!(!get(&metrics).contains("gpu_"));

    // A real library, as far as the program can tell.
    let library = fake_nvml::FakeLibrary::new(&fake_nvml::Script::with([fake_nvml::Gpu::h100("GPU-1")]));
    let mut child = Command::new(ENGINE)
        .args(["--model", "random-tiny", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"])
        .args(["--requests", "0", "--gpu", "nvml"])
        .env("LD_LIBRARY_PATH", library.directory())
        .env_remove("CUDA_VISIBLE_DEVICES")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut output = BufReader::new(child.stdout.take().expect("is piped"));
    let mut messages = BufReader::new(child.stderr.take().expect("is piped"));
    let _program = Program(child);
    let metrics = line_after(&mut output, "metrics: ");
    assert!(awaited(&metrics, "gpu_memory_used_bytes{gpu=\"0\",uuid=\"GPU-1\"}").ends_with("51539607552"));
    assert_eq!(line_after(&mut messages, "gpu: "), "1 GPU (nvml)");

    // AMD's: on a machine without one, it is said once.
    if !std::path::Path::new("/sys/class/drm").exists() {
        let mut child = Command::new(ENGINE)
            .args(["--model", "random-tiny", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"])
            .args(["--requests", "3", "--max-tokens", "2", "--linger", "4", "--gpu", "amd"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut messages = String::new();
        child.stderr.take().expect("is piped").read_to_string(&mut messages).expect("reads");
        assert!(Program(child).wait().success());
        assert_eq!(messages.matches("gpu: no GPU metrics: no AMD GPU").count(), 1, "{messages}");
    }
}

#[test]
fn it_ends_by_itself_when_it_is_told_not_to_linger() {
    let (mut program, mut output) = Program::start(&["--requests", "3", "--max-tokens", "2", "--linger", "0"]);
    line_after(&mut output, "clients     3 answered, 0 failed");
    assert!(program.wait().success());
}

#[test]
fn it_refuses_nonsense() {
    for (arguments, word) in [
        (["--model", "no/such/file.gguf"], "no/such/file.gguf"),
        (["--max-running", "0"], "at least 1"),
        (["--listen", "nowhere"], "--listen"),
    ] {
        let output = Command::new(ENGINE).args(arguments).output().expect("runs");
        assert!(!output.status.success());
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains(word), "{message}");
    }
}
