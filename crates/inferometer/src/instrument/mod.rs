//! What users record with. A record's fast path is here in full; its cold path asks the registry for a slot, and then
//! the storage for a chunk.

mod anchor;
pub(crate) mod calibration;
mod counter;
#[cfg(feature = "tracing")]
mod current_span;
mod family;
mod family_options;
mod function;
mod gauge;
mod histogram;
mod local;
mod measured;
mod number;
mod owner;
mod site;
mod timer;
mod up_down_counter;

pub use counter::{Counter, SignalSafe};
pub use family::Family;
pub use family_options::FamilyOptions;
pub use function::{counter_fn, gauge_fn};
pub use gauge::Gauge;
pub use histogram::{Histogram, Observation};
pub use local::Local;
pub use number::IntoF64;
pub(crate) use owner::Owner;
pub use site::DynamicSite;
pub use timer::{Timed, Timer};
pub use up_down_counter::UpDownCounter;

use crate::grid::{Buckets, Domain};
use crate::registry::{
    Declaration, ForeignLabel, Kind, RegisterError, Registry, Request, RequestLabels, Series, SliceLabels,
};
use crate::storage::Slot;
use std::sync::Arc;

/// A type of instrument: [`Counter`], [`UpDownCounter`], [`Gauge`] or [`Histogram`].
pub trait Instrument: Clone + Sized + Send + Sync + private::Bind + 'static {
    /// The kind of family that it makes.
    const KIND: Kind;
}

pub(crate) mod private {
    use super::{Domain, Owner, Series, Slot};

    /// Ties an instrument to a series. Not for users.
    pub trait Bind {
        /// What a histogram observes; any for other kinds.
        #[doc(hidden)]
        const DOMAIN: Domain = Domain::Integers;

        /// The instrument for a member of a series.
        #[doc(hidden)]
        fn bind(bound: Bound<'_>) -> Self;

        /// An instrument that records nowhere.
        #[doc(hidden)]
        fn detached() -> Self;
    }

    /// What an instrument needs to know of its series.
    #[doc(hidden)]
    pub struct Bound<'a> {
        pub(crate) series: &'a Series,
        /// The first cell of the series.
        pub(crate) slot: Slot,
        pub(crate) member: usize,
        pub(crate) owner: Owner,
    }

    impl std::fmt::Debug for Bound<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Bound").field("member", &self.member).finish_non_exhaustive()
        }
    }
}

impl Declaration {
    /// The series of a declaration.
    pub(crate) fn series_in<I: Instrument>(&self, registry: &Registry) -> Result<Arc<Series>, RegisterError> {
        let names: Vec<&str> = self.labels.iter().map(|&(name, _)| name).collect();
        let family = registry.family(&Request {
            name: self.name,
            help: self.help,
            unit: self.unit,
            kind: I::KIND,
            labels: RequestLabels::Open(&names),
            domain: I::DOMAIN,
            buckets: self.buckets.as_ref(),
            max_series: self.max_series,
            sampling: self.sampling,
        })?;
        let labels: Vec<_> = self.labels.iter().map(|&(name, value)| ForeignLabel::own(name, value)).collect();
        family.get_or_create(&SliceLabels(&family.key(&labels)?))
    }
}

impl Registry {
    /// The counter with this name and these labels, made if need be.
    ///
    /// # Errors
    /// When a name is not allowed or is registered as something else, or when there is no room.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Result<Counter, RegisterError> {
        self.instrument(name, labels, None)
    }

    /// The up-down counter with this name and these labels, made if need be.
    ///
    /// # Errors
    /// As for [`Registry::counter`].
    pub fn up_down_counter(&self, name: &str, labels: &[(&str, &str)]) -> Result<UpDownCounter, RegisterError> {
        self.instrument(name, labels, None)
    }

    /// The gauge with this name and these labels, made if need be.
    ///
    /// # Errors
    /// As for [`Registry::counter`].
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Result<Gauge, RegisterError> {
        self.instrument(name, labels, None)
    }

    /// The histogram with this name and these labels, made if need be. Its buckets are those that
    /// [`Registry::set_buckets`] chose for the name, or the default ones.
    ///
    /// # Errors
    /// As for [`Registry::counter`].
    pub fn histogram<T: Observation>(
        &self,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Result<Histogram<T>, RegisterError> {
        self.instrument(name, labels, None)
    }

    /// The same with buckets of its own.
    ///
    /// # Errors
    /// As for [`Registry::counter`], and when the buckets are not valid or the histogram is registered with others.
    pub fn histogram_with_buckets<T: Observation>(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        buckets: &Buckets,
    ) -> Result<Histogram<T>, RegisterError> {
        self.instrument(name, labels, Some(buckets))
    }

    fn instrument<I: Instrument>(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        buckets: Option<&Buckets>,
    ) -> Result<I, RegisterError> {
        let names: Vec<&str> = labels.iter().map(|&(name, _)| name).collect();
        let values: Vec<&str> = labels.iter().map(|&(_, value)| value).collect();
        self.series::<I>(name, &names, &values, buckets).map(handle)
    }

    /// The series of an instrument whose labels are all open.
    pub(crate) fn series<I: Instrument>(
        &self,
        name: &str,
        names: &[&str],
        values: &[&str],
        buckets: Option<&Buckets>,
    ) -> Result<Arc<Series>, RegisterError> {
        let family = self.family(&Request {
            name,
            help: "",
            unit: None,
            kind: I::KIND,
            labels: RequestLabels::Open(names),
            domain: I::DOMAIN,
            buckets,
            max_series: None,
            sampling: None,
        })?;
        if !family.has_own_names && family.labels.iter().zip(names).all(|(label, name)| label.name == *name) {
            return family.get_or_create(&SliceLabels(values));
        }
        let labels: Vec<_> = names.iter().zip(values).map(|(&name, &value)| ForeignLabel::own(name, value)).collect();
        family.get_or_create(&SliceLabels(&family.key(&labels)?))
    }
}

/// A handle that owns its share of a series.
pub(crate) fn handle<I: Instrument>(series: Arc<Series>) -> I {
    member_handle(series, 0)
}

/// The same for one member of a series with closed labels.
pub(crate) fn member_handle<I: Instrument>(series: Arc<Series>, member: usize) -> I {
    let slot = series.slot().unwrap_or(Slot::UNREGISTERED);
    let owner = Owner::handle_of(Arc::clone(&series), member);
    I::bind(private::Bound { series: &series, slot, member, owner })
}
