//! Handles that borrow.

use super::private::Bound;
use super::{Instrument, Owner};
use crate::label::cache::{self, Held, Loan};
use crate::registry::Series;
use crate::storage::Slot;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr;

/// An instrument that was found by its labels, on loan: it stays on this thread, and should not be kept for long, since
/// a removed series is not given up while a loan is out. [`Deref`]s to the instrument; call `.handle()` on it for one
/// of your own, which is `Send` and may be kept.
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

impl<I: Instrument> Local<'_, I> {
    /// What a look-up in the cache gave.
    #[inline(always)]
    pub(super) fn of_loan(loan: Loan, member: usize) -> Self {
        // SAFETY: validity: null, or a series that is kept alive as `held` says, as long as this handle. Aliasing: a
        // series is shared.
        let instrument = match unsafe { loan.series.as_ref() } {
            Some(series) => {
                let owner = Owner::borrowed(loan.series, member);
                I::bind(Bound { series, slot: loan.slot, member, owner })
            }
            None => I::detached(),
        };
        Local { instrument: ManuallyDrop::new(instrument), held: loan.held, borrows: PhantomData }
    }

    /// An instrument that records nowhere.
    #[inline(always)]
    pub(super) fn detached() -> Self {
        Self::of_loan(Loan { slot: Slot::REFUSED, series: ptr::null(), held: Held::Others }, 0)
    }

    /// A series that `'a` keeps alive.
    #[inline(always)]
    pub(super) fn of_series(series: &Series, member: usize) -> Self {
        let slot = series.slot().unwrap_or(Slot::UNREGISTERED);
        Self::of_loan(Loan { slot, series, held: Held::Others }, member)
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
            Held::Others => {}
            // SAFETY: validity: the instrument owns what it holds, and is not used again. Aliasing: `self` is
            // exclusive.
            Held::Borrower => unsafe { ManuallyDrop::drop(&mut self.instrument) },
        }
    }
}

impl<I: Instrument + fmt::Debug> fmt::Debug for Local<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Local").field(&*self.instrument).finish()
    }
}
