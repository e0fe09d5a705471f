//! Handles that borrow.

use super::private::Bound;
use super::{Instrument, Owner};
use crate::label::cache::{self, Found, Loan};
use crate::registry::Series;
use crate::storage::{Lease, Slot};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;

/// An instrument that was found by its labels, on loan: it stays on this thread, and should not be kept for long, since a
/// removed series is not given up while a loan is out. [`Deref`]s to the instrument; call `.handle()` on it for one of
/// your own, which is `Send` and may be kept.
///
/// ```compile_fail
/// let registry = inferometer::Registry::new();
/// #[derive(inferometer::LabelSet)]
/// struct Model<'a> { model_name: &'a str }
/// let family = registry.register_family::<Model, inferometer::Counter>("x_total", "X.").unwrap();
/// let local = family.get(&Model { model_name: "llama" });
/// std::thread::scope(|scope| { scope.spawn(|| local.increment(1)); }); // a loan is not `Send`
/// ```
pub struct Local<'a, I: Instrument> {
    /// Owns its share of the series only where `held` says so.
    instrument: ManuallyDrop<I>,
    held: Held,
    borrows: PhantomData<(&'a Series, *const ())>,
}

/// What keeps the series alive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// A loan from the thread's cache.
    Cache,
    /// The instrument itself.
    Instrument,
    /// Whatever `'a` borrows.
    Borrow,
}

impl<I: Instrument> Local<'_, I> {
    /// What a look-up in the cache gave.
    #[inline(always)]
    pub(super) fn of_loan(loan: Option<Loan>, member: usize) -> Self {
        match loan {
            Some(Loan::Cached(found)) => Self::borrowed(found, member, Held::Cache),
            Some(Loan::Owned(series)) => Self::owned(super::member_handle(series, member)),
            None => Self::detached(),
        }
    }

    /// An instrument that records nowhere.
    #[inline(always)]
    pub(super) fn detached() -> Self {
        Self::owned(I::detached())
    }

    /// A series that `'a` keeps alive.
    #[inline(always)]
    pub(super) fn of_series(series: &Series, member: usize) -> Self {
        let slot = series.lease().map_or(Slot::UNREGISTERED, Lease::slot);
        Self::borrowed(Found { slot, series }, member, Held::Borrow)
    }

    fn owned(instrument: I) -> Self {
        Local { instrument: ManuallyDrop::new(instrument), held: Held::Instrument, borrows: PhantomData }
    }

    #[inline(always)]
    fn borrowed(found: Found, member: usize, held: Held) -> Self {
        // SAFETY: validity: the pointer came from an `Arc` that the cache, or what `'a` borrows, keeps alive as long as this
        // handle. Aliasing: a series is shared.
        let series = unsafe { &*found.series };
        // SAFETY: validity: as above; the count that this takes over is not its own, so it is never given back: the
        // instrument stands in a `ManuallyDrop`. Aliasing: an `Arc` is shared.
        let uncounted = unsafe { Arc::from_raw(found.series) };
        let owner = Owner::Series { series: uncounted, member };
        let instrument = ManuallyDrop::new(I::bind(Bound { series, slot: found.slot, member, owner }));
        Local { instrument, held, borrows: PhantomData }
    }
}

impl<I: Instrument> Deref for Local<'_, I> {
    type Target = I;

    #[inline(always)]
    fn deref(&self) -> &I {
        &self.instrument
    }
}

impl<I: Instrument> Drop for Local<'_, I> {
    #[inline(always)]
    fn drop(&mut self) {
        match self.held {
            Held::Cache => cache::give_back(),
            Held::Borrow => {}
            // SAFETY: validity: the instrument owns what it holds, and is not used again. Aliasing: `self` is exclusive.
            Held::Instrument => unsafe { ManuallyDrop::drop(&mut self.instrument) },
        }
    }
}

impl<I: Instrument + fmt::Debug> fmt::Debug for Local<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Local").field(&*self.instrument).finish()
    }
}
