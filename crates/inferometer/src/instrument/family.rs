//! Families of instruments, by label set.

use super::{FamilyOptions, Instrument, Local};
use crate::label::LabelSet;
use crate::label::cache::{self, Texts};
use crate::registry::{
    self, Declaration, Declared, RegisterError, Registry, Request, RequestLabels, Series, SliceLabels,
};
use crate::storage;
use crate::sync::OnceLock;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Instruments of one kind under one name, told apart by the labels of a [`LabelSet`].
///
/// Closed labels (enums) are found by arithmetic; open ones (text) in a thread-local cache keyed by their content, so a
/// look-up takes no lock and does not allocate. All combinations of the closed labels are exposed, at zero until
/// something is recorded. A family has at most `max_series` different tuples of open labels (1,000 unless declared
/// otherwise); what is past that is counted in one series whose open labels are `other`.
///
/// ```
/// use inferometer::{metric, Counter, Family, LabelSet, LabelValue, Registry};
///
/// /// Requests finished, by outcome.
/// #[metric(name = "doc_requests_total")]
/// static REQUESTS: Family<Outcome, Counter> = Family::new();
///
/// #[derive(LabelSet)]
/// struct Outcome<'a> { model_name: &'a str, status: Status }
///
/// #[derive(LabelValue)]
/// enum Status { Ok, Error, Cancelled }
///
/// let model_name = String::from("llama");
/// REQUESTS.get(&Outcome { model_name: &model_name, status: Status::Ok }).increment(1);
///
/// let snapshot = Registry::global().snapshot();
/// assert_eq!(snapshot.counter("doc_requests_total", &[("status", "ok")]), Some(1));
/// assert_eq!(snapshot.counter("doc_requests_total", &[("status", "error")]), Some(0));
/// ```
pub struct Family<L: LabelSet, I: Instrument> {
    /// The family's tag in the caches; 0 until it is registered.
    tag: AtomicU32,
    core: OnceLock<Core>,
    declaration: Option<&'static Declaration>,
    types: PhantomData<fn(L) -> I>,
}

/// What is known once the family is registered.
struct Core {
    family: Arc<registry::Family>,
    /// The one series of a family without open labels.
    only: Option<Arc<Series>>,
}

impl<L: LabelSet, I: Instrument> Family<L, I> {
    #[doc(hidden)]
    pub const fn declared(declaration: &'static Declaration) -> Self {
        Family { tag: AtomicU32::new(0), core: OnceLock::new(), declaration: Some(declaration), types: PhantomData }
    }

    /// The instrument with these labels, on loan. A label set with borrowed text finds the family of its owner.
    #[inline(always)]
    pub fn get<Q: LabelSet<Owner = L>>(&self, labels: &Q) -> Local<'_, I> {
        if cfg!(inferometer_off) {
            return Local::detached();
        }
        if Q::OPEN == 0 {
            return match self.core.get() {
                Some(Core { only: Some(series), .. }) => Local::of_series(series, labels.member()),
                _ => self.get_cold(labels),
            };
        }
        let loan = cache::look_up(self.tag.load(Relaxed), &OpenTexts(labels), || self.create(labels));
        Local::of_loan(loan, labels.member())
    }

    /// Removes the series with these open labels, for all combinations of the closed ones. It leaves the exposition;
    /// should a handle that is still alive record something, it is listed again. Asking for its labels anew starts it
    /// at zero.
    ///
    /// Returns whether there was such a series.
    pub fn remove<Q: LabelSet<Owner = L>>(&self, labels: &Q) -> bool {
        let Some(core) = self.core.get() else { return false };
        let mut wanted = Vec::new();
        labels.visit_open(|text| wanted.push(text));
        let wanted = SliceLabels(&wanted);
        let same = |series: &Series| {
            let (own, wanted): (&dyn crate::label::Labels, &dyn crate::label::Labels) = (&series.texts, &wanted);
            own == wanted
        };
        let removed = core.family.remove_where(same) > 0;
        if removed {
            cache::invalidate();
        }
        removed
    }

    #[cold]
    #[inline(never)]
    fn get_cold<Q: LabelSet<Owner = L>>(&self, labels: &Q) -> Local<'_, I> {
        let _mark = match storage::enter() {
            storage::Entry::Nested => {
                storage::drop_record();
                return Local::detached();
            }
            mark => mark,
        };
        match self.core_or_warn() {
            Some(Core { only: Some(series), .. }) => Local::of_series(series, labels.member()),
            _ => Local::detached(),
        }
    }

    /// The series with these open labels, made if need be.
    fn create<Q: LabelSet>(&self, labels: &Q) -> Option<Arc<Series>> {
        let family = &self.core_or_warn()?.family;
        let mut texts = Vec::with_capacity(Q::OPEN);
        labels.visit_open(|text| texts.push(text));
        match family.get_or_create(&SliceLabels(&texts)) {
            Ok(series) => Some(series),
            Err(error) => {
                log::warn!("a record is dropped: {error}");
                None
            }
        }
    }

    fn core_or_warn(&self) -> Option<&Core> {
        if let Some(core) = self.core.get() {
            return Some(core);
        }
        self.declaration?; // one that a registry made has its core from the start
        match self.try_register(Registry::global()) {
            Ok(core) => core,
            Err(error) => {
                log::warn!("records are dropped: {error}");
                None
            }
        }
    }

    /// `None` for a family that was made by a registry, which has its core from the start.
    fn try_register(&self, registry: &Registry) -> Result<Option<&Core>, RegisterError> {
        let Some(declaration) = self.declaration else { return Ok(self.core.get()) };
        let core = Core::register::<L>(
            registry,
            &Request {
                name: declaration.name,
                help: declaration.help,
                unit: declaration.unit,
                kind: I::KIND,
                labels: RequestLabels::of_set::<L>(),
                domain: I::DOMAIN,
                buckets: declaration.buckets.as_ref(),
                max_series: declaration.max_series,
                sampling: declaration.sampling,
            },
        )?;
        let core = self.core.get_or_init(|| core);
        self.tag.store(core.family.tag, Relaxed);
        Ok(Some(core))
    }
}

