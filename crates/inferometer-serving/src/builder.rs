//! How the series of a model are made.

use crate::metric::Metric;
use crate::metrics::ServingMetrics;
use crate::series::Series;
use inferometer::{RegisterError, Registry};

/// Registers the metrics of a model: see [`ServingMetrics::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing is registered without `register`"]
pub struct ServingMetricsBuilder {
    model_name: String,
    engine: String,
    registry: Option<Registry>,
    max_series: usize,
    on_request: Vec<Metric>,
}

impl ServingMetricsBuilder {
    /// How many series a family has before the names of further models, and of further engines, become `other`, unless
    /// told otherwise. All families of a hundred models are about half of what a registry holds.
    pub const DEFAULT_MAX_SERIES: usize = 100;

    pub(crate) fn new(model_name: &str) -> Self {
        ServingMetricsBuilder {
            model_name: model_name.to_owned(),
            engine: "0".to_owned(),
            registry: None,
            max_series: Self::DEFAULT_MAX_SERIES,
            on_request: Vec::new(),
        }
    }

    /// The engine's index among those of the process; `0` unless told otherwise.
    pub fn engine(mut self, engine: &str) -> Self {
        self.engine = engine.to_owned();
        self
    }

    /// Where to register; the global registry unless told otherwise.
    pub fn registry(mut self, registry: &Registry) -> Self {
        self.registry = Some(registry.clone());
        self
    }

    /// How many series a family has before further ones are called `other`. The first registration of a family decides.
    pub fn max_series(mut self, max_series: usize) -> Self {
        self.max_series = max_series;
        self
    }

    /// One of the metrics that are there [on request](crate::Presence::OnRequest) only.
    pub fn with(mut self, metric: Metric) -> Self {
        self.on_request.push(metric);
        self
    }

    /// Makes the series of this model and engine, at zero. Where they exist already they go on.
    ///
    /// # Errors
    /// When the registry has a family with one of the names that is something else.
    pub fn register(self) -> Result<ServingMetrics, RegisterError> {
        let registry = self.registry.unwrap_or_else(|| Registry::global().clone());
        let series = Series::register(registry, &self.model_name, &self.engine, self.max_series, &self.on_request)?;
        Ok(ServingMetrics::new(series))
    }
}
