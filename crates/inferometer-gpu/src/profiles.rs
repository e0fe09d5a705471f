//! The same metrics under other names: profiles for `inferometer-prometheus`.
//!
//! ```
//! use inferometer::Registry;
//! use inferometer_gpu::{GpuMonitor, profiles, testing::FakeProbe};
//! use inferometer_prometheus::{Exporter, ScrapeRequest};
//!
//! let registry = Registry::new();
//! let monitor = GpuMonitor::builder().registry(&registry).probe(FakeProbe::example()).start()?;
//! while !monitor.status().is_up() {
//!     std::thread::yield_now();
//! }
//! let exporter = Exporter::builder().registry(registry).profile(profiles::dcgm()).build()?;
//! let page = exporter.answer(&ScrapeRequest::new().query("profile=dcgm"))?.body;
//! assert!(String::from_utf8_lossy(&page).contains("DCGM_FI_DEV_POWER_USAGE{gpu=\"0\",UUID=\"GPU-"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::metric::Metric;
use inferometer_prometheus::{Mapping, Profile};

/// The names, units and labels of NVIDIA's DCGM exporter, for its dashboards and alerts: `DCGM_FI_DEV_GPU_UTIL` in per cent,
/// `DCGM_FI_DEV_FB_USED` in MiB.
///
/// The exporter's labels `modelName` and `DCGM_FI_DRIVER_VERSION` are there if the monitor was asked for
/// [`DeviceLabel::Name`](crate::DeviceLabel::Name) and
/// [`DeviceLabel::DriverVersion`](crate::DeviceLabel::DriverVersion). `DCGM_FI_DEV_XID_ERRORS`, the number of the
/// latest Xid as a gauge, is not offered: it hides when the error came and whether it came again.
pub fn dcgm() -> Profile {
    profile("dcgm", dcgm_mappings())
}

/// The mappings of [`dcgm`], for a profile that has more.
pub fn dcgm_mappings() -> Vec<Mapping> {
    const PERCENT: f64 = 100.0;
    const MIB: f64 = 1.0 / 1_048_576.0;
    const MHZ: f64 = 1e-6;
    let plain = [
        ("DCGM_FI_DEV_GPU_UTIL", Metric::Utilization, PERCENT),
        ("DCGM_FI_DEV_MEM_COPY_UTIL", Metric::MemoryBandwidthUtilization, PERCENT),
        ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", Metric::GraphicsEngineActive, 1.0),
        ("DCGM_FI_PROF_SM_ACTIVE", Metric::SmActive, 1.0),
        ("DCGM_FI_PROF_SM_OCCUPANCY", Metric::SmOccupancy, 1.0),
        ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", Metric::TensorActive, 1.0),
        ("DCGM_FI_PROF_DRAM_ACTIVE", Metric::DramActive, 1.0),
        ("DCGM_FI_DEV_FB_USED", Metric::MemoryUsed, MIB),
        ("DCGM_FI_DEV_FB_FREE", Metric::MemoryFree, MIB),
        ("DCGM_FI_DEV_FB_RESERVED", Metric::MemoryReserved, MIB),
        ("DCGM_FI_DEV_FB_TOTAL", Metric::MemoryTotal, MIB),
        ("DCGM_FI_DEV_POWER_USAGE", Metric::Power, 1.0),
        ("DCGM_FI_DEV_ENFORCED_POWER_LIMIT", Metric::PowerLimit, 1.0),
        ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", Metric::Energy, 1e3),
        ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", Metric::PcieReplays, 1.0),
    ];
    let picked = [
        ("DCGM_FI_DEV_GPU_TEMP", Metric::Temperature, "sensor", "die", 1.0),
        ("DCGM_FI_DEV_MEMORY_TEMP", Metric::Temperature, "sensor", "memory", 1.0),
        ("DCGM_FI_DEV_SM_CLOCK", Metric::Clock, "clock", "sm", MHZ),
        ("DCGM_FI_DEV_MEM_CLOCK", Metric::Clock, "clock", "memory", MHZ),
        ("DCGM_FI_DEV_POWER_VIOLATION", Metric::ThrottleTime, "reason", "sw_power_cap", 1e9),
        ("DCGM_FI_DEV_THERMAL_VIOLATION", Metric::ThrottleTime, "reason", "thermal", 1e9),
        ("DCGM_FI_DEV_SYNC_BOOST_VIOLATION", Metric::ThrottleTime, "reason", "sync_boost", 1e9),
        ("DCGM_FI_DEV_BOARD_LIMIT_VIOLATION", Metric::ThrottleTime, "reason", "board_limit", 1e9),
        ("DCGM_FI_DEV_LOW_UTIL_VIOLATION", Metric::ThrottleTime, "reason", "low_utilization", 1e9),
        ("DCGM_FI_DEV_RELIABILITY_VIOLATION", Metric::ThrottleTime, "reason", "reliability", 1e9),
        ("DCGM_FI_DEV_ROW_REMAP_FAILURE", Metric::RowRemap, "state", "failure", 1.0),
        ("DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", Metric::NvlinkErrors, "type", "crc_flit", 1.0),
        ("DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL", Metric::NvlinkErrors, "type", "crc_data", 1.0),
        ("DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL", Metric::NvlinkErrors, "type", "replay", 1.0),
        ("DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL", Metric::NvlinkErrors, "type", "recovery", 1.0),
    ];
    let remapped = [
        ("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", "correctable"),
        ("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", "uncorrectable"),
    ];
    let ecc = [
        ("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", "corrected", "volatile"),
        ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", "uncorrected", "volatile"),
        ("DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", "corrected", "aggregate"),
        ("DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", "uncorrected", "aggregate"),
    ];
    let family = |metric: Metric, name: &str| {
        Mapping::family(metric.spec().name, name)
            .rename_label("uuid", "UUID")
            .rename_label("name", "modelName")
            .rename_label("driver_version", "DCGM_FI_DRIVER_VERSION")
    };
    let mut mappings: Vec<Mapping> =
        plain.into_iter().map(|(name, metric, scale)| family(metric, name).scale(scale)).collect();
    mappings.extend(picked.into_iter().map(|(name, metric, label, value, scale)| {
        family(metric, name).only(label, &[value]).drop_label(label).scale(scale)
    }));
    mappings.extend(
        remapped.into_iter().map(|(name, state)| {
            family(Metric::RowRemap, name).only("state", &[state]).drop_label("state").as_counter()
        }),
    );
    mappings.extend(ecc.into_iter().map(|(name, kind, scope)| {
        let errors = family(Metric::EccErrors, name).only("type", &[kind]).only("scope", &[scope]);
        errors.drop_label("type").drop_label("scope")
    }));
    mappings
}

