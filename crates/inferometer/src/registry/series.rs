//! A series: its labels, its cells, and what a scrape must remember about it.

use super::Kind;
use super::account::Calls;
use super::exemplars::{Exemplars, Kept, Observed};
use super::family::{Family, LabelSource};
use super::memory::{SERIES, SERIES_BYTES};
use super::timing::{self, Timing};
use crate::clock;
use crate::label::{Labels as _, Packed};
use crate::sampling::block::events_between;
use crate::storage::{Baseline, Lease, OnceBox, POOL, Shape, Slot};
use crate::sync::{Mutex, MutexGuard, lock};
use crossbeam_utils::CachePadded;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::{SystemTime, UNIX_EPOCH};

/// The series of one tuple of open label values: one for each combination of the closed labels, side by side.
///
/// Whoever can record into a series holds an `Arc` of it, or pins one for ever. When the last one goes, the lease
/// returns the cells.
pub(crate) struct Series {
    pub(crate) family: Arc<Family>,
    /// Its open labels' values, in the order of the family's names; where the series have names of their own, these too.
    pub(crate) texts: Packed,
    pub(crate) store: Store,
    /// Of histograms.
    exemplars: Exemplars,
    /// When the series began, in milliseconds since 1970.
    started: AtomicU64,
    /// Whether `life` says anything. A scrape takes no lock for a counter that was never removed nor reused.
    eventful: AtomicBool,
    life: OnceBox<Mutex<Life>>,
    /// Of a histogram with which sections are timed.
    timing: OnceBox<Timing>,
}

/// Where the values are.
pub(crate) enum Store {
    /// In the slabs.
    Cells(Lease),
    /// Gauges: the bits of floats, written by all threads, each on its own cache line.
    Gauges(Box<[CachePadded<AtomicU64>]>),
    /// Computed when the series is read.
    Function(Box<dyn Fn() -> f64 + Send + Sync>),
}

/// What happened to a series.
#[derive(Debug, Default)]
pub(crate) struct Life {
    /// What the cells held when the series began.
    baseline: Baseline,
    /// The fingerprint of the values when the series was removed. It is listed again when they change.
    hidden_at: Option<u64>,
    /// For each histogram, the sum as far as it was followed.
    sums: Vec<WideSum>,
    /// For each counter, what [`Counter::absolute`](crate::Counter::absolute) has added to the cells.
    raised: Vec<u64>,
    /// For each member of a histogram with which sections are timed, what was counted.
    timed: Vec<Timed>,
}

/// What was counted in the sections that are timed with a histogram, since the series began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timed {
    /// How many sections there were.
    pub(crate) events: u64,
    /// How many of them were timed.
    pub(crate) samples: u64,
    /// What the cells said when the events were followed last, modulo 2^44.
    events_seen: u64,
    /// What the cells said when the series began.
    samples_before: u64,
    epoch: usize,
}

impl Timed {
    fn follow(&mut self, timing: &Timing, member: usize) {
        if self.epoch != timing.epoch() {
            *self = Timed { epoch: timing.epoch(), ..Timed::default() };
        }
        let totals = timing.totals(member);
        self.events += events_between(self.events_seen, totals.events);
        self.events_seen = totals.events;
        self.samples = totals.samples.wrapping_sub(self.samples_before);
    }

    /// From zero again.
    fn restart(&mut self) {
        self.samples_before = self.samples_before.wrapping_add(self.samples);
        (self.events, self.samples) = (0, 0);
    }
}

impl Life {
    /// What was counted in the sections that are timed with a member, up to now.
    fn timed(&mut self, timing: &Timing, member: usize, width: usize) -> Timed {
        self.timed.resize(width, Timed::default());
        self.timed[member].follow(timing, member);
        self.timed[member]
    }
}

/// A sum that outgrows 64 bits: a u64 of nanoseconds wraps after some weeks of a thousand concurrent requests.
#[derive(Clone, Copy, Debug, Default)]
struct WideSum {
    low: u64,
    wraps: u64,
    epoch: usize,
}

