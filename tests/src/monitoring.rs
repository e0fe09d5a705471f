//! What `inferometer monitoring` writes, and the programs that read it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::child::Guarded;
use crate::client::Client;
use crate::prometheus::{Prometheus, free_address, is_ready, start_quietly};
use crate::skip::skip;
use crate::webhook::Webhook;

/// A folder that was written.
#[derive(Debug)]
pub struct Rendered(TempDir);

impl Rendered {
    /// Writes one with these options.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn new(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory can be made");
        let output = Command::new(command()).arg("monitoring").args(options).arg("--out").arg(folder.path()).output();
        let output = output.expect("the command runs");
        assert!(output.status.success(), "{options:?}: {}", told(&output));
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Its files below a folder, in the order of their names.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn files(&self, below: &str) -> Vec<PathBuf> {
        let folder = fs::read_dir(self.path().join(below)).expect("the folder is there");
        let mut files: Vec<_> = folder.map(|entry| entry.expect("it can be read").path()).collect();
        files.sort();
        assert!(!files.is_empty(), "there is nothing in {below}");
        files
    }

    /// What the alerts compare, by alert, and what the panels show, by dashboard and title; with the windows and variables as
    /// Grafana fills them in where nothing is chosen.
    ///
    /// # Panics
    ///
    /// If a file is not as it should be.
    pub fn expressions(&self, window: &str) -> BTreeMap<String, Vec<String>> {
        let read = |path: &Path| -> Value {
            let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for asked in read(&self.path().join("expressions.json")).as_array().expect("a list") {
            found.entry(text(&asked["alert"])).or_default().push(text(&asked["expression"]));
        }
        for file in self.files("grafana/dashboards") {
            let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
            for panel in read(&file)["panels"].as_array().expect("a list") {
                for target in panel["targets"].as_array().into_iter().flatten() {
                    let place = format!("{name}: {}", text(&panel["title"]));
                    found.entry(place).or_default().push(text(&target["expr"]));
                }
            }
        }
        let fill = |text: &String| {
            let text = text.replace("$__rate_interval", window);
            text.replace("$model", ".*").replace("$instance", ".*")
        };
        found.into_iter().map(|(place, texts)| (place, texts.iter().map(fill).collect())).collect()
    }
}

/// INFEROMETER_CLI, or where cargo puts it.
fn command() -> PathBuf {
    if let Some(command) = std::env::var_os("INFEROMETER_CLI").filter(|command| !command.is_empty()) {
        return command.into();
    }
    // The test itself is in `deps`, beside it.
    let test = std::env::current_exe().expect("a program knows where it is");
    let folder = test.parent().and_then(Path::parent).expect("cargo puts tests two folders deep");
    let command = folder.join(format!("inferometer{}", std::env::consts::EXE_SUFFIX));
    assert!(command.is_file(), "there is no {}: cargo build -p inferometer-cli", command.display());
    command
}

/// Runs one of the tools that come with Prometheus and Alertmanager: `Ok` if it is content.
///
/// # Panics
///
/// If it cannot be run.
pub fn tool(name: &str, arguments: &[&str], file: &Path) -> Result<(), String> {
    let output = Command::new(name).args(arguments).arg(file).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {name} ({error}): apt-get install prometheus"));
    if output.status.success() { Ok(()) } else { Err(format!("{}: {}", file.display(), told(&output))) }
}

fn told(output: &Output) -> String {
    let [said, complained] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{}: {said}{complained}", output.status)
}

/// Prometheus and Alertmanager with what was written, and a receiver of alerts.
#[derive(Debug)]
pub struct Stack {
    /// The files.
    pub rendered: Rendered,
    /// A server that evaluates the rules.
    pub prometheus: Prometheus,
    /// Who is told.
    pub webhook: Webhook,
    _alertmanager: Guarded,
    _storage: TempDir,
}

impl Stack {
    /// Starts them without anything to scrape. `None` if the test has to be skipped.
    ///
    /// # Panics
    ///
    /// If they do not start.
    pub fn start(options: &[&str]) -> Option<Self> {
        let webhook = Webhook::start();
        let storage = tempfile::tempdir().expect("a temporary directory can be made");
        let messages = storage.path().join("messages");
        // A port that was free a moment ago can be taken by now.
        for _ in 0..5 {
            let address = free_address();
            let addresses = ["--webhook", webhook.url(), "--alertmanager", &address];
            let rendered = Rendered::new(&[options, &addresses].concat());
            fs::create_dir(rendered.path().join("targets")).expect("a folder can be made");
            let mut command = Command::new("prometheus-alertmanager");
            command
                .arg(format!("--config.file={}", rendered.path().join("alertmanager.yml").display()))
                .arg(format!("--storage.path={}", storage.path().display()))
                .arg(format!("--web.listen-address={address}"))
                .arg("--cluster.listen-address=");
            let mut alertmanager = match start_quietly(&mut command, &messages) {
                Ok(child) => child,
                Err(error) => {
                    skip(&format!(
                        "cannot run prometheus-alertmanager ({error}): apt-get install prometheus-alertmanager"
                    ));
                    return None;
                }
            };
            if is_ready("Alertmanager", &Client::new(), &format!("http://{address}"), &mut alertmanager) {
                let prometheus = Prometheus::start_configured(&rendered.path().join("prometheus.yml"))?;
                return Some(Self { rendered, prometheus, webhook, _alertmanager: alertmanager, _storage: storage });
            }
        }
        panic!("Alertmanager does not start:\n{}", fs::read_to_string(&messages).unwrap_or_default());
    }

    /// Has these servers scraped from now on.
    ///
    /// # Panics
    ///
    /// If the list cannot be written.
    pub fn scrape(&self, addresses: &[&str]) {
        let list = serde_json::json!([{ "targets": addresses }]).to_string();
        let folder = self.rendered.path().join("targets");
        // In one step, so that nobody reads a half of it; what is JSON is YAML.
        let new = folder.join("servers.new");
        fs::write(&new, list)
            .and_then(|()| fs::rename(&new, folder.join("servers.yml")))
            .expect("a list can be written");
    }

    /// The names of the alerts in a state, `pending` or `firing`.
    pub fn alerts(&self, state: &str) -> Result<Vec<String>, String> {
        let rows = self.prometheus.query(&format!("ALERTS{{alertstate=\"{state}\"}}"))?;
        Ok(rows.iter().map(|row| row.labels["alertname"].as_str().unwrap_or_default().to_owned()).collect())
    }
}
