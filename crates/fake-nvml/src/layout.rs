//! NVML's structures, as `nvml.h` has them.

use std::ffi::{c_char, c_int, c_longlong, c_uint, c_ulonglong, c_void};

/// A GPU. The number is that of its UUID among all that were ever asked for.
pub(crate) type Device = *mut c_void;

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Utilization {
    pub(crate) gpu: c_uint,
    pub(crate) memory: c_uint,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) total: c_ulonglong,
    pub(crate) free: c_ulonglong,
    pub(crate) used: c_ulonglong,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct MemoryV2 {
    pub(crate) version: c_uint,
    pub(crate) total: c_ulonglong,
    pub(crate) reserved: c_ulonglong,
    pub(crate) free: c_ulonglong,
    pub(crate) used: c_ulonglong,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct PciInfo {
    pub(crate) bus_id_legacy: [c_char; 16],
    pub(crate) domain: c_uint,
    pub(crate) bus: c_uint,
    pub(crate) device: c_uint,
    pub(crate) pci_device_id: c_uint,
    pub(crate) pci_sub_system_id: c_uint,
    pub(crate) bus_id: [c_char; 32],
}

/// The union of NVML's value types is as large as its largest.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct FieldValue {
    pub(crate) field_id: c_uint,
    pub(crate) scope_id: c_uint,
    pub(crate) timestamp: c_longlong,
    pub(crate) latency_usec: c_longlong,
    pub(crate) value_type: c_uint,
    pub(crate) nvml_return: c_uint,
    pub(crate) value: c_ulonglong,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct ProcessInfo {
    pub(crate) pid: c_uint,
    pub(crate) used_gpu_memory: c_ulonglong,
    pub(crate) gpu_instance_id: c_uint,
    pub(crate) compute_instance_id: c_uint,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct EventData {
    pub(crate) device: Device,
    pub(crate) event_type: c_ulonglong,
    pub(crate) event_data: c_ulonglong,
    pub(crate) gpu_instance_id: c_uint,
    pub(crate) compute_instance_id: c_uint,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct GpmSupport {
    pub(crate) version: c_uint,
    pub(crate) is_supported_device: c_uint,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct GpmMetric {
    pub(crate) metric_id: c_uint,
    pub(crate) nvml_return: c_uint,
    pub(crate) value: f64,
    pub(crate) names: [*mut c_char; 3],
}

/// Longer arrays of metrics came with later versions; what is before them stayed where it was.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct GpmMetricsGet {
    pub(crate) version: c_uint,
    pub(crate) num_metrics: c_uint,
    pub(crate) sample1: *mut c_void,
    pub(crate) sample2: *mut c_void,
    pub(crate) metrics: [GpmMetric; 210],
}

/// What functions return.
pub(crate) mod code {
    use super::c_uint;

    pub(crate) const SUCCESS: c_uint = 0;
    pub(crate) const UNINITIALIZED: c_uint = 1;
    pub(crate) const INVALID_ARGUMENT: c_uint = 2;
    pub(crate) const NOT_SUPPORTED: c_uint = 3;
    pub(crate) const NOT_FOUND: c_uint = 6;
    pub(crate) const INSUFFICIENT_SIZE: c_uint = 7;
    pub(crate) const TIMEOUT: c_uint = 10;
    pub(crate) const GPU_IS_LOST: c_uint = 15;
    pub(crate) const VERSION_MISMATCH: c_uint = 25;
}

/// `NVML_VALUE_TYPE_UNSIGNED_LONG_LONG`.
pub(crate) const UNSIGNED_LONG_LONG: c_uint = 3;

/// `nvmlEventTypeXidCriticalError`.
pub(crate) const XID_CRITICAL_ERROR: c_ulonglong = 8;

/// What a version of a structure is: its size, and its number above that.
pub(crate) const MEMORY_V2: c_uint = size_of::<MemoryV2>() as c_uint | 2 << 24;

/// Counts of arrays in NVML are signed in places.
pub(crate) type Count = c_int;

#[cfg(test)]
mod tests {
    use super::*;
    use nvml_wrapper_sys::bindings as sys;
    use std::mem::offset_of;

    /// That two structures have the same size, and their fields the same places.
    macro_rules! same {
        ($ours:ty, $theirs:ty, $($our:ident = $their:ident),+) => {
            assert_eq!(size_of::<$ours>(), size_of::<$theirs>(), stringify!($theirs));
            assert_eq!(align_of::<$ours>(), align_of::<$theirs>(), stringify!($theirs));
            $(assert_eq!(offset_of!($ours, $our), offset_of!($theirs, $their), stringify!($theirs, $their));)+
        };
    }

    #[test]
    fn the_structures_are_those_of_the_wrapper() {
        same!(Utilization, sys::nvmlUtilization_t, gpu = gpu, memory = memory);
        same!(Memory, sys::nvmlMemory_t, total = total, free = free, used = used);
        same!(
            MemoryV2,
            sys::nvmlMemory_v2_t,
            version = version,
            total = total,
            reserved = reserved,
            free = free,
            used = used
        );
        same!(
            PciInfo,
            sys::nvmlPciInfo_t,
            bus_id_legacy = busIdLegacy,
            domain = domain,
            bus = bus,
            device = device,
            pci_device_id = pciDeviceId,
            pci_sub_system_id = pciSubSystemId,
            bus_id = busId
        );
        same!(
            FieldValue,
            sys::nvmlFieldValue_t,
            field_id = fieldId,
            scope_id = scopeId,
            timestamp = timestamp,
            latency_usec = latencyUsec,
            value_type = valueType,
            nvml_return = nvmlReturn,
            value = value
        );
        same!(
            ProcessInfo,
            sys::nvmlProcessInfo_t,
            pid = pid,
            used_gpu_memory = usedGpuMemory,
            gpu_instance_id = gpuInstanceId,
            compute_instance_id = computeInstanceId
        );
        same!(
            EventData,
            sys::nvmlEventData_t,
            device = device,
            event_type = eventType,
            event_data = eventData,
            gpu_instance_id = gpuInstanceId,
            compute_instance_id = computeInstanceId
        );
        same!(GpmSupport, sys::nvmlGpmSupport_t, version = version, is_supported_device = isSupportedDevice);
        same!(
            GpmMetric,
            sys::nvmlGpmMetric_t,
            metric_id = metricId,
            nvml_return = nvmlReturn,
            value = value,
            names = metricInfo
        );
        same!(
            GpmMetricsGet,
            sys::nvmlGpmMetricsGet_t,
            version = version,
            num_metrics = numMetrics,
            sample1 = sample1,
            sample2 = sample2,
            metrics = metrics
        );
    }

    #[test]
    fn the_numbers_are_those_of_the_wrapper() {
        assert_eq!(code::NOT_SUPPORTED, sys::nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED);
        assert_eq!(code::INSUFFICIENT_SIZE, sys::nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE);
        assert_eq!(code::GPU_IS_LOST, sys::nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST);
        assert_eq!(code::VERSION_MISMATCH, sys::nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
        assert_eq!(UNSIGNED_LONG_LONG, sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG);
        assert_eq!(XID_CRITICAL_ERROR, u64::from(sys::nvmlEventTypeXidCriticalError));
    }
}
