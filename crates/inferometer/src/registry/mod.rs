//! The directory: families by name, and the rules that apply to all of them.

mod account;
mod by_labels;
mod collector;
mod declaration;
mod error;
mod exemplars;
mod family;
#[cfg(unix)]
mod fork;
mod held;
mod list;
mod matcher;
pub(crate) mod memory;
pub(crate) mod name;
mod series;
pub(crate) mod timing;

pub(crate) use account::{Calls, seconds as overhead_seconds};
pub use collector::{Collector, CollectorError, CollectorFamily, CollectorSink};
pub(crate) use collector::{FailureReason, Poller, Polls, Reading};
pub use declaration::{DECLARATIONS, Declaration, Declared};
pub use error::RegisterError;
pub(crate) use exemplars::{Kept, are_allowed};
pub(crate) use family::{
    BUCKETS, EXCESS, Family, ForeignLabel, HelpText, LabelName, LabelSource, SliceLabels, new_tag,
};
pub use matcher::Matcher;
pub use name::NameError;
pub(crate) use series::{Series, Store, Sum, Timed};

use crate::grid::{Buckets, Domain, Grid};
use crate::label::LabelSet;
use crate::sampling::Sampling;
use crate::self_metrics::{BUDGET_INFEASIBLE, COLLECTOR_ERRORS, SERIES_DROPPED};
use crate::snapshot::Reader;
use crate::sync::{Mutex, MutexGuard, OnceLock, lock};
use crate::unit::Unit;
use account::Retired;
use family::{Description, Design};
use held::Held;
use matcher::BucketRules;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Weak};

/// What a family's series are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down by steps, from many threads; exposed as a gauge.
    UpDownCounter,
    /// Is set.
    Gauge,
    /// A distribution.
    Histogram,
}

impl Kind {
    /// `counter`, `up-down counter`, `gauge` or `histogram`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::UpDownCounter => "up-down counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of metric families, exposed together.
///
/// There is one for the process, [`Registry::global`], which the macros and the `#[metric]` statics use. Tests, and
/// programs that run several engines, make their own. Clones are the same registry.
///
/// ```
/// use inferometer::{Counter, Registry};
///
/// let registry = Registry::new();
/// let requests: Counter = registry.counter("requests_total", &[("model_name", "llama")])?;
/// requests.increment(2);
/// assert_eq!(registry.snapshot().counter("requests_total", &[]), Some(2));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Clone)]
pub struct Registry {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    directory: Mutex<Directory>,
    shared: Arc<Shared>,
}

/// What a registry shares with its families.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Counts changes of the directory, of names and of descriptions, so that encoders know when to look again.
    generation: AtomicU64,
    /// How many series may still be made.
    room: AtomicUsize,
    /// The calls of series that are gone.
    retired: Retired,
}

impl Shared {
    pub(crate) fn changed(&self) {
        self.generation.fetch_add(1, Release);
    }
}

#[derive(Default)]
pub(crate) struct Directory {
    by_name: HashMap<String, Arc<Family>>,
    list: Arc<Vec<Arc<Family>>>,
    /// Of metrics that are not registered yet, by their names as given.
    descriptions: HashMap<String, Description>,
    /// What the `metrics` facade was refused. It stands here because a fork holds this lock.
    #[cfg(feature = "metrics")]
    pub(crate) refused: Vec<RegisterError>,
    rules: BucketRules,
    pub(crate) scope: Arc<Scope>,
    collectors: Arc<Vec<Arc<Poller>>>,
    /// What orders scrapes, with the fork epoch that it belongs to: a child of a fork must not wait for a scrape that
    /// goes on in its parent.
    reader: (usize, Arc<Reader>),
}

/// What applies to all families of a registry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) prefix: String,
    pub(crate) labels: Vec<(String, String)>,
}

/// What a registration asks for.
pub(crate) struct Request<'a> {
    pub(crate) name: &'a str,
    pub(crate) help: &'a str,
    pub(crate) unit: Option<Unit>,
    pub(crate) kind: Kind,
    pub(crate) labels: RequestLabels<'a>,
    /// For histograms.
    pub(crate) domain: Domain,
    pub(crate) buckets: Option<&'a Buckets>,
    pub(crate) max_series: Option<usize>,
    /// For histograms that time sections.
    pub(crate) sampling: Option<Sampling>,
}

