//! What a scrape asks for.

use crate::accept::{self, Encoding};
use crate::encode::Names;
use crate::format::{Format, MediaType};
use crate::namings::Namings;
use crate::rendered::RenderError;

/// What a client asks for: the parts of a request that an answer depends on.
///
/// ```
/// use inferometer::Registry;
/// use inferometer_prometheus::{Exporter, ScrapeRequest};
///
/// let registry = Registry::new();
/// registry.counter("requests_total", &[])?.increment(1);
/// registry.counter("errors_total", &[])?.increment(2);
/// let exporter = Exporter::builder().registry(registry).build()?;
/// let request = ScrapeRequest::new().accept("application/openmetrics-text;version=1.0.0").query("name[]=errors_total");
/// let rendered = exporter.answer(&request)?;
/// assert_eq!(&rendered.body[..], b"# TYPE errors counter\nerrors_total 2\n# EOF\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct ScrapeRequest<'a> {
    accept: Option<&'a str>,
    accept_encoding: Option<&'a str>,
    query: Option<&'a str>,
}

impl<'a> ScrapeRequest<'a> {
    /// Everything, as text 0.0.4, not packed.
    pub fn new() -> Self {
        ScrapeRequest::default()
    }

    /// The header `Accept`. Several of them are as one with commas between them.
    pub fn accept(mut self, header: impl Into<Option<&'a str>>) -> Self {
        self.accept = header.into();
        self
    }

    /// The header `Accept-Encoding`; a body is packed with gzip if that is named.
    pub fn accept_encoding(mut self, header: impl Into<Option<&'a str>>) -> Self {
        self.accept_encoding = header.into();
        self
    }

    /// The query of the URI, without its question mark: each `name[]=NAME` asks for a family, and none for all of them;
    /// `profile=NAME` asks for the names of a [`Profile`](crate::Profile).
    pub fn query(mut self, query: impl Into<Option<&'a str>>) -> Self {
        self.query = query.into();
        self
    }
}

/// What a request comes down to. Equal ones can share an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) media_type: MediaType,
    pub(crate) encoding: Encoding,
    /// Its place among the exporter's namings.
    pub(crate) naming: usize,
    pub(crate) names: Names,
}

impl Asked {
    /// All that is exposed without a query, in a format.
    pub(crate) fn all(media_type: MediaType) -> Self {
        Asked { media_type, encoding: Encoding::Identity, naming: 0, names: Names::default() }
    }

    /// What a request asks of an exporter with these namings and formats.
    pub(crate) fn new(request: &ScrapeRequest<'_>, namings: &Namings, formats: &[Format]) -> Result<Self, RenderError> {
        let (mut names, mut profile): (Option<Vec<String>>, _) = (None, None);
        for (key, value) in form_urlencoded::parse(request.query.unwrap_or_default().as_bytes()) {
            match &*key {
                "name[]" => names.get_or_insert_default().push(value.into_owned()),
                "profile" => profile = Some(value),
                _ => {}
            }
        }
        Ok(Asked {
            media_type: accept::negotiate(request.accept, formats),
            encoding: accept::encoding(request.accept_encoding),
            naming: namings.place(profile.as_deref()).ok_or(RenderError::NoSuchProfile)?,
            names: names.map_or_else(Names::default, Names::only),
        })
    }
}
