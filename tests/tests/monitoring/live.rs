//! The shipped rules, with their times divided, on a live Prometheus and Alertmanager.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use inferometer_e2e::monitoring::Stack;
use inferometer_e2e::wait;

use crate::server::Servers;

/// A scrape a second, instead of one in fifteen.
const OPTIONS: [&str; 6] = ["--slo", "e2e=2s", "--interval", "15s", "--time-scale", "15"];

/// The window of rates as Grafana would have it, with scrapes as often as that.
const WINDOW: &str = "4s";

/// For what takes a window, a `for` and some scrapes.
const LIMIT: Duration = Duration::from_secs(120);

/// How long a server that is well is watched. The longest `for` of an alert that is for minutes is 40 s, divided.
const HEALTHY: Duration = Duration::from_secs(60);

/// What has no rows as long as nothing has happened: no Xid, and no label past its limit.
const NOTHING_YET: [&str; 4] =
    ["CardinalityDrops", "GpuXidCritical", "GpuXidWarning", "self: Label values past a limit"];

#[test]
fn shipped_alerts_fire_and_end_on_live_servers_and_all_expressions_have_rows() {
    let Some(stack) = Stack::start(&OPTIONS) else { return };
    let mut servers = Servers::start();
    let addresses = servers.addresses();
    let both: Vec<&str> = addresses.iter().map(String::as_str).collect();
    stack.scrape(&both);
    let started = Instant::now();

    // Two servers on a host are two instances and one host.
    let hosts = wait::until("two servers", LIMIT, || {
        let rows = stack.prometheus.query("count by (host) (up == 1)")?;
        if rows.first().is_some_and(|row| row.value == 2.0) { Ok(rows) } else { Err(format!("{rows:?}")) }
    });
    assert_eq!((hosts.len(), hosts[0].labels["host"].as_str()), (1, Some("127.0.0.1")));
    let instances = stack.prometheus.query("count by (instance) (up)").expect("an answer");
    let instances: BTreeSet<_> =
        instances.iter().map(|row| row.labels["instance"].as_str().unwrap_or_default()).collect();
    assert_eq!(instances, both.iter().copied().collect());

    // Each expression has rows.
    for (place, expressions) in stack.rendered.expressions(WINDOW) {
        for expression in &expressions {
            let rows = || stack.prometheus.query(expression);
            if NOTHING_YET.contains(&place.as_str()) {
                assert_eq!(rows().expect("an answer").len(), 0, "{place} has rows already: {expression}");
            } else {
                wait::until(&format!("{place}: {expression}"), LIMIT, || match rows()?.len() {
                    0 => Err("no rows".to_owned()),
                    _ => Ok(()),
                });
            }
        }
    }

    // Nothing fires meanwhile.
    std::thread::sleep(HEALTHY.saturating_sub(started.elapsed()));
    let ever = "max by (alertname) (max_over_time(ALERTS{alertstate=\"firing\"}[10m]))";
    let fired = stack.prometheus.query(ever).expect("an answer");
    assert!(fired.is_empty(), "on servers that are well: {fired:?}");

    // Requests become slow, the queue long, the GPU's memory full.
    servers.trouble.delay.store(3_000, Relaxed);
    servers.trouble.waiting.store(150, Relaxed);
    servers.gpu(0.97, &[79]);
    wait::until("HighInferenceLatency to be pending", LIMIT, || {
        let pending = stack.alerts("pending")?;
        if pending.iter().any(|name| name == "HighInferenceLatency") { Ok(()) } else { Err(format!("{pending:?}")) }
    });
    let critical = stack.webhook.wait_for("GPUMemoryExhausted", "firing", LIMIT);
    assert_eq!((critical["severity"].as_str(), critical["gpu"].as_str()), (Some("critical"), Some("0")));
    stack.webhook.wait_for("GpuXidCritical", "firing", LIMIT);
    stack.webhook.wait_for("RequestQueueBacklog", "firing", LIMIT);
    let slow = stack.webhook.wait_for("HighInferenceLatency", "firing", LIMIT);
    assert_eq!((slow["severity"].as_str(), slow["model_name"].as_str()), (Some("warning"), Some("llama")));
    stack.webhook.wait_for("RequestDurationBudgetBurn", "firing", LIMIT);

    // And all is well again.
    servers.trouble.delay.store(0, Relaxed);
    servers.trouble.waiting.store(0, Relaxed);
    servers.gpu(0.6, &[]);
    for name in ["GPUMemoryExhausted", "GpuXidCritical", "RequestQueueBacklog", "HighInferenceLatency"] {
        stack.webhook.wait_for(name, "resolved", LIMIT);
    }

    // A server is gone; and then nobody lists any.
    drop(servers.servers.pop());
    let down = stack.webhook.wait_for("TargetDown", "firing", LIMIT);
    assert_eq!((down["instance"].as_str(), down["host"].as_str()), (Some(both[1]), Some("127.0.0.1")));
    stack.scrape(&[]);
    stack.webhook.wait_for("TargetAbsent", "firing", LIMIT);
    stack.scrape(&both[..1]);
    for name in ["TargetDown", "TargetAbsent"] {
        stack.webhook.wait_for(name, "resolved", LIMIT);
    }
}