pub(crate) enum RequestLabels<'a> {
    /// Open labels only.
    Open(&'a [&'a str]),
    /// Those of a label set.
    Set(Vec<LabelName>),
    /// Those of a key of the `metrics` facade, as exposed. The series of one family may differ in them, and the family's
    /// name follows the rules of the facade.
    #[cfg_attr(not(feature = "metrics"), allow(dead_code))]
    Foreign(&'a [&'a str]),
}

impl Registry {
    /// How many series a family may have before further label values are counted in one series called `other`.
    pub const DEFAULT_MAX_SERIES_PER_FAMILY: usize = 1_000;

    /// How many series a registry holds.
    pub const MAX_SERIES: usize = 10_000;

    /// An empty registry.
    pub fn new() -> Self {
        let inner = Arc::new(Inner {
            directory: Mutex::new(Directory::default()),
            shared: Arc::new(Shared {
                generation: AtomicU64::new(1),
                room: AtomicUsize::new(Self::MAX_SERIES),
                retired: Retired::default(),
            }),
        });
        let mut all = all_registries();
        all.retain(|registry| registry.strong_count() > 0);
        all.push(Arc::downgrade(&inner));
        drop(all);
        #[cfg(unix)]
        fork::watch();
        Registry { inner }
    }

    /// The registry of the process.
    ///
    /// The first call registers all `#[metric]` statics that are linked into the program.
    pub fn global() -> &'static Registry {
        static GLOBAL: OnceLock<Registry> = OnceLock::new();

