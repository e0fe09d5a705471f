//! Timed sections.

use super::histogram::{Histogram, Observation, add_in};
use super::measured::measured;
use super::{calibration, owner};
use crate::clock;
use crate::registry::Series;
use crate::registry::timing::{BEFORE_LAST, BLOCK, COST, LAST, LAST_GAP, SAMPLES, STATE, Timing};
use crate::sampling::block::{self, Block};
use crate::sampling::budget::{Seen, SeriesState};
use crate::sampling::{self, Sampling, costs};
use crate::storage::{self, Cells, Slot};
use crate::sync::{AtomicU64, order};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;
use std::time::Duration;

/// Outside of a budget, one sample in this many measures what it costs.
const MEASURED: u64 = 4;

/// What the time of a section can be recorded as: a [`Duration`], or seconds as an `f64`.
pub trait Timed: Observation {
    /// The observation of a number of nanoseconds.
    #[doc(hidden)]
    fn from_nanos(nanos: u64) -> Self;
}

impl Timed for Duration {
    #[inline(always)]
    fn from_nanos(nanos: u64) -> Self {
        Duration::from_nanos(nanos)
    }
}

impl Timed for f64 {
    #[inline(always)]
    fn from_nanos(nanos: u64) -> Self {
        nanos as f64 / 1e9
    }
}

/// A section that is being timed, or only counted: see [`Histogram::start`].
///
/// It ends when it is stopped or dropped, on whichever thread. It keeps no handle or loan busy.
#[must_use = "the section ends when this is dropped"]
pub struct Timer<T: Timed = Duration> {
    drawn: Drawn,
    start: u64,
    sample: Packed,
    observes: PhantomData<fn(T)>,
}

/// The series of a section that was drawn, and in the lowest bit whether the timer owns a count of it. Null when the
/// section is only counted.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Drawn(*const Series);

impl Drawn {
    const NOT: Drawn = Drawn(ptr::null());
    /// A series is aligned to more than this.
    const OWNED: usize = 1;

    #[inline(always)]
    fn is_not(self) -> bool {
        self.0.is_null()
    }

    /// Not null unless this is [`Drawn::NOT`].
    fn series(self) -> *const Series {
        self.0.map_addr(|address| address & !Self::OWNED)
    }

    /// Gives up the count of the series, if the timer owns one.
    #[inline(always)]
    fn let_go(self) {
        if self.0.addr() & Self::OWNED != 0 {
            owner::release(self.series());
        }
    }
}

/// An event that was drawn: it is to be recorded, with the weight of its block.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Of the sampling.
    word: Slot,
    weight: u32,
    /// Whether it measures its own cost.
    is_measured: bool,
}

/// A [`Sample`] in one register: the slot of the word, the weight, and in units of 16 ticks what it has cost up to the
/// start of the section, if it measures that. A start that took longer than fits, some 50 us, was interrupted, or is the
/// first one of the process: it says nothing of what samples cost.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
struct Packed(u64);

const LEAD_BITS: u32 = 13;
const WEIGHT_BITS: u32 = 19;

impl Sample {
    #[inline(always)]
    fn pack(self, lead: u64) -> Packed {
        const MOST: u64 = (1 << LEAD_BITS) - 1;
        let lead = lead / 16 + 1;
        let lead = if self.is_measured && lead <= MOST { lead } else { 0 };
        Packed(u64::from(self.word.bits()) << 32 | u64::from(self.weight) << LEAD_BITS | lead)
    }
}

impl Packed {
    const NONE: Packed = Packed(0);

    /// The slot of the sampling's word.
    fn word(self) -> Slot {
        Slot::from_bits((self.0 >> 32) as u32)
    }

    fn weight(self) -> u32 {
        (self.0 >> LEAD_BITS) as u32 & ((1 << WEIGHT_BITS) - 1)
    }

    /// What it has cost up to the start of the section, in ticks.
    fn lead(self) -> Option<u64> {
        let lead = self.0 & ((1 << LEAD_BITS) - 1);
        // As much as was cut off on average.
        lead.checked_sub(1).map(|lead| lead * 16 + 8)
    }

