//! Values that cannot be. Drivers give such: all bits set, more memory in use than there is, counters that leap.
//!
//! The limits are far from what GPUs do, so that nothing real is ever left out.

use crate::metric::Metric;
use crate::reading::{Reading, Value};
use std::time::Duration;

/// Memory that a GPU can have: 64 TiB.
const MOST_BYTES: f64 = 70_368_744_177_664.0;

/// Whether all values of a call fit together.
pub(super) fn fit(readings: &[Reading]) -> bool {
    let gauge = |wanted| {
        readings.iter().find_map(|reading| match reading.value {
            Value::Gauge(value) if reading.metric == wanted => Some(value),
            _ => None,
        })
    };
    gauge(Metric::MemoryTotal).is_none_or(|total| {
        let parts = [Metric::MemoryUsed, Metric::MemoryFree, Metric::MemoryReserved];
        total > 0.0 && parts.into_iter().all(|part| gauge(part).is_none_or(|part| part <= total))
    })
}

/// Whether a gauge can have this value.
pub(super) fn is_gauge(metric: Metric, value: f64) -> bool {
    let limits = match metric {
        Metric::Utilization
        | Metric::MemoryBandwidthUtilization
        | Metric::GraphicsEngineActive
        | Metric::SmActive
        | Metric::SmOccupancy
        | Metric::TensorActive
        | Metric::DramActive => 0.0..=1.0,
        Metric::MemoryUsed
        | Metric::MemoryFree
        | Metric::MemoryTotal
        | Metric::MemoryReserved
        | Metric::ProcessMemory => 0.0..=MOST_BYTES,
        Metric::Power | Metric::PowerLimit => 0.0..=20_000.0,
        Metric::Temperature => -60.0..=250.0,
        Metric::Clock => 0.0..=2e10,
        Metric::ThrottleActive => 0.0..=1.0,
        Metric::RowRemap => 0.0..=1e6,
        Metric::Energy
        | Metric::ThrottleTime
        | Metric::EccErrors
        | Metric::PcieBytes
        | Metric::PcieReplays
        | Metric::NvlinkBytes
        | Metric::NvlinkErrors => return false,
    };
    limits.contains(&value)
}

/// Whether a counter can have reached this value since ever.
pub(super) fn is_count(raw: u64) -> bool {
    raw < 1 << 62
}

/// Whether a counter can have grown by this much in this time.
pub(super) fn is_growth(metric: Metric, grown: u64, time: Duration) -> bool {
    let most_per_second: u64 = match metric {
        Metric::Energy => 20_000_000,              // millijoules: 20 kW
        Metric::ThrottleTime => 10_000_000_000,    // nanoseconds, and some drivers hand them out in lumps
        Metric::PcieBytes => 1_000_000_000_000,    // PCIe 7.0 x16 does a quarter of it
        Metric::NvlinkBytes => 20_000_000_000_000, // NVLink 5 does a tenth of it
        _ => 1_000_000_000,
    };
    // A reading may be later than the driver's own by a moment.
    let seconds = time.as_secs().saturating_add(10);
    grown <= most_per_second.saturating_mul(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(used: f64, total: f64) -> [Reading; 2] {
        [(Metric::MemoryUsed, used), (Metric::MemoryTotal, total)].map(|(metric, value)| Reading {
            metric,
            labels: &[],
            value: Value::Gauge(value),
        })
    }

    #[test]
    fn more_memory_in_use_than_there_is_cannot_be() {
        assert!(fit(&memory(80e9, 80e9)) && fit(&memory(0.0, 80e9)) && fit(&[]));
        assert!(!fit(&memory(81e9, 80e9)) && !fit(&memory(0.0, 0.0)));
    }

    #[test]
    fn values_of_all_bits_are_found_out() {
        let (all32, all64) = (f64::from(u32::MAX), u64::MAX as f64);
        assert!(!is_gauge(Metric::Utilization, all32 / 100.0) && !is_gauge(Metric::Utilization, 1.01));
        assert!(!is_gauge(Metric::MemoryUsed, all64) && !is_gauge(Metric::Power, all32 / 1_000.0));
        assert!(!is_gauge(Metric::Temperature, all32) && !is_gauge(Metric::Clock, all32 * 1e6));
        assert!(!is_gauge(Metric::SmActive, f64::NAN) && !is_gauge(Metric::Power, -1.0));
        assert!(!is_count(u64::MAX) && is_count(1 << 61));
    }

    #[test]
    fn what_gpus_do_is_plausible() {
        assert!(is_gauge(Metric::Utilization, 1.0) && is_gauge(Metric::MemoryTotal, 309_237_645_312.0));
        assert!(is_gauge(Metric::Power, 1_400.0) && is_gauge(Metric::Temperature, 110.0));
        assert!(is_gauge(Metric::Clock, 2.6e9) && is_gauge(Metric::RowRemap, 512.0));
        assert!(is_growth(Metric::Energy, 14_000_000, Duration::from_secs(10)));
        assert!(!is_growth(Metric::Energy, 1 << 50, Duration::from_secs(10)));
    }
}
