//! What NVML has as field values: many in one call.

use super::error::{in_call, of};
use super::legacy::scoped_fields;
use crate::error::ProbeError;
use crate::metric::Metric;
use crate::reading::Readings;
use nvml_wrapper::Device;
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::FieldValueSample;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id as id;

type Labels = &'static [&'static str];

/// Field, metric and labels. The times are in nanoseconds.
const FIELDS: [(u32, Metric, Labels); 21] = [
    (id::NVML_FI_DEV_MEMORY_TEMP, Metric::Temperature, &["memory"]),
    (id::NVML_FI_DEV_PERF_POLICY_POWER, Metric::ThrottleTime, &["sw_power_cap"]),
    (id::NVML_FI_DEV_PERF_POLICY_THERMAL, Metric::ThrottleTime, &["thermal"]),
    (id::NVML_FI_DEV_PERF_POLICY_SYNC_BOOST, Metric::ThrottleTime, &["sync_boost"]),
    (id::NVML_FI_DEV_PERF_POLICY_BOARD_LIMIT, Metric::ThrottleTime, &["board_limit"]),
    (id::NVML_FI_DEV_PERF_POLICY_LOW_UTILIZATION, Metric::ThrottleTime, &["low_utilization"]),
    (id::NVML_FI_DEV_PERF_POLICY_RELIABILITY, Metric::ThrottleTime, &["reliability"]),
    (id::NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN, Metric::ThrottleTime, &["sw_thermal_slowdown"]),
    (id::NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN, Metric::ThrottleTime, &["hw_thermal_slowdown"]),
    (id::NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN, Metric::ThrottleTime, &["hw_power_brake_slowdown"]),
    (id::NVML_FI_DEV_REMAPPED_COR, Metric::RowRemap, &["correctable"]),
    (id::NVML_FI_DEV_REMAPPED_UNC, Metric::RowRemap, &["uncorrectable"]),
    (id::NVML_FI_DEV_REMAPPED_PENDING, Metric::RowRemap, &["pending"]),
    (id::NVML_FI_DEV_REMAPPED_FAILURE, Metric::RowRemap, &["failure"]),
    (id::NVML_FI_DEV_PCIE_COUNT_TX_BYTES, Metric::PcieBytes, &["tx"]),
    (id::NVML_FI_DEV_PCIE_COUNT_RX_BYTES, Metric::PcieBytes, &["rx"]),
    (id::NVML_FI_DEV_PCIE_REPLAY_COUNTER, Metric::PcieReplays, &[]),
    (id::NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL, Metric::NvlinkErrors, &["crc_flit"]),
    (id::NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL, Metric::NvlinkErrors, &["crc_data"]),
    (id::NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL, Metric::NvlinkErrors, &["replay"]),
    (id::NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL, Metric::NvlinkErrors, &["recovery"]),
];

pub(super) fn read(device: &Device<'_>, readings: &mut Readings) -> Result<(), ProbeError> {
    let ids = FIELDS.map(|(field, ..)| FieldId(field));
    let values = device.field_values_for(&ids).map_err(in_call("field values"))?;
    for ((_, metric, labels), value) in FIELDS.into_iter().zip(values) {
        match number(value) {
            Ok(value) if metric == Metric::Temperature || metric == Metric::RowRemap => {
                readings.gauge(metric, labels, value as f64);
            }
            Ok(value) => readings.counter(metric, labels, value),
            Err(error) => readings.failed(of(&error, "a field value")),
        }
    }
    readings.end()
}

/// Of all links together.
const ALL_LINKS: u32 = u32::MAX;

/// More links than any GPU has: 18 up to Blackwell.
const MOST_LINKS: u32 = 36;

/// A direction, the field with kibibytes over all links, and the field with the bytes of one link that NVLink 5 has.
const DIRECTIONS: [(Labels, u32, u32); 2] = [
    (&["tx"], id::NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, id::NVML_FI_DEV_NVLINK_COUNT_XMIT_BYTES),
    (&["rx"], id::NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, id::NVML_FI_DEV_NVLINK_COUNT_RCV_BYTES),
];

pub(super) fn nvlink(device: &Device<'_>, readings: &mut Readings) -> Result<(), ProbeError> {
    let together = DIRECTIONS.map(|(_, field, _)| (field, ALL_LINKS));
    let values = scoped_fields(device, &together).map_err(in_call("NVLink's counters"))?;
    for ((labels, _, by_link), value) in DIRECTIONS.into_iter().zip(values) {
        let bytes = match number(value) {
            Ok(kibibytes) => Ok(kibibytes.saturating_mul(1_024)),
            Err(NvmlError::NotSupported | NvmlError::InvalidArg) => sum_of_links(device, by_link),
            Err(error) => Err(error),
        };
        match bytes {
            Ok(bytes) => readings.counter(Metric::NvlinkBytes, labels, bytes),
            Err(error) => readings.failed(of(&error, "a counter of NVLink")),
        }
    }
    readings.end()
}

fn sum_of_links(device: &Device<'_>, field: u32) -> Result<u64, NvmlError> {
    let links: Vec<(u32, u32)> = (0..MOST_LINKS).map(|link| (field, link)).collect();
    let values = scoped_fields(device, &links)?;
    // Links that are not there, or not in use, have no counter.
    let bytes: Vec<u64> = values.into_iter().filter_map(|value| number(value).ok()).collect();
    if bytes.is_empty() { Err(NvmlError::NotSupported) } else { Ok(bytes.into_iter().fold(0, u64::saturating_add)) }
}

/// The number that a field has.
fn number(value: Result<FieldValueSample, NvmlError>) -> Result<u64, NvmlError> {
    match value?.value? {
        SampleValue::U32(value) => Ok(value.into()),
        SampleValue::U64(value) => Ok(value),
        SampleValue::I64(value) => u64::try_from(value).map_err(|_| NvmlError::UnexpectedVariant(0)),
        SampleValue::F64(value) if value >= 0.0 => Ok(value as u64),
        SampleValue::F64(_) => Err(NvmlError::UnexpectedVariant(0)),
    }
}
