//! Calls that the wrapper does not have: functions of older drivers, and field values of a link.

use nvml_wrapper::Device;
use nvml_wrapper::error::{NvmlError, nvml_sym, nvml_try};
use nvml_wrapper::struct_wrappers::device::FieldValueSample;
use nvml_wrapper_sys::bindings::{nvmlFieldValue_t, nvmlMemory_t, nvmlValue_t};

/// Memory, in bytes, as drivers before 510 have it: what they reserve is in use.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) total: u64,
    pub(super) free: u64,
    pub(super) used: u64,
}

/// By `nvmlDeviceGetMemoryInfo` without `_v2`.
pub(super) fn memory(device: &Device<'_>) -> Result<Memory, NvmlError> {
    let function = nvml_sym(device.nvml().lib().nvmlDeviceGetMemoryInfo.as_ref())?;
    let mut memory = nvmlMemory_t { total: 0, free: 0, used: 0 };
    // SAFETY: validity: the device holds NVML open. Aliasing: the handle is passed on and nothing else.
    let handle = unsafe { device.handle() };
    // SAFETY: validity: the handle is NVML's own, and the pointer is to a whole structure. Aliasing: it is this
    // function's own.
    nvml_try(unsafe { function(handle, &mut memory) })?;
    Ok(Memory { total: memory.total, free: memory.free, used: memory.used })
}

/// The number of the GPU instance that a MIG device is on.
pub(super) fn gpu_instance(device: &Device<'_>) -> Result<u32, NvmlError> {
    let function = nvml_sym(device.nvml().lib().nvmlDeviceGetGpuInstanceId.as_ref())?;
    let mut instance = 0;
    // SAFETY: validity: the device holds NVML open. Aliasing: the handle is passed on and nothing else.
    let handle = unsafe { device.handle() };
    // SAFETY: validity: the handle is NVML's own, and the pointer is to a number. Aliasing: it is this function's own.
    nvml_try(unsafe { function(handle, &mut instance) })?;
    Ok(instance)
}

/// Field values, each with its scope: the number of a link, or all bits for all links together. (The wrapper always asks
/// for scope 0, which is the first link.)
pub(super) fn scoped_fields(
    device: &Device<'_>,
    fields: &[(u32, u32)],
) -> Result<Vec<Result<FieldValueSample, NvmlError>>, NvmlError> {
    let function = nvml_sym(device.nvml().lib().nvmlDeviceGetFieldValues.as_ref())?;
    let empty = |&(field, scope): &(u32, u32)| nvmlFieldValue_t {
        fieldId: field,
        scopeId: scope,
        timestamp: 0,
        latencyUsec: 0,
        valueType: 0,
        nvmlReturn: 0,
        value: nvmlValue_t { ullVal: 0 },
    };
    let mut values: Vec<nvmlFieldValue_t> = fields.iter().map(empty).collect();
    let count = i32::try_from(values.len()).map_err(|_| NvmlError::InvalidArg)?;
    // SAFETY: validity: the device holds NVML open. Aliasing: the handle is passed on and nothing else.
    let handle = unsafe { device.handle() };
    // SAFETY: validity: the handle is NVML's own, and the pointer is to as many values as are said. Aliasing: they are
    // this function's own.
    nvml_try(unsafe { function(handle, count, values.as_mut_ptr()) })?;
    Ok(values.into_iter().map(FieldValueSample::try_from).collect())
}
