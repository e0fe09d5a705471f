//! The example engine as a process of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::child::Guarded;
use crate::client::Client;
use crate::exposition::Scrape;
use crate::skip::skip;
use crate::wait;

/// How long the engine may take to listen. The first time it downloads its model.
const START: Duration = Duration::from_secs(600);

/// In every message of the engine about a model that it cannot get; it names what else can be done.
const NO_MODEL: &str = "pass --model with a GGUF file";

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    child: Guarded,
    /// Where its API is, without a slash at the end.
    pub api: String,
    /// Where its metrics are.
    pub metrics: String,
    directory: TempDir,
    client: Client,
}

impl Engine {
    /// Starts the engine on free ports of the loopback interface, with a real model and without a load of its own.
    /// `None` if the test has to be skipped.
    ///
    /// # Panics
    ///
    /// If there is no engine, or it does not start. The message says what to do.
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let binary = binary();
        assert!(
            binary.is_file(),
            "there is no engine at {}: build it with `cargo xtask engine --build-only`, or name one in INFEROMETER_ENGINE",
            binary.display()
        );
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let messages = directory.path().join("messages");
        let mut command = Command::new(&binary);
        command
            .args(["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--requests", "0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&messages).expect("a temporary file can be made"));
        if let Some(model) = std::env::var_os("INFEROMETER_MODEL") {
            command.arg("--model").arg(model);
        }
        let mut child =
            Guarded::spawn(&mut command).unwrap_or_else(|error| panic!("cannot run {}: {error}", binary.display()));
        let stdout = child.child().stdout.take().expect("its output is a pipe");
        let lines = lines_of(stdout);

        let started = Instant::now();
        let (mut api, mut metrics) = (None, None);
        while api.is_none() || metrics.is_none() {
            match lines.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => {
                    if let Some(url) = line.strip_prefix("listening: ") {
                        api = Some(url.trim_end_matches('/').to_owned());
                    } else if let Some(url) = line.strip_prefix("metrics: ") {
                        metrics = Some(url.to_owned());
                    }
                }
                Err(_) => {
                    let said = || fs::read_to_string(&messages).unwrap_or_default();
                    if let Some(status) = child.ended() {
                        let said = said();
                        if said.contains(NO_MODEL) {
                            skip(&format!("the engine has no model (INFEROMETER_MODEL can name a file): {said}"));
                            return None;
                        }
                        panic!("the engine ended ({status}) before it listened:\n{said}");
                    }
                    assert!(started.elapsed() < START, "the engine does not listen after {START:?}:\n{}", said());
                }
            }
        }
        Some(Self {
            child,
            api: api.unwrap_or_default(),
            metrics: metrics.unwrap_or_default(),
            directory,
            client: Client::new(),
        })
    }

    /// Where its metrics are, as a Prometheus has it: host and port.
    pub fn target(&self) -> &str {
        self.metrics.trim_start_matches("http://").trim_end_matches("/metrics")
    }

    /// What it has written to its standard error so far.
    pub fn messages(&self) -> String {
        fs::read_to_string(self.directory.path().join("messages")).unwrap_or_default()
    }

    /// Its metrics as they are served, with the content type.
    pub fn page(&self) -> (String, String) {
        let answer = self.client.get(&self.metrics).unwrap_or_else(|error| panic!("{error}\n{}", self.messages()));
        assert_eq!(answer.status, 200, "{}", answer.body);
        (answer.content_type, answer.body)
    }

    /// Its metrics, read and found consistent.
    pub fn scrape(&self) -> Scrape {
        let (_, body) = self.page();
        Scrape::parse(&body).unwrap_or_else(|error| panic!("the page is not consistent: {error}"))
    }

    /// Its metrics, once nothing runs and nothing waits.
    pub fn settled(&self) -> Scrape {
        wait::until("the engine to come to rest", Duration::from_secs(120), || {
            let scrape = self.scrape();
            let running = scrape.sum("inference_requests_running", &[]);
            let waiting = scrape.sum("inference_requests_waiting", &[]);
            if running == 0.0 && waiting == 0.0 {
                Ok(scrape)
            } else {
                Err(format!("{running} running, {waiting} waiting"))
            }
        })
    }

    /// Asks it to stop, waits until it has, and says whether it was content.
    #[cfg(unix)]
    pub fn stop(&mut self) -> std::process::ExitStatus {
        self.child.terminate(Duration::from_secs(60))
    }
}

/// Its lines as they come. The thread ends with the program, whose output has to be read even if nobody wants it.
fn lines_of(stdout: std::process::ChildStdout) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Nobody listens any more once the addresses are known.
            let _ = send.send(line);
        }
    });
    receive
}

/// INFEROMETER_ENGINE, or where `cargo xtask engine` puts it.
fn binary() -> PathBuf {
    if let Some(engine) = std::env::var_os("INFEROMETER_ENGINE").filter(|engine| !engine.is_empty()) {
        return engine.into();
    }
    let target = match std::env::var_os("CARGO_TARGET_DIR").filter(|directory| !directory.is_empty()) {
        Some(directory) => directory.into(),
        None => crate::root().join("target"),
    };
    target.join(format!("native/release/engine{}", std::env::consts::EXE_SUFFIX))
}
