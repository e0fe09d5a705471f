//! One pass over a registry.

use super::cache::Cache;
use super::dialect::{Dialect, with_sample};
use super::names::Names;
use inferometer::{FamilyView, Registry, SeriesView, Visitor};

/// Writes a registry in a format, and remembers what does not change from one scrape to the next.
#[derive(Debug)]
pub(crate) struct Encoder<D> {
    dialect: D,
    cache: Cache,
}

/// The text would be longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PastLimit;

impl<D: Dialect> Encoder<D> {
    pub(crate) fn new(dialect: D) -> Self {
        Encoder { dialect, cache: Cache::default() }
    }

    /// Appends all families of the registry that are wanted to `out`, which has at most `limit` bytes then.
    ///
    /// Allocates nothing when `out` has room and no series have come since the last call.
    pub(crate) fn encode(
        &mut self,
        registry: &Registry,
        names: &Names,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), PastLimit> {
        let Encoder { dialect, cache } = self;
        let mut pass = Pass { dialect, cache, names, out, limit, families: 0, series: 0, state: State::Skipped };
        registry.visit(&mut pass);
        pass.end_family();
        pass.dialect.end(pass.out);
        let (families, past_limit) = (pass.families, pass.is_past_limit());
        self.cache.truncate(families);
        self.cache.drop_retired();
        if past_limit { Err(PastLimit) } else { Ok(()) }
    }
}

struct Pass<'a, D> {
    dialect: &'a mut D,
    cache: &'a mut Cache,
    names: &'a Names,
    out: &'a mut Vec<u8>,
    limit: usize,
    /// How many families have begun.
    families: usize,
    /// How many series of the last of them have been given.
    series: usize,
    state: State,
}

/// How far the last family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody asked for it.
    Skipped,
    /// Its header is still to be written.
    ///
    /// It waits for the first sample, so that a family whose series are all absent or removed leaves nothing behind:
    /// what is not there should not look as if it were, and some strict readers refuse a header that nothing follows.
    Due,
    Begun,
}

impl<D: Dialect> Visitor for Pass<'_, D> {
    fn family(&mut self, view: &FamilyView<'_>) -> bool {
        self.end_family();
        let family = self.cache.prepare(self.families, view, self.dialect);
        let wanted = family.head().is_some_and(|head| self.names.want(&head.name));
        self.families += 1;
        self.series = 0;
        self.state = if wanted && !self.is_past_limit() { State::Due } else { State::Skipped };
        self.state == State::Due
    }

    fn series(&mut self, view: &SeriesView<'_>, sample: inferometer::Sample<'_>) {
        if self.is_past_limit() {
            return;
        }
        with_sample(view, sample, |sample| {
            let (family, place) = (self.families - 1, self.series);
            self.cache.prepare_series(family, place, view, self.dialect);
            self.series += 1;
            let family = self.cache.family(family);
            if self.state == State::Due {
                self.dialect.begin_family(family, self.out);
                self.state = State::Begun;
            }
            self.dialect.sample(family, family.lines(place), sample, self.out, self.limit);
        });
    }
}

impl<D: Dialect> Pass<'_, D> {
    fn is_past_limit(&self) -> bool {
        self.out.len() > self.limit
    }

    fn end_family(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Skipped);
        if state == State::Skipped {
            return;
        }
        let family = self.families - 1;
        if state == State::Begun {
            self.dialect.end_family(self.cache.family(family), self.out);
        }
        // Forgets the series that the family had more at the last scrape.
        self.cache.truncate_series(family, self.series);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Text;
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
        let mut encoder = Encoder::new(Text);
        for (round, series) in [0, 100, 50, 51, 1, 0, 100].into_iter().enumerate() {
            listed.store(series, Relaxed);
            let mut out = Vec::new();
            assert_eq!(encoder.encode(&registry, &Names::default(), &mut out, usize::MAX), Ok(()));
            assert_eq!(encoder.cache.series(), series, "round {round}");
            assert_eq!(out.iter().filter(|&&byte| byte == b'{').count(), series);
        }
    }
}