impl Core {
    fn register<L: LabelSet>(registry: &Registry, request: &Request<'_>) -> Result<Core, RegisterError> {
        let family = registry.family(request)?;
        let only = if L::OPEN == 0 { Some(family.get_or_create(&SliceLabels(&[]))?) } else { None };
        Ok(Core { family, only })
    }
}

impl Registry {
    /// A family of this registry with the labels of `L`.
    ///
    /// # Errors
    /// When a name is not allowed or is registered as something else, or when there is no room.
    pub fn register_family<L: LabelSet, I: Instrument>(
        &self,
        name: &str,
        help: &str,
    ) -> Result<Family<L, I>, RegisterError> {
        self.register_family_with(name, help, &FamilyOptions::new())
    }

    /// The same with what a declaration can say besides.
    ///
    /// # Errors
    /// When a name is not allowed or is registered as something else, or when there is no room.
    pub fn register_family_with<L: LabelSet, I: Instrument>(
        &self,
        name: &str,
        help: &str,
        options: &FamilyOptions,
    ) -> Result<Family<L, I>, RegisterError> {
        let core = Core::register::<L>(
            self,
            &Request {
                name,
                help,
                unit: None,
                kind: I::KIND,
                labels: RequestLabels::of_set::<L>(),
                domain: I::DOMAIN,
                buckets: options.buckets.as_ref(),
                max_series: options.max_series,
                sampling: options.sampling,
            },
        )?;
        let tag = AtomicU32::new(core.family.tag);
        Ok(Family { tag, core: OnceLock::from(core), declaration: None, types: PhantomData })
    }
}

impl<L: LabelSet, I: Instrument> Declared for Family<L, I> {
    fn register(&self, registry: &Registry) -> Result<(), RegisterError> {
        self.try_register(registry).map(drop)
    }
}

impl<L: LabelSet, I: Instrument> fmt::Debug for Family<L, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match (self.core.get(), self.declaration) {
            (Some(core), _) => core.family.name.as_str(),
            (None, Some(declaration)) => declaration.name,
            (None, None) => "",
        };
        f.debug_struct("Family").field("name", &name).field("labels", &L::NAMES).finish_non_exhaustive()
    }
}

/// The open labels of a set, for the cache.
struct OpenTexts<'a, Q>(&'a Q);

impl<Q: LabelSet> Texts for OpenTexts<'_, Q> {
    #[inline(always)]
    fn each<'s>(&'s self, visit: impl FnMut(&'s str)) {
        self.0.visit_open(visit);
    }
}
