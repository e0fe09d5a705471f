//! How an exporter is made.

#[cfg(feature = "metrics-exporter")]
use crate::alongside::Alongside;
use crate::exporter::Exporter;
use crate::namings::Namings;
use crate::profile::Profile;
use crate::renderer::Options;
use inferometer::Registry;
#[cfg(feature = "metrics-exporter")]
use metrics_exporter_prometheus::PrometheusHandle;
use std::fmt;
use std::time::Duration;

/// Makes an [`Exporter`]. The limits are for requests from outside; [`Exporter::render`] knows none of them.
///
/// ```
/// use inferometer_prometheus::Exporter;
/// use std::time::Duration;
///
/// let exporter = Exporter::builder()
///     .registry(inferometer::Registry::new())
///     .header_timeout(Duration::from_secs(2))
///     .response_timeout(Duration::from_secs(5))
///     .max_connections(8)
///     .max_response_bytes(4 << 20)
///     .build()?;
/// # Ok::<(), inferometer_prometheus::BuildError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ExporterBuilder {
    registry: Option<Registry>,
    limits: Limits,
    options: Options,
    profiles: Vec<Profile>,
    exposed: Vec<String>,
    #[cfg(feature = "metrics-exporter")]
    alongside: Option<PrometheusHandle>,
}

/// What a client may take.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) header_timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_waiting_scrapes: usize,
    pub(crate) max_response_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            header_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(10),
            max_connections: 16,
            max_waiting_scrapes: 16,
            max_response_bytes: 10 << 20,
        }
    }
}

impl ExporterBuilder {
    pub(crate) fn new() -> Self {
        ExporterBuilder {
            registry: None,
            limits: Limits::default(),
            options: Options::default(),
            profiles: Vec::new(),
            exposed: Vec::new(),
            #[cfg(feature = "metrics-exporter")]
            alongside: None,
        }
    }

