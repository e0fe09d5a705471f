//! NVIDIA's GPUs, by NVML.

mod device;
mod error;
#[cfg(target_os = "linux")]
mod events;
mod fields;
mod gpm;
mod legacy;
mod session;

use crate::error::{ProbeError, Reason};
use crate::probe::{Probe, Session};
use nvml_wrapper::Nvml;
use session::NvmlSession;
use std::path::PathBuf;
use std::sync::Arc;

/// Asks NVML, which comes with NVIDIA's driver and is loaded when the probe is opened.
///
/// The library is `libnvidia-ml.so.1`, wherever the system's loader finds it. It has the functions of its driver's version;
/// those that an older one lacks cost their metrics only. Where there is no library, no driver or no GPU, opening fails,
/// and can be tried again.
#[derive(Debug, Default)]
pub struct NvmlProbe {
    library: Option<PathBuf>,
    nvml: Option<Arc<Nvml>>,
}

impl NvmlProbe {
    /// With the system's library.
    pub fn new() -> Self {
        Self::default()
    }

    /// With the library at this path.
    pub fn with_library(path: impl Into<PathBuf>) -> Self {
        NvmlProbe { library: Some(path.into()), nvml: None }
    }
}

impl Probe for NvmlProbe {
    fn open(&mut self) -> Result<Box<dyn Session + '_>, ProbeError> {
        // NVML counts how often it was initialised, and begins anew only when it was shut down as often.
        self.nvml = None;
        let opened = match &self.library {
            Some(path) => Nvml::builder().lib_path(path.as_os_str()).init(),
            None => Nvml::init(),
        };
        let nvml = opened.map_err(|error| error::of(&error, "NVML cannot be opened"))?;
        let count = nvml.device_count().map_err(|error| error::of(&error, "NVML does not count the GPUs"))?;
        if count == 0 {
            return Err(ProbeError::new(Reason::NotFound, "NVML is there, but no GPU"));
        }
        Ok(Box::new(NvmlSession::new(self.nvml.insert(Arc::new(nvml)))))
    }
}
