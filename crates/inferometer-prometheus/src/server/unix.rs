//! Scrapes over a Unix socket.

use super::error::ServeError;
use super::running::Running;
use super::site::Site;
use super::socket::Listener;
use crate::Exporter;
use rustix::fs::{FlockOperation, Mode, chmod, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// How many connections wait to be accepted, as of the standard library's listeners.
const BACKLOG: i32 = 128;

const CLIENT_FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// Where a Unix socket is, and who may connect to it.
///
/// ```
/// use inferometer_prometheus::UnixSocket;
///
/// let for_the_group = UnixSocket::new("/run/engine/metrics.sock").mode(0o660);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct UnixSocket {
    path: PathBuf,
    mode: u32,
}

impl UnixSocket {
    /// A socket that its owner alone can connect to: of mode 0600.
    ///
    /// ```
    /// let socket = inferometer_prometheus::UnixSocket::new("/run/engine/metrics.sock");
    /// ```
    pub fn new(path: impl Into<PathBuf>) -> Self {
        UnixSocket { path: path.into(), mode: 0o600 }
    }

    /// The permissions of the socket's file, whatever the process's umask. Who may write may connect.
    ///
    /// ```
    /// let socket = inferometer_prometheus::UnixSocket::new("/run/engine/metrics.sock").mode(0o660);
    /// ```
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }
}

impl From<&str> for UnixSocket {
    fn from(path: &str) -> Self {
        UnixSocket::new(path)
    }
}

impl From<&Path> for UnixSocket {
    fn from(path: &Path) -> Self {
        UnixSocket::new(path)
    }
}

impl From<PathBuf> for UnixSocket {
    fn from(path: PathBuf) -> Self {
        UnixSocket::new(path)
    }
}

impl Exporter {
    /// Serves the metrics on a Unix socket, as [`Exporter::serve`] does on an address.
    ///
    /// Nobody but the file's owner can connect unless [`UnixSocket::mode`] says so. A socket that a dead server has left
    /// is replaced. The file is removed when the server is shut down, unless another server has put its own there. The
    /// directory should be one that only trusted users can write to.
    ///
    /// ```
    /// use inferometer_prometheus::Exporter;
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("metrics.sock");
    /// let exporter = Exporter::builder().registry(inferometer::Registry::new()).build()?;
    /// let server = exporter.serve_unix(path)?;
    ///
    /// let mut client = UnixStream::connect(server.path())?;
    /// client.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the socket cannot be made: another server listens there, something that is not a socket is there, or a
    /// permission is missing; or when there is no thread to be had.
    pub fn serve_unix(&self, socket: impl Into<UnixSocket>) -> Result<UnixServer, ServeError> {
        let UnixSocket { path, mode } = socket.into();
        let (file, listener) =
            SocketFile::bind(&path, mode).map_err(|source| ServeError::BindUnix { path: path.clone(), source })?;
        let listen = || {
            let listener = tokio::net::UnixListener::from_std(listener)?;
            Ok(Listener::Unix { _file: file, listener })
        };
        Ok(UnixServer { path, running: Running::start(Site::open(self.service()), listen)? })
    }
}

/// A server of metrics on a Unix socket. It runs until it is dropped or shut down.
///
/// ```
/// # use inferometer_prometheus::Exporter;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("metrics.sock");
/// let exporter = Exporter::builder().registry(inferometer::Registry::new()).build()?;
/// let server = exporter.serve_unix(path.as_path())?;
/// server.shutdown();
/// assert!(!path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the server stops when it is dropped"]
pub struct UnixServer {
    path: PathBuf,
    running: Running,
}

impl UnixServer {
    /// The socket.
    ///
    /// ```
    /// # use inferometer_prometheus::Exporter;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("metrics.sock");
    /// # let exporter = Exporter::builder().registry(inferometer::Registry::new()).build()?;
    /// let server = exporter.serve_unix(path.as_path())?;
    /// assert_eq!(server.path(), path);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stops, as [`Server::shutdown`](crate::Server::shutdown) does, and removes the socket's file.
    ///
    /// ```
    /// # use inferometer_prometheus::Exporter;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("metrics.sock");
    /// # let exporter = Exporter::builder().registry(inferometer::Registry::new()).build()?;
    /// exporter.serve_unix(path.as_path())?.shutdown();
    /// assert!(!path.exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(self) {
        drop(self.running);
    }
}

impl fmt::Debug for UnixServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixServer").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The file of a socket that is listened on; removed with this. The server's thread has it, which a child of `fork`
/// does not inherit.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// The file's device and number, which tell it from another at the same path.
    identity: (u64, u64),
}

impl SocketFile {
    fn bind(path: &Path, mode: u32) -> io::Result<(Self, UnixListener)> {
        let _turn = lock_directory_of(path)?;
        clear(path)?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        let file = SocketFile { path: path.to_owned(), identity: identity(&fs::symlink_metadata(path)?) };
        // Nobody can connect before `listen`, so that the permissions of the umask let nobody in.
        chmod(path, Mode::from_raw_mode(mode as _))?;
        listen(&socket, BACKLOG)?;
        let listener = UnixListener::from(socket);
        listener.set_nonblocking(true)?;
        Ok((file, listener))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let Ok(_turn) = lock_directory_of(&self.path) else { return };
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| identity(&metadata) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Removes the socket of a dead server, and nothing else.
fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Err(io::Error::new(ErrorKind::AlreadyExists, "there is something that is not a socket"))
        }
        Ok(_) => {
            // One that blocks would wait for a server that does not accept.
            let client = socket_with(AddressFamily::UNIX, SocketType::STREAM, CLIENT_FLAGS, None)?;
            match connect(&client, &SocketAddrUnix::new(path)?) {
                Err(Errno::CONNREFUSED) => fs::remove_file(path),
                Err(Errno::ACCESS) => Err(Errno::ACCESS.into()),
                // It is listened on, and what else there may be is not known to be dead.
                _ => Err(io::Error::new(ErrorKind::AddrInUse, "another server listens there")),
            }
        }
    }
}

/// Keeps other servers from replacing the same dead socket at once: of two, the second would remove the first one's.
/// They lock the directory, so that no file of a lock is left. On a file system without locks there are none.
fn lock_directory_of(path: &Path) -> io::Result<Option<File>> {
    const TRIES: u32 = 100;
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let directory = match File::open(directory) {
        // Directories can be written to and not read.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(None),
        directory => directory?,
    };
    for _ in 0..TRIES {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(directory)),
            Err(Errno::WOULDBLOCK) => thread::sleep(Duration::from_millis(10)),
            Err(_) => return Ok(None),
        }
    }
    Err(io::Error::new(ErrorKind::TimedOut, "the directory is locked"))
}
