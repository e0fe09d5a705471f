//! A receiver of alerts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::wait;

/// Listens on the loopback interface as long as the test runs.
#[derive(Debug, Clone)]
pub struct Webhook {
    url: String,
    received: Arc<Mutex<Vec<Value>>>,
}

impl Webhook {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// If it cannot listen.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port of the loopback interface");
        let url = format!("http://{}/", listener.local_addr().expect("a listener has an address"));
        let webhook = Self { url, received: Arc::default() };
        let received = Arc::clone(&webhook.received);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(Value::Array(alerts)) = read(stream).map(|mut body| body["alerts"].take()) {
                    received.lock().unwrap_or_else(PoisonError::into_inner).extend(alerts);
                }
            }
        });
        webhook
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until an alert has come with this status, `firing` or `resolved`, and gives back its labels.
    ///
    /// # Panics
    ///
    /// If it does not come in time.
    pub fn wait_for(&self, name: &str, status: &str, limit: Duration) -> Value {
        wait::until(&format!("{name} to be {status}"), limit, || {
            let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
            let came = received.iter().rev().find(|alert| alert["labels"]["alertname"] == name);
            match came {
                Some(alert) if alert["status"] == status => Ok(alert["labels"].clone()),
                other => Err(format!("{other:?}")),
            }
        })
    }
}

/// The body of a request, which is answered.
fn read(stream: TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
        if line.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    reader.get_mut().write_all(answer).ok()?;
    serde_json::from_slice(&body).ok()
}
