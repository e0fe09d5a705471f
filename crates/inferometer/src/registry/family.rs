//! A family: a name, its description, and its series by their labels.

use super::Kind;
use super::Shared;
use super::account::Calls;
use super::by_labels::ByLabels;
use super::collector::Origin;
use super::error::RegisterError;
use super::held::Held;
use super::list::SeriesList;
use super::series::{Series, Store};
use crate::grid::Grid;
use crate::label::{Labels, Packed};
use crate::sampling::Sampling;
use crate::storage::{OnceBox, POOL, Shape};
use crate::sync::{Mutex, OnceLock};
use crate::unit::Unit;
use crossbeam_utils::CachePadded;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// The value of a label that stands for all the values past a family's limit.
pub(crate) const OTHER: &str = "other";

/// A family of series of one kind under one name.
#[derive(Debug)]
pub(crate) struct Family {
    /// As exposed, without the registry's prefix.
    pub(crate) name: String,
    /// As registered; differs when it has dots.
    pub(crate) given_name: String,
    pub(crate) kind: Kind,
    pub(crate) description: OnceLock<Description>,
    pub(crate) labels: Box<[LabelName]>,
    /// Whether each series has its label names with it, because they differ: then its texts are names and values in
    /// turn, by name, and `labels` is empty.
    pub(crate) has_own_names: bool,
    /// How many combinations the closed labels have: so many members has each series.
    pub(crate) width: usize,
    /// How many cells each member has.
    pub(crate) stride: usize,
    pub(crate) grid: Option<Arc<Grid>>,
    /// Names this family in the thread-local caches of labels.
    pub(crate) tag: u32,
    /// How many series the family may have before further ones go to one called `other`.
    max_series: usize,
    shared: Arc<Shared>,
    /// As [`Sampling::to_bits`] says.
    sampling: AtomicU64,
    /// Since when sections are timed with this histogram.
    companions: OnceBox<Companions>,
    /// How often a label set was refused a series of its own.
    pub(crate) refused: AtomicU64,
    /// Of a family whose values a collector gives. It has no series of its own.
    pub(crate) origin: Option<Origin>,
    table: Mutex<Table>,
}

/// What the names of a timed histogram's companions end in.
const EVENTS_SUFFIX: &str = "_events_total";
const SAMPLES_SUFFIX: &str = "_samples_total";

/// A family's help text.
#[derive(Clone, Debug)]
pub(crate) enum HelpText<'a> {
    Own(&'a str),
    Noted(Arc<str>),
}

impl Deref for HelpText<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            HelpText::Own(text) => text,
            HelpText::Noted(text) => text,
        }
    }
}

/// What a family is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) help: String,
    pub(crate) unit: Option<Unit>,
}

/// What a histogram has besides itself when sections are timed with it.
#[derive(Debug)]
pub(crate) struct Companions {
    /// The names of the families that count events and samples.
    pub(crate) events: String,
    pub(crate) samples: String,
    /// What the help text says about the sampling.
    help: Mutex<Help>,
}

/// A help text with what is said about the sampling.
#[derive(Debug, Default)]
struct Help {
    /// The sampling, and whether there was a description.
    made_of: Option<(u64, bool)>,
    /// `None` where nothing is to be said.
    text: Option<Arc<str>>,
}

