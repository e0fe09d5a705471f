//! Files of `sysfs`, each with one value.

use crate::error::{ProbeError, Reason};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// The number in a file.
pub(super) fn number(path: &Path) -> Result<u64, ProbeError> {
    let text = text(path)?;
    text.parse().map_err(|_| malformed(path, &text))
}

/// The text in a file, without the line's end.
pub(super) fn text(path: &Path) -> Result<String, ProbeError> {
    match fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(_) => Err(malformed(path, "bytes that are no text")),
        },
        Err(error) => Err(of_io(path, &error)),
    }
}

pub(super) fn malformed(path: &Path, text: &str) -> ProbeError {
    let beginning: String = text.chars().take(40).collect();
    ProbeError::new(Reason::Malformed, format!("{} has {beginning:?}", path.display()))
}

fn of_io(path: &Path, error: &io::Error) -> ProbeError {
    let reason = match error.kind() {
        // A file that is there and that the hardware has nothing for: ENODATA, EOPNOTSUPP, EINVAL.
        ErrorKind::NotFound | ErrorKind::Unsupported | ErrorKind::InvalidInput => Reason::Unsupported,
        ErrorKind::PermissionDenied => Reason::NoPermission,
        _ if matches!(error.raw_os_error(), Some(ENODATA | ENXIO)) => Reason::Unsupported,
        _ => Reason::Unknown,
    };
    ProbeError::new(reason, format!("{}: {error}", path.display()))
}

// Linux's numbers: there is no value; there is no such sensor.
const ENODATA: i32 = 61;
const ENXIO: i32 = 6;
