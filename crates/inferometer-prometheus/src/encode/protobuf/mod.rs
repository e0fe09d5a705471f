//! Prometheus's protobuf format: `io.prometheus.client.MetricFamily` messages, each after its length.
//!
//! The only format in which Prometheus takes native histograms. The messages and their field numbers are those of
//! client_model's `metrics.proto`.

mod wire;

use super::cache::{FamilyText, Lines};
use super::dialect::{Buckets, Dialect, Head, Labels, Native, PartEnds, Sample, Shape, Value};
use inferometer::ExemplarView;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wire::{Field, close, open, varint, zigzag};

mod family {
    use super::Field;
    pub(super) const NAME: Field = Field::new(1);
    pub(super) const HELP: Field = Field::new(2);
    pub(super) const TYPE: Field = Field::new(3);
    pub(super) const METRIC: Field = Field::new(4);
    pub(super) const UNIT: Field = Field::new(5);
}

mod metric {
    use super::Field;
    pub(super) const LABEL: Field = Field::new(1);
    pub(super) const GAUGE: Field = Field::new(2);
    pub(super) const COUNTER: Field = Field::new(3);
    pub(super) const UNTYPED: Field = Field::new(5);
    pub(super) const HISTOGRAM: Field = Field::new(7);
}

mod label {
    use super::Field;
    pub(super) const NAME: Field = Field::new(1);
    pub(super) const VALUE: Field = Field::new(2);
}

/// Of `Counter`, `Gauge` and `Untyped`.
mod single {
    use super::Field;
    pub(super) const VALUE: Field = Field::new(1);
    /// Of a counter alone.
    pub(super) const CREATED: Field = Field::new(3);
}

mod histogram {
    use super::Field;
    pub(super) const SAMPLE_COUNT: Field = Field::new(1);
    pub(super) const SAMPLE_SUM: Field = Field::new(2);
    pub(super) const BUCKET: Field = Field::new(3);
    pub(super) const SCHEMA: Field = Field::new(5);
    pub(super) const ZERO_THRESHOLD: Field = Field::new(6);
    pub(super) const ZERO_COUNT: Field = Field::new(7);
    pub(super) const POSITIVE_SPAN: Field = Field::new(12);
    pub(super) const POSITIVE_DELTA: Field = Field::new(13);
    pub(super) const CREATED: Field = Field::new(15);
    pub(super) const EXEMPLARS: Field = Field::new(16);
}

mod bucket {
    use super::Field;
    pub(super) const CUMULATIVE_COUNT: Field = Field::new(1);
    pub(super) const UPPER_BOUND: Field = Field::new(2);
    pub(super) const EXEMPLAR: Field = Field::new(3);
}

mod span {
    use super::Field;
    pub(super) const OFFSET: Field = Field::new(1);
    pub(super) const LENGTH: Field = Field::new(2);
}

mod exemplar {
    use super::Field;
    pub(super) const LABEL: Field = Field::new(1);
    pub(super) const VALUE: Field = Field::new(2);
    pub(super) const TIMESTAMP: Field = Field::new(3);
}

mod timestamp {
    use super::Field;
    pub(super) const SECONDS: Field = Field::new(1);
    pub(super) const NANOS: Field = Field::new(2);
}

/// How many empty buckets at most stand between two others in one span. A span of its own takes four bytes or more, an
/// empty bucket one or two.
const BRIDGED: i32 = 2;

/// Writes protobuf.
#[derive(Debug)]
pub(crate) struct Protobuf;

impl Dialect for Protobuf {
    fn names(&self, head: &Head) -> Option<Vec<String>> {
        let suffixes: &[&str] = if head.shape == Shape::Histogram { &["", "_bucket", "_sum", "_count"] } else { &[""] };
        Some(suffixes.iter().map(|suffix| format!("{}{suffix}", head.name)).collect())
    }

    fn header(&self, head: &Head, out: &mut Vec<u8>) {
        family::NAME.bytes(out, head.name.as_bytes());
        if !head.help.is_empty() {
            family::HELP.bytes(out, head.help.as_bytes());
        }
        let shape = match head.shape {
            Shape::Counter => 0,
            Shape::Gauge => 1,
            Shape::Unknown => 3,
            Shape::Histogram => 4,
        };
        family::TYPE.unsigned(out, shape);
    }

    fn bound(&self, bound: f64, out: &mut Vec<u8>) {
        bucket::UPPER_BOUND.double(out, bound);
    }

    fn series(&self, _: &Head, labels: &(impl Labels + ?Sized), out: &mut Vec<u8>) -> PartEnds {
        labels.each(&mut |name, value| push_label(out, metric::LABEL, name, value));
        PartEnds { line: out.len(), sum: out.len(), count: out.len() }
    }

    fn begin_family(&self, family: &FamilyText, out: &mut Vec<u8>) {
        open(out);
        out.extend_from_slice(&family.header);
    }

