//! Reading a registry for an encoder: one pass, nothing allocated in the steady state.

use super::exemplar::ExemplarView;
use crate::clock;
use crate::grid::Grid;
use crate::label::{Labels as _, Packed};
use crate::registry::{
    BUCKETS, Calls, FailureReason, Family, HelpText, Kept, Kind, LabelName, Poller, Polls, Reading, Registry, Scope,
    Series, Store, Sum, Timed,
};
use crate::self_metrics::{BUDGET_INFEASIBLE, COLLECTOR_ERRORS, SERIES_DROPPED};
use crate::sync::{Mutex, lock};
use crate::unit::Unit;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

/// What orders the scrapes of a registry.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Held from before the collectors are polled. A collector that reads the registry meanwhile does without it.
    turn: Mutex<()>,
    scratch: Mutex<Scratch>,
}

/// Memory that a scrape reuses; its lock is what the reading of a series relies on.
#[derive(Debug, Default)]
struct Scratch {
    cells: Vec<u64>,
    classic: Vec<u64>,
    native: Vec<(i32, u64)>,
    /// What this scrape has seen, and what was booked before it.
    calls: Calls,
    booked: Calls,
    exemplars: Vec<Kept>,
}

/// Receives what a registry holds. See [`Registry::visit`].
pub trait Visitor {
    /// A family begins; its series follow. Returning `false` skips them.
    fn family(&mut self, family: &FamilyView<'_>) -> bool;

    /// A series of the family that began last.
    fn series(&mut self, series: &SeriesView<'_>, sample: Sample<'_>);
}

/// A family, as a scrape sees it.
pub struct FamilyView<'a> {
    name: &'a str,
    help: HelpText<'a>,
    kind: Kind,
    unit: Option<Unit>,
    scope: &'a Scope,
    /// `None` for a family that is made up by the scrape.
    family: Option<&'a Family>,
    generation: u64,
}

impl FamilyView<'_> {
    /// The prefix of the registry; the exposed name is this and [`FamilyView::name`].
    pub fn prefix(&self) -> &str {
        &self.scope.prefix
    }

    /// The name without the prefix.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The help text; empty when the family was never described.
    pub fn help(&self) -> &str {
        &self.help
    }

    /// What the series are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The unit, from the description or from the name.
    pub fn unit(&self) -> Option<Unit> {
        self.unit
    }

    /// The finite `le` bounds of a histogram.
    pub fn classic_bounds(&self) -> &[f64] {
        self.family.and_then(|family| family.grid.as_deref()).map_or(&[], |grid| &grid.classic)
    }

    /// Changes when a name, a description, a constant label or the set of families does; what an encoder has rendered
    /// of families is good as long as it stays.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl<'a> FamilyView<'a> {
    /// A family of counters that nobody registered.
    fn made_up(scope: &'a Scope, generation: u64) -> Self {
        FamilyView {
            name: "",
            help: HelpText::Own(""),
            kind: Kind::Counter,
            unit: None,
            scope,
            family: None,
            generation,
        }
    }
}

impl fmt::Debug for FamilyView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FamilyView").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A series, as a scrape sees it.
pub struct SeriesView<'a> {
    labels: LabelsOf<'a>,
    member: usize,
    scope: &'a Scope,
    started: SystemTime,
}

#[derive(Clone, Copy)]
enum LabelsOf<'a> {
    Series(&'a Arc<Series>),
    Collected(&'a [LabelName], &'a Packed),
    MadeUp(&'a [(&'a str, &'a str)]),
}

impl<'a> SeriesView<'a> {
    /// The labels, constant ones first.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let constant = self.scope.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let (mut series, mut collected, mut made_up) = (None, None, None);
        match self.labels {
            LabelsOf::Series(own) => series = Some(own),
            LabelsOf::Collected(names, values) => collected = Some((names, values)),
            LabelsOf::MadeUp(labels) => made_up = Some(labels),
        }
        let member = self.member;
        let own = series.into_iter().flat_map(move |series| series.labels(member));
        let collected = collected.into_iter().flat_map(|(names, values)| {
            names.iter().enumerate().map(|(at, label)| (label.name.as_str(), values.get(at)))
        });
        constant.chain(own).chain(collected).chain(made_up.into_iter().flatten().copied())
    }

    /// When the series began, as the wall clock had it then. Setting the clock later does not move it. The beginning of
    /// 1970 where that is not known: of a collector's series and of those that the scrape makes up.
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// An identity for caches: equal to that of a series seen before only if it is the same. A series whose start is not
    /// known is not known again either.
    pub fn id(&self) -> SeriesId {
        match self.labels {
            LabelsOf::Series(series) => SeriesId { series: Some(Arc::clone(series)), member: self.member },
            LabelsOf::Collected(..) | LabelsOf::MadeUp(_) => SeriesId { series: None, member: self.member },
        }
    }

    /// Whether this is the series with that identity.
    pub fn is(&self, id: &SeriesId) -> bool {
        match (self.labels, &id.series) {
            (LabelsOf::Series(own), Some(other)) => Arc::ptr_eq(own, other) && id.member == self.member,
            _ => false,
        }
    }
}

