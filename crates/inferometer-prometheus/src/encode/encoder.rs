//! A format, and the names that it is written under.

use super::dialect::Dialect;
use super::names::Names;
use super::pass::Plain;
use super::profiled::Profiled;
use super::taken::Taken;
use crate::profile::Profile;
use inferometer::Registry;

/// Writes a registry in a format, and remembers what does not change from one scrape to the next.
#[derive(Debug)]
pub(crate) struct Encoder<D> {
    dialect: D,
    taken: Taken,
    parts: Vec<Part>,
}

/// One naming of the registry's families.
#[derive(Debug)]
enum Part {
    Plain(Plain),
    Profiled(Profiled),
}

/// The text would be longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PastLimit;

impl<D: Dialect> Encoder<D> {
    /// For the registry's own names, which are `None` here, and profiles, one after the other. Of two families with one
    /// name the first is written.
    pub(crate) fn new(dialect: D, namings: &[Option<Profile>]) -> Self {
        let parts = namings.iter().flat_map(|naming| match naming {
            None => vec![Part::Plain(Plain::new(None))],
            Some(profile) => {
                let mapped = Part::Profiled(Profiled::new(profile.clone()));
                let others = profile.has_others().then(|| Part::Plain(Plain::new(Some(profile.clone()))));
                std::iter::once(mapped).chain(others).collect()
            }
        });
        Encoder { dialect, taken: Taken::default(), parts: parts.collect() }
    }

    /// Appends all families of the registry that are wanted to `out`, which has at most `limit` bytes then.
    ///
    /// Under the registry's own names this allocates nothing when `out` has room and no series have come since the last
    /// call.
    pub(crate) fn encode(
        &mut self,
        registry: &Registry,
        names: &Names,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), PastLimit> {
        let Encoder { dialect, taken, parts } = self;
        for part in parts {
            match part {
                Part::Plain(plain) => plain.encode((dialect, taken), registry, names, out, limit),
                Part::Profiled(profiled) => profiled.encode((dialect, taken), registry, names, out, limit),
            }
        }
        dialect.end(out);
        if out.len() > limit { Err(PastLimit) } else { Ok(()) }
    }

    /// Whether a family or a sample of the last scrape has this name.
    #[cfg(feature = "metrics-exporter")]
    pub(crate) fn takes(&self, name: &str) -> bool {
        self.taken.contains(name)
    }

    #[cfg(test)]
    pub(super) fn cached_series(&self) -> usize {
        let series = self.parts.iter().map(|part| match part {
            Part::Plain(plain) => plain.cached_series(),
            Part::Profiled(_) => 0,
        });
        series.sum()
    }
}
