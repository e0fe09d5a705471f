//! The text format, version 0.0.4.

mod cache;
mod escape;
mod number;

use cache::Cache;
use inferometer::{FamilyView, HistogramSum, HistogramView, Kind, Registry, Sample, SeriesView, Visitor};

/// The media type of what [`TextEncoder`] writes.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes a registry as text, and remembers what does not change from one scrape to the next.
#[derive(Debug, Default)]
pub(crate) struct TextEncoder {
    cache: Cache,
}

/// The text would be longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PastLimit;

impl TextEncoder {
    /// Appends the text of all that the registry holds to `out`, which has at most `limit` bytes then.
    ///
    /// Allocates nothing when `out` has room and no series have come since the last call.
    pub(crate) fn encode(&mut self, registry: &Registry, out: &mut Vec<u8>, limit: usize) -> Result<(), PastLimit> {
        let mut scrape = Scrape { cache: &mut self.cache, out, limit, families: 0, series: 0, header_due: false };
        registry.visit(&mut scrape);
        scrape.end_family();
        let (families, past_limit) = (scrape.families, scrape.is_past_limit());
        self.cache.truncate(families);
        self.cache.drop_retired();
        if past_limit { Err(PastLimit) } else { Ok(()) }
    }
}

/// One pass over a registry.
struct Scrape<'a> {
    cache: &'a mut Cache,
    out: &'a mut Vec<u8>,
    limit: usize,
    /// How many families have begun.
    families: usize,
    /// How many series of the last of them have been written.
    series: usize,
    /// Whether the header of the last family is still to be written.
    ///
    /// It waits for the first sample, so that a family whose series are all absent or removed leaves nothing behind:
    /// what is not there should not look as if it were, and some strict readers refuse a header that nothing follows.
    header_due: bool,
}

impl Visitor for Scrape<'_> {
    fn family(&mut self, view: &FamilyView<'_>) -> bool {
        self.end_family();
        self.cache.prepare(self.families, view);
        self.families += 1;
        self.series = 0;
        self.header_due = true;
        matches!(view.kind(), Kind::Counter | Kind::UpDownCounter | Kind::Gauge | Kind::Histogram)
            && !self.is_past_limit()
    }

    fn series(&mut self, view: &SeriesView<'_>, sample: Sample<'_>) {
        if self.is_past_limit() {
            return;
        }
        let (family, place) = (self.families - 1, self.series);
        self.cache.prepare_series(family, place, view);
        self.series += 1;
        let family = self.cache.family(family);
        if self.header_due {
            self.out.extend_from_slice(&family.header);
            self.header_due = false;
        }
        let lines = family.lines(place);
        if let Sample::Histogram(histogram) = sample {
            return write_histogram(self.out, self.limit, family, lines, histogram);
        }
        self.out.extend_from_slice(lines.line);
        match sample {
            Sample::Counter(value) => number::integer(self.out, value),
            Sample::UpDownCounter(value) => number::integer(self.out, value),
            Sample::FloatCounter(value) | Sample::Gauge(value) => number::float(self.out, value),
            // No kind of family that this encoder lets through has other samples.
            _ => self.out.extend_from_slice(b"NaN"),
        }
        self.out.push(b'\n');
    }
}

impl Scrape<'_> {
    fn is_past_limit(&self) -> bool {
        self.out.len() > self.limit
    }

    /// Forgets the series that the family had more at the last scrape.
    fn end_family(&mut self) {
        if let Some(family) = self.families.checked_sub(1) {
            self.cache.truncate_series(family, self.series);
        }
    }
}

fn write_histogram(
    out: &mut Vec<u8>,
    limit: usize,
    family: &cache::FamilyText,
    lines: cache::Lines<'_>,
    histogram: HistogramView<'_>,
) {
    let mut below = 0_u64;
    for (bound, count) in family.bounds.iter().zip(histogram.classic_counts()) {
        below = below.wrapping_add(*count);
        out.extend_from_slice(lines.line);
        out.extend_from_slice(bound);
        number::integer(out, below);
        out.push(b'\n');
        // A label's value may be large, and there is a line of it for each bucket.
        if out.len() > limit {
            return;
        }
    }
    out.extend_from_slice(lines.sum);
    match histogram.sum() {
        HistogramSum::Nanoseconds(nanos) => number::seconds(out, nanos),
        HistogramSum::Integer(sum) => number::integer(out, sum),
        sum => number::float(out, sum.as_f64()),
    }
    out.push(b'\n');
    out.extend_from_slice(lines.count);
    number::integer(out, histogram.count());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[test]
    fn the_cache_holds_the_series_of_the_last_scrape_and_no_others() {
        let registry = Registry::new();
        let listed = Arc::new(AtomicUsize::new(0));
        for i in 0..100 {
            let listed = Arc::clone(&listed);
            let value = move || if i < listed.load(Relaxed) { 1.0 } else { f64::NAN };
            // The generation of the registry does not change when a series is absent.
            registry.gauge_fn(["a", "b"][i % 2], &[("at", &i.to_string())], value).unwrap();
        }
        let mut encoder = TextEncoder::default();
        for (round, series) in [0, 100, 50, 51, 1, 0, 100].into_iter().enumerate() {
            listed.store(series, Relaxed);
            let mut out = Vec::new();
            assert_eq!(encoder.encode(&registry, &mut out, usize::MAX), Ok(()));
            assert_eq!(encoder.cache.series(), series, "round {round}");
            assert_eq!(out.iter().filter(|&&byte| byte == b'{').count(), series);
        }
    }
}
