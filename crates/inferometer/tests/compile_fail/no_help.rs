use inferometer::{Counter, metric};

#[metric(name = "requests_total")]
static REQUESTS: Counter = Counter::new();

fn main() {}
