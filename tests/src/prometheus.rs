//! A Prometheus server that scrapes one target every second.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::child::Guarded;
use crate::client::Client;
use crate::skip::skip;
use crate::wait;

/// A running server. Its data goes with it.
#[derive(Debug)]
pub struct Prometheus {
    base: String,
    client: Client,
    // Before the directory, which is deleted when nothing writes to it any more.
    child: Guarded,
    directory: TempDir,
}

/// One row of an answer.
#[derive(Debug, Clone)]
pub struct Row {
    /// The labels that are left of its series.
    pub labels: Value,
    /// The value.
    pub value: f64,
}

impl Prometheus {
    /// Starts one that scrapes `target`, given as host and port, under the job name `engine`. `None` if the test has
    /// to be skipped.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(target: &str) -> Option<Self> {
        Self::start_with(target, "")
    }

    /// The same with features switched on, given as a list with commas.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start_with(target: &str, features: &str) -> Option<Self> {
        Self::start_to_scrape(target, features, "")
    }

    /// The same with further settings of how to scrape, as lines of YAML.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start_to_scrape(target: &str, features: &str, settings: &str) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let config = directory.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nscrape_configs:\n  - job_name: engine\n    \
             static_configs: [{{ targets: [\"{target}\"] }}]\n"
        );
        let settings: String = settings.lines().map(|line| format!("    {line}\n")).collect();
        let text = text + &settings;
        fs::write(&config, text).expect("a temporary file can be written");
        Self::run(&config, directory, features)
    }

    /// Starts one with a configuration that is there already.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start_configured(config: &Path) -> Option<Self> {
        Self::run(config, tempfile::tempdir().expect("a temporary directory can be made"), "")
    }

    fn run(config: &Path, directory: TempDir, features: &str) -> Option<Self> {
        let messages = directory.path().join("messages");
        let client = Client::new();
        // A port that was free a moment ago can be taken by now; the program then ends, and another is tried.
        for _ in 0..5 {
            let address = free_address();
            let mut command = Command::new("prometheus");
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
                .arg(format!("--web.listen-address={address}"))
                .arg(format!("--enable-feature={features}"));
            let mut child = match start_quietly(&mut command, &messages) {
                Ok(child) => child,
                Err(error) => {
                    skip(&format!("cannot run prometheus ({error}): apt-get install prometheus"));
                    return None;
                }
            };
            let base = format!("http://{address}");
            if is_ready("Prometheus", &client, &base, &mut child) {
                return Some(Self { base, client, child, directory });
            }
        }
        panic!("Prometheus does not start:\n{}", fs::read_to_string(&messages).unwrap_or_default());
    }

    /// The rows that an expression has now.
    pub fn query(&self, expression: &str) -> Result<Vec<Row>, String> {
        let value = self.ask(&format!("query?query={}", percent(expression)))?;
        let rows = value["result"].as_array().ok_or("an answer that is no vector")?;
        rows.iter()
            .map(|row| {
                let number = row["value"][1].as_str().and_then(|text| text.parse().ok());
                let value = number.ok_or_else(|| format!("a row without a number: {row}"))?;
                Ok(Row { labels: row["metric"].clone(), value })
            })
            .collect()
    }

    /// The exemplars of the series that an expression selects: their labels and values.
    pub fn exemplars(&self, expression: &str) -> Result<Vec<Row>, String> {
        let value = self.ask(&format!("query_exemplars?query={}&start=0&end=9999999999", percent(expression)))?;
        let series = value.as_array().ok_or("an answer that is no list")?;
        let exemplars = series.iter().flat_map(|series| series["exemplars"].as_array().into_iter().flatten());
        exemplars
            .map(|exemplar| {
                let number = exemplar["value"].as_str().and_then(|text| text.parse().ok());
                let value = number.ok_or_else(|| format!("an exemplar without a number: {exemplar}"))?;
                Ok(Row { labels: exemplar["labels"].clone(), value })
            })
            .collect()
    }

    /// What was wrong with the last scrape, if anything was.
    pub fn last_error(&self) -> Result<String, String> {
        let targets = self.ask("targets")?;
        Ok(targets["activeTargets"][0]["lastError"].as_str().unwrap_or_default().to_owned())
    }

    fn ask(&self, question: &str) -> Result<Value, String> {
        let answer = self.client.get(&format!("{}/api/v1/{question}", self.base))?;
        let value: Value = serde_json::from_str(&answer.body).map_err(|error| format!("{error}: {}", answer.body))?;
        if value["status"] == "success" {
            Ok(value["data"].clone())
        } else {
            Err(format!("{question}: {}", answer.body))
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.ended().is_none()
    }

    /// What it has to say, for the message of a test that failed.
    pub fn messages(&self) -> String {
        fs::read_to_string(self.directory.path().join("messages")).unwrap_or_default()
    }
}

/// Starts a program that writes what it has to say to a file.
pub(crate) fn start_quietly(command: &mut Command, messages: &Path) -> io::Result<Guarded> {
    let file = File::create(messages)?;
    Guarded::spawn(command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file))
}

/// Waits until a program of the Prometheus project answers, or has ended.
pub(crate) fn is_ready(name: &str, client: &Client, base: &str, child: &mut Guarded) -> bool {
    wait::until(&format!("{name} to be ready"), Duration::from_secs(60), || {
        if child.ended().is_some() {
            return Ok(false);
        }
        match client.get(&format!("{base}/-/ready")) {
            Ok(answer) if answer.status == 200 => Ok(true),
            Ok(answer) => Err(format!("status {}", answer.status)),
            Err(error) => Err(error),
        }
    })
}

/// An address of the loopback interface that nobody has at the moment.
///
/// # Panics
///
/// If there is none.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port of the loopback interface");
    listener.local_addr().expect("a listener has an address").to_string()
}

/// As it stands in a URL.
fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
