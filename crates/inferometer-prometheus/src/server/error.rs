//! What can go wrong before a server runs.

use std::fmt;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::PathBuf;

/// Why metrics cannot be served.
///
/// ```
/// use inferometer_prometheus::{Exporter, ServeError};
///
/// let exporter = Exporter::builder().registry(inferometer::Registry::new()).build()?;
/// let first = exporter.serve("127.0.0.1:0")?;
/// match exporter.serve(first.local_addr()) {
///     Err(ServeError::Bind { addr, source }) => {
///         assert_eq!(addr, first.local_addr());
///         assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The address could not be resolved.
    Resolve(io::Error),
    /// The address could not be bound: it is in use, is not this host's, or needs a permission.
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The socket could not be made. [`AddrInUse`](io::ErrorKind::AddrInUse): another server listens there;
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists): something that is not a socket is there, and was left alone.
    #[cfg(unix)]
    BindUnix {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The server's thread could not be started.
    Start(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Resolve(_) => f.write_str("the address for metrics cannot be resolved"),
            ServeError::Bind { addr, .. } => write!(f, "metrics cannot be served at {addr}"),
            #[cfg(unix)]
            ServeError::BindUnix { path, .. } => write!(f, "metrics cannot be served at {}", path.display()),
            ServeError::Start(_) => f.write_str("the metrics server cannot be started"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServeError::Resolve(source) | ServeError::Bind { source, .. } | ServeError::Start(source) => Some(source),
            #[cfg(unix)]
            ServeError::BindUnix { source, .. } => Some(source),
        }
    }
}
