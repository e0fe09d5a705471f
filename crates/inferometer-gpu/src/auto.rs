//! Whatever GPU there is.

use crate::amd::AmdProbe;
use crate::error::{ProbeError, Reason};
#[cfg(feature = "nvml")]
use crate::nvml::NvmlProbe;
use crate::probe::{Probe, Session};

/// NVIDIA's GPUs if there are any, else AMD's.
#[derive(Debug, Default)]
pub struct AutoProbe {
    #[cfg(feature = "nvml")]
    nvml: NvmlProbe,
    amd: AmdProbe,
}

impl AutoProbe {
    /// With the usual paths.
    pub fn new() -> Self {
        Self::default()
    }

    /// With these two: for a library or a `sysfs` in another place.
    #[cfg(feature = "nvml")]
    pub fn of(nvml: NvmlProbe, amd: AmdProbe) -> Self {
        AutoProbe { nvml, amd }
    }
}

impl Probe for AutoProbe {
    fn open(&mut self) -> Result<Box<dyn Session + '_>, ProbeError> {
        #[cfg(feature = "nvml")]
        let nvml = match self.nvml.open() {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        match self.amd.open() {
            Ok(session) => Ok(session),
            #[cfg(feature = "nvml")]
            // A driver that is broken is worth more words than one that is not there.
            Err(_) if nvml.reason() != Reason::LibraryMissing => Err(nvml),
            #[cfg(feature = "nvml")]
            Err(amd) => Err(ProbeError::new(Reason::LibraryMissing, format!("{nvml}; {amd}"))),
            #[cfg(not(feature = "nvml"))]
            Err(amd) => Err(ProbeError::new(Reason::NotFound, amd.to_string())),
        }
    }
}
