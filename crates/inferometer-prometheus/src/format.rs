//! The formats, and what they are called in headers.

/// A format of the exposition.
///
/// ```
/// use inferometer_prometheus::Format;
///
/// let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
/// assert_eq!(Format::negotiate(Some(prometheus)), Format::OpenMetrics);
/// assert_eq!(Format::negotiate(None), Format::Text);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Prometheus's text, version 0.0.4: what every reader understands.
    Text,
    /// Prometheus's text, version 1.0.0. It differs in what names may be, so its bytes are those of 0.0.4 here.
    Text1,
    /// OpenMetrics, version 1.0.0: with units and exemplars.
    OpenMetrics,
    /// OpenMetrics, version 0.0.1, as old servers ask for it.
    OpenMetrics0,
    /// Prometheus's protobuf messages, each after its length: with native histograms, exemplars and start times.
    Protobuf,
}

impl Format {
    pub(crate) const ALL: &'static [Format] =
        &[Format::Text, Format::Text1, Format::OpenMetrics, Format::OpenMetrics0, Format::Protobuf];
}

/// How names that are not plain are written; all names here are, so it is only told to whom has asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Escaping {
    AllowUtf8,
    Underscores,
    Values,
}

/// A format, and how names are said to be escaped in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MediaType {
    pub(crate) format: Format,
    pub(crate) escaping: Option<Escaping>,
}

impl MediaType {
    /// For the header `Content-Type`.
    pub(crate) fn content_type(self) -> &'static str {
        macro_rules! escaped {
            ($media_type:literal) => {
                match self.escaping {
                    None => $media_type,
                    Some(Escaping::AllowUtf8) => concat!($media_type, "; escaping=allow-utf-8"),
                    Some(Escaping::Underscores) => concat!($media_type, "; escaping=underscores"),
                    Some(Escaping::Values) => concat!($media_type, "; escaping=values"),
                }
            };
        }
        match self.format {
            Format::Text => escaped!("text/plain; version=0.0.4; charset=utf-8"),
            Format::Text1 => escaped!("text/plain; version=1.0.0; charset=utf-8"),
            Format::OpenMetrics => escaped!("application/openmetrics-text; version=1.0.0; charset=utf-8"),
            Format::OpenMetrics0 => escaped!("application/openmetrics-text; version=0.0.1; charset=utf-8"),
            Format::Protobuf => {
                escaped!("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")
            }
        }
    }
}
