//! The families that a GPU has values for: the one table of their names, types, units and labels.

use inferometer::{Kind, Unit};

/// What is read of a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// The share of time in which a kernel ran, however few of the GPU's units it used.
    Utilization,
    /// The share of time in which memory was read or written.
    MemoryBandwidthUtilization,
    /// The share of time in which the graphics or compute engine was active.
    GraphicsEngineActive,
    /// The share of time in which a multiprocessor had a warp, averaged over them.
    SmActive,
    /// Warps that were resident, of those that could have been.
    SmOccupancy,
    /// The share of time in which the tensor cores worked.
    TensorActive,
    /// The share of the memory's bandwidth that was used.
    DramActive,
    /// Memory in use.
    MemoryUsed,
    /// Memory that is free.
    MemoryFree,
    /// Memory in all.
    MemoryTotal,
    /// Memory that the driver keeps to itself.
    MemoryReserved,
    /// Memory that this process uses.
    ProcessMemory,
    /// Power drawn.
    Power,
    /// Power that may be drawn.
    PowerLimit,
    /// Energy used; a count of millijoules.
    Energy,
    /// A temperature, by `sensor`.
    Temperature,
    /// A clock's frequency, by `clock`.
    Clock,
    /// 1 where the clocks are held down for a `reason`.
    ThrottleActive,
    /// For how long they were, by `reason`; a count of nanoseconds.
    ThrottleTime,
    /// Errors of memory, by `type` and `scope`.
    EccErrors,
    /// Rows of memory that were replaced, and whether more have to be, by `state`.
    RowRemap,
    /// What went over PCIe, by `direction`.
    PcieBytes,
    /// Packets that had to be sent again over PCIe.
    PcieReplays,
    /// What went over NVLink, by `direction`.
    NvlinkBytes,
    /// Errors of NVLink, by `type`.
    NvlinkErrors,
}

/// A family.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name.
    pub name: &'static str,
    /// Its help text.
    pub help: &'static str,
    /// Whether it is a gauge or a counter.
    pub kind: Kind,
    /// Its unit.
    pub unit: Unit,
    /// How many of what is counted make one of the unit; 1 for gauges.
    pub per_unit: u32,
    /// The labels that it has besides those of the GPU.
    pub labels: &'static [&'static str],
}

const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Spec {
    Spec { name, help, kind: Kind::Gauge, unit, per_unit: 1, labels: &[] }
}

const fn counter(name: &'static str, unit: Unit, help: &'static str) -> Spec {
    Spec { name, help, kind: Kind::Counter, unit, per_unit: 1, labels: &[] }
}

impl Spec {
    const fn by(self, labels: &'static [&'static str]) -> Self {
        Spec { labels, ..self }
    }

    const fn per_unit(self, per_unit: u32) -> Self {
        Spec { per_unit, ..self }
    }
}

impl Metric {
    /// All of them, in the order in which they are exposed.
    pub const ALL: [Metric; 25] = [
        Metric::Utilization,
        Metric::MemoryBandwidthUtilization,
        Metric::GraphicsEngineActive,
        Metric::SmActive,
        Metric::SmOccupancy,
        Metric::TensorActive,
        Metric::DramActive,
        Metric::MemoryUsed,
        Metric::MemoryFree,
        Metric::MemoryTotal,
        Metric::MemoryReserved,
        Metric::ProcessMemory,
        Metric::Power,
        Metric::PowerLimit,
        Metric::Energy,
        Metric::Temperature,
        Metric::Clock,
        Metric::ThrottleActive,
        Metric::ThrottleTime,
        Metric::EccErrors,
        Metric::RowRemap,
        Metric::PcieBytes,
        Metric::PcieReplays,
        Metric::NvlinkBytes,
        Metric::NvlinkErrors,
    ];

