//! What is wrong with a `web.yml`, or with a file that it names.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a [`WebConfig`](crate::WebConfig) cannot be read. Neither the error nor its text holds a secret.
///
/// ```
/// use inferometer_prometheus::{WebConfig, WebConfigError};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("web.yml");
/// std::fs::write(&path, "tls_server_config:\n  min_version: TLS14\n")?;
/// match WebConfig::from_file(&path) {
///     Err(WebConfigError::Malformed { line, .. }) => assert_eq!(line, Some(2)),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum WebConfigError {
    /// A file cannot be read.
    Read {
        /// The file: the `web.yml`, or one that it names.
        path: PathBuf,
        /// The field that names the file, if it is not the `web.yml` itself.
        field: Option<&'static str>,
        /// What the system says.
        source: io::Error,
    },
    /// The file of a bearer token has none: visible ASCII characters without spaces between them.
    Token {
        /// The file.
        path: PathBuf,
    },
    /// The file is no YAML, has a field that there is not, or one with a value that it cannot have.
    Malformed {
        /// The `web.yml`.
        path: PathBuf,
        /// Where, from 1 on, if it is in one place.
        line: Option<u64>,
        /// What is wrong.
        message: String,
    },
    /// A field is missing, contradicts another or refers to something that is no good.
    Field {
        /// The `web.yml`.
        path: PathBuf,
        /// The field, with its sections: `tls_server_config.key_file`.
        field: &'static str,
        /// What is wrong.
        message: String,
    },
}

impl WebConfigError {
    pub(super) fn field(path: &Path, field: &'static str, message: impl fmt::Display) -> Self {
        WebConfigError::Field { path: path.to_owned(), field, message: message.to_string() }
    }
}

impl fmt::Display for WebConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WebConfigError::Read { path, field: None, .. } => write!(f, "{} cannot be read", path.display()),
            WebConfigError::Read { path, field: Some(field), .. } => {
                write!(f, "{}, the {field}, cannot be read", path.display())
            }
            WebConfigError::Token { path } => write!(f, "{} does not hold a bearer token", path.display()),
            WebConfigError::Malformed { path, line: Some(line), message } => {
                write!(f, "{}:{line}: {message}", path.display())
            }
            WebConfigError::Malformed { path, line: None, message } => write!(f, "{}: {message}", path.display()),
            WebConfigError::Field { path, field, message } => write!(f, "{}: {field}: {message}", path.display()),
        }
    }
}

impl std::error::Error for WebConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WebConfigError::Read { source, .. } => Some(source),
            _ => None,
        }
    }
}
