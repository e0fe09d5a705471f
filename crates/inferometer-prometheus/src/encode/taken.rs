//! Which names the families of a scrape have taken.

use super::dialect::{Dialect, Head, Shape};
use std::collections::HashSet;

/// The names of all families and of their samples.
#[derive(Debug, Default)]
pub(super) struct Taken(HashSet<String>);

/// The names of a family, until they are given back.
#[derive(Debug, Default)]
pub(super) struct Claim(Vec<String>);

impl Taken {
    /// Takes the names that a family needs. One that comes too late for them, or whose name does not suit its kind, is
    /// exposed as a plain value, and not at all if even its own name is taken: two families of one name would cost the
    /// whole scrape.
    pub(super) fn claim(&mut self, mut head: Head, dialect: &impl Dialect) -> Option<(Head, Claim)> {
        let shapes: &[Shape] =
            if head.shape == Shape::Histogram { &[Shape::Histogram] } else { &[head.shape, Shape::Unknown] };
        for &shape in shapes {
            head.shape = shape;
            if let Some(names) = dialect.names(&head)
                && !names.iter().any(|name| self.0.contains(name))
            {
                self.0.extend(names.iter().cloned());
                return Some((head, Claim(names)));
            }
        }
        log::warn!("the family {} is left out of scrapes: another one takes its name", head.name);
        None
    }

    #[cfg(feature = "metrics-exporter")]
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Gives the names of a family back.
    pub(super) fn release(&mut self, claim: &Claim) {
        for name in &claim.0 {
            self.0.remove(name);
        }
    }
}