impl fmt::Debug for SeriesView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.labels()).finish()
    }
}

/// See [`SeriesView::id`]. It keeps the memory of a removed series until it is dropped.
#[derive(Clone, Debug)]
pub struct SeriesId {
    series: Option<Arc<Series>>,
    member: usize,
}

/// The value of a series.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Sample<'a> {
    /// A counter.
    Counter(u64),
    /// A counter whose value is computed.
    FloatCounter(f64),
    /// An up-down counter.
    UpDownCounter(i64),
    /// A gauge.
    Gauge(f64),
    /// A histogram.
    Histogram(HistogramView<'a>),
}

/// A histogram, as a scrape sees it. All its counts are sums of the same cells, so they agree with each other.
#[derive(Clone, Copy)]
pub struct HistogramView<'a> {
    pub(super) grid: &'a Grid,
    pub(super) cells: &'a [u64],
    classic: &'a [u64],
    native: &'a [(i32, u64)],
    zero: u64,
    exemplars: &'a [Kept],
    pub(super) sum: HistogramSum,
    pub(super) count: u64,
    /// Where sections are timed with the histogram.
    pub(super) timed: Option<Timed>,
}

/// The sum of a histogram's observations, as exact as it was recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum HistogramSum {
    /// Nanoseconds; exposed in seconds.
    Nanoseconds(u128),
    /// Whole numbers.
    Integer(u128),
    /// Floats.
    Float(f64),
}

impl HistogramSum {
    /// The sum in the unit of the exposition.
    pub fn as_f64(self) -> f64 {
        match self {
            HistogramSum::Nanoseconds(nanos) => nanos as f64 / 1e9,
            HistogramSum::Integer(sum) => sum as f64,
            HistogramSum::Float(sum) => sum,
        }
    }
}

impl<'a> HistogramView<'a> {
    /// How many observations there are: the sum of all buckets.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum of the observations.
    pub fn sum(&self) -> HistogramSum {
        self.sum
    }

    /// The counts of the classic buckets, not cumulative: one for each bound of [`FamilyView::classic_bounds`], and
    /// `+Inf`.
    pub fn classic_counts(&self) -> &'a [u64] {
        self.classic
    }

    /// How many sections were begun that are timed with this histogram, whether they are sampled or not; `None` when none
    /// are.
    pub fn events(&self) -> Option<u64> {
        self.timed.map(|timed| timed.events)
    }

    /// How many of these were sampled, each for several; `None` when none are timed.
    pub fn samples(&self) -> Option<u64> {
        self.timed.map(|timed| timed.samples)
    }

    /// The native histogram, when the family has one.
    pub fn native(&self) -> Option<NativeView<'a>> {
        self.grid.native.map(|native| NativeView {
            schema: native.schema,
            zero_threshold: self.grid.zero_threshold(),
            zero_count: self.zero,
            buckets: self.native,
        })
    }

    /// The exemplars, by ascending value: one at most for each classic bucket, and none in a bucket that is empty.
    ///
    /// ```
    /// use inferometer::{FamilyView, Histogram, Registry, Sample, SeriesView, Visitor};
    ///
    /// struct TraceIds(Vec<String>);
    ///
    /// impl Visitor for TraceIds {
    ///     fn family(&mut self, _: &FamilyView<'_>) -> bool {
    ///         true
    ///     }
    ///
    ///     fn series(&mut self, _: &SeriesView<'_>, sample: Sample<'_>) {
    ///         if let Sample::Histogram(histogram) = sample {
    ///             let labels = histogram.exemplars().flat_map(|exemplar| exemplar.labels());
    ///             self.0.extend(labels.filter(|(name, _)| *name == "trace_id").map(|(_, id)| id.to_owned()));
    ///         }
    ///     }
    /// }
    ///
    /// let registry = Registry::new();
    /// let tokens: Histogram<u64> = registry.histogram("prompt_tokens", &[])?;
    /// tokens.record_with_exemplar(12, &[("trace_id", "a1")]);
    /// tokens.record_with_exemplar(3_000, &[("trace_id", "b2")]);
    /// let mut ids = TraceIds(Vec::new());
    /// registry.visit(&mut ids);
    /// assert_eq!(ids.0, ["a1", "b2"]);
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    pub fn exemplars(&self) -> impl Iterator<Item = ExemplarView<'a>> + use<'a> {
        let (grid, cells) = (self.grid, self.cells);
        // A record may have come before the series was started again, and its exemplar after.
        let counted = |kept: &&Kept| cells.get(kept.bucket).is_some_and(|&count| count > 0);
        self.exemplars.iter().filter(counted).map(move |kept| ExemplarView::new(kept, grid))
    }
}

