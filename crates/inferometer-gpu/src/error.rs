//! What can go wrong with a driver.

use std::fmt;

/// Why a driver did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeError {
    reason: Reason,
    message: String,
}

impl ProbeError {
    /// With a message for people: what was asked, and what the driver said.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        ProbeError { reason, message: message.into() }
    }

    /// The kind of error, which is the label `reason` of `gpu_probe_failures_total`.
    pub fn reason(&self) -> Reason {
        self.reason
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ProbeError {}

/// The kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The driver's library is not there, or cannot be loaded.
    LibraryMissing,
    /// The library has no such function: the driver is older than the call.
    SymbolMissing,
    /// The library is there, the driver is not.
    DriverNotLoaded,
    /// The library and the driver are of different versions, as after an update without a restart.
    VersionMismatch,
    /// The driver has been shut down.
    Uninitialized,
    /// The GPU, or this way of using it, does not have such a value.
    Unsupported,
    /// The process may not ask for it.
    NoPermission,
    /// There is no such GPU.
    NotFound,
    /// The GPU has fallen off the bus.
    GpuLost,
    /// The GPU does not work until it is reset.
    ResetRequired,
    /// The call took longer than its deadline.
    Timeout,
    /// The value cannot be: more memory in use than there is, say.
    Implausible,
    /// What was read is no value.
    Malformed,
    /// The probe's code panicked.
    Panicked,
    /// Anything else.
    Unknown,
}

impl Reason {
    /// As it is in a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::LibraryMissing => "library_missing",
            Reason::SymbolMissing => "symbol_missing",
            Reason::DriverNotLoaded => "driver_not_loaded",
            Reason::VersionMismatch => "version_mismatch",
            Reason::Uninitialized => "uninitialized",
            Reason::Unsupported => "unsupported",
            Reason::NoPermission => "no_permission",
            Reason::NotFound => "not_found",
            Reason::GpuLost => "gpu_lost",
            Reason::ResetRequired => "reset_required",
            Reason::Timeout => "timeout",
            Reason::Implausible => "implausible",
            Reason::Malformed => "malformed",
            Reason::Panicked => "panicked",
            Reason::Unknown => "unknown",
        }
    }

    /// Whether asking again is of no use as long as the driver is the same.
    pub(crate) fn is_lasting(self) -> bool {
        matches!(self, Reason::Unsupported | Reason::SymbolMissing | Reason::NoPermission)
    }

    /// Whether it is the driver that does not work, and not one GPU.
    pub(crate) fn is_of_driver(self) -> bool {
        matches!(self, Reason::DriverNotLoaded | Reason::VersionMismatch | Reason::Uninitialized)
    }

    /// Whether a GPU that says so has nothing else to say.
    pub(crate) fn is_of_device(self) -> bool {
        matches!(self, Reason::GpuLost | Reason::ResetRequired)
    }
}
