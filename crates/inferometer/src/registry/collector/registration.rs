//! How collectors and their families come into a registry, and leave it.

use super::super::family::Design;
use super::super::{RegisterError, Registry, Request, RequestLabels};
use super::{Collector, CollectorFamily, Poller};
use crate::grid::Domain;
use std::sync::Arc;

/// Where the values of a family come from.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) poller: Arc<Poller>,
    /// The family's place in the collector's declaration.
    pub(crate) place: usize,
}

impl Registry {
    /// Adds a collector, whose values are in each scrape from now on: see [`Collector`] for an example. `name` says in
    /// errors, and as the name of a thread, which one it is.
    ///
    /// The families are the collector's alone: nobody else can record to them, and [`Registry::unregister`] does not
    /// touch them.
    ///
    /// # Errors
    /// When there is a collector of this name, or when a name of its families is not allowed or is registered already.
    pub fn register_collector(&self, name: &str, collector: impl Collector) -> Result<(), RegisterError> {
        let poller = Arc::new(Poller::new(name, Box::new(collector)));
        let families = poller.families();
        let label_names: Vec<Vec<&str>> =
            families.iter().map(|family| family.labels.iter().map(String::as_str).collect()).collect();
        let requests: Vec<Request<'_>> =
            families.iter().zip(&label_names).map(|(family, names)| family.request(names)).collect();
        let mut directory = self.directory();
        if directory.collectors.iter().any(|other| other.name() == name) {
            return Err(RegisterError::CollectorTaken { name: name.to_owned() });
        }
        let mut designs: Vec<Design> = Vec::new();
        for (place, request) in requests.iter().enumerate() {
            let mut design = directory.design(request, request.exposed_name()?.into_owned())?;
            if directory.by_name.contains_key(&design.name) || designs.iter().any(|other| other.name == design.name) {
                return Err(RegisterError::Taken { name: request.name.to_owned() });
            }
            design.origin = Some(Origin { poller: Arc::clone(&poller), place });
            designs.push(design);
        }
        for (design, request) in designs.into_iter().zip(&requests) {
            directory.add(design, request, &self.inner.shared);
        }
        Arc::make_mut(&mut directory.collectors).push(Arc::clone(&poller));
        self.changed();
        Ok(())
    }

    /// Removes the collector of this name with its families, ends its thread, and says whether there was one. What it
    /// is collecting at that moment goes nowhere.
    ///
    /// ```
    /// use inferometer::{ProcessCollector, Registry};
    ///
    /// let registry = Registry::new();
    /// registry.register_collector("process", ProcessCollector::new())?;
    /// assert!(registry.unregister_collector("process"));
    /// assert!(registry.snapshot().families.is_empty());
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    pub fn unregister_collector(&self, name: &str) -> bool {
        let mut directory = self.directory();
        let Some(place) = directory.collectors.iter().position(|collector| collector.name() == name) else {
            return false;
        };
        let poller = Arc::make_mut(&mut directory.collectors).remove(place);
        let is_its = |origin: &Origin| Arc::ptr_eq(&origin.poller, &poller);
        directory.by_name.retain(|_, family| !family.origin.as_ref().is_some_and(is_its));
        Arc::make_mut(&mut directory.list).retain(|family| !family.origin.as_ref().is_some_and(is_its));
        self.changed();
        drop(directory);
        poller.close();
        true
    }
}

impl CollectorFamily {
    fn request<'a>(&'a self, label_names: &'a [&'a str]) -> Request<'a> {
        Request {
            name: &self.name,
            help: &self.help,
            unit: self.unit,
            kind: self.kind,
            labels: RequestLabels::Open(label_names),
            domain: Domain::Integers,
            buckets: None,
            max_series: Some(self.max_series),
            sampling: None,
        }
    }
}