impl WideSum {
    /// Follows the wrapping sum to its present value. Right as long as it grows by less than 2^64 between two reads.
    fn follow(&mut self, low: u64, epoch: usize) -> u128 {
        if self.epoch != epoch {
            *self = WideSum { low: 0, wraps: 0, epoch };
        }
        self.wraps += u64::from(low < self.low);
        self.low = low;
        u128::from(self.wraps) << 64 | u128::from(low)
    }
}

impl Series {
    pub(crate) fn new(family: Arc<Family>, texts: Packed, store: Store, baseline: Baseline) -> Self {
        let exemplars = Exemplars::new(if family.kind == Kind::Histogram { family.width } else { 0 });
        let eventful = !baseline.is_empty();
        let life = OnceBox::new();
        if eventful {
            life.get_or_set(Box::new(Mutex::new(Life { baseline, ..Life::default() })));
        }
        let series = Series {
            family,
            texts,
            store,
            exemplars,
            started: AtomicU64::new(now_millis()),
            eventful: AtomicBool::new(eventful),
            life,
            timing: OnceBox::new(),
        };
        SERIES.add(series.family.width);
        SERIES_BYTES.add(series.bytes());
        series
    }

    /// How much memory it takes, but for its cells and exemplars.
    fn bytes(&self) -> usize {
        let gauges = if let Store::Gauges(gauges) = &self.store { size_of_val(&**gauges) } else { 0 };
        size_of::<Self>() + self.texts.bytes() + gauges
    }

    /// The sampling, when sections are timed with this series.
    #[inline(always)]
    pub(crate) fn timing(&self) -> Option<&Timing> {
        self.timing.get()
    }

    /// The same, begun if need be. `None` when there is no room for its cells.
    pub(crate) fn begin_timing(&self) -> Option<&Timing> {
        let timing = match self.timing() {
            Some(timing) => timing,
            None => {
                let shape = Shape { cells: u32::try_from(timing::cells(self.family.width)).ok()?, float_every: 0 };
                let lease = POOL.lease_zeroed(shape).ok()?;
                let timing = Box::new(Timing::new(&self.family, self.slot()?, lease)?);
                let timing = self.timing.get_or_set(timing);
                self.family.begin_timing();
                timing
            }
        };
        timing.set_sampling(self.family.sampling()); // it may have been changed meanwhile
        Some(timing)
    }

    /// What was counted in the sections that are timed with a member. Only one scrape of a registry may be in here at a
    /// time.
    pub(crate) fn timed(&self, member: usize) -> Option<Timed> {
        let timing = self.timing()?;
        Some(self.life().timed(timing, member, self.family.width))
    }

    /// The first cell, of a series that is in the slabs.
    pub(crate) fn slot(&self) -> Option<Slot> {
        match &self.store {
            Store::Cells(lease) => Some(lease.slot()),
            _ => None,
        }
    }

    /// The shared cell of gauge `member`.
    pub(crate) fn gauge(&self, member: usize) -> Option<&AtomicU64> {
        match &self.store {
            Store::Gauges(gauges) => gauges.get(member).map(|padded| &**padded),
            _ => None,
        }
    }

    pub(crate) fn started(&self) -> SystemTime {
        UNIX_EPOCH + std::time::Duration::from_millis(self.started.load(Relaxed))
    }

    /// The names and values of the labels of a member.
    pub(crate) fn labels(&self, member: usize) -> impl Iterator<Item = (&str, &str)> {
        let own = if self.family.has_own_names { self.texts.len() / 2 } else { 0 };
        let own = (0..own).map(|at| (self.texts.get(2 * at), self.texts.get(2 * at + 1)));
        let family = self.family.labels.iter();
        own.chain(family.map(move |label| (label.name.as_str(), self.label_value(label.source, member))))
    }

    fn label_value(&self, source: LabelSource, member: usize) -> &str {
        match source {
            LabelSource::Open(at) => self.texts.get(at),
            LabelSource::Closed { step, size, field, text } => text(field, member / step % size),
        }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        lock(self.mutex())
    }