impl fmt::Debug for HistogramView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistogramView").field("count", &self.count).field("sum", &self.sum).finish_non_exhaustive()
    }
}

/// A native histogram: `2^schema` buckets for each doubling.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NativeView<'a> {
    /// The resolution.
    pub schema: i8,
    /// The upper end of the zero bucket.
    pub zero_threshold: f64,
    /// How many observations are in the zero bucket.
    pub zero_count: u64,
    /// The buckets that are not empty, by ascending index, with their counts.
    pub buckets: &'a [(i32, u64)],
}

impl Registry {
    /// Reads everything and hands it to `visitor`, family by family in the order of registration. Series that are
    /// removed are left out.
    ///
    /// Visits of one registry happen one after the other, in the order in which they begin. Nothing that a record or a
    /// registration needs is locked meanwhile. After the first visit nothing is allocated, unless series were added or
    /// there are collectors.
    ///
    /// Collectors are polled first, side by side, each for no longer than its timeout. The families of one that has no
    /// values are without series.
    pub fn visit(&self, visitor: &mut dyn Visitor) {
        let reader = self.reader();
        let collectors = self.collectors();
        let (mut _turn, mut polls) = (None, Polls::default());
        if !collectors.is_empty() && !Polls::are_under_way_here() {
            _turn = Some(lock(&reader.turn));
            polls = Polls::of(&collectors);
        }
        let mut scratch = lock(&reader.scratch);
        clock::check();
        scratch.calls = self.retired_calls();
        let (generation, families, scope) = self.moment();
        for family in families.iter() {
            family.sweep();
            let description = family.description.get();
            let view = FamilyView {
                name: &family.name,
                help: family.help(),
                kind: family.kind,
                unit: description.and_then(|description| description.unit).or(Unit::from_name(&family.name)),
                scope: &scope,
                family: Some(family),
                generation,
            };
            if visitor.family(&view) {
                for series in family.series().iter() {
                    visit_series(series, &scope, &mut scratch, visitor);
                }
                visit_collected(family, &polls, &scope, visitor);
            }
            if let Some(companions) = family.companions() {
                let events = "Sections begun that are timed with this histogram, whether they are sampled or not.";
                let samples = "Sections that were sampled for this histogram.";
                let mut visit = |name: &str, help, count: fn(&Timed) -> u64| {
                    if families.iter().any(|family| family.name == name) {
                        return; // the user's own goes before
                    }
                    let view =
                        FamilyView { name, help: HelpText::Own(help), ..FamilyView::made_up(&scope, generation) };
                    if visitor.family(&view) {
                        for series in family.series().iter() {
                            visit_timed(series, &scope, count, visitor);
                        }
                    }
                };
                visit(&companions.events, events, |timed| timed.events);
                visit(&companions.samples, samples, |timed| timed.samples);
            }
        }
        let Scratch { calls, booked, .. } = &mut *scratch;
        calls.book(booked);
        visit_collector_errors(&collectors, &scope, generation, visitor);
        let (infeasible, refusing) = (infeasible(&families), families.iter().any(|family| family.refuses()));
        // Both or neither: who remembers families by their places must not find the one where the other was.
        if refusing || !infeasible.is_empty() {
            visit_infeasible(&infeasible, &scope, generation, visitor);
            visit_refusals(&families, &scope, generation, visitor);
        }
    }
}