        if let Some(registry) = GLOBAL.get() {
            return registry;
        }
        // All of it before anybody sees the registry, so that the first scrape lacks nothing. What an allocator records
        // meanwhile on this thread is dropped: it would wait for this very registry.
        let busy = crate::storage::enter();
        let mut errors = Vec::new();
        let registry = GLOBAL.get_or_init(|| {
            let registry = Registry::new();
            errors.extend(crate::self_metrics::register(&registry));
            errors.extend(DECLARATIONS.iter().filter_map(|declared| declared.register(&registry).err()));
            registry
        });
        drop(busy);
        // After it, since a logger may record.
        for error in errors {
            log::error!("a declared metric is not exposed: {error}");
        }
        registry
    }

    /// The calls of series that are gone. To be asked for before the series are read that are there.
    pub(crate) fn retired_calls(&self) -> Calls {
        self.inner.shared.retired.calls()
    }

    /// Puts `prefix` in front of the name of every family of this registry, from the next scrape on.
    ///
    /// # Errors
    /// When the prefix is not the beginning of a name.
    pub fn set_prefix(&self, prefix: &str) -> Result<(), RegisterError> {
        if !prefix.is_empty() {
            // A prefix may end in what a whole name may not.
            let example = format!("{prefix}x");
            name::check_metric_name(&example)
                .map_err(|error| RegisterError::Name { name: prefix.to_owned(), error })?;
        }
        let mut directory = self.directory();
        Arc::make_mut(&mut directory.scope).prefix = name::escape(prefix).into_owned();
        self.changed();
        Ok(())
    }

    /// Gives every series of this registry these labels, from the next scrape on.
    ///
    /// # Errors
    /// When a name is not allowed, or is a label of one of the families.
    pub fn set_constant_labels(&self, labels: &[(&str, &str)]) -> Result<(), RegisterError> {
        let names: Vec<&str> = labels.iter().map(|&(name, _)| name).collect();
        let refuse = |error| RegisterError::Label { name: "(constant labels)".to_owned(), error };
        name::check_label_names(&names).map_err(refuse)?;
        let mut directory = self.directory();
        for family in directory.list.iter() {
            if names.iter().any(|name| family.has_label(name)) {
                let error = NameError::DuplicateLabel;
                return Err(RegisterError::Label { name: family.name.clone(), error });
            }
        }
        Arc::make_mut(&mut directory.scope).labels =
            labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.changed();
        Ok(())
    }

    /// Chooses the buckets of histograms that are registered later without any of their own, by name: a full name goes
    /// before a prefix, a prefix before a suffix, and a longer text before a shorter one.
    ///
    /// # Errors
    /// When the buckets are not valid.
    pub fn set_buckets(&self, names: Matcher, buckets: Buckets) -> Result<(), RegisterError> {
        buckets.check().map_err(|error| RegisterError::Buckets { name: format!("{names:?}"), error })?;
        self.directory().rules.set(names, buckets);
        Ok(())
    }

    /// Sets the help text, and the unit, of a metric that has none yet; before or after it is registered. The first
    /// description stays.
    ///
    /// # Errors
    /// When the name is not allowed, when the unit contradicts it, or when it is exposed under the same name as another.
    pub fn describe(&self, name: &str, unit: Option<Unit>, help: &str) -> Result<(), RegisterError> {
        let refuse = |error| RegisterError::Name { name: name.to_owned(), error };
        name::check_metric_name(name).map_err(refuse)?;
        name::check_unit(name, unit).map_err(refuse)?;
        self.describe_as(name, &name::escape(name), unit, help)
    }

    /// The same for a name of the `metrics` facade. A unit that is not the name's last word is not exposed.
    #[cfg(feature = "metrics")]
    pub(crate) fn describe_foreign(&self, name: &str, unit: Option<Unit>, help: &str) -> Result<(), RegisterError> {
        let refuse = |error| RegisterError::Name { name: name.to_owned(), error };
        let exposed = name::foreign_metric_name(name).map_err(refuse)?;
        let unit = unit.filter(|_| name::check_unit(&exposed, unit).is_ok());
        self.describe_as(name, &exposed, unit, help)
    }

    fn describe_as(&self, name: &str, exposed: &str, unit: Option<Unit>, help: &str) -> Result<(), RegisterError> {
        let description = Description { help: help.to_owned(), unit: unit.or(Unit::from_name(exposed)) };
        let mut directory = self.directory();
        if let Some(family) = directory.by_name.get(exposed) {
            if family.given_name != name {
                let registered = family.given_name.clone();
                return Err(RegisterError::SameWhenEscaped { name: name.to_owned(), registered });
            }
            let _ = family.description.set(description); // the first stays
        } else {
            directory.descriptions.entry(name.to_owned()).or_insert(description);
        }
        self.changed();
        Ok(())
    }

    /// Removes the series of all families that have all these labels, and says how many that were: the model that is
    /// unloaded, say. A series whose handles are still alive is listed again should they record something.
    ///
    /// With no labels it removes nothing.
    pub fn unregister(&self, labels: &[(&str, &str)]) -> usize {
        if labels.is_empty() {
            return 0;
        }
        let families = self.families();
        let removed = families.iter().map(|family| {
            family.remove_where(|series| {
                (0..family.width)
                    .all(|member| labels.iter().all(|wanted| series.labels(member).any(|label| label == *wanted)))
            })
        });
        let removed = removed.sum();
        if removed > 0 {
            // Caches let go of what is removed when they see the new generation.
            crate::label::cache::invalidate();
            self.changed();
        }
        removed
    }

    pub(crate) fn directory(&self) -> Held<'_, Directory> {
        Held::by(&self.inner.directory)
    }

    pub(crate) fn changed(&self) {
        self.inner.shared.changed();
    }

    /// Changes whenever a family, a description or the scope does.
    pub(crate) fn families(&self) -> Arc<Vec<Arc<Family>>> {
        Arc::clone(&Held::aside(&self.inner.directory).list)
    }

    /// The generation, the families and what all have in common, all of one moment: else an encoder that keeps the texts
    /// of a generation would put a name from before a change beside one from after it.
    pub(crate) fn moment(&self) -> (u64, Arc<Vec<Arc<Family>>>, Arc<Scope>) {
        let directory = Held::aside(&self.inner.directory);
        // Descriptions change without the directory's lock. Should one change now, what is newer than the generation says
        // is looked at again next time; the other way round, what is older than it says would be taken for good.
        let generation = self.inner.shared.generation.load(Acquire);
        (generation, Arc::clone(&directory.list), Arc::clone(&directory.scope))
    }

    pub(crate) fn collectors(&self) -> Arc<Vec<Arc<Poller>>> {
        Arc::clone(&Held::aside(&self.inner.directory).collectors)
    }

    /// What orders the scrapes of this registry.
    pub(crate) fn reader(&self) -> Arc<Reader> {
        let epoch = crate::storage::POOL.epoch();
        let mut directory = Held::aside(&self.inner.directory);
        if directory.reader.0 != epoch {
            directory.reader = (epoch, Arc::default());
        }
        Arc::clone(&directory.reader.1)
    }

    /// The family that is asked for, made if need be.
    pub(crate) fn family(&self, request: &Request<'_>) -> Result<Arc<Family>, RegisterError> {
        let exposed = request.exposed_name()?;
        let mut directory = self.directory();
        if let Some(family) = directory.by_name.get(exposed.as_ref()) {
            if family.has_own_names {
                directory.check_labels(request)?;
            }
            let described = family.description.get().is_some();
            let family = agree(family, request)?;
            if !described && family.description.get().is_some() {
                self.changed();
            }
            return Ok(family);
        }
        let design = directory.design(request, exposed.into_owned())?;
        let family = directory.add(design, request, &self.inner.shared);
        self.changed();
        Ok(family)
    }
}

