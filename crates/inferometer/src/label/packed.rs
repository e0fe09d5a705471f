//! The values of a series' open labels, in one allocation.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Label values in the order of their family's names, whoever owns them.
pub(crate) trait Labels {
    fn len(&self) -> usize;
    fn get(&self, index: usize) -> &str;
}

impl Labels for [&str] {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn get(&self, index: usize) -> &str {
        self[index]
    }
}

/// Owned label values. A series has one of these, and there may be many series: so the texts stand in one piece, behind
/// their ends.
pub(crate) struct Packed {
    ends: Box<[u32]>,
    text: Box<str>,
}

impl Packed {
    pub(crate) fn new(labels: &dyn Labels) -> Self {
        let mut text = String::with_capacity((0..labels.len()).map(|i| labels.get(i).len()).sum());
        let ends = (0..labels.len())
            .map(|i| {
                text.push_str(labels.get(i));
                // A label of 4 GiB is cut. Nobody can send one through a scrape anyway.
                u32::try_from(text.len()).unwrap_or(u32::MAX)
            })
            .collect();
        Packed { ends, text: text.into() }
    }
}

impl Labels for Packed {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        self.text.get(start..self.ends[index] as usize).unwrap_or_default()
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((0..self.len()).map(|i| self.get(i))).finish()
    }
}

// A set of series is searched with labels that somebody else owns, without making an owned key: the set's elements
// borrow as `dyn Labels`, and so does the query.
impl Hash for dyn Labels + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for i in 0..self.len() {
            self.get(i).hash(state);
        }
    }
}

impl PartialEq for dyn Labels + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && (0..self.len()).all(|i| self.get(i) == other.get(i))
    }
}

impl Eq for dyn Labels + '_ {}

impl<'a> Borrow<dyn Labels + 'a> for Packed {
    fn borrow(&self) -> &(dyn Labels + 'a) {
        self
    }
}
