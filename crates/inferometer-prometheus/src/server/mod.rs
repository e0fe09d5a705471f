//! Scrapes over HTTP, on a thread of its own.

mod backoff;
mod connection;
mod error;
mod first;
mod head;
mod listener;
mod route;
mod running;
mod site;
mod socket;
mod stream;
#[cfg(unix)]
mod unix;

pub use error::ServeError;
#[cfg(unix)]
pub use unix::{UnixServer, UnixSocket};

use crate::Exporter;
use running::Running;
use site::Site;
use socket::Listener;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

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
    /// free port, which [`Server::local_addr`] tells. An address that is not loopback, as a container needs one, shows the
    /// metrics to whoever reaches it, without authentication; `Exporter::serve_with` asks for it.
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
        Server::start(addr, || Ok(Site::open(self.service())))
    }

    /// Serves the metrics as [`Exporter::serve`] does, with the TLS, the users and the limits of a `web.yml`.
    ///
    /// The files are read again when a connection or a request comes, once a second at most, so that certificates and
    /// users can be replaced without a restart. A change that makes no sense is logged and counted in
    /// `inferometer_web_config_reload_failures_total`, and what was in force stays so. Whether there is TLS at all is
    /// settled when the server starts. What was not admitted is counted by `reason` in
    /// `inferometer_web_requests_refused_total`.
    ///
    /// ```no_run
    /// use inferometer_prometheus::{Exporter, WebConfig};
    ///
    /// let config = WebConfig::from_file("/etc/engine/web.yml")?;
    /// let server = Exporter::builder().build()?.serve_with("0.0.0.0:9464", config)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As of [`Exporter::serve`].
    #[cfg(feature = "tls")]
    pub fn serve_with(&self, addr: impl ToSocketAddrs, config: crate::WebConfig) -> Result<Server, ServeError> {
        Server::start(addr, || {
            let guard = crate::web_config::Guard::new(config, self.registry()).map_err(ServeError::Start)?;
            Ok(Site { service: self.service(), guard: Some(guard) })
        })
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
    running: Running,
}

impl Server {
    /// The site is made when there is an address for it.
    fn start(addr: impl ToSocketAddrs, site: impl FnOnce() -> Result<Site, ServeError>) -> Result<Self, ServeError> {
        let listener = bind(addr)?;
        let address = listener.local_addr().map_err(ServeError::Start)?;
        listener.set_nonblocking(true).map_err(ServeError::Start)?;
        let listen = || tokio::net::TcpListener::from_std(listener).map(Listener::Tcp);
        Ok(Server { address, running: Running::start(site()?, listen)? })
    }

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
        drop(self.running);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}
