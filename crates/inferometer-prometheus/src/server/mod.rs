//! Scrapes over HTTP, on a thread of its own.

mod backoff;
mod connection;
mod failure;
mod first;
mod head;
mod listener;
mod route;
mod stream;

use crate::Exporter;
use connection::Context;
use failure::Failures;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::watch;

/// How long responses that are under way may take when the server is shut down.
const GRACE: Duration = Duration::from_secs(1);

impl Exporter {
    /// Where metrics are served unless there is a reason for another place: on loopback, so that nobody else sees them.
    ///
    /// ```
    /// assert!(inferometer_prometheus::Exporter::DEFAULT_ADDRESS.ip().is_loopback());
    /// ```
    pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

    /// Serves the metrics at `http://addr/metrics` until the [`Server`] is dropped.
    ///
    /// The server has a thread and a runtime of its own, so it can be called from any code, also from a runtime's, and
    /// never runs on the engine's threads. `/health` answers `ok`, which a slow scrape does not hold up. Port 0 is any
    /// free port, which [`Server::local_addr`] tells. An address that is not loopback shows the metrics to whoever
    /// reaches it, without authentication.
    ///
    /// ```
    /// use inferometer::Registry;
    /// use inferometer_prometheus::Exporter;
    /// use std::io::{Read, Write};
    ///
    /// let registry = Registry::new();
    /// registry.counter("requests_total", &[])?.increment(3);
    /// let server = Exporter::builder().registry(registry).build()?.serve(("127.0.0.1", 0))?;
    ///
    /// let mut client = std::net::TcpStream::connect(server.local_addr())?;
    /// client.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.contains("\nrequests_total 3\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The registry gets a family `inferometer_scrapes_failed_total`, which counts by `reason` what went wrong. A child
    /// of `fork` does not inherit the server's thread: it calls this again, with an exporter of its own.
    ///
    /// # Errors
    /// When the address cannot be resolved or bound, or there is no thread to be had. Nothing else happens then: the
    /// program goes on as it was.
    pub fn serve(&self, addr: impl ToSocketAddrs) -> Result<Server, ServeError> {
        let listener = bind(addr)?;
        let address = listener.local_addr().map_err(ServeError::Start)?;
        listener.set_nonblocking(true).map_err(ServeError::Start)?;
        let context = Arc::new(Context::new(self.clone(), Failures::register(self.registry())));
        let (stop, stopped) = watch::channel(());
        let (sender, life) = mpsc::sync_channel(1);
        let run = move || run(listener, context, stopped, &sender);
        let thread =
            thread::Builder::new().name("inferometer-http".to_owned()).spawn(run).map_err(ServeError::Start)?;
        match life.recv() {
            Ok(Ok(())) => Ok(Server { address, running: Some(Running { stop, life: Mutex::new(life), thread }) }),
            Ok(Err(error)) => Err(ServeError::Start(error)),
            Err(_) => Err(ServeError::Start(io::Error::other("the server's thread has panicked"))),
        }
    }
}

fn bind(addr: impl ToSocketAddrs) -> Result<TcpListener, ServeError> {
    let mut failed = None;
    for addr in addr.to_socket_addrs().map_err(ServeError::Resolve)? {
        match TcpListener::bind(addr) {
            Ok(listener) => return Ok(listener),
            Err(source) => failed = Some(ServeError::Bind { addr, source }),
        }
    }
    Err(failed.unwrap_or_else(|| {
        ServeError::Resolve(io::Error::new(io::ErrorKind::InvalidInput, "the name stands for no address"))
    }))
}

/// The server's thread. It tells `life` whether it has begun, and lets go of it when it ends.
fn run(
    listener: TcpListener,
    context: Arc<Context>,
    stopped: watch::Receiver<()>,
    life: &mpsc::SyncSender<io::Result<()>>,
) {
    // One thread besides this one, to render on: a slow function of the user's must not hold up the connections.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(1)
        .thread_name("inferometer-scrape")
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(life.send(Err(error))),
    };
    runtime.block_on(async {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                let _ = life.send(Ok(())); // nobody waits if `serve` has panicked
                listener::accept(listener, context, stopped).await;
            }
            Err(error) => drop(life.send(Err(error))),
        }
    });
    // Not `drop`, which would wait for a scrape that hangs.
    runtime.shutdown_background();
}

/// A server of metrics. It runs until it is dropped or shut down.
///
/// ```
/// # use inferometer_prometheus::Exporter;
/// let exporter = Exporter::builder().registry(inferometer::Registry::new()).build()?;
/// let server = exporter.serve("127.0.0.1:0")?;
/// assert!(server.local_addr().port() > 0);
/// server.shutdown();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the server stops when it is dropped"]
pub struct Server {
    address: SocketAddr,
    running: Option<Running>,
}

struct Running {
    stop: watch::Sender<()>,
    /// Disconnected when the thread has ended.
    life: Mutex<mpsc::Receiver<io::Result<()>>>,
    thread: JoinHandle<()>,
}

impl Server {
    /// The address, with the port that was chosen for port 0.
    ///
    /// ```
    /// # use inferometer_prometheus::Exporter;
    /// # let exporter = Exporter::builder().registry(inferometer::Registry::new()).build()?;
    /// let server = exporter.serve("127.0.0.1:0")?;
    /// println!("http://{}/metrics", server.local_addr());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops, as dropping does: accepts no more connections, closes those that are idle, gives responses that are under
    /// way a second, and waits for the thread to end.
    ///
    /// ```
    /// # use inferometer_prometheus::Exporter;
    /// # let exporter = Exporter::builder().registry(inferometer::Registry::new()).build()?;
    /// let server = exporter.serve("127.0.0.1:0")?;
    /// let address = server.local_addr();
    /// server.shutdown();
    /// assert!(std::net::TcpStream::connect(address).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(Running { stop, life, thread }) = self.running.take() else { return };
        drop(stop);
        let life = life.into_inner().unwrap_or_else(PoisonError::into_inner);
        // In a child of `fork` there is no thread, and joining it would take for ever.
        let ended = life.recv_timeout(GRACE + Duration::from_millis(500));
        if matches!(ended, Err(mpsc::RecvTimeoutError::Disconnected)) && thread.join().is_err() {
            log::error!("the thread of the metrics server has panicked");
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

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
    /// The server's thread could not be started.
    Start(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Resolve(_) => f.write_str("the address for metrics cannot be resolved"),
            ServeError::Bind { addr, .. } => write!(f, "metrics cannot be served at {addr}"),
            ServeError::Start(_) => f.write_str("the metrics server cannot be started"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServeError::Resolve(source) | ServeError::Bind { source, .. } | ServeError::Start(source) => Some(source),
        }
    }
}
