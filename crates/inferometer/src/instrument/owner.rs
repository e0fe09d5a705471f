//! Where an instrument's series comes from.

use super::Instrument;
use crate::registry::{Declaration, RegisterError, Series};
use crate::storage::{self, Slot};
use std::fmt;
use std::sync::Arc;

/// Where an instrument's series comes from.
pub(crate) enum Owner {
    /// A static, which finds its series when it is first used and pins it for ever.
    Declared(&'static Declaration),
    /// A handle, which keeps its series alive.
    Series { series: Arc<Series>, member: usize },
    /// Nowhere: it could not be registered.
    Nowhere,
}

impl Owner {
    /// The series and the member that an instrument belongs to. Takes locks and allocates.
    pub(super) fn series<I: Instrument>(&self) -> Result<Option<(Arc<Series>, usize)>, RegisterError> {
        Ok(match self {
            Owner::Series { series, member } => Some((Arc::clone(series), *member)),
            Owner::Declared(declaration) => Some((declaration.series::<I>()?, 0)),
            Owner::Nowhere => None,
        })
    }

    /// The same for the cold path of a record: `Err` says what the slot becomes when there is no series.
    pub(super) fn resolve<I: Instrument>(&self, now: Slot) -> Result<(Arc<Series>, usize), Slot> {
        if now == Slot::REFUSED {
            return Err(now);
        }
        let (storage::Entry::Open(_) | storage::Entry::Ended) = storage::enter() else {
            return Err(now); // inside an allocator or a signal handler; a later record may find it
        };
        match self.series::<I>() {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(Slot::REFUSED),
            Err(error) => {
                log::warn!("records are dropped: {error}");
                Err(Slot::REFUSED)
            }
        }
    }

    /// A handle that keeps the series alive.
    pub(super) fn handle<I: Instrument>(&self) -> I {
        match self.series::<I>() {
            Ok(Some((series, member))) => super::member_handle(series, member),
            Ok(None) => I::detached(),
            Err(error) => {
                log::warn!("records are dropped: {error}");
                I::detached()
            }
        }
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Declared(declaration) => f.write_str(declaration.name),
            Owner::Series { series, member } => write!(f, "{series:?}[{member}]"),
            Owner::Nowhere => f.write_str("nowhere"),
        }
    }
}

/// Keeps a series for ever and returns it: a static has a slot of it, and nobody can tell when it is last used.
pub(super) fn pin(series: Arc<Series>) -> &'static Series {
    let series = Arc::into_raw(series);
    // SAFETY: validity: the reference count that `into_raw` took over is never given back. Aliasing: an `Arc` is shared.
    unsafe { &*series }
}
