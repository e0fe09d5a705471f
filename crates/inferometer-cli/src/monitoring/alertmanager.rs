//! alertmanager.yml: where alerts go.

use super::alerts::Severity;
use super::args::{Args, Context};
use super::naming::MODEL;
use super::time::Time;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Config {
    route: Route,
    inhibit_rules: Vec<Inhibition>,
    receivers: Vec<Receiver>,
}

#[derive(Debug, Serialize)]
struct Route {
    receiver: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    matchers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    group_by: Vec<&'static str>,
    group_wait: Time,
    group_interval: Time,
    repeat_interval: Time,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<Route>,
}

/// While the source fires, the targets are not sent.
#[derive(Debug, Serialize)]
struct Inhibition {
    source_matchers: Vec<String>,
    target_matchers: Vec<String>,
    equal: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct Receiver {
    name: &'static str,
    webhook_configs: Vec<Webhook>,
}

#[derive(Debug, Serialize)]
struct Webhook {
    url: String,
    send_resolved: bool,
}

const RECEIVER: &str = "operators";

fn of_severity(severity: Severity) -> String {
    format!("severity=\"{}\"", severity.as_str())
}

/// The configuration.
pub(crate) fn config(args: &Args, cx: &Context) -> Config {
    let clock = cx.clock;
    Config {
        route: Route {
            receiver: RECEIVER,
            matchers: Vec::new(),
            group_by: vec!["alertname", MODEL],
            group_wait: clock.seconds(30),
            group_interval: clock.minutes(5),
            repeat_interval: clock.hours(12),
            routes: vec![Route {
                receiver: RECEIVER,
                matchers: vec![of_severity(Severity::Critical)],
                group_by: Vec::new(),
                group_wait: clock.seconds(10),
                group_interval: clock.minutes(1),
                repeat_interval: clock.hours(1),
                routes: Vec::new(),
            }],
        },
        inhibit_rules: vec![
            // What is urgent says the rest.
            Inhibition {
                source_matchers: vec![of_severity(Severity::Critical)],
                target_matchers: vec![of_severity(Severity::Warning)],
                equal: vec!["alertname", MODEL, "instance"],
            },
        ],
        receivers: vec![Receiver {
            name: RECEIVER,
            webhook_configs: vec![Webhook { url: args.webhook.clone(), send_resolved: true }],
        }],
    }
}
