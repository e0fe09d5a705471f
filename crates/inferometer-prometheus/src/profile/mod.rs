//! Profiles: other names for what a registry holds.

mod error;
mod mapping;

pub use error::ProfileError;
pub use mapping::Mapping;
pub(crate) use mapping::Part;

use std::collections::HashMap;
use std::sync::Arc;

/// A naming of a registry's families, for dashboards, alerts and autoscalers that were written for another engine.
///
/// It is applied when a scrape is written and costs a record nothing. An exporter can serve several: each at
/// `/metrics?profile=NAME`, and any of them at `/metrics` ([`ExporterBuilder::expose`](crate::ExporterBuilder::expose)).
/// Families stand in the order of the mappings.
///
/// ```
/// use inferometer::Registry;
/// use inferometer_prometheus::{Exporter, Mapping, Profile, ScrapeRequest};
///
/// let vllm = Profile::new("vllm", [
///     Mapping::family("inference_requests_running", "vllm:num_requests_running"),
///     Mapping::family("inference_requests_total", "vllm:request_success_total")
///         .only("status", &["ok"])
///         .drop_label("status")
///         .rename_label("finish_reason", "finished_reason"),
/// ])?;
///
/// let registry = Registry::new();
/// registry.gauge("inference_requests_running", &[])?.set(3.0);
/// let labels = [("status", "ok"), ("finish_reason", "length")];
/// registry.counter("inference_requests_total", &labels)?.increment(7);
///
/// let exporter = Exporter::builder().registry(registry).profile(vllm).build()?;
/// let text = exporter.answer(&ScrapeRequest::new().query("profile=vllm"))?.body;
/// let want = concat!(
///     "# TYPE vllm:num_requests_running gauge\n",
///     "vllm:num_requests_running 3\n",
///     "# TYPE vllm:request_success_total counter\n",
///     "vllm:request_success_total{finished_reason=\"length\"} 7\n",
/// );
/// assert_eq!(&text[..], want.as_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Profile {
    content: Arc<Content>,
}

#[derive(Clone, Debug)]
struct Content {
    name: String,
    mappings: Vec<Mapping>,
    /// The mappings that read a family, by its name.
    by_source: HashMap<String, Vec<usize>>,
    /// What stands before and after the names of families without a mapping; `None` leaves them out.
    others: Option<(String, String)>,
}

impl Profile {
    /// What a registry's own names are called where a profile's name is asked for.
    pub const CANONICAL: &str = "canonical";

    /// A profile with these mappings and no other families.
    ///
    /// ```
    /// use inferometer_prometheus::{Mapping, Profile, ProfileError};
    ///
    /// let twice = [Mapping::family("a", "x"), Mapping::family("b", "x")];
    /// assert!(matches!(Profile::new("engine", twice), Err(ProfileError::DuplicateName { name }) if name == "x"));
    /// ```
    ///
    /// # Errors
    /// When a name, a label, a bound or a scale cannot be exposed, or two mappings have one name.
    pub fn new(name: &str, mappings: impl IntoIterator<Item = Mapping>) -> Result<Self, ProfileError> {
        if name.is_empty()
            || name == Self::CANONICAL
            || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        {
            return Err(ProfileError::ProfileName { name: name.to_owned() });
        }
        let mappings: Vec<Mapping> = mappings.into_iter().collect();
        let mut by_source: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, mapping) in mappings.iter().enumerate() {
            mapping.check()?;
            if mappings[..place].iter().any(|other| other.name() == mapping.name()) {
                return Err(ProfileError::DuplicateName { name: mapping.name().to_owned() });
            }
            for source in mapping.sources() {
                by_source.entry(source.to_owned()).or_default().push(place);
            }
        }
        Ok(Profile { content: Arc::new(Content { name: name.to_owned(), mappings, by_source, others: None }) })
    }

    /// Families without a mapping are exposed as well, with this before and after their names; both may be empty.
    ///
    /// ```
    /// use inferometer::Registry;
    /// use inferometer_prometheus::{Exporter, Profile, ScrapeRequest};
    ///
    /// let registry = Registry::new();
    /// registry.gauge("queue_depth", &[])?.set(3.0);
    /// let profile = Profile::new("site", [])?.others("acme:", "")?;
    /// let exporter = Exporter::builder().registry(registry).profile(profile).build()?;
    /// let text = exporter.answer(&ScrapeRequest::new().query("profile=site"))?.body;
    /// assert_eq!(&text[..], b"# TYPE acme:queue_depth gauge\nacme:queue_depth 3\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When no name can begin or end so.
    pub fn others(mut self, prefix: &str, suffix: &str) -> Result<Self, ProfileError> {
        mapping::check_name(&format!("{prefix}x{suffix}"))?;
        Arc::make_mut(&mut self.content).others = Some((prefix.to_owned(), suffix.to_owned()));
        Ok(self)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.content.name
    }

    /// What a registry's family is called, if the profile has it: for expressions that ask for it. Where it goes into
    /// several families, by its labels' values, this is the first of them.
    ///
    /// ```
    /// use inferometer_prometheus::{Mapping, Profile};
    ///
    /// let gpus = Mapping::family("gpu_power_watts", "power").rename_label("gpu", "device_id").drop_label("uuid");
    /// let profile = Profile::new("site", [gpus])?;
    /// assert_eq!(profile.name_of("gpu_power_watts").as_deref(), Some("power"));
    /// assert_eq!(profile.label_of("gpu_power_watts", "gpu"), Some("device_id"));
    /// assert_eq!(profile.label_of("gpu_power_watts", "uuid"), None);
    /// assert_eq!(profile.name_of("gpu_energy_joules_total"), None);
    /// # Ok::<(), inferometer_prometheus::ProfileError>(())
    /// ```
    pub fn name_of(&self, family: &str) -> Option<String> {
        match self.readers(family) {
            Some(_) => self.reader(family).map(|mapping| mapping.name().to_owned()),
            None => self.other_name(family),
        }
    }

    /// What a label of that family is called, unless it is dropped.
    pub fn label_of<'a>(&'a self, family: &str, label: &'a str) -> Option<&'a str> {
        match self.reader(family) {
            Some(mapping) => mapping.label_named(label),
            None => Some(label),
        }
    }

    /// Whether that family, a histogram, has a bucket with this bound, if the registry's has.
    pub fn has_bound(&self, family: &str, bound: f64) -> bool {
        self.reader(family).is_none_or(|mapping| mapping.wants_bound(bound))
    }

    /// The first mapping that exposes values of a family as they are, and not its sum or a share of it.
    fn reader(&self, family: &str) -> Option<&Mapping> {
        let readers = self.readers(family).unwrap_or_default();
        readers.iter().map(|&place| &self.content.mappings[place]).find(|mapping| mapping.part() == Part::Whole)
    }

    pub(crate) fn mappings(&self) -> &[Mapping] {
        &self.content.mappings
    }

    /// The places of the mappings that read a family; `None` if there are none.
    pub(crate) fn readers(&self, family: &str) -> Option<&[usize]> {
        self.content.by_source.get(family).map(Vec::as_slice)
    }

    pub(crate) fn has_others(&self) -> bool {
        self.content.others.is_some()
    }

    /// What a family without a mapping is called, if it is exposed.
    pub(crate) fn other_name(&self, name: &str) -> Option<String> {
        let (prefix, suffix) = self.content.others.as_ref()?;
        // The suffix of a counter stays the last.
        Some(match name.strip_suffix("_total") {
            Some(stem) if !suffix.is_empty() => format!("{prefix}{stem}{suffix}_total"),
            _ => format!("{prefix}{name}{suffix}"),
        })
    }
}