fn visit_series(series: &Arc<Series>, scope: &Scope, scratch: &mut Scratch, visitor: &mut dyn Visitor) {
    let view = |member| SeriesView { labels: LabelsOf::Series(series), member, scope, started: series.started() };
    let kind = series.family.kind;
    match &series.store {
        Store::Gauges(gauges) => {
            if !series.is_hidden_after_look() {
                for (member, gauge) in gauges.iter().enumerate() {
                    visitor.series(&view(member), Sample::Gauge(f64::from_bits(gauge.load(Relaxed))));
                }
            }
        }
        Store::Function(value) => {
            // A panic in the user's function costs its series, not the scrape.
            let value = catch_unwind(AssertUnwindSafe(value)).unwrap_or(f64::NAN);
            if !value.is_nan() && !series.is_hidden() {
                let sample = if kind == Kind::Counter { Sample::FloatCounter(value) } else { Sample::Gauge(value) };
                visitor.series(&view(0), sample);
            }
        }
        Store::Cells(_) => {
            let Scratch { cells, classic, native, calls, exemplars, .. } = scratch;
            series.read_exemplars(exemplars);
            series.read_cells(cells, calls, |member, cells, sum, timed| {
                let sample = match (kind, series.family.grid.as_deref()) {
                    (Kind::Histogram, Some(grid)) => {
                        let buckets = &cells[BUCKETS..];
                        if is_past_counting(buckets) {
                            return;
                        }
                        let mut view = histogram_view(grid, buckets, sum, timed, classic, native);
                        view.exemplars = of_member(exemplars, member);
                        Sample::Histogram(view)
                    }
                    (Kind::UpDownCounter, _) => Sample::UpDownCounter(cells[1].wrapping_sub(cells[0]) as i64),
                    _ => Sample::Counter(cells[0]),
                };
                visitor.series(&view(member), sample);
            });
        }
    }
}

/// What a collector had for a family.
fn visit_collected(family: &Family, polls: &Polls, scope: &Scope, visitor: &mut dyn Visitor) {
    let Some(collected) = family.origin.as_ref().and_then(|origin| polls.get(origin)) else { return };
    family.refused.fetch_add(collected.refused, Relaxed);
    for (labels, &reading) in &collected.series {
        let labels = LabelsOf::Collected(&family.labels, labels);
        let sample = match reading {
            Reading::Counter(value) => Sample::Counter(value),
            Reading::FloatCounter(value) => Sample::FloatCounter(value),
            Reading::Gauge(value) => Sample::Gauge(value),
        };
        visitor.series(&SeriesView { labels, member: 0, scope, started: UNIX_EPOCH }, sample);
    }
}

/// What is counted of the sections that are timed with a series.
fn visit_timed(series: &Arc<Series>, scope: &Scope, count: fn(&Timed) -> u64, visitor: &mut dyn Visitor) {
    if series.is_hidden() {
        return;
    }
    for member in 0..series.family.width {
        let timed = series.timed(member).unwrap_or_default();
        let view = SeriesView { labels: LabelsOf::Series(series), member, scope, started: series.started() };
        visitor.series(&view, Sample::Counter(count(&timed)));
    }
}

/// Whether there are 2^63 observations or more. Their cumulative counts would not ascend, nor could native buckets tell
/// them by signed differences, and either costs readers the whole page. Only `record_n` gets there.
fn is_past_counting(buckets: &[u64]) -> bool {
    // Without a bit above these, not even the most buckets that there can be add up to so much.
    const SURE: u64 = u64::MAX >> 16;
    buckets.iter().fold(0, |all, count| all | count) > SURE
        && buckets.iter().map(|&count| u128::from(count)).sum::<u128>() > i64::MAX as u128
}

