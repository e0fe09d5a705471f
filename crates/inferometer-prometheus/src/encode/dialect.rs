//! What the formats differ in.

use super::cache::{FamilyText, Lines};
use inferometer::{ExemplarView, FamilyView, HistogramSum, HistogramView, Kind, SeriesView, Unit};
use std::time::{SystemTime, UNIX_EPOCH};

/// How a format writes families and series.
pub(crate) trait Dialect {
    /// The families and samples whose names this one takes: no other family may have them. `None` if the format has no
    /// such name for what the family is.
    fn names(&self, head: &Head) -> Option<Vec<String>>;

    /// Appends what stands before the first series of a family.
    fn header(&self, head: &Head, out: &mut Vec<u8>);

    /// Appends what a bucket has after the text of its series, up to the count; infinity for the last one.
    fn bound(&self, bound: f64, out: &mut Vec<u8>);

    /// Appends what a series has before its numbers, and says where each part of it ends.
    fn series(&self, head: &Head, labels: &(impl Labels + ?Sized), out: &mut Vec<u8>) -> PartEnds;

    /// A family begins: its first series follows.
    fn begin_family(&self, family: &FamilyText, out: &mut Vec<u8>) {
        out.extend_from_slice(&family.header);
    }

    /// A series with its value. Stops early when `out` is past `limit`.
    fn sample(&self, family: &FamilyText, lines: Lines<'_>, sample: Sample<'_>, out: &mut Vec<u8>, limit: usize);

    /// The last series of a family that began at `start` has been given.
    fn end_family(&self, _family: &FamilyText, _start: usize, _out: &mut Vec<u8>) {}

    /// All families have been given.
    fn end(&self, _out: &mut Vec<u8>) {}
}

/// Where the parts of a series' text end; each begins where the one before it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartEnds {
    pub(super) line: usize,
    pub(super) sum: usize,
    pub(super) count: usize,
}

/// What a family is exposed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Counter,
    Gauge,
    Histogram,
    /// A value that the format cannot tell the kind of, because another family has the name that its kind demands.
    Unknown,
}

/// A family as it is exposed.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(super) name: String,
    /// Whether it must be called just so, and no suffix that a format wants may be added.
    pub(super) name_is_fixed: bool,
    pub(super) help: String,
    pub(super) shape: Shape,
    pub(super) unit: Option<Unit>,
    /// The finite upper bounds of a histogram's classic buckets; none where it has native buckets alone.
    pub(super) bounds: Vec<f64>,
}

impl Head {
    /// A family under its own name; `None` for a kind that this crate does not know.
    pub(super) fn new(view: &FamilyView<'_>) -> Option<Self> {
        let shape = match view.kind() {
            Kind::Counter => Shape::Counter,
            Kind::Gauge | Kind::UpDownCounter => Shape::Gauge,
            Kind::Histogram => Shape::Histogram,
            _ => return None,
        };
        Some(Head {
            name: format!("{}{}", view.prefix(), view.name()),
            name_is_fixed: false,
            help: view.help().to_owned(),
            shape,
            unit: view.unit(),
            bounds: view.classic_bounds().to_vec(),
        })
    }
}

/// The labels of a series as it is exposed.
pub(crate) trait Labels {
    /// Calls `label` with each name and value, in order.
    fn each(&self, label: &mut dyn FnMut(&str, &str));
}

impl Labels for SeriesView<'_> {
    fn each(&self, label: &mut dyn FnMut(&str, &str)) {
        self.labels().for_each(|(name, value)| label(name, value));
    }
}

/// A series at the time of the scrape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample<'a> {
    /// When the series began, where that is known.
    pub(super) started: Option<SystemTime>,
    pub(super) value: Value<'a>,
}

/// The value of a series.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Histogram(&'a Buckets<'a>),
}

/// The value of a histogram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buckets<'a> {
    /// How many observations are in each classic bucket, `+Inf` last.
    pub(super) classic: &'a [u64],
    pub(super) native: Option<Native<'a>>,
    pub(super) sum: HistogramSum,
    pub(super) count: u64,
    pub(super) exemplars: Exemplars<'a>,
}

/// The native buckets of a histogram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Native<'a> {
    pub(super) schema: i8,
    pub(super) zero_threshold: f64,
    pub(super) zero_count: u64,
    /// Indices and counts, ascending.
    pub(super) buckets: &'a [(i32, u64)],
}

/// The exemplars of a histogram.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Exemplars<'a> {
    view: Option<&'a HistogramView<'a>>,
    /// For each bucket of the histogram the one that it is exposed in, where these differ.
    bucket_of: Option<&'a [usize]>,
}

impl<'a> Exemplars<'a> {
    /// The exemplars and their classic buckets, ascending.
    pub(super) fn iter(self) -> impl Iterator<Item = (usize, ExemplarView<'a>)> {
        let exemplars = self.view.into_iter().flat_map(HistogramView::exemplars);
        exemplars.map(move |exemplar| {
            let bucket = exemplar.classic_bucket();
            (self.bucket_of.and_then(|of| of.get(bucket)).map_or(bucket, |&bucket| bucket), exemplar)
        })
    }

    /// The same in other buckets.
    pub(super) fn moved(self, bucket_of: &'a [usize]) -> Self {
        Exemplars { bucket_of: Some(bucket_of), ..self }
    }
}

impl<'a> Buckets<'a> {
    fn new(view: &'a HistogramView<'a>) -> Self {
        Buckets {
            classic: view.classic_counts(),
            native: view.native().map(|native| Native {
                schema: native.schema,
                zero_threshold: native.zero_threshold,
                zero_count: native.zero_count,
                buckets: native.buckets,
            }),
            sum: view.sum(),
            count: view.count(),
            exemplars: Exemplars { view: Some(view), bucket_of: None },
        }
    }
}

/// Hands on what a scrape sees of a series, unless its value must not be exposed as what the family is.
#[inline]
pub(super) fn with_sample(series: &SeriesView<'_>, sample: inferometer::Sample<'_>, then: impl FnOnce(Sample<'_>)) {
    use inferometer::Sample as Seen;
    let buckets;
    let value = match &sample {
        Seen::Counter(value) => Value::Unsigned(*value),
        Seen::UpDownCounter(value) => Value::Signed(*value),
        // A counter that is below zero or no number costs readers the whole page.
        Seen::FloatCounter(value) if *value >= 0.0 => Value::Float(*value),
        // One of the many NaNs means to Prometheus that a series has ended.
        Seen::Gauge(value) => Value::Float(if value.is_nan() { f64::NAN } else { *value }),
        Seen::Histogram(view) => {
            buckets = Buckets::new(view);
            Value::Histogram(&buckets)
        }
        _ => return,
    };
    let started = Some(series.started()).filter(|&started| started > UNIX_EPOCH);
    then(Sample { started, value });
}
