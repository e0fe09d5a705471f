//! One pass over a registry under a profile.

use super::cache::{FamilyText, Lines};
use super::dialect::{Buckets, Dialect, Exemplars, Head, Labels, Native, Sample, Shape, Value, with_sample};
use super::names::Names;
use super::taken::Taken;
use crate::profile::{Mapping, Part, Profile};
use inferometer::{FamilyView, HistogramSum, Kind, Registry, SeriesView, Unit, Visitor};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// The families of a profile's mappings.
#[derive(Debug)]
pub(super) struct Profiled {
    profile: Profile,
    generation: u64,
    /// One for each mapping.
    outputs: Vec<Output>,
    scratch: Scratch,
}

/// The family of a mapping.
#[derive(Debug, Default)]
struct Output {
    /// As it was when the registry was last read; valid for one generation of the registry.
    family: Option<FamilyText>,
    /// For each bucket of the source the one that it is exposed in.
    bucket_of: Vec<usize>,
    /// What this scrape writes of it.
    text: Vec<u8>,
    /// Series that several of the source are added up to, or that are sorted, by their labels.
    merged: BTreeMap<Vec<(String, String)>, Merged>,
}

#[derive(Debug, Default)]
struct Scratch {
    /// The mappings that read the family that is being read.
    active: Vec<Active>,
    /// The texts of a series.
    series: Vec<u8>,
    classic: Vec<u64>,
}

/// A mapping that reads the family that is being read.
#[derive(Debug)]
struct Active {
    /// Its place among the mappings.
    place: usize,
    /// Whether the family is the one that another is divided by.
    divides: bool,
    /// Where its own family has begun, if it has.
    begun: Option<usize>,
}

impl Profiled {
    pub(super) fn new(profile: Profile) -> Self {
        let outputs = profile.mappings().iter().map(|_| Output::default()).collect();
        Profiled { profile, generation: 0, outputs, scratch: Scratch::default() }
    }

    /// Appends the families that are wanted, in the order of the mappings.
    pub(super) fn encode<D: Dialect>(
        &mut self,
        (dialect, taken): (&D, &mut Taken),
        registry: &Registry,
        names: &Names,
        out: &mut Vec<u8>,
        limit: usize,
    ) {
        let Profiled { profile, generation, outputs, scratch } = self;
        let written = out.len();
        let mut pass = Pass { dialect, taken, profile, generation, outputs, scratch, names, limit, written };
        registry.visit(&mut pass);
        pass.end_family();
        pass.write_merged();
        for output in outputs {
            out.append(&mut output.text);
        }
    }
}

struct Pass<'a, D> {
    dialect: &'a D,
    taken: &'a mut Taken,
    profile: &'a Profile,
    generation: &'a mut u64,
    outputs: &'a mut [Output],
    scratch: &'a mut Scratch,
    names: &'a Names,
    limit: usize,
    /// How many bytes there are so far.
    written: usize,
}

impl<D: Dialect> Visitor for Pass<'_, D> {
    fn family(&mut self, view: &FamilyView<'_>) -> bool {
        self.end_family();
        if *self.generation != view.generation() {
            *self.generation = view.generation();
            for family in self.outputs.iter_mut().filter_map(|output| output.family.take()) {
                self.taken.release(family.claim());
            }
        }
        if self.written > self.limit {
            return false;
        }
        for &place in self.profile.readers(view.name()).unwrap_or_default() {
            let (mapping, output) = (&self.profile.mappings()[place], &mut self.outputs[place]);
            let reads = match mapping.part() {
                Part::Whole => true,
                Part::Sum | Part::Count => view.kind() == Kind::Histogram,
                Part::Ratio => view.kind() == Kind::Counter,
            };
            if reads && self.names.want(mapping.name()) && output.prepare(mapping, view, self.dialect, self.taken) {
                let divides = mapping.is_divisor(view.name());
                self.scratch.active.push(Active { place, divides, begun: None });
            }
        }
        !self.scratch.active.is_empty()
    }

    fn series(&mut self, view: &SeriesView<'_>, sample: inferometer::Sample<'_>) {
        let Scratch { active, series, classic } = &mut *self.scratch;
        for Active { place, divides, begun } in active {
            let (mapping, output) = (&self.profile.mappings()[*place], &mut self.outputs[*place]);
            let Output { family: Some(family), bucket_of, text, merged } = output else { continue };
            if self.written > self.limit || !mapping.wants(|| view.labels()) {
                continue;
            }
            let labels = MappedLabels { mapping, view };
            with_sample(view, sample, |sample| {
                with_mapped(mapping, bucket_of, classic, sample, |sample| {
                    if mapping.gathers() {
                        return merged.entry(labels.owned()).or_default().add(sample, *divides);
                    }
                    let before = text.len();
                    if begun.is_none() {
                        *begun = Some(before);
                        self.dialect.begin_family(family, text);
                    }
                    write(self.dialect, family, &labels, sample, series, (text, self.limit));
                    self.written += text.len() - before;
                });
            });
        }
    }
}

