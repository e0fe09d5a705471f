//! The functions that a program finds in the library.
//!
//! Their callers keep to NVML's contract: pointers are to as much memory as the function's description says, and nobody
//! else uses that meanwhile.
#![allow(non_snake_case, reason = "the names are NVML's")]

use crate::layout::{
    Count, Device, EventData, FieldValue, GpmMetric, GpmMetricsGet, GpmSupport, MEMORY_V2, Memory, MemoryV2, PciInfo,
    ProcessInfo, UNSIGNED_LONG_LONG, Utilization, XID_CRITICAL_ERROR, code,
};
use crate::runtime::{call, call_gpu, call_open, gpu, handle, initialise, registered, script, shut_down, value};
use crate::script::{Gpu, Script};
use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::time::{Duration, Instant};

/// The version of GPM's structures.
const GPM_VERSION: c_uint = 1;

type Done = Result<(), c_uint>;

/// Gives a caller a value.
fn put<T>(to: *mut T, value: T) -> Done {
    if to.is_null() {
        return Err(code::INVALID_ARGUMENT);
    }
    // SAFETY: validity and aliasing: the caller's contract (see the module).
    unsafe { to.write(value) };
    Ok(())
}

/// Takes a caller's value.
fn get<T: Copy>(from: *const T) -> Result<T, c_uint> {
    if from.is_null() {
        return Err(code::INVALID_ARGUMENT);
    }
    // SAFETY: validity and aliasing: the caller's contract (see the module).
    Ok(unsafe { from.read() })
}

/// Gives a caller a text, with a zero at its end.
fn put_text(to: *mut c_char, length: c_uint, text: &str) -> Done {
    if text.len() >= length as usize {
        return Err(code::INSUFFICIENT_SIZE);
    }
    for (place, byte) in text.bytes().chain([0]).enumerate() {
        put(to.wrapping_add(place), byte as c_char)?;
    }
    Ok(())
}

