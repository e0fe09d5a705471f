//! Records a counter and a histogram in a loop and serves them: `curl http://127.0.0.1:9898/metrics`.

use inferometer::{Counter, Histogram, Moment, metric};
use std::time::Duration;

/// Tokens generated.
#[metric(name = "quickstart_generation_tokens_total")]
static TOKENS: Counter = Counter::new();

/// Time of one step.
#[metric(name = "quickstart_step_seconds", buckets = [0.005, 0.01, 0.02, 0.05, 0.1])]
static STEP: Histogram = Histogram::new();

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = inferometer_prometheus::Exporter::builder().build()?.serve("127.0.0.1:9898")?;
    println!("metrics: http://{}/metrics", server.local_addr());
    loop {
        let start = Moment::now();
        std::thread::sleep(Duration::from_millis(8)); // the step of a model
        STEP.record(start.elapsed());
        TOKENS.increment(4);
    }
}