impl<D: Dialect> Pass<'_, D> {
    fn end_family(&mut self) {
        for Active { place, begun, .. } in self.scratch.active.drain(..) {
            let Output { family: Some(family), text, .. } = &mut self.outputs[place] else { continue };
            if let Some(start) = begun {
                self.dialect.end_family(family, start, text);
            }
        }
    }

    /// Writes the families whose series are added up, now that all have been seen.
    fn write_merged(&mut self) {
        for (mapping, output) in self.profile.mappings().iter().zip(&mut *self.outputs) {
            let merged = std::mem::take(&mut output.merged);
            let Output { family: Some(family), text, .. } = output else { continue };
            let start = text.len();
            for (labels, merged) in &merged {
                merged.with_sample(mapping.part(), |sample| {
                    if text.len() == start {
                        self.dialect.begin_family(family, text);
                    }
                    write(self.dialect, family, &**labels, sample, &mut self.scratch.series, (text, self.limit));
                });
            }
            if text.len() > start {
                self.dialect.end_family(family, start, text);
            }
        }
    }
}

impl Output {
    /// Makes sure that the family is what the registry says it is now, and says whether it can be exposed.
    fn prepare(&mut self, mapping: &Mapping, view: &FamilyView<'_>, dialect: &impl Dialect, taken: &mut Taken) -> bool {
        let has_help = !view.help().is_empty();
        if let Some(family) = self.family.take_if(|family| family.has_help() != has_help) {
            taken.release(family.claim());
        }
        let family = self.family.get_or_insert_with(|| {
            let head = head(mapping, view);
            self.bucket_of.clear();
            let mut bucket = 0;
            for &bound in view.classic_bounds() {
                self.bucket_of.push(bucket);
                bucket += usize::from(mapping.wants_bound(bound));
            }
            self.bucket_of.push(bucket);
            FamilyText::new(head, has_help, dialect, taken)
        });
        family.head().is_some()
    }
}

/// What a family is exposed as.
fn head(mapping: &Mapping, view: &FamilyView<'_>) -> Option<Head> {
    let source = Head::new(view)?;
    let shape = match (mapping.part(), mapping.is_gauge()) {
        (Part::Whole, _) if source.shape == Shape::Histogram => Shape::Histogram,
        (_, Some(true)) | (Part::Ratio, None) => Shape::Gauge,
        (_, Some(false)) | (Part::Sum | Part::Count, None) => Shape::Counter,
        (Part::Whole, None) => source.shape,
    };
    let bounds = source.bounds.iter().filter(|&&bound| mapping.wants_bound(bound));
    Some(Head {
        name: mapping.name().to_owned(),
        name_is_fixed: true,
        help: mapping.stated_help().map_or(source.help, str::to_owned),
        shape,
        unit: Unit::from_name(mapping.name()),
        bounds: bounds.map(|bound| bound * mapping.factor()).collect(),
    })
}

/// The labels of a series under a mapping.
struct MappedLabels<'a> {
    mapping: &'a Mapping,
    view: &'a SeriesView<'a>,
}

impl Labels for MappedLabels<'_> {
    fn each(&self, label: &mut dyn FnMut(&str, &str)) {
        let own = self.view.labels().filter_map(|(name, value)| self.mapping.label(name, value));
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in own.chain(self.mapping.added_labels()) {
            // Two labels of the source may have got one name. The first keeps it.
            if !seen.contains(&name) {
                seen.push(name);
                label(name, value);
            }
        }
    }
}

impl MappedLabels<'_> {
    fn owned(&self) -> Vec<(String, String)> {
        let mut owned = Vec::new();
        self.each(&mut |name, value| owned.push((name.to_owned(), value.to_owned())));
        owned
    }
}

impl Labels for [(String, String)] {
    fn each(&self, label: &mut dyn FnMut(&str, &str)) {
        self.iter().for_each(|(name, value)| label(name, value));
    }
}

/// Appends a series whose family has begun.
fn write<D: Dialect>(
    dialect: &D,
    family: &FamilyText,
    labels: &(impl Labels + ?Sized),
    sample: Sample<'_>,
    series: &mut Vec<u8>,
    (out, limit): (&mut Vec<u8>, usize),
) {
    let Some(head) = family.head() else { return };
    series.clear();
    let ends = dialect.series(head, labels, series);
    dialect.sample(family, Lines::new(series, ends), sample, out, limit);
}