/// A label's name, and where its values come from.
#[derive(Clone, Debug)]
pub(crate) struct LabelName {
    pub(crate) name: String,
    pub(crate) source: LabelSource,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum LabelSource {
    /// The open label at this place among a series' open labels.
    Open(usize),
    /// A closed set: the member's number divided by `step`, modulo `size`, is the index of the value.
    Closed { step: usize, size: usize, field: usize, text: fn(usize, usize) -> &'static str },
}

/// The label names and values are equal when this is.
impl PartialEq for LabelName {
    fn eq(&self, other: &Self) -> bool {
        let shape = |label: &Self| match label.source {
            LabelSource::Open(at) => (true, at, 0),
            LabelSource::Closed { step, size, .. } => (false, step, size),
        };
        self.name == other.name && shape(self) == shape(other)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    by_labels: ByLabels,
    list: SeriesList,
    /// Whether there are removed series whose handles were still alive at the last look.
    removed: bool,
    /// Of a family whose series have their own label names.
    names: OwnNames,
}

/// The label names of a family whose series differ in them.
#[derive(Debug, Default)]
struct OwnNames {
    /// As exposed, and as given.
    known: Vec<(String, String)>,
    /// Those that the series called `other` has.
    other: Option<Vec<String>>,
}

/// Where the buckets of a histogram begin. Before them stand the sum, and what was counted in calls past one each.
pub(crate) const BUCKETS: usize = 2;
/// Where a histogram has the latter.
pub(crate) const EXCESS: usize = 1;

/// What a new family is to be.
pub(crate) struct Design {
    pub(crate) name: String,
    pub(crate) given_name: String,
    pub(crate) kind: Kind,
    pub(crate) labels: Box<[LabelName]>,
    pub(crate) has_own_names: bool,
    pub(crate) width: usize,
    pub(crate) grid: Option<Arc<Grid>>,
    pub(crate) max_series: usize,
    /// Given when sections are timed from the start.
    pub(crate) sampling: Option<Sampling>,
    /// Given when a collector has the values.
    pub(crate) origin: Option<Origin>,
}

impl Table {
    /// The series now listed, in the order of their creation.
    pub(crate) fn series(&self) -> SeriesList {
        self.list.clone()
    }
}

impl Family {
    pub(crate) fn new(design: Design, shared: Arc<Shared>) -> Self {
        let stride = match (design.kind, &design.grid) {
            (Kind::Histogram, Some(grid)) => BUCKETS + grid.len(), // the sum, the excess, the buckets
            (Kind::UpDownCounter, _) => 3,                         // decrements, increments, the excess
            _ => 2,                                                // the value, the excess
        };
        let family = Family {
            name: design.name,
            given_name: design.given_name,
            kind: design.kind,
            description: OnceLock::new(),
            labels: design.labels,
            has_own_names: design.has_own_names,
            width: design.width,
            stride,
            grid: design.grid,
            tag: new_tag(),
            max_series: design.max_series,
            shared,
            sampling: AtomicU64::new(design.sampling.unwrap_or_default().to_bits()),
            companions: OnceBox::new(),
            refused: AtomicU64::new(0),
            origin: design.origin,
            table: Mutex::new(Table::default()),
        };
        if design.sampling.is_some() {
            family.begin_timing();
        }
        family
    }

    pub(crate) fn sampling(&self) -> Sampling {
        Sampling::from_bits(self.sampling.load(Relaxed))
    }

    /// For all series that there are, and for those to come.
    pub(crate) fn set_sampling(&self, sampling: Sampling) {
        self.sampling.store(sampling.to_bits(), Relaxed);
        for series in self.series().iter() {
            if let Some(timing) = series.timing() {
                timing.set_sampling(sampling);
            }
        }
        self.shared.changed(); // the help text has
    }

    /// What stands beside the histogram, when sections are timed with it.
    pub(crate) fn companions(&self) -> Option<&Companions> {
        self.companions.get()
    }

    /// From now on sections are timed with this histogram.
    pub(crate) fn begin_timing(&self) {
        if self.companions.get().is_none() {
            self.companions.get_or_set(Box::new(Companions {
                events: format!("{}{EVENTS_SUFFIX}", self.name),
                samples: format!("{}{SAMPLES_SUFFIX}", self.name),
                help: Mutex::default(),
            }));
            self.shared.changed();
        }
    }

    /// Takes in what was called of a series that goes.
    pub(super) fn retire(&self, calls: Calls) {
        self.shared.retired.take_in(calls);
    }

    /// The help text, with what is to be said about the sampling. Allocates when something has changed.
    pub(crate) fn help(&self) -> HelpText<'_> {
        let own = self.description.get().map_or("", |description| description.help.as_str());
        let Some(companions) = self.companions.get() else { return HelpText::Own(own) };
        let sampling = self.sampling.load(Relaxed);
        let made_of = Some((sampling, !own.is_empty()));
        let mut help = crate::sync::lock(&companions.help);
        if help.made_of != made_of {
            let note = Sampling::from_bits(sampling).note();
            *help = Help { made_of, text: note.map(|note| format!("{own} {note}").trim().into()) };
        }
        help.text.clone().map_or(HelpText::Own(own), HelpText::Noted)
    }

    /// Whether label sets were refused a series of their own.
    pub(crate) fn refuses(&self) -> bool {
        self.refused.load(Relaxed) > 0
    }

    /// How many of the labels are open.
    pub(crate) fn open_labels(&self) -> usize {
        self.labels.iter().filter(|label| matches!(label.source, LabelSource::Open(_))).count()
    }

    /// Whether series of this family have such a label.
    pub(crate) fn has_label(&self, name: &str) -> bool {
        self.labels.iter().any(|label| label.name == name)
            || (self.has_own_names && self.table().names.known.iter().any(|(known, _)| known == name))
    }

    /// The texts that tell a series with these labels, all of them open, from others of the family. A label that is
    /// missing is an empty one.
    pub(crate) fn key<'a>(&self, labels: &[ForeignLabel<'a>]) -> Result<Vec<&'a str>, RegisterError> {
        if !self.has_own_names {
            // Its names are as they were given.
            if let Some(label) = labels.iter().find(|label| label.given != label.name) {
                return Err(self.same_when_escaped(label.given, label.name));
            }
            let value = |name: &str| labels.iter().find(|label| label.name == name).map_or("", |label| label.value);
            return Ok(self.labels.iter().map(|label| value(&label.name)).collect());
        }
        let mut pairs: Vec<_> = labels.iter().filter(|label| !label.value.is_empty()).collect();
        pairs.sort_unstable_by_key(|label| label.name);
        let known = &mut self.table().names.known;
        for label in &pairs {
            match known.iter().find(|(name, _)| name == label.name) {
                Some((_, given)) if given != label.given => return Err(self.same_when_escaped(label.given, given)),
                Some(_) => {}
                // Names without end would be worse than two of them that are taken for one.
                None if known.len() >= self.max_series => {}
                None => known.push((label.name.to_owned(), label.given.to_owned())),
            }
        }
        Ok(pairs.into_iter().flat_map(|label| [label.name, label.value]).collect())
    }

    fn same_when_escaped(&self, label: &str, registered: &str) -> RegisterError {
        RegisterError::LabelSameWhenEscaped {
            name: self.given_name.clone(),
            label: label.to_owned(),
            registered: registered.to_owned(),
        }
    }

    pub(crate) fn table(&self) -> Held<'_, Table> {
        Held::by(&self.table)
    }

    #[cfg(unix)]
    pub(crate) fn mutex(&self) -> &Mutex<Table> {
        &self.table
    }

    /// The series now listed, in the order of their creation.
    pub(crate) fn series(&self) -> SeriesList {
        Held::aside(&self.table).series()
    }

    /// The series with these open labels, made if need be. Past the limit it is the one called `other`.
    pub(crate) fn get_or_create(self: &Arc<Self>, labels: &dyn Labels) -> Result<Arc<Series>, RegisterError> {
        let mut table = self.table();
        if let Some(series) = table.by_labels.get(labels) {
            let series = Arc::clone(series);
            if !series.is_hidden() {
                return Ok(series);
            }
            // The table and the list own one count each, and this look one.
            if Arc::strong_count(&series) > 3 {
                series.restart_if_hidden();
                return Ok(series);
            }
            self.drop_series(&mut table, &series);
        }
        let full = table.list.len() >= self.max_series;
        // The limit of the whole registry is not worth a series' failure: what is past it goes to `other` as well.
        if (full || self.shared.room.load(Relaxed) == 0) && labels.len() > 0 {
            self.refused.fetch_add(1, Relaxed);
            return self.other(&mut table, labels);
        }
        self.create(&mut table, labels, None)
    }

    /// A series whose value is computed.
    pub(crate) fn create_function(
        self: &Arc<Self>,
        labels: &dyn Labels,
        value: Box<dyn Fn() -> f64 + Send + Sync>,
    ) -> Result<(), RegisterError> {
        let mut table = self.table();
        if table.by_labels.get(labels).is_some() {
            return Err(RegisterError::Taken { name: self.name.clone() });
        }
        if self.shared.room.load(Relaxed) == 0 {
            return Err(RegisterError::TooManySeries);
        }
        self.create(&mut table, labels, Some(value)).map(drop)
    }

    /// Where everything goes that is past the limit.
    fn other(self: &Arc<Self>, table: &mut Table, labels: &dyn Labels) -> Result<Arc<Series>, RegisterError> {
        let names: Vec<String>;
        let texts = if self.has_own_names {
            // Always the same ones: there must not be as many series called `other` as there are sets of names.
            let own = || (0..labels.len()).step_by(2).map(|at| labels.get(at).to_owned()).collect();
            names = table.names.other.get_or_insert_with(own).clone();
            names.iter().flat_map(|name| [name, OTHER]).collect()
        } else {
            vec![OTHER; labels.len()]
        };
        let key: &dyn Labels = &SliceLabels(&texts);
        if let Some(series) = table.by_labels.get(key) {
            series.restart_if_hidden();
            return Ok(Arc::clone(series));
        }
        log::warn!(
            "metric {}: more than {} series; further label values are counted in one series called {OTHER:?}",
            self.name,
            table.list.len()
        );
        self.create(table, key, None)
    }

    fn create(
        self: &Arc<Self>,
        table: &mut Table,
        labels: &dyn Labels,
        function: Option<Box<dyn Fn() -> f64 + Send + Sync>>,
    ) -> Result<Arc<Series>, RegisterError> {
        let (store, baseline) = match (function, self.kind) {
            (Some(value), _) => (Store::Function(value), Default::default()),
            (None, Kind::Gauge) => {
                let gauges = (0..self.width).map(|_| CachePadded::new(AtomicU64::new(0))).collect();
                (Store::Gauges(gauges), Default::default())
            }
            (None, _) => {
                let float = self.grid.as_ref().is_some_and(|grid| grid.domain.has_float_sum());
                let cells = self.width.checked_mul(self.stride).and_then(|cells| u32::try_from(cells).ok());
                let shape = Shape {
                    cells: cells.ok_or(RegisterError::StorageFull)?,
                    float_every: if float { self.stride as u32 } else { 0 },
                };
                let (lease, baseline) = POOL.lease(shape).map_err(|_| RegisterError::StorageFull)?;
                (Store::Cells(lease), baseline)
            }
        };
        let series = Arc::new(Series::new(Arc::clone(self), Packed::new(labels), store, baseline));
        table.by_labels.insert(Arc::clone(&series));
        table.list.push(Arc::clone(&series));
        // Saturating: `other` series are made past the limit too.
        let _ = self.shared.room.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(1)));
        Ok(series)
    }

    /// Removes the series for which `remove` answers yes. A series whose handles are still alive is hidden instead,
    /// and dropped when they have gone.
    pub(crate) fn remove_where(&self, mut remove: impl FnMut(&Series) -> bool) -> usize {
        let mut table = self.table();
        let list = table.list.clone();
        let mut removed = 0;
        for series in list.iter().filter(|series| !series.is_hidden() && remove(series)) {
            series.hide();
            removed += 1;
        }
        drop(list);
        table.removed |= removed > 0;
        self.sweep_table(&mut table);
        removed
    }

    /// Drops removed series whose last handle has gone.
    pub(crate) fn sweep(&self) {
        let mut table = Held::aside(&self.table);
        if table.removed {
            self.sweep_table(&mut table);
        }
    }

    fn sweep_table(&self, table: &mut Table) {
        let gone: Vec<Arc<Series>> = {
            // Two owners and no third: the table and the list. New ones can come from the table only, whose lock is
            // held. A count that falls at this very moment is seen by the next sweep.
            let unowned = |series: &&Arc<Series>| Arc::strong_count(series) == 2 && series.is_hidden();
            table.list.iter().filter(unowned).cloned().collect()
        };
        for series in &gone {
            self.drop_series(table, series);
        }
        table.removed = table.list.iter().any(|series| series.is_hidden());
    }

    /// Lets go of all series, when the registry goes. Handles that are still alive go on recording, unseen.
    pub(crate) fn clear(&self) {
        let mut table = self.table();
        table.by_labels = ByLabels::default();
        table.list = SeriesList::default();
    }

    fn drop_series(&self, table: &mut Table, series: &Arc<Series>) {
        table.by_labels.remove(&series.texts);
        table.list.remove(series);
        let _ = self.shared.room.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_add(1)));
    }
}

/// A label that may have been given under another name than that which it is exposed under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForeignLabel<'a> {
    pub(crate) given: &'a str,
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
}

impl<'a> ForeignLabel<'a> {
    pub(crate) fn own(name: &'a str, value: &'a str) -> Self {
        ForeignLabel { given: name, name, value }
    }
}

/// A slice of label values as a sized type, so that it can be a trait object.
pub(crate) struct SliceLabels<'a>(pub(crate) &'a [&'a str]);

impl Labels for SliceLabels<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> &str {
        self.0[index]
    }
}

/// A number that names a family, or one order of its labels, in the thread-local caches. Never 0.
pub(crate) fn new_tag() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Relaxed)
}
