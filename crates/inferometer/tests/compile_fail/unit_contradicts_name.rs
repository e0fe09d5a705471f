use inferometer::{Gauge, Unit, metric};

/// Memory in use.
#[metric(name = "memory_bytes", unit = Unit::Seconds)]
static MEMORY: Gauge = Gauge::new();

fn main() {}