    /// Records an observation, and books what the sample has cost: from `since` on if it measures that.
    #[inline(always)]
    fn record<T: Observation>(self, timing: &Timing, value: T, since: u64) {
        let Some(state) = storage::touch(timing.state(self.word())) else { return };
        let end = || {
            // What samples cost is booked below, so that none of it is a call.
            let n = u64::from(self.weight());
            if let Some(cells) = storage::touch(timing.histogram(self.word())) {
                add_in::<T>(&timing.grid, cells, value.key(), n, n);
            }
            state.add(SAMPLES, 1);
            // As late as it can be, so that it sees all of that.
            self.lead().map(|lead| costs::SAMPLED.whole(lead + clock::ticks_between(since, clock::now())))
        };
        let cost = sampling::charge(end, &costs::SAMPLED.terms());
        state.add(COST, (cost * 1e3) as u64);
    }
}

thread_local! {
    /// The sample that was drawn last. A timer stays in registers, so that it costs nothing where nothing is drawn, if what
    /// is out of line fills it by way of two registers and this.
    static SAMPLE: Cell<Packed> = const { Cell::new(Packed::NONE) };
}

/// Where a section began. Returned in two registers.
#[repr(C)]
struct Begun {
    drawn: Drawn,
    start: u64,
}

impl Begun {
    const NOT: Begun = Begun { drawn: Drawn::NOT, start: 0 };
}

// SAFETY: what `drawn` points to is `Send` and `Sync`, as `Arc<Series>` is.
unsafe impl<T: Timed> Send for Timer<T> {}
// SAFETY: nothing can be done with a shared timer.
unsafe impl<T: Timed> Sync for Timer<T> {}

impl<T: Timed> Histogram<T> {
    /// Begins a section, whose time is recorded when the timer is stopped or dropped, if the section is one of those that
    /// are sampled: see [`Sampling`]. That is decided here, before the clock is read; a section that is not sampled costs
    /// about a nanosecond.
    ///
    /// ```
    /// use inferometer::{Histogram, Registry, Sampling};
    /// let registry = Registry::new();
    /// let forward: Histogram = registry.histogram("forward_seconds", &[])?;
    /// forward.set_sampling(Sampling::Always);
    /// let timer = forward.start();
    /// // ... the forward pass ...
    /// let took = timer.stop();
    /// assert!(took.is_some());
    /// assert_eq!(registry.snapshot().histogram("forward_seconds", &[]).unwrap().count(), 1);
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    #[inline(always)]
    pub fn start(&self) -> Timer<T> {
        let mut timer = Timer { drawn: Drawn::NOT, start: 0, sample: Packed::NONE, observes: PhantomData };
        if cfg!(inferometer_off) {
            return timer;
        }
        let slot = self.timing_slot();
        let chunk = storage::chunk(slot);
        if let Some(entered) = entered(chunk, slot) {
            let Begun { drawn, start } = self.begin(slot, chunk, entered, true);
            (timer.drawn, timer.start, timer.sample) = (drawn, start, SAMPLE.get());
        }
        timer
    }

    /// Runs `section` and times it, if it is one of those that are sampled. See [`time!`](crate::time), which also lets
    /// `return`, `?` and `.await` through.
    #[inline(always)]
    pub fn time<R>(&self, section: impl FnOnce() -> R) -> R {
        let timer = self.start();
        let result = section();
        timer.stop();
        result
    }
}

impl<T: Observation> Histogram<T> {
    /// Records what `value` returns, if this event is one of those that are sampled: see [`Sampling`]. Else `value` is not
    /// called. For values that cost something to find.
    ///
    /// ```
    /// use inferometer::{Histogram, Registry, Sampling};
    /// let registry = Registry::new();
    /// let entropy: Histogram<f64> = registry.histogram("entropy_ratio", &[])?;
    /// entropy.set_sampling(Sampling::EveryN(100));
    /// let probabilities = [0.5, 0.25, 0.25_f64];
    /// for _ in 0..1_000 {
    ///     entropy.record_with(|| probabilities.iter().map(|p| -p * p.log2()).sum());
    /// }
    /// let seen = registry.snapshot().histogram("entropy_ratio", &[]).unwrap();
    /// assert!(seen.count().abs_diff(1_000) < 100);
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    #[inline(always)]
    pub fn record_with(&self, value: impl FnOnce() -> T) {
        if cfg!(inferometer_off) {
            return;
        }
        let slot = self.timing_slot();
        let chunk = storage::chunk(slot);
        if let Some(entered) = entered(chunk, slot) {
            // The histogram outlives the call, so nothing needs to be kept.
            let Begun { drawn, start } = self.begin(slot, chunk, entered, false);
            if !drawn.is_not() {
                let sample = SAMPLE.get();
                end_with::<T>(drawn, start, sample, value());
            }
        }
    }