fn histogram_view<'a>(
    grid: &'a Grid,
    cells: &'a [u64],
    sum: Sum,
    timed: Option<Timed>,
    classic: &'a mut Vec<u64>,
    native: &'a mut Vec<(i32, u64)>,
) -> HistogramView<'a> {
    grid.fold_classic(cells, classic);
    // Room for all, so that nothing is allocated later, when more buckets are filled.
    native.clear();
    native.reserve(cells.len());
    let zero = grid.fold_native(cells, native);
    let sum = match sum {
        Sum::Float(sum) => HistogramSum::Float(sum),
        Sum::Integer(sum) if grid.domain == crate::grid::Domain::Nanoseconds => HistogramSum::Nanoseconds(sum),
        Sum::Integer(sum) => HistogramSum::Integer(sum),
        Sum::None => HistogramSum::Integer(0),
    };
    HistogramView { grid, cells, classic, native, zero, exemplars: &[], sum, count: classic.iter().sum(), timed }
}

/// Those of the exemplars, which stand by member, that are of this one.
fn of_member(exemplars: &[Kept], member: usize) -> &[Kept] {
    let start = exemplars.partition_point(|kept| kept.member < member);
    let own = exemplars[start..].partition_point(|kept| kept.member == member);
    &exemplars[start..][..own]
}

/// Series whose events come too fast for their budget. Allocates only where there are any.
fn infeasible(families: &[Arc<Family>]) -> Vec<String> {
    let mut names = Vec::new();
    for family in families.iter().filter(|family| family.companions().is_some()) {
        for series in family.series().iter() {
            let infeasible = |&member: &usize| series.timing().is_some_and(|timing| timing.is_infeasible(member));
            names.extend((0..family.width).filter(infeasible).map(|member| name_of(series, member)));
        }
    }
    names
}

fn visit_infeasible(names: &[String], scope: &Scope, generation: u64, visitor: &mut dyn Visitor) {
    let help = "Series whose events come too fast to be timed within the budget; the value is 1.";
    let view = FamilyView {
        name: BUDGET_INFEASIBLE,
        help: HelpText::Own(help),
        kind: Kind::Gauge,
        ..FamilyView::made_up(scope, generation)
    };
    if visitor.family(&view) {
        for name in names {
            let labels = [("series", name.as_str())];
            let labels = LabelsOf::MadeUp(&labels);
            let view = SeriesView { labels, member: 0, scope, started: UNIX_EPOCH };
            visitor.series(&view, Sample::Gauge(1.0));
        }
    }
}

/// A series as one writes it: `name{label="value"}`.
fn name_of(series: &Arc<Series>, member: usize) -> String {
    let labels = series.labels(member).map(|(name, value)| format!("{name}={value:?}"));
    match labels.collect::<Vec<_>>().join(",") {
        none if none.is_empty() => series.family.name.clone(),
        labels => format!("{}{{{labels}}}", series.family.name),
    }
}

/// How often the collectors had no values. Those that never failed are there too, so that a first failure is seen as
/// growth.
fn visit_collector_errors(collectors: &[Arc<Poller>], scope: &Scope, generation: u64, visitor: &mut dyn Visitor) {
    let help = "How often a collector had no values in a scrape, or had one for the same labels twice (duplicate).";
    let view =
        FamilyView { name: COLLECTOR_ERRORS, help: HelpText::Own(help), ..FamilyView::made_up(scope, generation) };
    if collectors.is_empty() || !visitor.family(&view) {
        return;
    }
    for collector in collectors {
        for reason in FailureReason::ALL {
            let labels = [("collector", collector.name()), ("reason", reason.as_str())];
            let labels = LabelsOf::MadeUp(&labels);
            let view = SeriesView { labels, member: 0, scope, started: UNIX_EPOCH };
            visitor.series(&view, Sample::Counter(collector.errors(reason)));
        }
    }
}

/// How many label sets each family has refused, for families that did.
fn visit_refusals(families: &[Arc<Family>], scope: &Scope, generation: u64, visitor: &mut dyn Visitor) {
    let help = "Values past their family's limit: of records, that went to the series called other, and of collectors.";
    let view = FamilyView { name: SERIES_DROPPED, help: HelpText::Own(help), ..FamilyView::made_up(scope, generation) };
    if visitor.family(&view) {
        for family in families.iter().filter(|family| family.refuses()) {
            let labels = [("family", family.name.as_str())];
            let labels = LabelsOf::MadeUp(&labels);
            let view = SeriesView { labels, member: 0, scope, started: UNIX_EPOCH };
            visitor.series(&view, Sample::Counter(family.refused.load(Relaxed)));
        }
    }
}
