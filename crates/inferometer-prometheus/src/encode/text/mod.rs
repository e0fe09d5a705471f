//! The text formats: Prometheus's own and OpenMetrics.

mod escape;
mod number;

use super::cache::{FamilyText, Lines};
use super::dialect::{Buckets, Dialect, Head, Labels, PartEnds, Sample, Shape, Value};
use inferometer::{ExemplarView, HistogramSum};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Prometheus's text, versions 0.0.4 and 1.0.0: the same bytes, since names have no characters that would need quotes.
#[derive(Debug)]
pub(crate) struct Text;

/// OpenMetrics, versions 0.0.1 and 1.0.0: the same bytes, too.
#[derive(Debug)]
pub(crate) struct OpenMetrics {
    /// Whether a series has a sample that says when it began.
    pub(crate) created: bool,
}

impl Dialect for Text {
    fn names(&self, head: &Head) -> Option<Vec<String>> {
        let suffixes: &[&str] = if head.shape == Shape::Histogram { &["", "_bucket", "_sum", "_count"] } else { &[""] };
        Some(suffixes.iter().map(|suffix| format!("{}{suffix}", head.name)).collect())
    }

    fn header(&self, head: &Head, out: &mut Vec<u8>) {
        push_metadata(out, "# HELP ", &head.name, &head.help, escape::help);
        let shape = match head.shape {
            Shape::Counter => "counter",
            Shape::Gauge => "gauge",
            Shape::Histogram => "histogram",
            Shape::Unknown => "untyped",
        };
        push_metadata(out, "# TYPE ", &head.name, shape, escape::help);
    }

    fn bound(&self, bound: f64, out: &mut Vec<u8>) {
        push_bound(out, bound);
    }

    fn series(&self, head: &Head, labels: &(impl Labels + ?Sized), out: &mut Vec<u8>) -> PartEnds {
        push_series(out, &head.name, "", head.shape, labels)
    }

    fn sample(&self, family: &FamilyText, lines: Lines<'_>, sample: Sample<'_>, out: &mut Vec<u8>, limit: usize) {
        match sample.value {
            Value::Histogram(buckets) => push_histogram(out, limit, family, lines, buckets, |_, _| {}),
            value => push_value(out, lines, value),
        }
    }
}

impl Dialect for OpenMetrics {
    fn names(&self, head: &Head) -> Option<Vec<String>> {
        let suffixes: &[&str] = match head.shape {
            Shape::Counter => &["", "_total", "_created"],
            Shape::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
            Shape::Gauge | Shape::Unknown => &[""],
        };
        let has_name = head.shape != Shape::Counter || !head.name_is_fixed || head.name.ends_with("_total");
        has_name.then(|| suffixes.iter().map(|suffix| format!("{}{suffix}", family_name(head))).collect())
    }

    fn header(&self, head: &Head, out: &mut Vec<u8>) {
        let name = family_name(head);
        let shape = match head.shape {
            Shape::Counter => "counter",
            Shape::Gauge => "gauge",
            Shape::Histogram => "histogram",
            Shape::Unknown => "unknown",
        };
        push_metadata(out, "# HELP ", name, &head.help, escape::quoted);
        push_metadata(out, "# TYPE ", name, shape, escape::quoted);
        let unit = head.unit.map_or("", |unit| unit.as_str());
        // A name that does not end in the unit must not have one.
        if name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')) {
            push_metadata(out, "# UNIT ", name, unit, escape::quoted);
        }
    }

    fn bound(&self, bound: f64, out: &mut Vec<u8>) {
        push_bound(out, bound);
    }

    fn series(&self, head: &Head, labels: &(impl Labels + ?Sized), out: &mut Vec<u8>) -> PartEnds {
        let suffix = if head.shape == Shape::Counter { "_total" } else { "" };
        push_series(out, family_name(head), suffix, head.shape, labels)
    }

    fn sample(&self, family: &FamilyText, lines: Lines<'_>, sample: Sample<'_>, out: &mut Vec<u8>, limit: usize) {
        // What is between the name with its suffix and the number.
        let (line, suffix) = match sample.value {
            Value::Histogram(buckets) => {
                let mut exemplars = buckets.exemplars.iter().peekable();
                push_histogram(out, limit, family, lines, buckets, |out, bucket| {
                    // Of several in a bucket the last, which is the slowest.
                    let mut last = None;
                    while let Some((_, exemplar)) = exemplars.next_if(|&(of, _)| of <= bucket) {
                        last = Some(exemplar);
                    }
                    if let Some(exemplar) = last.filter(is_readable) {
                        push_exemplar(out, exemplar);
                    }
                });
                (lines.count, "_count")
            }
            value => {
                push_value(out, lines, value);
                (lines.line, "_total")
            }
        };
        let begins = family.head().is_some_and(|head| matches!(head.shape, Shape::Counter | Shape::Histogram));
        if let (true, true, Some(head), Some(started)) = (self.created, begins, family.head(), sample.started) {
            let name = family_name(head);
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"_created");
            out.extend_from_slice(&line[name.len() + suffix.len()..]);
            push_time(out, started);
            out.push(b'\n');
        }
    }

    fn end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"# EOF\n");
    }
}