impl Request<'_> {
    /// The name under which the family is exposed, if it and the unit are allowed.
    fn exposed_name(&self) -> Result<Cow<'_, str>, RegisterError> {
        let refuse = |error| RegisterError::Name { name: self.name.to_owned(), error };
        let exposed = if let RequestLabels::Foreign(_) = self.labels {
            Cow::Owned(name::foreign_metric_name(self.name).map_err(refuse)?)
        } else {
            name::check_metric_name(self.name).map_err(refuse)?;
            name::check_unit(self.name, self.unit).map_err(refuse)?;
            name::escape(self.name)
        };
        if [SERIES_DROPPED, BUDGET_INFEASIBLE, COLLECTOR_ERRORS].contains(&exposed.as_ref()) {
            return Err(RegisterError::Taken { name: self.name.to_owned() });
        }
        Ok(exposed)
    }
}

impl Directory {
    /// What a family that is not there yet is to be, if its labels and buckets are allowed.
    fn design(&self, request: &Request<'_>, exposed: String) -> Result<Design, RegisterError> {
        self.check_labels(request)?;
        let labels = request.labels.to_names();
        let grid = match request.kind {
            Kind::Histogram => {
                let buckets = request.buckets.or(self.rules.get(&exposed)).unwrap_or(&Buckets::DEFAULT);
                let refuse = |error| RegisterError::Buckets { name: request.name.to_owned(), error };
                buckets.check().map_err(refuse)?;
                Some(Grid::shared(request.domain, buckets))
            }
            _ => None,
        };
        let width = labels.iter().map(LabelName::size).product();
        Ok(Design {
            name: exposed,
            given_name: request.name.to_owned(),
            kind: request.kind,
            labels,
            has_own_names: matches!(request.labels, RequestLabels::Foreign(_)),
            width,
            grid,
            max_series: request.max_series.unwrap_or(Registry::DEFAULT_MAX_SERIES_PER_FAMILY),
            sampling: request.sampling,
            origin: None,
        })
    }

    /// Adds a family, with the description that the request has or that was given before.
    fn add(&mut self, design: Design, request: &Request<'_>, shared: &Arc<Shared>) -> Arc<Family> {
        let family = Arc::new(Family::new(design, Arc::clone(shared)));
        let described = self.descriptions.remove(request.name);
        let own = (!request.help.is_empty() || request.unit.is_some()).then(|| Description {
            help: request.help.to_owned(),
            unit: request.unit.or(Unit::from_name(&family.name)),
        });
        if let Some(description) = own.or(described) {
            let _ = family.description.set(description); // the family is new: nobody else has set it
        }
        self.by_name.insert(family.name.clone(), Arc::clone(&family));
        Arc::make_mut(&mut self.list).push(Arc::clone(&family));
        family
    }

    /// Whether these labels are allowed, beside those that all series of the registry have.
    fn check_labels(&self, request: &Request<'_>) -> Result<(), RegisterError> {
        let names = request.labels.names();
        let refuse = |error| RegisterError::Label { name: request.name.to_owned(), error };
        name::check_label_names(&names).map_err(refuse)?;
        if self.scope.labels.iter().any(|(name, _)| names.contains(&name.as_str())) {
            return Err(refuse(NameError::DuplicateLabel));
        }
        Ok(())
    }
}

