use inferometer::{Counter, metric};

/// Requests.
#[metric(name = "requests_total", help = "Requests.")]
static REQUESTS: Counter = Counter::new();

/// Tokens.
#[metric]
static TOKENS_TOTAL: Counter = make();

fn main() {}
