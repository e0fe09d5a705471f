//! NVML's errors as ours.

use crate::error::{ProbeError, Reason};
use nvml_wrapper::error::NvmlError;

/// An error, with what was tried.
pub(super) fn of(error: &NvmlError, what: &str) -> ProbeError {
    let reason = match error {
        NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound => Reason::LibraryMissing,
        NvmlError::FailedToLoadSymbol(_) | NvmlError::FunctionNotFound => Reason::SymbolMissing,
        NvmlError::DriverNotLoaded => Reason::DriverNotLoaded,
        NvmlError::LibRmVersionMismatch => Reason::VersionMismatch,
        NvmlError::Uninitialized => Reason::Uninitialized,
        NvmlError::NotSupported | NvmlError::VgpuEccNotSupported => Reason::Unsupported,
        NvmlError::NoPermission | NvmlError::OperatingSystem => Reason::NoPermission,
        NvmlError::NotFound => Reason::NotFound,
        NvmlError::GpuLost => Reason::GpuLost,
        NvmlError::ResetRequired => Reason::ResetRequired,
        NvmlError::Timeout => Reason::Timeout,
        NvmlError::Utf8Error(_) | NvmlError::UnexpectedVariant(_) | NvmlError::IncorrectBits(_) => Reason::Malformed,
        // A MIG instance is an argument that many functions do not take.
        NvmlError::InvalidArg => Reason::Unsupported,
        _ => Reason::Unknown,
    };
    ProbeError::new(reason, format!("{what}: {error}"))
}

/// For `map_err`.
pub(super) fn in_call(what: &'static str) -> impl Fn(NvmlError) -> ProbeError {
    move |error| of(&error, what)
}
