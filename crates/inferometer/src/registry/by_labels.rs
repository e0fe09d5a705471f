//! The series of a family by their open labels.

use super::series::Series;
use crate::label::Labels;
use crate::sync::OnceLock;
use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::Arc;

/// Finds a series by labels that somebody else owns: no key is made for a look-up.
///
/// Each element keeps its hash, so that growing the table does not read all the labels again: it grows while a thread
/// that records waits for its new series.
#[derive(Debug, Default)]
pub(super) struct ByLabels(HashSet<Element, BuildHasherDefault<Hashed>>);

impl ByLabels {
    pub(super) fn get(&self, labels: &dyn Labels) -> Option<&Arc<Series>> {
        self.0.get(labels).map(|element| &element.series)
    }

    pub(super) fn insert(&mut self, series: Arc<Series>) {
        self.0.insert(Element { hash: hash(&series.texts), series });
    }

    pub(super) fn remove(&mut self, labels: &dyn Labels) {
        self.0.remove(labels);
    }
}

/// With keys that nobody outside knows, since label values may come from outside.
fn hash(labels: &dyn Labels) -> u64 {
    // They are made under a family's lock, so a fork cannot leave them half made.
    static KEYS: OnceLock<RandomState> = OnceLock::new();
    let mut hasher = KEYS.get_or_init(RandomState::new).build_hasher();
    for i in 0..labels.len() {
        labels.get(i).hash(&mut hasher);
    }
    hasher.finish()
}

#[derive(Debug)]
struct Element {
    hash: u64,
    series: Arc<Series>,
}

impl<'a> Borrow<dyn Labels + 'a> for Element {
    fn borrow(&self) -> &(dyn Labels + 'a) {
        &self.series.texts
    }
}

impl Hash for Element {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hash for dyn Labels + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(hash(self));
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        let (a, b): (&dyn Labels, &dyn Labels) = (self.borrow(), other.borrow());
        a == b
    }
}

impl Eq for Element {}

/// Takes a hash as it is.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only whole hashes are written. Should that change, this is still a hash.
        self.0 = bytes.iter().fold(self.0, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