    /// Chooses which events are sampled, for all series of this histogram's family. Holds from the next block of each
    /// thread and series on.
    pub fn set_sampling(&self, sampling: Sampling) {
        if cfg!(inferometer_off) {
            return;
        }
        if let Some(series) = self.series() {
            series.family.set_sampling(sampling);
        }
    }

    /// Begins an event that was counted in `chunk` and drawn; or that is not counted yet, where that is null. (It is not to
    /// be looked up again: meanwhile somebody may have cleared the table.) Reads the clock, as the last thing before the
    /// section. `outlives` says whether the event may end after the histogram, and is to own a count of the series.
    ///
    /// All of a sample's start is in this one function: passing what it finds through memory would cost a tenth of it.
    ///
    /// What leads here is to stand apart from the sections that are only counted, whose code is then half as long: 120 bytes
    /// instead of 240. Hence cold; and by its calling convention it does not unwind, since a call that may is not taken for
    /// cold.
    #[cold]
    #[inline(never)]
    extern "C" fn begin(&self, slot: Slot, chunk: *const AtomicU64, entered: u64, outlives: bool) -> Begun {
        let drawn = if chunk.is_null() { self.drawn_first(entered) } else { self.take(chunk, slot, entered) };
        let Some(sample) = drawn else { return Begun::NOT };
        let Some(series) = self.known_series() else { return Begun::NOT };
        let counted = if outlives { self.counted() } else { ptr::null() };
        let drawn = if counted.is_null() { Drawn(series) } else { Drawn(counted.map_addr(|at| at | Drawn::OWNED)) };
        let start = clock::now();
        SAMPLE.set(sample.pack(clock::ticks_between(entered, start)));
        Begun { drawn, start }
    }

    /// For a histogram that was not timed before, and a thread that did not time anything near it.
    #[cold]
    #[inline(never)]
    fn drawn_first(&self, entered: u64) -> Option<Sample> {
        let Some(slot) = self.begin_timing() else {
            storage::drop_record();
            return None;
        };
        match storage::touch(slot)? {
            Cells::Own(chunk, _) => {
                calibration::ensure();
                let word = Cell::new(0);
                measured(&costs::SAMPLED.event, (chunk, slot), calibration::chunk(), |(chunk, slot)| {
                    word.set(count(chunk, slot));
                });
                if block::is_drawn(word.get()) { self.take(chunk, slot, entered) } else { None }
            }
            shared => {
                // A thread that is ending, or an allocator: the shared cells have no countdown. All events are taken,
                // which is right too.
                shared.add(0, 1);
                Some(Sample { word: slot, weight: 1, is_measured: false })
            }
        }
    }

