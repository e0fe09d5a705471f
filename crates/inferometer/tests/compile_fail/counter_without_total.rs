use inferometer::{Counter, metric};

/// Requests.
#[metric(name = "requests")]
static REQUESTS: Counter = Counter::new();

fn main() {}
