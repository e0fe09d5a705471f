//! What a client understands: the headers `Accept` and `Accept-Encoding`.
//!
//! Nothing in a header is an error. What is malformed or unknown is as if it were not there, and a client that names
//! nothing usable gets text 0.0.4, which every reader of metrics understands.

use crate::format::{Escaping, Format, MediaType};

impl Format {
    /// The format that suits the header `Accept` of a request best.
    ///
    /// A range like `*/*` counts for nothing: a server that lists it after the formats that it reads would take anything
    /// else for worse (and Prometheus 2.49 gives it a weight of 2).
    pub fn negotiate(accept: Option<&str>) -> Format {
        negotiate(accept, Format::ALL).format
    }
}

/// The media type to answer with, of those in these formats or text 0.0.4.
pub(crate) fn negotiate(accept: Option<&str>, formats: &[Format]) -> MediaType {
    let mut best = (MediaType { format: Format::Text, escaping: None }, 0.0);
    for entry in accept.unwrap_or_default().split(',') {
        if let Some((media_type, weight)) = media_type(entry)
            && formats.contains(&media_type.format)
            // The first of equals.
            && weight > best.1
        {
            best = (media_type, weight);
        }
    }
    best.0
}

/// An entry of `Accept` that can be answered, and its weight.
fn media_type(entry: &str) -> Option<(MediaType, f64)> {
    let mut parts = entry.split(';').map(str::trim);
    let range = parts.next()?;
    let mut given = Parameters::default();
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match &*name.trim().to_ascii_lowercase() {
            "version" => given.version = value,
            "proto" => given.proto = value,
            "encoding" => given.encoding = value,
            "escaping" => given.escaping = escaping(value),
            "q" => given.weight = weight(value)?,
            _ => {}
        }
    }
    let format = match (&*range.to_ascii_lowercase(), given.version) {
        ("text/plain", "" | "0.0.4") => Format::Text,
        ("text/plain", "1.0.0") => Format::Text1,
        ("application/openmetrics-text", "1.0.0") => Format::OpenMetrics,
        ("application/openmetrics-text", "" | "0.0.1") => Format::OpenMetrics0,
        ("application/vnd.google.protobuf", _)
            if given.proto == "io.prometheus.client.MetricFamily" && given.encoding == "delimited" =>
        {
            Format::Protobuf
        }
        _ => return None,
    };
    Some((MediaType { format, escaping: given.escaping }, given.weight))
}

#[derive(Debug)]
struct Parameters<'a> {
    version: &'a str,
    proto: &'a str,
    encoding: &'a str,
    escaping: Option<Escaping>,
    weight: f64,
}

impl Default for Parameters<'_> {
    fn default() -> Self {
        Parameters { version: "", proto: "", encoding: "", escaping: None, weight: 1.0 }
    }
}

/// A weight, at most 1; `None` for what is none.
fn weight(text: &str) -> Option<f64> {
    text.parse().ok().filter(|weight| *weight >= 0.0).map(|weight: f64| weight.min(1.0))
}

/// A way to escape that leaves our names as they are. The one called `dots` does not, and is answered with the one that
/// everybody knows.
fn escaping(text: &str) -> Option<Escaping> {
    match text {
        "allow-utf-8" => Some(Escaping::AllowUtf8),
        "underscores" | "dots" => Some(Escaping::Underscores),
        "values" => Some(Escaping::Values),
        _ => None,
    }
}

/// How a body is packed for its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

/// The encoding to answer with: gzip where it is as welcome as none.
pub(crate) fn encoding(accept_encoding: Option<&str>) -> Encoding {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for entry in accept_encoding.unwrap_or_default().split(',') {
        let mut parts = entry.split(';').map(str::trim);
        let Some(coding) = parts.next() else { continue };
        let stated =
            parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        let Some(weight) = stated.map_or(Some(1.0), |(_, value)| weight(value.trim())) else { continue };
        match &*coding.to_ascii_lowercase() {
            "gzip" | "x-gzip" => gzip = Some(weight),
            "identity" => identity = Some(weight),
            "*" => any = Some(weight),
            _ => {}
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    // No encoding is acceptable unless it is refused, but those who name another prefer it.
    let identity = identity.unwrap_or(0.0);
    if gzip > 0.0 && gzip >= identity { Encoding::Gzip } else { Encoding::Identity }
}
