use inferometer::{Histogram, metric};

/// Latency.
#[metric(name = "latency_seconds", buckets = [0.1, 0.1])]
static LATENCY: Histogram = Histogram::new();

fn main() {}