    /// The lock of what happened to the series. A fork takes it whether or not anything did: else a scrape could make it
    /// and lock it at that moment, and in the child it would stay locked.
    pub(super) fn mutex(&self) -> &Mutex<Life> {
        self.life.get().unwrap_or_else(|| self.life.get_or_set(Box::default()))
    }

    /// Takes the series out of the exposition until its values change.
    pub(crate) fn hide(&self) {
        let mut life = self.life();
        life.hidden_at = Some(self.fingerprint(&life));
        self.eventful.store(true, Release);
    }

    /// Lists a hidden series again, from zero on: somebody asked for its labels anew while an old handle was still
    /// alive.
    pub(crate) fn restart_if_hidden(&self) {
        if !self.eventful.load(Acquire) {
            return;
        }
        let mut life = self.life();
        if life.hidden_at.take().is_some() {
            if let Store::Cells(lease) = &self.store {
                life.baseline = lease.mark();
            }
            life.sums.clear();
            life.raised.clear();
            if let Some(timing) = self.timing() {
                for member in 0..self.family.width {
                    life.timed(timing, member, self.family.width);
                    life.timed[member].restart();
                }
            }
            self.exemplars.forget();
            self.started.store(now_millis(), Relaxed);
        }
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.eventful.load(Acquire) && self.life().hidden_at.is_some()
    }

    /// The same for a scrape, which lists the series again when its values have changed.
    pub(crate) fn is_hidden_after_look(&self) -> bool {
        if !self.eventful.load(Acquire) {
            return false;
        }
        let mut life = self.life();
        if life.hidden_at.is_some_and(|at| at != self.fingerprint(&life)) {
            life.hidden_at = None;
        }
        life.hidden_at.is_some()
    }

    /// Changes whenever a value does, but for chance.
    fn fingerprint(&self, life: &Life) -> u64 {
        let mix = |sum: u64, value: u64| (sum ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
        match &self.store {
            Store::Cells(lease) => {
                let cells = (0..lease.cells()).map(|at| lease.total(at));
                life.raised.iter().copied().chain(cells).fold(0, mix)
            }
            Store::Gauges(gauges) => gauges.iter().map(|gauge| gauge.load(Relaxed)).fold(0, mix),
            Store::Function(_) => 0,
        }
    }

    /// Reads all cells into `cells`, and hands them to `each` for every member, with its sum when it is a histogram.
    /// Does nothing while the series is hidden. Only one scrape of a registry may be in here at a time.
    pub(crate) fn read_cells(
        &self,
        cells: &mut Vec<u64>,
        calls: &mut Calls,
        mut each: impl FnMut(usize, &[u64], Sum, Option<Timed>),
    ) {
        let Store::Cells(lease) = &self.store else { return };
        cells.clear();
        cells.resize(lease.cells(), 0);
        let histogram = self.family.grid.as_deref();
        let eventful = self.eventful.load(Acquire);
        if !eventful && histogram.is_none() {
            read_in_order(lease, cells);
            for (member, chunk) in cells.chunks_exact_mut(self.family.stride).enumerate() {
                calls.take_in(self.family.kind, chunk);
                each(member, chunk, Sum::None, None);
            }
            return;
        }
        if self.is_hidden_after_look() {
            return;
        }
        let mut life = self.life();
        if histogram.is_some() {
            lease.read(cells)
        } else {
            read_in_order(lease, cells)
        }
        life.baseline.subtract(lease, cells);
        let float_sums = histogram.is_some_and(|grid| grid.domain.has_float_sum());
        life.sums.resize(self.family.width, WideSum::default());
        for (member, chunk) in cells.chunks_exact_mut(self.family.stride).enumerate() {
            calls.take_in(self.family.kind, chunk);
            if let Some(raised) = life.raised.get(member) {
                chunk[0] = chunk[0].wrapping_add(*raised);
            }
            let sum = if float_sums {
                Sum::Float(life.baseline.total_f64(lease, member * self.family.stride))
            } else if histogram.is_some() {
                Sum::Integer(life.sums[member].follow(chunk[0], lease.epoch()))
            } else {
                Sum::None
            };
            let timed = self.timing().map(|timing| {
                calls.take_in_timing(timing, member);
                life.timed(timing, member, self.family.width)
            });
            each(member, chunk, sum, timed);
        }
    }

    /// Whether an exemplar of this observation of histogram `member` would be kept now. `position` is that of the key
    /// in the grid's table.
    #[cfg(feature = "tracing")]
    pub(crate) fn exemplar_is_due(&self, member: usize, position: u32, key: u64) -> bool {
        self.observed(member, position, key).is_some_and(|observed| self.exemplars.is_due(observed))
    }

    /// Keeps an exemplar of this observation, if one is due. The labels must be allowed.
    pub(crate) fn keep_exemplar(&self, member: usize, position: u32, key: u64, labels: &[(&str, &str)]) {
        if let Some(observed) = self.observed(member, position, key) {
            self.exemplars.keep(observed, labels);
        }
    }

    fn observed(&self, member: usize, position: u32, key: u64) -> Option<Observed<'_>> {
        let (Some(grid), Store::Cells(lease)) = (self.family.grid.as_deref(), &self.store) else { return None };
        Some(Observed { grid, epoch: lease.epoch(), member, bucket: grid.bucket(position, key), key })
    }