    fn sample(&self, family: &FamilyText, lines: Lines<'_>, sample: Sample<'_>, out: &mut Vec<u8>, _: usize) {
        let Some(head) = family.head() else { return };
        family::METRIC.nested(out, |out| {
            out.extend_from_slice(lines.line);
            let value = match sample.value {
                Value::Histogram(buckets) => {
                    return metric::HISTOGRAM.nested(out, |out| push_histogram(out, family, buckets, sample.started));
                }
                Value::Unsigned(value) => value as f64,
                Value::Signed(value) => value as f64,
                Value::Float(value) => value,
            };
            let field = match head.shape {
                Shape::Counter => metric::COUNTER,
                Shape::Gauge => metric::GAUGE,
                _ => metric::UNTYPED,
            };
            field.nested(out, |out| {
                single::VALUE.double(out, value);
                if head.shape == Shape::Counter {
                    push_time(out, single::CREATED, sample.started);
                }
            });
        });
    }

    fn end_family(&self, family: &FamilyText, start: usize, out: &mut Vec<u8>) {
        if let Some(unit) = family.head().and_then(|head| head.unit)
            && !unit.as_str().is_empty()
        {
            family::UNIT.bytes(out, unit.as_str().as_bytes());
        }
        close(out, start);
    }
}

fn push_label(out: &mut Vec<u8>, field: Field, name: &str, value: &str) {
    field.nested(out, |out| {
        label::NAME.bytes(out, name.as_bytes());
        label::VALUE.bytes(out, value.as_bytes());
    });
}

fn push_time(out: &mut Vec<u8>, field: Field, time: Option<SystemTime>) {
    let Some(time) = time else { return };
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    field.nested(out, |out| {
        timestamp::SECONDS.unsigned(out, since.as_secs());
        timestamp::NANOS.unsigned(out, u64::from(since.subsec_nanos()));
    });
}

fn push_histogram(out: &mut Vec<u8>, family: &FamilyText, buckets: &Buckets<'_>, started: Option<SystemTime>) {
    histogram::SAMPLE_COUNT.unsigned(out, buckets.count);
    histogram::SAMPLE_SUM.double(out, buckets.sum.as_f64());
    let bounds = family.head().is_some_and(|head| !head.bounds.is_empty());
    // Without any buckets it is a classic histogram with the last bucket alone, which Prometheus adds by itself.
    if bounds {
        push_classic(out, family, buckets);
    }
    if let Some(native) = buckets.native {
        push_native(out, native);
        for (_, exemplar) in buckets.exemplars.iter() {
            push_exemplar(out, histogram::EXEMPLARS, exemplar);
        }
    }
    push_time(out, histogram::CREATED, started);
}

fn push_classic(out: &mut Vec<u8>, family: &FamilyText, buckets: &Buckets<'_>) {
    let mut exemplars = buckets.exemplars.iter().peekable();
    let mut below = 0_u64;
    for (place, (bound, count)) in family.bounds.iter().zip(buckets.classic).enumerate() {
        below = below.wrapping_add(*count);
        histogram::BUCKET.nested(out, |out| {
            bucket::CUMULATIVE_COUNT.unsigned(out, below);
            out.extend_from_slice(bound);
            while let Some((_, exemplar)) = exemplars.next_if(|&(of, _)| of <= place) {
                push_exemplar(out, bucket::EXEMPLAR, exemplar);
            }
        });
    }
}

/// Appends the native buckets: runs of them, and the counts as differences from one to the next.
fn push_native(out: &mut Vec<u8>, native: Native<'_>) {
    histogram::SCHEMA.signed(out, native.schema.into());
    histogram::ZERO_THRESHOLD.double(out, native.zero_threshold);
    histogram::ZERO_COUNT.unsigned(out, native.zero_count);
    let runs = || native.buckets.chunk_by(|(a, _), (b, _)| b - a <= BRIDGED + 1);
    if native.buckets.is_empty() && native.zero_threshold == 0.0 && native.zero_count == 0 {
        // An empty histogram whose zero bucket has no width looks like a classic one but for a span of nothing.
        histogram::POSITIVE_SPAN.nested(out, |_| {});
    }
    let mut next = 0;
    for run in runs() {
        let (Some(&(first, _)), Some(&(last, _))) = (run.first(), run.last()) else { continue };
        histogram::POSITIVE_SPAN.nested(out, |out| {
            span::OFFSET.signed(out, i64::from(first - next));
            span::LENGTH.unsigned(out, (last - first + 1) as u64);
        });
        next = last + 1;
    }
    if native.buckets.is_empty() {
        return;
    }
    histogram::POSITIVE_DELTA.nested(out, |out| {
        let mut before = 0;
        let mut push =
            |count: u64| varint(out, zigzag(count.wrapping_sub(std::mem::replace(&mut before, count)) as i64));
        for run in runs() {
            let mut next = run.first().map_or(0, |&(first, _)| first);
            for &(index, count) in run {
                (next..index).for_each(|_| push(0));
                push(count);
                next = index + 1;
            }
        }
    });
}

fn push_exemplar(out: &mut Vec<u8>, field: Field, exemplar: ExemplarView<'_>) {
    field.nested(out, |out| {
        exemplar.labels().for_each(|(name, value)| push_label(out, exemplar::LABEL, name, value));
        exemplar::VALUE.double(out, exemplar.value());
        push_time(out, exemplar::TIMESTAMP, Some(exemplar.time()));
    });
}