    /// The step that comes once for each sample: draws the next one.
    #[inline(always)]
    fn take(&self, chunk: *const AtomicU64, slot: Slot, entered: u64) -> Option<Sample> {
        let random = sampling::draw();
        let is_measured = entered != UNMEASURED;
        let timing: &Timing = self.known_series()?.timing()?;
        let state = timing.state(slot).offset();
        let cell = |at: usize| storage::cell(chunk, state + at);
        let block = Block::from_bits(cell(BLOCK).load(order::CELL));
        // One after so many, not at random: the processor is to foresee it.
        let mut next_is_measured = cell(SAMPLES).load(order::CELL).is_multiple_of(MEASURED);
        let weight = match timing.sampling() {
            Sampling::Always => 1,
            Sampling::EveryN(n) => n,
            Sampling::Budget(share) => {
                // What they cost is planned with; the others only need it for the account.
                next_is_measured = true;
                // It may have been sampled in another way up to now.
                let entered = if is_measured { entered } else { clock::now() };
                let last = cell(LAST).load(order::CELL);
                let ticks = last.saturating_sub(cell(BEFORE_LAST).load(order::CELL));
                let events = cell(LAST_GAP).load(order::CELL) as u32;
                let seen = Seen { now: entered, ticks, events, weight: block.weight() };
                let mut series = SeriesState::from_bits(cell(STATE).load(order::CELL));
                let plan = sampling::plan(&mut series, seen, share as f32, &costs::SAMPLED.terms(), random);
                cell(STATE).store(series.to_bits(), order::CELL);
                if plan.infeasible {
                    timing.set_infeasible(slot);
                }
                cell(LAST).store(entered, order::CELL);
                cell(BEFORE_LAST).store(last, order::CELL);
                cell(LAST_GAP).store(u64::from(block.gap), order::CELL);
                plan.weight
            }
        };
        let word = storage::cell(chunk, slot.offset());
        let (next, counted) = block.next(word.load(order::CELL), weight, random);
        cell(BLOCK).store(next.to_bits(), order::CELL);
        word.store(if next_is_measured { counted } else { block::unmeasured(counted) }, order::CELL);
        Some(Sample { word: slot, weight: block.weight(), is_measured })
    }
}

/// For a sample that does not measure what it costs: it does not ask for the time.
const UNMEASURED: u64 = 0;

/// Counts an event in `chunk`. If this is the one that was drawn, or it cannot be counted here, returns when that began,
/// or [`UNMEASURED`].
///
/// The clock is read here, so that a sample sees how the code of its beginning is fetched.
#[inline(always)]
fn entered(chunk: *const AtomicU64, slot: Slot) -> Option<u64> {
    if chunk.is_null() {
        return Some(clock::now());
    }
    let word = count(chunk, slot);
    block::is_drawn(word).then(|| if block::is_measured(word) { clock::now() } else { UNMEASURED })
}

/// Counts an event in cells that are this thread's own.
#[inline(always)]
fn count(chunk: *const AtomicU64, slot: Slot) -> u64 {
    block::count(storage::cell(chunk, slot.offset()))
}

impl<T: Timed> Timer<T> {
    /// Ends the section. Returns its time if it was one of those that are sampled.
    #[inline(always)]
    pub fn stop(self) -> Option<Duration> {
        let timer = ManuallyDrop::new(self);
        if timer.drawn.is_not() {
            None
        } else {
            Some(Duration::from_nanos(end::<T>(timer.drawn, timer.start, timer.sample, clock::now())))
        }
    }

    /// Ends the section without recording its time. It is counted in `<name>_events_total` all the same.
    #[inline(always)]
    pub fn cancel(self) {
        ManuallyDrop::new(self).drawn.let_go();
    }
}

/// `now` is read by the caller: so the section does not contain how this code is fetched, and the sample sees it.
///
/// Cold as `begin` is. Returns the time in nanoseconds.
#[cold]
#[inline(never)]
extern "C" fn end<T: Timed>(drawn: Drawn, start: u64, sample: Packed, now: u64) -> u64 {
    let nanos = clock::nanos(clock::ticks_between(start, now));
    record(drawn, sample, T::from_nanos(nanos), now);
    drawn.let_go();
    nanos
}

/// Records the value of an event that was drawn, in a histogram that outlives the call.
#[cold]
#[inline(never)]
fn end_with<T: Observation>(drawn: Drawn, start: u64, sample: Packed, value: T) {
    record(drawn, sample, value, start);
}

#[inline(always)]
fn record<T: Observation>(drawn: Drawn, sample: Packed, value: T, since: u64) {
    // SAFETY: validity: null, or a series that is pinned, or of which the timer owns a count, or whose histogram outlives
    // the call. Aliasing: a series is shared.
    if let Some(timing) = unsafe { drawn.series().as_ref() }.and_then(Series::timing) {
        sample.record(timing, value, since);
    }
}

impl<T: Timed> Drop for Timer<T> {
    #[inline(always)]
    fn drop(&mut self) {
        if !self.drawn.is_not() {
            end::<T>(self.drawn, self.start, self.sample, clock::now());
        }
    }
}

impl<T: Timed> fmt::Debug for Timer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("sampled", &!self.drawn.is_not()).finish_non_exhaustive()
    }
}
