//! TLS, basic authentication and a limit of the rate, by the file that Prometheus's own exporters read.

mod client_certificates;
mod error;
mod file;
mod guard;
mod rate_limit;
mod rules;
mod sources;
mod tls;
mod users;

pub use error::WebConfigError;
pub(crate) use guard::Guard;

use rules::Rules;
use sources::{Places, Sources};
use std::fmt;
use std::path::Path;

/// Who may scrape, and how, as a `web.yml` says it.
///
/// This is the file of [Prometheus's exporter-toolkit], so one that is there already can be used: certificates in files
/// or in place, certificates of clients, basic authentication, headers of responses and a limit of the rate. An unknown
/// field is an error, and relative paths are relative to the file. Some things differ:
///
/// - TLS before 1.2 and ciphers without authenticated encryption are not offered. A file that asks for them among
///   others is read, and one that asks for nothing else is an error.
/// - HTTP/2 is not offered, whatever the file says.
/// - A section `tls_server_config` without a certificate is an error, and not a server without TLS.
/// - `/health` needs the same as `/metrics`.
///
/// ```
/// use inferometer_prometheus::WebConfig;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("web.yml");
/// // alice's password is "secret".
/// std::fs::write(
///     &path,
///     "basic_auth_users:\n  alice: $2b$04$cyOoZ5hzKkYuXWjtwXHqkuu4Y9T1XoDOB.9aM.IcqzsLSx4QyLsFy\n",
/// )?;
/// let config = WebConfig::from_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [Prometheus's exporter-toolkit]: https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
pub struct WebConfig {
    places: Places,
    sources: Sources,
    rules: Rules,
}

impl WebConfig {
    /// Reads a `web.yml` and the files that it names.
    ///
    /// ```
    /// use inferometer_prometheus::{WebConfig, WebConfigError};
    ///
    /// assert!(matches!(WebConfig::from_file("/nowhere/web.yml"), Err(WebConfigError::Read { .. })));
    /// ```
    ///
    /// # Errors
    /// When one of them cannot be read or makes no sense.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, WebConfigError> {
        Self::read(Places { web: path.as_ref().to_owned(), token: None })
    }

    /// Lets in whoever sends the bearer token in this file, besides the users of the `web.yml`, which has no field for
    /// one. The file is read again when it has changed, as the others are. On the side of Prometheus it is the
    /// `credentials_file` of the section `authorization`.
    ///
    /// ```
    /// use inferometer_prometheus::WebConfig;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let (web, token) = (directory.path().join("web.yml"), directory.path().join("token"));
    /// std::fs::write(&web, "")?; // asks for nothing
    /// std::fs::write(&token, "uWq7s-fN2x_09b\n")?;
    /// let config = WebConfig::from_file(&web)?.bearer_token_file(&token)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When a file cannot be read, or holds no token.
    pub fn bearer_token_file(self, path: impl AsRef<Path>) -> Result<Self, WebConfigError> {
        Self::read(Places { token: Some(path.as_ref().to_owned()), ..self.places })
    }

    fn read(places: Places) -> Result<Self, WebConfigError> {
        let (file, sources) = sources::read(&places)?;
        let rules = Rules::new(&places.web, file, &sources)?;
        Ok(WebConfig { places, sources, rules })
    }
}

impl fmt::Debug for WebConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebConfig").field("places", &self.places).field("rules", &self.rules).finish_non_exhaustive()
    }
}