fn small(gpu: &Gpu, name: &str) -> Result<c_uint, c_uint> {
    value(gpu, name).map(|value| c_uint::try_from(value).unwrap_or(c_uint::MAX))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> c_uint {
    call("nvmlInit_v2", |script| {
        initialise(script);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> c_uint {
    call("nvmlShutdown", |_| shut_down())
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetDriverVersion(version: *mut c_char, length: c_uint) -> c_uint {
    call_open("nvmlSystemGetDriverVersion", |script| put_text(version, length, &script.driver_version))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetCudaDriverVersion_v2(version: *mut c_int) -> c_uint {
    call_open("nvmlSystemGetCudaDriverVersion_v2", |script| put(version, script.cuda_version))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> c_uint {
    call_open("nvmlDeviceGetCount_v2", |script| put(count, script.gpus.len() as c_uint))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: *mut Device) -> c_uint {
    call_open("nvmlDeviceGetHandleByIndex_v2", |script| {
        let gpu = script.gpus.get(index as usize).ok_or(code::INVALID_ARGUMENT)?;
        if gpu.lost { Err(code::GPU_IS_LOST) } else { put(device, handle(&gpu.uuid)) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByUUID(uuid: *const c_char, device: *mut Device) -> c_uint {
    call_open("nvmlDeviceGetHandleByUUID", |script| {
        if uuid.is_null() {
            return Err(code::INVALID_ARGUMENT);
        }
        // SAFETY: validity and aliasing: the caller's contract (see the module), by which the text ends in a zero.
        let uuid = unsafe { CStr::from_ptr(uuid) }.to_str().map_err(|_| code::INVALID_ARGUMENT)?;
        let gpu = script.gpus.iter().find(|gpu| gpu.uuid == uuid).ok_or(code::NOT_FOUND)?;
        put(device, handle(&gpu.uuid))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUUID(device: Device, uuid: *mut c_char, length: c_uint) -> c_uint {
    call_gpu("nvmlDeviceGetUUID", device, |_, gpu| put_text(uuid, length, &gpu.uuid))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetName(device: Device, name: *mut c_char, length: c_uint) -> c_uint {
    call_gpu("nvmlDeviceGetName", device, |_, gpu| put_text(name, length, &gpu.name))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPciInfo_v3(device: Device, info: *mut PciInfo) -> c_uint {
    call_gpu("nvmlDeviceGetPciInfo_v3", device, |_, gpu| {
        let mut bus_id = [0; 32];
        for (place, byte) in bus_id.iter_mut().zip(gpu.pci_bus_id.bytes().take(31)) {
            *place = byte as c_char;
        }
        let info_of_gpu = PciInfo {
            bus_id_legacy: [0; 16],
            domain: 0,
            bus: 4,
            device: 0,
            pci_device_id: 0x2330_10de,
            pci_sub_system_id: 0x16c1_10de,
            bus_id,
        };
        put(info, info_of_gpu)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMigMode(device: Device, current: *mut c_uint, pending: *mut c_uint) -> c_uint {
    call_gpu("nvmlDeviceGetMigMode", device, |_, gpu| {
        let enabled = c_uint::from(gpu.mig.is_some());
        put(current, enabled)?;
        put(pending, enabled)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMaxMigDeviceCount(device: Device, count: *mut c_uint) -> c_uint {
    call_gpu("nvmlDeviceGetMaxMigDeviceCount", device, |_, _| put(count, 7))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(device: Device, index: c_uint, instance: *mut Device) -> c_uint {
    call_gpu("nvmlDeviceGetMigDeviceHandleByIndex", device, |_, gpu| {
        let found = gpu.mig.iter().flatten().nth(index as usize).ok_or(code::NOT_FOUND)?;
        put(instance, handle(&found.uuid))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetGpuInstanceId(device: Device, id: *mut c_uint) -> c_uint {
    call_gpu("nvmlDeviceGetGpuInstanceId", device, |_, gpu| put(id, gpu.gpu_instance))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUtilizationRates(device: Device, rates: *mut Utilization) -> c_uint {
    call_gpu("nvmlDeviceGetUtilizationRates", device, |_, gpu| {
        let (busy, memory) = (small(gpu, "utilization.gpu")?, small(gpu, "utilization.memory")?);
        put(rates, Utilization { gpu: busy, memory })
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMemoryInfo(device: Device, memory: *mut Memory) -> c_uint {
    call_gpu("nvmlDeviceGetMemoryInfo", device, |_, gpu| {
        // What is reserved was in use before there was a word for it.
        let reserved = value(gpu, "memory.reserved").unwrap_or(0);
        let [total, free, used] = ["memory.total", "memory.free", "memory.used"].map(|name| value(gpu, name));
        put(memory, Memory { total: total?, free: free?, used: used?.saturating_add(reserved) })
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: Device, memory: *mut MemoryV2) -> c_uint {
    call_gpu("nvmlDeviceGetMemoryInfo_v2", device, |_, gpu| {
        let version = get(memory)?.version;
        if version != MEMORY_V2 {
            return Err(code::VERSION_MISMATCH);
        }
        let [total, reserved, free, used] =
            ["memory.total", "memory.reserved", "memory.free", "memory.used"].map(|name| value(gpu, name));
        put(memory, MemoryV2 { version, total: total?, reserved: reserved?, free: free?, used: used? })
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerUsage(device: Device, power: *mut c_uint) -> c_uint {
    call_gpu("nvmlDeviceGetPowerUsage", device, |_, gpu| put(power, small(gpu, "power")?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetEnforcedPowerLimit(device: Device, limit: *mut c_uint) -> c_uint {
    call_gpu("nvmlDeviceGetEnforcedPowerLimit", device, |_, gpu| put(limit, small(gpu, "power_limit")?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTotalEnergyConsumption(device: Device, energy: *mut c_ulonglong) -> c_uint {
    call_gpu("nvmlDeviceGetTotalEnergyConsumption", device, |_, gpu| put(energy, value(gpu, "energy")?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTemperature(device: Device, _sensor: c_uint, temperature: *mut c_uint) -> c_uint {
    call_gpu("nvmlDeviceGetTemperature", device, |_, gpu| put(temperature, small(gpu, "temperature")?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetClockInfo(device: Device, clock: c_uint, megahertz: *mut c_uint) -> c_uint {
    call_gpu("nvmlDeviceGetClockInfo", device, |_, gpu| put(megahertz, small(gpu, &format!("clock.{clock}"))?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCurrentClocksThrottleReasons(device: Device, reasons: *mut c_ulonglong) -> c_uint {
    call_gpu("nvmlDeviceGetCurrentClocksThrottleReasons", device, |_, gpu| {
        put(reasons, value(gpu, "throttle_reasons")?)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTotalEccErrors(
    device: Device,
    kind: c_uint,
    scope: c_uint,
    errors: *mut c_ulonglong,
) -> c_uint {
    call_gpu("nvmlDeviceGetTotalEccErrors", device, |_, gpu| put(errors, value(gpu, &format!("ecc.{kind}.{scope}"))?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetFieldValues(device: Device, count: Count, values: *mut FieldValue) -> c_uint {
    call_gpu("nvmlDeviceGetFieldValues", device, |_, gpu| {
        for place in 0..usize::try_from(count).map_err(|_| code::INVALID_ARGUMENT)? {
            let at = values.wrapping_add(place);
            let asked = get(at)?;
            let name = match asked.scope_id {
                0 if !gpu.values.contains_key(&format!("field.{}.0", asked.field_id)) => {
                    format!("field.{}", asked.field_id)
                }
                scope => format!("field.{}.{scope}", asked.field_id),
            };
            let (nvml_return, value) = match value(gpu, &name) {
                Ok(value) => (code::SUCCESS, value),
                Err(code) => (code, 0),
            };
            put(at, FieldValue { value_type: UNSIGNED_LONG_LONG, nvml_return, value, ..asked })?;
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: Device,
    count: *mut c_uint,
    processes: *mut ProcessInfo,
) -> c_uint {
    call_gpu("nvmlDeviceGetComputeRunningProcesses_v3", device, |_, gpu| {
        let room = get(count)?;
        put(count, gpu.processes.len() as c_uint)?;
        if (room as usize) < gpu.processes.len() {
            return Err(code::INSUFFICIENT_SIZE);
        }
        for (place, &(pid, used_gpu_memory)) in gpu.processes.iter().enumerate() {
            let pid = if pid == 0 { std::process::id() } else { pid };
            let none = c_uint::MAX;
            let info = ProcessInfo { pid, used_gpu_memory, gpu_instance_id: none, compute_instance_id: none };
            put(processes.wrapping_add(place), info)?;
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlGpmQueryDeviceSupport(device: Device, support: *mut GpmSupport) -> c_uint {
    call_gpu("nvmlGpmQueryDeviceSupport", device, |_, gpu| {
        let version = get(support)?.version;
        if version != GPM_VERSION {
            return Err(code::VERSION_MISMATCH);
        }
        let has_gpm = |gpu: &Gpu| gpu.values.keys().any(|name| name.starts_with("gpm."));
        let supported = has_gpm(gpu) || gpu.mig.iter().flatten().any(has_gpm);
        put(support, GpmSupport { version, is_supported_device: supported.into() })
    })
}

/// Whose sample it is.
struct Sample(Device);

#[unsafe(no_mangle)]
extern "C" fn nvmlGpmSampleAlloc(sample: *mut *mut c_void) -> c_uint {
    call_open("nvmlGpmSampleAlloc", |_| put(sample, Box::into_raw(Box::new(Sample(std::ptr::null_mut()))).cast()))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlGpmSampleFree(sample: *mut c_void) -> c_uint {
    call("nvmlGpmSampleFree", |_| {
        if sample.is_null() {
            return Err(code::INVALID_ARGUMENT);
        }
        // SAFETY: validity: the caller has it from `nvmlGpmSampleAlloc` and frees it once. Aliasing: it is given up.
        drop(unsafe { Box::from_raw(sample.cast::<Sample>()) });
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlGpmSampleGet(device: Device, sample: *mut c_void) -> c_uint {
    call_gpu("nvmlGpmSampleGet", device, |_, _| put(sample.cast(), Sample(device)))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlGpmMigSampleGet(device: Device, gpu_instance: c_uint, sample: *mut c_void) -> c_uint {
    call_gpu("nvmlGpmMigSampleGet", device, |_, gpu| {
        let instance = gpu.mig.iter().flatten().find(|instance| instance.gpu_instance == gpu_instance);
        put(sample.cast(), Sample(handle(&instance.ok_or(code::INVALID_ARGUMENT)?.uuid)))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlGpmMetricsGet(request: *mut GpmMetricsGet) -> c_uint {
    call_open("nvmlGpmMetricsGet", |script| {
        let asked = get(request)?;
        if asked.version != GPM_VERSION {
            return Err(code::VERSION_MISMATCH);
        }
        let sample = asked.sample2.cast::<Sample>();
        if sample.is_null() {
            return Err(code::INVALID_ARGUMENT);
        }
        // SAFETY: validity: the caller has it from `nvmlGpmSampleAlloc` and has not freed it. Aliasing: it is only read,
        // and the caller does not write meanwhile.
        let Sample(device) = unsafe { &*sample };
        let gpu = gpu(script, *device)?;
        let mut metrics = asked.metrics;
        for metric in metrics.iter_mut().take(asked.num_metrics as usize) {
            *metric = match value(gpu, &format!("gpm.{}", metric.metric_id)) {
                Ok(value) => GpmMetric { nvml_return: code::SUCCESS, value: value as f64, ..*metric },
                Err(nvml_return) => GpmMetric { nvml_return, ..*metric },
            };
        }
        put(request, GpmMetricsGet { metrics, ..asked })
    })
}

/// Whose events are wanted, and how many of the script's were seen.
struct EventSet {
    devices: Vec<Device>,
    seen: usize,
}

#[unsafe(no_mangle)]
extern "C" fn nvmlEventSetCreate(set: *mut *mut c_void) -> c_uint {
    call_open("nvmlEventSetCreate", |script| {
        put(set, Box::into_raw(Box::new(EventSet { devices: Vec::new(), seen: script.xids.len() })).cast())
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlEventSetFree(set: *mut c_void) -> c_uint {
    call("nvmlEventSetFree", |_| {
        if set.is_null() {
            return Err(code::INVALID_ARGUMENT);
        }
        // SAFETY: validity: the caller has it from `nvmlEventSetCreate` and frees it once. Aliasing: it is given up.
        drop(unsafe { Box::from_raw(set.cast::<EventSet>()) });
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetSupportedEventTypes(device: Device, types: *mut c_ulonglong) -> c_uint {
    call_gpu("nvmlDeviceGetSupportedEventTypes", device, |_, _| put(types, XID_CRITICAL_ERROR))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceRegisterEvents(device: Device, _types: c_ulonglong, set: *mut c_void) -> c_uint {
    call_gpu("nvmlDeviceRegisterEvents", device, |_, _| {
        let set = set.cast::<EventSet>();
        if set.is_null() {
            return Err(code::INVALID_ARGUMENT);
        }
        // SAFETY: validity: the caller has it from `nvmlEventSetCreate`. Aliasing: sets are for one thread at a time.
        let set = unsafe { &mut *set };
        set.devices.push(device);
        registered();
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlEventSetWait_v2(set: *mut c_void, data: *mut EventData, timeout_ms: c_uint) -> c_uint {
    call_open("nvmlEventSetWait_v2", |_| {
        let set = set.cast::<EventSet>();
        if set.is_null() {
            return Err(code::INVALID_ARGUMENT);
        }
        // SAFETY: validity: the caller has it from `nvmlEventSetCreate`. Aliasing: sets are for one thread at a time.
        let set = unsafe { &mut *set };
        let until = Instant::now() + Duration::from_millis(timeout_ms.into());
        loop {
            if let Some(event) = next(set, &script()) {
                return put(data, event);
            }
            if Instant::now() >= until {
                return Err(code::TIMEOUT);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    })
}

fn next(set: &mut EventSet, script: &Script) -> Option<EventData> {
    while let Some((uuid, xid)) = script.xids.get(set.seen) {
        set.seen += 1;
        let device = handle(uuid);
        if set.devices.contains(&device) {
            let none = c_uint::MAX;
            return Some(EventData {
                device,
                event_type: XID_CRITICAL_ERROR,
                event_data: *xid,
                gpu_instance_id: none,
                compute_instance_id: none,
            });
        }
    }
    None
}