/// The names and labels that Triton gives its GPUs: `nv_gpu_utilization{gpu_uuid}`.
pub fn triton() -> Profile {
    profile("triton", triton_mappings())
}

/// The mappings of [`triton`], for a profile that has more.
pub fn triton_mappings() -> Vec<Mapping> {
    let names = [
        ("nv_gpu_utilization", Metric::Utilization),
        ("nv_gpu_memory_total_bytes", Metric::MemoryTotal),
        ("nv_gpu_memory_used_bytes", Metric::MemoryUsed),
        ("nv_gpu_power_usage", Metric::Power),
        ("nv_gpu_power_limit", Metric::PowerLimit),
        ("nv_energy_consumption", Metric::Energy),
    ];
    let family = |(name, metric): (&str, Metric)| Mapping::family(metric.spec().name, name);
    names.into_iter().map(|name| family(name).rename_label("uuid", "gpu_uuid").drop_label("gpu")).collect()
}

/// This crate's own names with the label `device_id` in place of `gpu` and `uuid`, as services that were written by hand
/// often have it: `gpu_memory_used_bytes{device_id="0"}`.
pub fn basic() -> Profile {
    profile("basic", basic_mappings())
}

/// The mappings of [`basic`], for a profile that has more.
pub fn basic_mappings() -> Vec<Mapping> {
    let names = Metric::ALL.map(|metric| metric.spec().name);
    let family = |name: &str| Mapping::family(name, name).rename_label("gpu", "device_id").drop_label("uuid");
    names.into_iter().map(family).collect()
}

fn profile(name: &str, mappings: Vec<Mapping>) -> Profile {
    Profile::new(name, mappings).unwrap_or_else(|error| unreachable!("a table of this crate is wrong: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sound() {
        assert_eq!([dcgm(), triton(), basic()].map(|profile| profile.name().to_owned()), ["dcgm", "triton", "basic"]);
    }
}