/// Whether a family that exists is what is asked for. To be called under the directory's lock, so that a fork cannot
/// come between.
fn agree(family: &Arc<Family>, request: &Request<'_>) -> Result<Arc<Family>, RegisterError> {
    let name = || request.name.to_owned();
    if family.origin.is_some() {
        return Err(RegisterError::Taken { name: name() });
    }
    if family.given_name != request.name {
        return Err(RegisterError::SameWhenEscaped { name: name(), registered: family.given_name.clone() });
    }
    if family.kind != request.kind {
        return Err(RegisterError::OtherKind { name: name(), registered: family.kind });
    }
    let same_labels = match &request.labels {
        RequestLabels::Set(labels) => family.labels[..] == labels[..],
        // In any order: `Family::key` maps them.
        RequestLabels::Open(_) | RequestLabels::Foreign(_) if family.has_own_names => true,
        RequestLabels::Open(names) => {
            family.open_labels() == family.labels.len()
                && names.len() == family.labels.len()
                && family.labels.iter().all(|label| names.contains(&label.name.as_str()))
        }
        // A label that is missing is an empty one.
        RequestLabels::Foreign(names) => {
            family.open_labels() == family.labels.len() && names.iter().all(|name| family.has_label(name))
        }
    };
    if !same_labels {
        let registered = family.labels.iter().map(|label| label.name.clone()).collect();
        return Err(RegisterError::OtherLabels { name: name(), registered });
    }
    if let Some(grid) = &family.grid {
        let other = match request.buckets {
            Some(buckets) => !Arc::ptr_eq(grid, &Grid::shared(request.domain, buckets)),
            None => grid.domain != request.domain,
        };
        if other {
            return Err(RegisterError::OtherBuckets { name: name() });
        }
    }
    if !request.help.is_empty() {
        let unit = request.unit.or(Unit::from_name(&family.name));
        let description = Description { help: request.help.to_owned(), unit };
        if let Err(other) = family.description.set(description)
            && family.description.get().is_some_and(|first| first.help != other.help)
        {
            return Err(RegisterError::OtherHelp { name: name() });
        }
    }
    Ok(Arc::clone(family))
}

impl LabelName {
    pub(crate) fn size(&self) -> usize {
        match self.source {
            LabelSource::Open(_) => 1,
            LabelSource::Closed { size, .. } => size,
        }
    }
}

impl RequestLabels<'_> {
    /// The labels of a label set.
    pub(crate) fn of_set<L: LabelSet>() -> Self {
        let mut step = L::WIDTH;
        let mut open = 0;
        let labels = L::NAMES.iter().zip(L::SIZES).enumerate();
        let labels = labels.map(|(field, (name, &size))| {
            let source = match step.checked_div(size) {
                None => {
                    open += 1;
                    LabelSource::Open(open - 1)
                }
                Some(next) => {
                    step = next;
                    LabelSource::Closed { step, size, field, text: L::closed_text }
                }
            };
            LabelName { name: (*name).to_owned(), source }
        });
        RequestLabels::Set(labels.collect())
    }

    fn names(&self) -> Vec<&str> {
        match self {
            RequestLabels::Set(labels) => labels.iter().map(|label| label.name.as_str()).collect(),
            RequestLabels::Open(names) | RequestLabels::Foreign(names) => names.to_vec(),
        }
    }

    fn to_names(&self) -> Box<[LabelName]> {
        match self {
            RequestLabels::Set(labels) => labels.clone().into(),
            RequestLabels::Foreign(_) => Box::default(),
            RequestLabels::Open(names) => names
                .iter()
                .enumerate()
                .map(|(at, name)| LabelName { name: (*name).to_owned(), source: LabelSource::Open(at) })
                .collect(),
        }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Registry::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.families().iter().map(|family| family.name.clone()).collect();
        f.debug_struct("Registry").field("families", &names).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Families and series own each other.
        let directory = self.directory.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        directory.list.iter().for_each(|family| family.clear());
        directory.collectors.iter().for_each(|collector| collector.close());
        crate::label::cache::invalidate();
    }
}

/// Every registry that is alive, for `fork`.
fn all_registries() -> MutexGuard<'static, Vec<Weak<Inner>>> {
    static ALL: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());
    lock(&ALL)
}