/// What OpenMetrics calls a family: the suffix of a counter belongs to its samples.
fn family_name(head: &Head) -> &str {
    match head.shape {
        Shape::Counter => head.name.strip_suffix("_total").unwrap_or(&head.name),
        _ => &head.name,
    }
}

/// Appends a line about a family, unless there is nothing to say.
fn push_metadata(out: &mut Vec<u8>, word: &str, name: &str, text: &str, escape: fn(&mut Vec<u8>, &str)) {
    if !text.is_empty() {
        out.extend_from_slice(word.as_bytes());
        out.extend_from_slice(name.as_bytes());
        out.push(b' ');
        escape(out, text);
        out.push(b'\n');
    }
}

fn push_bound(out: &mut Vec<u8>, bound: f64) {
    number::bound(out, bound);
    out.extend_from_slice(b"\"} ");
}

fn push_series(
    text: &mut Vec<u8>,
    name: &str,
    suffix: &str,
    shape: Shape,
    labels: &(impl Labels + ?Sized),
) -> PartEnds {
    if shape != Shape::Histogram {
        push_line(text, name, suffix, labels);
        return PartEnds { line: text.len(), sum: text.len(), count: text.len() };
    }
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"_bucket{");
    if push_labels(text, labels) {
        text.push(b',');
    }
    text.extend_from_slice(b"le=\"");
    let line = text.len();
    push_line(text, name, "_sum", labels);
    let sum = text.len();
    push_line(text, name, "_count", labels);
    PartEnds { line, sum, count: text.len() }
}

/// Appends a line up to its number.
fn push_line(text: &mut Vec<u8>, name: &str, suffix: &str, labels: &(impl Labels + ?Sized)) {
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(suffix.as_bytes());
    let brace = text.len();
    text.push(b'{');
    if push_labels(text, labels) {
        text.push(b'}');
    } else {
        text.truncate(brace);
    }
    text.push(b' ');
}

/// Appends the labels without braces, and says whether there are any.
fn push_labels(text: &mut Vec<u8>, labels: &(impl Labels + ?Sized)) -> bool {
    let mut any = false;
    labels.each(&mut |name, value| {
        if any {
            text.push(b',');
        }
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"=\"");
        escape::quoted(text, value);
        text.push(b'"');
        any = true;
    });
    any
}

fn push_value(out: &mut Vec<u8>, lines: Lines<'_>, value: Value<'_>) {
    out.extend_from_slice(lines.line);
    match value {
        Value::Unsigned(value) => number::integer(out, value),
        Value::Signed(value) => number::integer(out, value),
        Value::Float(value) => number::float(out, value),
        Value::Histogram(_) => unreachable!("a histogram has lines of its own"),
    }
    out.push(b'\n');
}

/// Appends the lines of a histogram; `exemplar` appends what follows the count of a bucket.
fn push_histogram(
    out: &mut Vec<u8>,
    limit: usize,
    family: &FamilyText,
    lines: Lines<'_>,
    buckets: &Buckets<'_>,
    mut exemplar: impl FnMut(&mut Vec<u8>, usize),
) {
    let mut below = 0_u64;
    for (place, (bound, count)) in family.bounds.iter().zip(buckets.classic).enumerate() {
        below = below.wrapping_add(*count);
        out.extend_from_slice(lines.line);
        out.extend_from_slice(bound);
        number::integer(out, below);
        exemplar(out, place);
        out.push(b'\n');
        // A label's value may be large, and there is a line of it for each bucket.
        if out.len() > limit {
            return;
        }
    }
    out.extend_from_slice(lines.sum);
    match buckets.sum {
        HistogramSum::Nanoseconds(nanos) => number::seconds(out, nanos),
        HistogramSum::Integer(sum) => number::integer(out, sum),
        sum => number::float(out, sum.as_f64()),
    }
    out.push(b'\n');
    out.extend_from_slice(lines.count);
    number::integer(out, buckets.count);
    out.push(b'\n');
}

/// Whether all readers can read it: Prometheus 2.42 gives up the whole page for a NUL in an exemplar, where it is allowed
/// as in any label.
fn is_readable(exemplar: &ExemplarView<'_>) -> bool {
    exemplar.labels().all(|(_, value)| !value.contains('\0'))
}

/// Appends what follows the count of a bucket that has an exemplar.
fn push_exemplar(out: &mut Vec<u8>, exemplar: ExemplarView<'_>) {
    out.extend_from_slice(b" # {");
    for (place, (name, value)) in exemplar.labels().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        escape::quoted(out, value);
        out.push(b'"');
    }
    out.extend_from_slice(b"} ");
    number::float(out, exemplar.value());
    out.push(b' ');
    push_time(out, exemplar.time());
}

/// Appends a time in seconds since the epoch.
fn push_time(out: &mut Vec<u8>, time: SystemTime) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    number::seconds(out, since.as_nanos());
}