    /// Copies the exemplars of all members into `into`, by member and then by value. To be called before
    /// [`Series::read_cells`]: then the observation of each is counted there.
    pub(crate) fn read_exemplars(&self, into: &mut Vec<Kept>) {
        into.clear();
        if let (Some(grid), Store::Cells(lease)) = (self.family.grid.as_deref(), &self.store) {
            self.exemplars.read(grid, lease.epoch(), into);
        }
    }

    /// Raises counter `member` to at least `value`.
    pub(crate) fn raise_to(&self, member: usize, value: u64) {
        let Store::Cells(lease) = &self.store else { return };
        let mut life = self.life();
        let cell = member * self.family.stride;
        let counted = lease.total(cell).wrapping_sub(life.baseline.value(lease, cell));
        life.raised.resize(self.family.width, 0);
        life.raised[member] = life.raised[member].max(value.saturating_sub(counted));
        self.eventful.store(true, Release);
    }
}

/// The sum of a histogram's observations.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sum {
    None,
    Integer(u128),
    Float(f64),
}

/// Reads cell after cell, each over all threads. So an up-down counter's decrements, which come first, are all read
/// before its increments, and whoever was counted out has also been counted in.
fn read_in_order(lease: &Lease, cells: &mut [u64]) {
    for (at, value) in cells.iter_mut().enumerate() {
        *value = lease.total(at);
    }
}

fn now_millis() -> u64 {
    clock::since_1970().as_millis() as u64
}

// What a user's function may leave behind when it panics is its own affair; the values of other series are whole.
impl std::panic::UnwindSafe for Series {}
impl std::panic::RefUnwindSafe for Series {}

impl Series {
    /// How often users have called what records to this series.
    fn calls(&self) -> Calls {
        let mut calls = Calls::default();
        let Store::Cells(lease) = &self.store else { return calls };
        let mut cells = vec![0; lease.cells()];
        lease.read(&mut cells);
        if let Some(life) = self.life.get() {
            lock(life).baseline.subtract(lease, &mut cells);
        }
        for chunk in cells.chunks_exact(self.family.stride) {
            calls.take_in(self.family.kind, chunk);
        }
        if let Some(timing) = self.timing() {
            for member in 0..self.family.width {
                calls.take_in_timing(timing, member);
            }
        }
        calls
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        self.family.retire(self.calls());
        SERIES.subtract(self.family.width);
        SERIES_BYTES.subtract(self.bytes());
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Series").field("family", &self.family.name).field("texts", &self.texts).finish_non_exhaustive()
    }
}
