//! NVML while it is open.

use super::device::{Mig, NvmlDevice};
use super::error::{self, in_call};
use super::legacy;
use crate::call::Call;
use crate::error::{ProbeError, Reason};
use crate::events::EventSource;
use crate::probe::{Device, Driver, Session};
use crate::reading::Readings;
use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use std::sync::Arc;

pub(super) struct NvmlSession<'n> {
    nvml: &'n Arc<Nvml>,
    /// `None` for those that do not work.
    devices: Vec<Option<NvmlDevice<'n>>>,
}

impl<'n> NvmlSession<'n> {
    pub(super) fn new(nvml: &'n Arc<Nvml>) -> Self {
        NvmlSession { nvml, devices: Vec::new() }
    }

    /// A GPU and the MIG instances on it.
    fn gpu(&self, index: u32) -> Result<Vec<NvmlDevice<'n>>, ProbeError> {
        let gpu = self.nvml.device_by_index(index).map_err(in_call("no handle of a GPU"))?;
        let bus = gpu.pci_info().map(|info| info.bus_id).unwrap_or_default();
        let describe = |device: &nvml_wrapper::Device<'_>, index: String, parent_uuid| {
            Ok(Device {
                uuid: device.uuid().map_err(in_call("no UUID of a GPU"))?,
                index,
                name: device.name().unwrap_or_default(),
                pci_bus_id: bus.clone(),
                parent_uuid,
            })
        };
        let info = describe(&gpu, index.to_string(), None)?;
        let mut found = Vec::new();
        // Errors mean that there is no MIG here.
        let with_mig = gpu.mig_mode().is_ok_and(|mode| mode.current == 1);
        let most = if with_mig { gpu.mig_device_count().unwrap_or(0) } else { 0 };
        for place in 0..most {
            let instance = match gpu.mig_device_by_index(place) {
                Ok(instance) => instance,
                Err(NvmlError::NotFound | NvmlError::InvalidArg) => continue,
                Err(error) => return Err(error::of(&error, "no handle of a MIG instance")),
            };
            let described = describe(&instance, format!("{index}:{place}"), Some(info.uuid.clone()))?;
            let parent = self.nvml.device_by_index(index).map_err(in_call("no handle of a GPU"))?;
            let mig = Mig { parent, gpu_instance: legacy::gpu_instance(&instance).ok() };
            found.push(NvmlDevice::new(instance, described, Some(mig)));
        }
        found.insert(0, NvmlDevice::new(gpu, info, None));
        Ok(found)
    }
}

impl Session for NvmlSession<'_> {
    fn driver(&self) -> Driver {
        let cuda = self.nvml.sys_cuda_driver_version().map(|version| {
            let (major, minor) =
                (nvml_wrapper::cuda_driver_version_major(version), nvml_wrapper::cuda_driver_version_minor(version));
            format!("{major}.{minor}")
        });
        Driver {
            name: "nvml",
            version: self.nvml.sys_driver_version().unwrap_or_default(),
            cuda_version: cuda.unwrap_or_default(),
        }
    }

    fn capabilities(&self) -> &[Call] {
        &Call::OF_A_GPU
    }

    fn devices(&mut self) -> Result<Vec<Result<Device, ProbeError>>, ProbeError> {
        let count = self.nvml.device_count().map_err(in_call("NVML does not count the GPUs"))?;
        let (mut found, mut list) = (Vec::new(), Vec::new());
        for index in 0..count {
            // One that has fallen off the bus must not hide the others.
            match self.gpu(index) {
                Ok(devices) => {
                    list.extend(devices.iter().map(|device| Ok(device.info.clone())));
                    found.extend(devices.into_iter().map(Some));
                }
                Err(error) => {
                    list.push(Err(error));
                    found.push(None);
                }
            }
        }
        // Handles stay good as long as NVML is open. What was sampled through the old ones is worth keeping.
        fn infos<'a>(devices: &'a [Option<NvmlDevice<'_>>]) -> impl Iterator<Item = Option<&'a Device>> {
            devices.iter().map(|device| device.as_ref().map(|device| &device.info))
        }
        if !infos(&found).eq(infos(&self.devices)) {
            self.devices = found;
        }
        Ok(list)
    }

    fn read(&mut self, device: usize, call: Call, readings: &mut Readings) -> Result<(), ProbeError> {
        let nvml = self.nvml;
        let Some(Some(device)) = self.devices.get_mut(device) else {
            return Err(ProbeError::new(Reason::NotFound, "there is no such GPU"));
        };
        device.read(nvml, call, readings)
    }

    #[cfg(target_os = "linux")]
    fn events(&mut self) -> Result<Option<Box<dyn EventSource>>, ProbeError> {
        let gpus = self.devices.iter().flatten().filter(|device| device.info.parent_uuid.is_none());
        let uuids: Vec<String> = gpus.map(|device| device.info.uuid.clone()).collect();
        Ok(Some(Box::new(super::events::NvmlEvents::new(Arc::clone(self.nvml), uuids))))
    }
}
