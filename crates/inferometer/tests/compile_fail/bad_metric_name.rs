use inferometer::{Counter, metric};

/// Requests.
#[metric(name = "requestsTotal")]
static REQUESTS: Counter = Counter::new();

fn main() {
    inferometer::counter!("vllm:requests_total").increment(1);
}