/// Hands on a sample as its mapping exposes it.
fn with_mapped(
    mapping: &Mapping,
    bucket_of: &[usize],
    classic: &mut Vec<u64>,
    sample: Sample<'_>,
    then: impl FnOnce(Sample<'_>),
) {
    let factor = mapping.factor();
    let scaled = |value: f64| Value::Float(value * factor);
    let moved;
    let value = match (sample.value, mapping.part()) {
        (Value::Histogram(buckets), Part::Sum) => scaled(buckets.sum.as_f64()),
        (Value::Histogram(buckets), Part::Count) => Value::Unsigned(buckets.count),
        (Value::Histogram(buckets), _) => {
            classic.clear();
            classic.resize(bucket_of.last().map_or(1, |last| last + 1), 0);
            for (&count, &bucket) in buckets.classic.iter().zip(bucket_of) {
                classic[bucket] += count;
            }
            let as_it_is = factor == 1.0;
            moved = Buckets {
                classic,
                native: buckets.native.filter(|_| as_it_is),
                sum: if as_it_is { buckets.sum } else { HistogramSum::Float(buckets.sum.as_f64() * factor) },
                count: buckets.count,
                exemplars: if as_it_is { buckets.exemplars.moved(bucket_of) } else { Exemplars::default() },
            };
            Value::Histogram(&moved)
        }
        (value, _) if factor == 1.0 => value,
        (Value::Unsigned(value), _) => scaled(value as f64),
        (Value::Signed(value), _) => scaled(value as f64),
        (Value::Float(value), _) => scaled(value),
    };
    then(Sample { value, ..sample });
}

/// Several series as one.
#[derive(Debug, Default)]
struct Merged {
    started: Option<SystemTime>,
    /// Whole numbers are added up as such, so that none is lost.
    whole: i128,
    fraction: f64,
    divisor: f64,
    histogram: Option<MergedHistogram>,
}

#[derive(Debug)]
struct MergedHistogram {
    classic: Vec<u64>,
    /// Schema, zero threshold and the count in the zero bucket, of a native histogram.
    native: Option<(i8, f64, u64)>,
    native_buckets: BTreeMap<i32, u64>,
    sum: HistogramSum,
    count: u64,
}

impl Merged {
    fn add(&mut self, sample: Sample<'_>, divides: bool) {
        self.started = self.started.into_iter().chain(sample.started).min();
        match sample.value {
            Value::Unsigned(value) if divides => self.divisor += value as f64,
            Value::Signed(value) if divides => self.divisor += value as f64,
            Value::Float(value) if divides => self.divisor += value,
            Value::Unsigned(value) => self.whole += i128::from(value),
            Value::Signed(value) => self.whole += i128::from(value),
            Value::Float(value) => self.fraction += value,
            Value::Histogram(buckets) => match &mut self.histogram {
                Some(histogram) => histogram.add(buckets),
                None => self.histogram = Some(MergedHistogram::from(buckets)),
            },
        }
    }

    fn with_sample(&self, part: Part, then: impl FnOnce(Sample<'_>)) {
        let (native_buckets, buckets);
        let value = match &self.histogram {
            // No format can tell so many.
            Some(histogram) if i64::try_from(histogram.count).is_err() => return,
            Some(histogram) => {
                native_buckets =
                    histogram.native_buckets.iter().map(|(&index, &count)| (index, count)).collect::<Vec<_>>();
                buckets = Buckets {
                    classic: &histogram.classic,
                    native: histogram.native.map(|(schema, zero_threshold, zero_count)| Native {
                        schema,
                        zero_threshold,
                        zero_count,
                        buckets: &native_buckets,
                    }),
                    sum: histogram.sum,
                    count: histogram.count,
                    exemplars: Exemplars::default(),
                };
                Value::Histogram(&buckets)
            }
            None if part == Part::Ratio && self.divisor == 0.0 => return,
            None if part == Part::Ratio => Value::Float((self.whole as f64 + self.fraction) / self.divisor),
            None if self.fraction == 0.0 => match (u64::try_from(self.whole), i64::try_from(self.whole)) {
                (Ok(value), _) => Value::Unsigned(value),
                (_, Ok(value)) => Value::Signed(value),
                _ => Value::Float(self.whole as f64),
            },
            None => Value::Float(self.whole as f64 + self.fraction),
        };
        then(Sample { started: self.started, value });
    }
}

impl From<&Buckets<'_>> for MergedHistogram {
    fn from(buckets: &Buckets<'_>) -> Self {
        MergedHistogram {
            classic: buckets.classic.to_vec(),
            native: buckets.native.map(|native| (native.schema, native.zero_threshold, native.zero_count)),
            native_buckets: buckets.native.into_iter().flat_map(|native| native.buckets).copied().collect(),
            sum: buckets.sum,
            count: buckets.count,
        }
    }
}

impl MergedHistogram {
    /// Adds another histogram of the same family, which has the same bounds.
    fn add(&mut self, buckets: &Buckets<'_>) {
        for (sum, count) in self.classic.iter_mut().zip(buckets.classic) {
            *sum = sum.saturating_add(*count);
        }
        if let (Some((.., zero_count)), Some(native)) = (&mut self.native, buckets.native) {
            *zero_count = zero_count.saturating_add(native.zero_count);
            for &(index, count) in native.buckets {
                let sum = self.native_buckets.entry(index).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        self.sum = match (self.sum, buckets.sum) {
            (HistogramSum::Nanoseconds(a), HistogramSum::Nanoseconds(b)) => HistogramSum::Nanoseconds(a + b),
            (HistogramSum::Integer(a), HistogramSum::Integer(b)) => HistogramSum::Integer(a + b),
            (a, b) => HistogramSum::Float(a.as_f64() + b.as_f64()),
        };
        self.count = self.count.saturating_add(buckets.count);
    }
}
