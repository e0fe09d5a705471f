//! Where an instrument's series comes from.

use super::Instrument;
use crate::registry::{Declaration, RegisterError, Registry, Series};
use crate::storage::{self, Slot};
use std::fmt;
use std::ptr;
use std::sync::Arc;

/// Where an instrument's series comes from.
///
/// The reference to a series is a raw one, so that an instrument which merely borrows can be made of plain values,
/// without memory of its own: a look-up and a record through it then stay in registers.
pub(crate) struct Owner {
    source: Source,
    member: u32,
}

#[derive(Clone, Copy)]
enum Source {
    /// A static, which finds its series when it is first used and pins it for ever.
    Declared(&'static Declaration),
    /// A handle. The pointer came from `Arc::into_raw`, and the handle owns that count; but see [`Owner::borrowed`].
    Series(*const Series),
    /// Nowhere: it could not be registered.
    Nowhere,
}

// SAFETY: what a handle owns is an `Arc<Series>`, which is `Send` and `Sync`, and the rest is static.
unsafe impl Send for Owner {}
// SAFETY: as above.
unsafe impl Sync for Owner {}

impl Owner {
    pub(super) const NOWHERE: Owner = Owner { source: Source::Nowhere, member: 0 };

    pub(super) const fn declared(declaration: &'static Declaration) -> Self {
        Owner { source: Source::Declared(declaration), member: 0 }
    }

    /// Keeps the series alive.
    pub(super) fn handle_of(series: Arc<Series>, member: usize) -> Self {
        Owner { source: Source::Series(Arc::into_raw(series)), member: member as u32 }
    }

    /// Takes over a count that is not its own, so it must not be dropped unless the caller has one to give.
    #[inline(always)]
    pub(super) fn borrowed(series: *const Series, member: usize) -> Self {
        Owner { source: Source::Series(series), member: member as u32 }
    }

    /// A count of the series for somebody who may live longer, to be given to [`release`]. Null for a static, whose series
    /// is there for ever.
    pub(super) fn counted(&self) -> *const Series {
        match self.source {
            Source::Series(series) => Arc::into_raw(clone_raw(series)),
            Source::Declared(_) | Source::Nowhere => ptr::null(),
        }
    }

    /// Whether the series may not be known yet.
    #[inline(always)]
    pub(super) fn is_declared(&self) -> bool {
        matches!(self.source, Source::Declared(_))
    }

    /// Which of the series' members the instrument is.
    pub(super) fn member(&self) -> usize {
        self.member as usize
    }

    /// The series and the member that an instrument belongs to. Takes locks and allocates.
    fn series<I: Instrument>(&self) -> Result<Option<(Arc<Series>, usize)>, RegisterError> {
        // Only a declared instrument asks for a registry, which the other kinds must not make.
        let registry = if self.is_declared() { Some(Registry::global()) } else { None };
        self.series_in::<I>(registry)
    }

    /// The same for a static, in the registry that is given.
    pub(super) fn series_in<I: Instrument>(
        &self,
        registry: Option<&Registry>,
    ) -> Result<Option<(Arc<Series>, usize)>, RegisterError> {
        Ok(match self.source {
            Source::Series(series) => Some((clone_raw(series), self.member as usize)),
            Source::Declared(declaration) => match registry {
                Some(registry) => Some((declaration.series_in::<I>(registry)?, 0)),
                None => None,
            },
            Source::Nowhere => None,
        })
    }

    /// The same for the cold path of a record: `Err` says what the slot becomes when there is no series.
    pub(super) fn resolve<I: Instrument>(&self, now: Slot) -> Result<(Arc<Series>, usize), Slot> {
        if now == Slot::REFUSED {
            return Err(now);
        }
        let _mark = match storage::enter() {
            storage::Entry::Nested => return Err(now), // in an allocator or a signal handler; a later record may find it
            mark => mark,
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

impl Drop for Owner {
    #[inline(always)]
    fn drop(&mut self) {
        if let Source::Series(series) = self.source {
            release(series);
        }
    }
}

/// Gives up a count that a handle owned.
#[inline]
pub(super) fn release(series: *const Series) {
    // SAFETY: validity: the count came from `Arc::into_raw` and is given up once. Aliasing: an `Arc` is shared.
    drop(unsafe { Arc::from_raw(series) });
}

fn clone_raw(series: *const Series) -> Arc<Series> {
    // SAFETY: validity: somebody owns a count as long as the handle lives. Aliasing: an `Arc` is shared.
    unsafe { Arc::increment_strong_count(series) };
    // SAFETY: validity: the count that was just added is the new `Arc`'s. Aliasing: as above.
    unsafe { Arc::from_raw(series) }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source {
            Source::Declared(declaration) => f.write_str(declaration.name),
            Source::Series(series) => write!(f, "{:?}[{}]", clone_raw(series), self.member),
            Source::Nowhere => f.write_str("nowhere"),
        }
    }
}

/// Keeps a series for ever and returns it: a static has a slot of it, and nobody can tell when it is last used.
pub(super) fn pin(series: Arc<Series>) -> &'static Series {
    let series = Arc::into_raw(series);
    // SAFETY: validity: the reference count that `into_raw` took over is never given back. Aliasing: an `Arc` is
    // shared.
    unsafe { &*series }
}
