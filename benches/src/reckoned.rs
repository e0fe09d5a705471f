//! What inferometer itself reckons that recording costs.

use inferometer::{Registry, Value};

/// All that it has cost this process, in seconds. A scrape shows what the one before has reckoned, so there are two.
pub fn seconds() -> f64 {
    Registry::global().snapshot();
    let snapshot = Registry::global().snapshot();
    let family = snapshot.families.iter().find(|family| family.name == "inferometer_overhead_seconds_total");
    match family.map(|family| &family.series[0].value) {
        Some(&Value::FloatCounter(seconds)) => seconds,
        _ => f64::NAN,
    }
}