    /// Its family.
    pub const fn spec(self) -> Spec {
        match self {
            Metric::Utilization => gauge(
                "gpu_utilization_ratio",
                Unit::Ratio,
                "Share of time in which a kernel was resident, however little of the GPU it used.",
            ),
            Metric::MemoryBandwidthUtilization => gauge(
                "gpu_memory_bandwidth_utilization_ratio",
                Unit::Ratio,
                "Share of time in which device memory was being read or written.",
            ),
            Metric::GraphicsEngineActive => gauge(
                "gpu_graphics_engine_active_ratio",
                Unit::Ratio,
                "Share of time in which the graphics or compute engine was active.",
            ),
            Metric::SmActive => gauge(
                "gpu_sm_active_ratio",
                Unit::Ratio,
                "Share of time in which a multiprocessor had at least one warp, averaged over all multiprocessors.",
            ),
            Metric::SmOccupancy => gauge(
                "gpu_sm_occupancy_ratio",
                Unit::Ratio,
                "Resident warps of those that could be resident, averaged over all multiprocessors.",
            ),
            Metric::TensorActive => gauge(
                "gpu_tensor_active_ratio",
                Unit::Ratio,
                "Share of time in which the multiprocessors did tensor operations.",
            ),
            Metric::DramActive => {
                gauge("gpu_dram_active_ratio", Unit::Ratio, "Share of the device memory's bandwidth that was used.")
            }
            Metric::MemoryUsed => gauge("gpu_memory_used_bytes", Unit::Bytes, "Device memory in use."),
            Metric::MemoryFree => gauge("gpu_memory_free_bytes", Unit::Bytes, "Device memory that is free."),
            Metric::MemoryTotal => gauge("gpu_memory_total_bytes", Unit::Bytes, "Device memory in all."),
            Metric::MemoryReserved => {
                gauge("gpu_memory_reserved_bytes", Unit::Bytes, "Device memory that the driver keeps to itself.")
            }
            Metric::ProcessMemory => {
                gauge("gpu_process_memory_bytes", Unit::Bytes, "Device memory that this process uses.")
            }
            Metric::Power => gauge("gpu_power_watts", Unit::Watts, "Power that the GPU draws."),
            Metric::PowerLimit => gauge("gpu_power_limit_watts", Unit::Watts, "Power that the GPU may draw."),
            Metric::Energy => {
                counter("gpu_energy_joules_total", Unit::Joules, "Energy that the GPU has used.").per_unit(1_000)
            }
            Metric::Temperature => {
                gauge("gpu_temperature_celsius", Unit::Celsius, "Temperature of the GPU, by sensor.").by(&["sensor"])
            }
            Metric::Clock => gauge("gpu_clock_hertz", Unit::Hertz, "Frequency of a clock.").by(&["clock"]),
            Metric::ThrottleActive => {
                gauge("gpu_throttle_active", Unit::Count, "1 where the clocks are held down for this reason, else 0.")
                    .by(&["reason"])
            }
            Metric::ThrottleTime => counter(
                "gpu_throttle_seconds_total",
                Unit::Seconds,
                "Time in which the clocks were held down for this reason.",
            )
            .per_unit(1_000_000_000)
            .by(&["reason"]),
            Metric::EccErrors => counter(
                "gpu_ecc_errors_total",
                Unit::Count,
                "Errors of memory: since the driver was loaded (volatile) or ever (aggregate).",
            )
            .by(&["type", "scope"]),
            Metric::RowRemap => gauge(
                "gpu_row_remap",
                Unit::Count,
                "Rows of memory replaced for correctable and uncorrectable errors; 1 for pending and failure.",
            )
            .by(&["state"]),
            Metric::PcieBytes => {
                counter("gpu_pcie_bytes_total", Unit::Bytes, "Bytes sent (tx) and received (rx) by the GPU over PCIe.")
                    .by(&["direction"])
            }
            Metric::PcieReplays => {
                counter("gpu_pcie_replays_total", Unit::Count, "Packets that were sent again over PCIe.")
            }
            Metric::NvlinkBytes => counter(
                "gpu_nvlink_bytes_total",
                Unit::Bytes,
                "Bytes of data sent (tx) and received (rx) by the GPU over all its NVLinks.",
            )
            .by(&["direction"]),
            Metric::NvlinkErrors => {
                counter("gpu_nvlink_errors_total", Unit::Count, "Errors of all the GPU's NVLinks.").by(&["type"])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_metrics_share_a_name_and_only_counters_end_in_total() {
        let names: BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.spec().name).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        for spec in Metric::ALL.map(Metric::spec) {
            assert_eq!(spec.name.ends_with("_total"), spec.kind == Kind::Counter, "{}", spec.name);
            assert!(spec.kind == Kind::Counter || spec.per_unit == 1, "{}", spec.name);
            let stem = spec.name.trim_end_matches("_total");
            assert!(stem.ends_with(spec.unit.as_str()), "{} is in {:?}", spec.name, spec.unit);
        }
    }
}
