//! What the families that rules and panels ask for are called on the servers that are watched.
//!
//! The names come from the tables that the metrics themselves are registered from, and from the profiles that rename them
//! in a scrape.

use super::promql::Selector;
use inferometer_gpu::Metric as Gpu;
use inferometer_serving::{FinishReason, Metric as Serving, Status};
use std::time::Duration;

/// The names that a server exposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// This project's own names.
    Canonical,
    /// The names that services written by hand often have.
    Basic,
    /// vLLM's names.
    Vllm,
}

/// The job that the servers are scraped under.
pub(crate) const JOB: &str = "inference-servers";

/// A family of the scraped servers.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    /// Its series, of the job and, if one was asked for, of the model.
    pub(crate) selector: Selector,
    /// The finite bounds of its classic buckets.
    pub(crate) bounds: Vec<f64>,
}

impl Family {
    /// The bound that a limit is, if it is one. What lies above the last one is not known, so that cannot be a limit.
    pub(crate) fn bound(&self, limit: Duration) -> Option<f64> {
        self.limits().iter().copied().find(|bound| (bound - limit.as_secs_f64()).abs() < 1e-9)
    }

    /// The bounds that can be limits.
    pub(crate) fn limits(&self) -> &[f64] {
        self.bounds.split_last().map_or(&[], |(_, below)| below)
    }

    /// The bound above another.
    pub(crate) fn next(&self, bound: f64) -> Option<f64> {
        self.bounds.iter().copied().find(|&other| other > bound)
    }
}

/// Whatever can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Serving(Serving),
    Gpu(Gpu),
    Probe(Probe),
    Own(Own),
}

/// What the GPU monitor says besides the readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    Up,
    Age,
    Info,
    XidTime,
    CallSeconds,
    Calls,
}

impl Probe {
    fn name(self) -> &'static str {
        match self {
            Probe::Up => "gpu_probe_up",
            Probe::Age => "gpu_probe_age_seconds",
            Probe::Info => "gpu_info",
            Probe::XidTime => "gpu_xid_last_timestamp_seconds",
            Probe::CallSeconds => "gpu_probe_call_seconds_total",
            Probe::Calls => "gpu_probe_calls_total",
        }
    }
}

/// What the library says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    OverheadSeconds,
    RecordingCpuSeconds,
    SeriesDropped,
    Series,
    Threads,
    MemoryBytes,
    InvalidObservations,
    RecordsDropped,
}

impl Own {
    fn name(self) -> &'static str {
        match self {
            Own::OverheadSeconds => "inferometer_overhead_seconds_total",
            Own::RecordingCpuSeconds => "inferometer_recording_cpu_seconds_total",
            Own::SeriesDropped => "inferometer_series_dropped_total",
            Own::Series => "inferometer_series",
            Own::Threads => "inferometer_threads",
            Own::MemoryBytes => "inferometer_memory_bytes",
            Own::InvalidObservations => "inferometer_invalid_observations_total",
            Own::RecordsDropped => "inferometer_records_dropped_total",
        }
    }
}

impl From<Serving> for Source {
    fn from(metric: Serving) -> Self {
        Source::Serving(metric)
    }
}

impl From<Gpu> for Source {
    fn from(metric: Gpu) -> Self {
        Source::Gpu(metric)
    }
}

impl From<Probe> for Source {
    fn from(probe: Probe) -> Self {
        Source::Probe(probe)
    }
}

impl From<Own> for Source {
    fn from(own: Own) -> Self {
        Source::Own(own)
    }
}

impl Source {
    /// What a registry calls it.
    fn name(self) -> &'static str {
        match self {
            Source::Serving(metric) => metric.spec().name,
            Source::Gpu(metric) => metric.spec().name,
            Source::Probe(probe) => probe.name(),
            Source::Own(own) => own.name(),
        }
    }

    fn bounds(self) -> &'static [f64] {
        match self {
            Source::Serving(metric) => metric.spec().bounds,
            _ => &[],
        }
    }
}

/// The names of a profile, and the series that are meant.
#[derive(Clone, Debug)]
pub(crate) struct Naming {
    /// `None` where the names are the registry's own.
    serving: Option<Renaming>,
    /// The same for the names of GPUs.
    gpu: Option<Renaming>,
    model: Option<String>,
}

type Renaming = inferometer_prometheus::Profile;

impl Naming {
    /// The names of a profile; of one model, if one is named.
    pub(crate) fn new(profile: Profile, model: Option<String>) -> Self {
        let (serving, gpu) = match profile {
            Profile::Canonical => (None, None),
            Profile::Basic => (Some(inferometer_serving::profiles::basic()), Some(inferometer_gpu::profiles::basic())),
            Profile::Vllm => {
                let vllm = inferometer_serving::profiles::vllm();
                (Some(vllm.clone()), Some(vllm))
            }
        };
        Naming { serving, gpu, model }
    }

    fn renaming(&self, source: Source) -> Option<&Renaming> {
        match source {
            Source::Gpu(_) | Source::Probe(_) => self.gpu.as_ref(),
            Source::Serving(_) | Source::Own(_) => self.serving.as_ref(),
        }
    }

    /// A family, unless the profile has none for it.
    pub(crate) fn family(&self, source: impl Into<Source>) -> Option<Family> {
        let source = source.into();
        let (name, bounds) = match self.renaming(source) {
            None => (source.name().to_owned(), source.bounds().to_vec()),
            Some(profile) => {
                let bounds = source.bounds().iter().copied();
                let name = profile.name_of(source.name())?;
                (name, bounds.filter(|&bound| profile.has_bound(source.name(), bound)).collect())
            }
        };
        let mut selector = Selector::new(name).is("job", JOB);
        if let (Source::Serving(_), Some(model)) = (source, &self.model) {
            selector = selector.is(self.label(source, MODEL).unwrap_or(MODEL), model);
        }
        Some(Family { selector, bounds })
    }

    /// The series of a family alone.
    pub(crate) fn series(&self, source: impl Into<Source>) -> Option<Selector> {
        self.family(source).map(|family| family.selector)
    }

    /// The requests that failed, and some that did not.
    pub(crate) fn requests_by_outcome(&self) -> Option<[Selector; 2]> {
        let source = Source::from(Serving::Requests);
        let series = self.series(source)?;
        // Some servers do not say how a request ended, but why.
        let status = self.label(source, "status").map(|label| (label, [Status::Error, Status::Ok].map(Status::as_str)));
        let reason = || {
            let values = [FinishReason::Error, FinishReason::Stop].map(FinishReason::as_str);
            self.label(source, "finish_reason").map(|label| (label, values))
        };
        let (label, values) = status.or_else(reason)?;
        Some(values.map(|value| series.clone().is(label, value)))
    }

    /// What the label of a family is called, unless the profile drops it.
    pub(crate) fn label(&self, source: impl Into<Source>, label: &'static str) -> Option<&str> {
        let source = source.into();
        match self.renaming(source) {
            None => Some(label),
            Some(profile) => profile.label_of(source.name(), label),
        }
    }

    /// The label that tells a server's GPUs apart.
    pub(crate) fn gpu_label(&self) -> &str {
        self.label(Gpu::MemoryUsed, "gpu").unwrap_or("gpu")
    }
}

/// The label that has the model's name. All profiles that are offered leave it as it is.
pub(crate) const MODEL: &str = "model_name";