    /// The registry to expose; [`Registry::global`] if none is given.
    ///
    /// ```
    /// let registry = inferometer::Registry::new();
    /// let exporter = inferometer_prometheus::Exporter::builder().registry(registry).build()?;
    /// # Ok::<(), inferometer_prometheus::BuildError>(())
    /// ```
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// How long a client may take to send the head of a request, and how long a connection may be idle; 5 seconds. The
    /// connection is closed then.
    ///
    /// ```
    /// # use {inferometer_prometheus::Exporter, std::time::Duration};
    /// let exporter = Exporter::builder().header_timeout(Duration::from_secs(1)).build()?;
    /// # Ok::<(), inferometer_prometheus::BuildError>(())
    /// ```
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.limits.header_timeout = timeout;
        self
    }

    /// How long a response may take, from the end of the request until its last byte is on its way; 10 seconds. A
    /// scrape that is not rendered by then fails with the status 503, and a client that does not read is cut off.
    ///
    /// ```
    /// # use {inferometer_prometheus::Exporter, std::time::Duration};
    /// let exporter = Exporter::builder().response_timeout(Duration::from_secs(3)).build()?;
    /// # Ok::<(), inferometer_prometheus::BuildError>(())
    /// ```
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.limits.response_timeout = timeout;
        self
    }

    /// How many connections a server has at a time; 16. Any more are refused with the status 503.
    ///
    /// ```
    /// let exporter = inferometer_prometheus::Exporter::builder().max_connections(4).build()?;
    /// # Ok::<(), inferometer_prometheus::BuildError>(())
    /// ```
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.limits.max_connections = connections;
        self
    }

    /// How many scrapes a server or a service may have waiting at a time, the one that is being rendered included; 16.
    /// Any more are refused with the status 503.
    ///
    /// ```
    /// let exporter = inferometer_prometheus::Exporter::builder().max_waiting_scrapes(4).build()?;
    /// # Ok::<(), inferometer_prometheus::BuildError>(())
    /// ```
    pub fn max_waiting_scrapes(mut self, scrapes: usize) -> Self {
        self.limits.max_waiting_scrapes = scrapes;
        self
    }

    /// How large a response may be; 10 MiB. A scrape that is larger fails as a whole, with the status 500: there is
    /// never a part of one that looks complete.
    ///
    /// ```
    /// let exporter = inferometer_prometheus::Exporter::builder().max_response_bytes(1 << 20).build()?;
    /// # Ok::<(), inferometer_prometheus::BuildError>(())
    /// ```
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_response_bytes = bytes;
        self
    }

    /// Whether OpenMetrics has a `_created` sample with each counter and histogram, which says when it began; not unless
    /// this is called. Prometheus takes these for series of their own, unless a feature of it is switched on. Protobuf
    /// has the times without that.
    ///
    /// ```
    /// let exporter = inferometer_prometheus::Exporter::builder().created_samples(true).build()?;
    /// # Ok::<(), inferometer_prometheus::BuildError>(())
    /// ```
    pub fn created_samples(mut self, created: bool) -> Self {
        self.options.created_samples = created;
        self
    }

    /// Offers other names for what the registry holds, at `/metrics?profile=NAME`.
    ///
    /// ```
    /// use inferometer_prometheus::{Exporter, Mapping, Profile};
    ///
    /// let profile = Profile::new("short", [Mapping::family("inference_requests_running", "running")])?;
    /// let exporter = Exporter::builder().profile(profile).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profiles.push(profile);
        self
    }

    /// Which names stand at `/metrics` without a query: profiles that are offered, and [`Profile::CANONICAL`], in this
    /// order. Without this call the canonical ones alone. Of two families with the same name the first is exposed.
    ///
    /// ```
    /// use inferometer_prometheus::{BuildError, Exporter, Mapping, Profile};
    ///
    /// let profile = Profile::new("short", [Mapping::family("inference_requests_running", "running")])?;
    /// let both = Exporter::builder().profile(profile).expose([Profile::CANONICAL, "short"]).build()?;
    ///
    /// let error = Exporter::builder().expose(["shrot"]).build().unwrap_err();
    /// assert_eq!(error, BuildError::NoSuchProfile { name: "shrot".to_owned() });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expose<'a>(mut self, profiles: impl IntoIterator<Item = &'a str>) -> Self {
        self.exposed = profiles.into_iter().map(str::to_owned).collect();
        self
    }

    /// Serves the metrics of `metrics-exporter-prometheus` with those of the registry, for an engine that has some there.
    ///
    /// Both are in text, and in protobuf with the feature `metrics-exporter-protobuf`, whose build wants `protoc`;
    /// clients are offered no other formats. Where a family or one of its samples has the name of one of the registry's,
    /// the registry's stays and the other is left out, since two of a name would cost the whole scrape. That is logged
    /// once, and `inferometer_families_left_out` says how many they are.
    ///
    /// A scrape has `metrics-exporter-prometheus` render all it holds. Between scrapes its histograms keep every
    /// observation unless the program calls `PrometheusHandle::run_upkeep` now and then.
    ///
    /// ```
    /// use inferometer::Registry;
    /// use inferometer_prometheus::Exporter;
    /// use metrics_exporter_prometheus::PrometheusBuilder;
    ///
    /// let recorder = PrometheusBuilder::new().build_recorder();
    /// metrics::with_local_recorder(&recorder, || metrics::counter!("old_requests").increment(2));
    /// let registry = Registry::new();
    /// registry.counter("new_requests_total", &[])?.increment(3);
    ///
    /// let exporter = Exporter::builder().registry(registry).alongside(recorder.handle()).build()?;
    /// let body = exporter.render(None).body;
    /// let text = std::str::from_utf8(&body)?;
    /// assert!(text.contains("new_requests_total 3\n") && text.contains("old_requests 2\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "metrics-exporter")]
    pub fn alongside(mut self, handle: PrometheusHandle) -> Self {
        self.alongside = Some(handle);
        self
    }

    /// Makes the exporter.
    ///
    /// ```
    /// use inferometer_prometheus::{BuildError, Exporter};
    ///
    /// assert_eq!(Exporter::builder().max_connections(0).build().unwrap_err(), BuildError::NoConnections);
    /// ```
    ///
    /// # Errors
    /// When a limit is such that no scrape could succeed, or a profile is not there or there twice.
    pub fn build(self) -> Result<Exporter, BuildError> {
        let Limits { header_timeout, response_timeout, max_connections, max_waiting_scrapes, max_response_bytes } =
            self.limits;
        if max_connections == 0 {
            return Err(BuildError::NoConnections);
        }
        if max_waiting_scrapes == 0 {
            return Err(BuildError::NoScrapes);
        }
        if max_response_bytes == 0 {
            return Err(BuildError::NoBytes);
        }
        if header_timeout.is_zero() || response_timeout.is_zero() {
            return Err(BuildError::NoTime);
        }
        let namings = Namings::new(self.profiles, &self.exposed)?;
        let registry = self.registry.unwrap_or_else(|| Registry::global().clone());
        #[cfg(feature = "metrics-exporter")]
        let options =
            Options { alongside: self.alongside.map(|handle| Alongside::new(handle, &registry)), ..self.options };
        #[cfg(not(feature = "metrics-exporter"))]
        let options = self.options;
        Ok(Exporter::new(registry, self.limits, namings, options))
    }
}

/// Why an exporter cannot be made.
///
/// ```
/// use inferometer_prometheus::{BuildError, Exporter};
/// use std::time::Duration;
///
/// let error = Exporter::builder().header_timeout(Duration::ZERO).build().unwrap_err();
/// assert_eq!(error, BuildError::NoTime);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// No connections are allowed.
    NoConnections,
    /// No scrapes are allowed to wait.
    NoScrapes,
    /// No bytes are allowed.
    NoBytes,
    /// A timeout is zero.
    NoTime,
    /// A profile is to be exposed that is not offered.
    NoSuchProfile {
        /// Its name.
        name: String,
    },
    /// Two profiles have the same name.
    DuplicateProfile {
        /// The name.
        name: String,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::NoConnections => f.write_str("at least one connection must be allowed"),
            BuildError::NoScrapes => f.write_str("at least one scrape must be allowed to wait"),
            BuildError::NoBytes => f.write_str("a response must be allowed at least one byte"),
            BuildError::NoTime => f.write_str("a timeout must not be zero"),
            BuildError::NoSuchProfile { name } => write!(f, "there is no profile {name:?}"),
            BuildError::DuplicateProfile { name } => write!(f, "there are two profiles {name:?}"),
        }
    }
}

impl std::error::Error for BuildError {}
