//! The rules on the example engine, which serves a real model.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Acquire};
use std::time::Duration;

use inferometer_e2e::client::Client;
use inferometer_e2e::engine::Engine;
use inferometer_e2e::load::StopOnDrop;
use inferometer_e2e::monitoring::Stack;
use inferometer_e2e::wait;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(180);

/// Alerts and panels that have no rows on the engine with the GPU that is made up.
const WITHOUT: [&str; 11] = [
    // It has no adapters and no paged cache, and does not say how large the weights are.
    "scheduler: Adapters",
    "scheduler: Blocks",
    "scheduler: Weights",
    // The GPU does not tell of these.
    "GpuEccUncorrectable",
    "GpuPowerBrake",
    "GpuRowRemapFailure",
    "GpuThermalSlowdown",
    // There has been no Xid, and no label past its limit.
    "CardinalityDrops",
    "GpuXidCritical",
    "GpuXidWarning",
    "self: Label values past a limit",
];

#[test]
fn high_latency_of_the_engine_fires_and_ends() {
    // A busy machine needs 130 ms for a token of this model, and is well all the same.
    let options = ["--slo", "e2e=2s,itl=500ms", "--interval", "15s", "--time-scale", "15"];
    let Some(engine) = Engine::start(&["--gpu", "fake"]) else { return };
    let Some(stack) = Stack::start(&options) else { return };
    stack.scrape(&[engine.target()]);
    let set_delay = |millis: u64| {
        let answer = Client::new().post(&format!("{}/delay", engine.api), &json!(millis)).expect("an answer");
        assert!((200..300).contains(&answer.status), "{}", answer.body);
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let client = Client::new();
            while !done.load(Acquire) {
                client.complete(&engine.api, "Once upon a time", 4).expect("a completion");
            }
        });
        let _stop = StopOnDrop(&done);

        // Rows, but for what the engine does not have.
        let expressions = stack.rendered.expressions("4s");
        let without = || -> Result<BTreeSet<&str>, String> {
            let mut without = BTreeSet::new();
            for (place, expressions) in &expressions {
                for expression in expressions {
                    if stack.prometheus.query(expression)?.is_empty() {
                        without.insert(place.as_str());
                    }
                }
            }
            Ok(without)
        };
        let wanted = BTreeSet::from(WITHOUT);
        wait::until("rows", LIMIT, || match without()? {
            found if found == wanted => Ok(()),
            found => Err(format!("without rows: {found:#?}")),
        });

        let fired = stack.alerts("firing").expect("an answer");
        assert!(fired.is_empty(), "on an engine that is well: {fired:?}");
        set_delay(800);
        wait::until("HighInferenceLatency to be pending", LIMIT, || {
            let pending = stack.alerts("pending")?;
            if pending.iter().any(|name| name == "HighInferenceLatency") { Ok(()) } else { Err(format!("{pending:?}")) }
        });
        stack.webhook.wait_for("HighInferenceLatency", "firing", LIMIT);
        set_delay(0);
        stack.webhook.wait_for("HighInferenceLatency", "resolved", LIMIT);
    });
}
