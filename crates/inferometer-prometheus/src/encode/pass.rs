//! One pass over a registry under its own names.

use super::cache::Cache;
use super::dialect::{Dialect, Head, with_sample};
use super::names::Names;
use super::taken::Taken;
use crate::profile::Profile;
use inferometer::{FamilyView, Registry, SeriesView, Visitor};

/// The families of a registry, or those that a profile has no mapping for.
#[derive(Debug, Default)]
pub(super) struct Plain {
    cache: Cache,
    /// The profile that names them.
    profile: Option<Profile>,
}

impl Plain {
    pub(super) fn new(profile: Option<Profile>) -> Self {
        Plain { cache: Cache::default(), profile }
    }

    /// Appends the families that are wanted.
    pub(super) fn encode<D: Dialect>(
        &mut self,
        (dialect, taken): (&D, &mut Taken),
        registry: &Registry,
        names: &Names,
        out: &mut Vec<u8>,
        limit: usize,
    ) {
        let Plain { cache, profile } = self;
        let profile = profile.as_ref();
        let (families, series, state) = (0, 0, State::Skipped);
        let mut pass = Pass {
            dialect,
            cache: &mut *cache,
            taken: &mut *taken,
            profile,
            names,
            out,
            limit,
            families,
            series,
            state,
        };
        registry.visit(&mut pass);
        pass.end_family();
        let families = pass.families;
        cache.truncate(families, taken);
        cache.drop_retired();
    }

    #[cfg(test)]
    pub(super) fn cached_series(&self) -> usize {
        self.cache.series()
    }
}

struct Pass<'a, D> {
    dialect: &'a D,
    cache: &'a mut Cache,
    taken: &'a mut Taken,
    profile: Option<&'a Profile>,
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
    /// It has begun at this place.
    Begun(usize),
}

impl<D: Dialect> Visitor for Pass<'_, D> {
    fn family(&mut self, view: &FamilyView<'_>) -> bool {
        self.end_family();
        let profile = self.profile;
        let head = |view: &FamilyView<'_>| head(view, profile);
        let family = self.cache.prepare(self.families, view, head, (self.dialect, self.taken));
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
                self.state = State::Begun(self.out.len());
                self.dialect.begin_family(family, self.out);
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
        if let State::Begun(start) = state {
            self.dialect.end_family(self.cache.family(family), start, self.out);
        }
        // Forgets the series that the family had more at the last scrape.
        self.cache.truncate_series(family, self.series);
    }
}

/// What a family is exposed as without a mapping, if it is.
fn head(view: &FamilyView<'_>, profile: Option<&Profile>) -> Option<Head> {
    let head = Head::new(view)?;
    match profile {
        None => Some(head),
        Some(profile) if profile.readers(view.name()).is_some() => None,
        Some(profile) => Some(Head { name: profile.other_name(&head.name)?, ..head }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Encoder, Text};
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
        let mut encoder = Encoder::new(Text, &[None]);
        for (round, series) in [0, 100, 50, 51, 1, 0, 100].into_iter().enumerate() {
            listed.store(series, Relaxed);
            let mut out = Vec::new();
            assert_eq!(encoder.encode(&registry, &Names::default(), &mut out, usize::MAX), Ok(()));
            assert_eq!(encoder.cached_series(), series, "round {round}");
            assert_eq!(out.iter().filter(|&&byte| byte == b'{').count(), series);
        }
    }
}
