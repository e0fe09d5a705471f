//! Chromium without a window, driven by WebDriver (<https://www.w3.org/TR/webdriver2/>) and, where that has no word for
//! it, Chromium's own commands.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child::Guarded;
use crate::client::Client;
use crate::skip::skip;

/// The key that moves the focus on, as WebDriver writes it.
pub const TAB: &str = "\u{e004}";
/// The key that gives up.
pub const ESCAPE: &str = "\u{e00c}";
/// The key that presses a button.
pub const ENTER: &str = "\u{e007}";

/// A running browser with one page, and a profile of its own that goes with it.
#[derive(Debug)]
pub struct Browser {
    session: String,
    client: Client,
    // Before the directory, which is deleted when nothing writes to it any more.
    _driver: Guarded,
    _profile: TempDir,
}

impl Browser {
    /// Starts one. `None` if the test has to be skipped.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start() -> Option<Self> {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = match Guarded::spawn(&mut command) {
            Ok(driver) => driver,
            Err(error) => {
                skip(&format!("cannot run chromedriver ({error}): apt-get install chromium chromium-driver"));
                return None;
            }
        };
        let port = port_of(&mut driver);
        let profile = tempfile::tempdir().expect("a temporary directory can be made");
        let arguments = [
            "--headless",
            "--no-sandbox", // root has none
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let body = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } });
        let client = Client::new();
        let base = format!("http://127.0.0.1:{port}/session");
        let answer = client.post(&base, &body).unwrap_or_else(|error| panic!("{error}"));
        let value = value_of(&base, &answer.body);
        let id = value["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {value}"));
        Some(Self { session: format!("{base}/{id}"), client, _driver: driver, _profile: profile })
    }

    /// Goes to a page and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// What a script of the page's returns, given as the body of a function.
    pub fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Presses a key where the focus is.
    pub fn press(&self, key: &str) {
        let strokes = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.post("actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": strokes }] }));
    }

    /// Opens a second tab before the one that is shown, which is hidden then. Gives back the handle of the latter.
    pub fn open_tab(&self) -> Value {
        let shown = self.get("window");
        let tab = self.post("window/new", &json!({ "type": "tab" }));
        self.show_tab(&tab["handle"]);
        shown
    }

    /// Shows a tab.
    pub fn show_tab(&self, handle: &Value) {
        self.post("window", &json!({ "handle": handle }));
    }

    /// Makes the page as wide and high as that, in its own pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// What the system prefers, `light` or `dark`.
    pub fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.command("Emulation.setEmulatedMedia", &features);
    }

    /// A picture of what is to be seen, as PNG.
    pub fn screenshot(&self) -> Vec<u8> {
        let picture = self.command("Page.captureScreenshot", &json!({ "format": "png" }));
        let data = picture["data"].as_str().expect("a picture has data");
        BASE64_STANDARD.decode(data).expect("a picture is in base64")
    }

    /// What the console got since this was asked for last, from `SEVERE` down.
    pub fn console(&self) -> Vec<Value> {
        self.log("browser")
    }

    /// The addresses of the requests since this was asked for last, those that failed among them.
    pub fn requests(&self) -> Vec<String> {
        let events = self.log("performance").into_iter().filter_map(|entry| {
            let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &event["message"];
            (message["method"] == "Network.requestWillBeSent")
                .then(|| message["params"]["request"]["url"].as_str().unwrap_or_default().to_owned())
        });
        events.collect()
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        match self.post("se/log", &json!({ "type": kind })) {
            Value::Array(entries) => entries,
            other => panic!("no log: {other}"),
        }
    }

    fn command(&self, name: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({ "cmd": name, "params": parameters }))
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.client.get(&format!("{}/{path}", self.session)).unwrap_or_else(|error| panic!("{error}"));
        value_of(path, &answer.body)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/{path}", self.session);
        let answer = self.client.post(&url, body).unwrap_or_else(|error| panic!("{error}"));
        value_of(path, &answer.body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver alone would leave the browser behind.
        let _ = self.client.delete(&self.session);
    }
}

/// Where the driver listens, which it says when it does.
fn port_of(driver: &mut Guarded) -> u16 {
    let output = driver.child().stdout.take().expect("its output is a pipe");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let port = lines.find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok());
    // What it says later is read too, so that it never waits for somebody who reads.
    std::thread::spawn(move || lines.for_each(drop));
    port.expect("chromedriver ends before it listens")
}

/// What a command returned.
fn value_of(command: &str, body: &str) -> Value {
    let mut answer: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{command}: {error}: {body}"));
    let value = answer["value"].take();
    assert!(value["error"].is_null(), "{command}: {value}");
    value
}
