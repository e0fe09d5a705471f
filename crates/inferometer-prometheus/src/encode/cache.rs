//! What a scrape writes that the next one will write again: everything but the numbers.
//!
//! What is kept of a family is valid for one generation of the registry, and what is kept of a series for as long as
//! the series at its place is the same. A cache that follows the places neither grows past what was in the last scrape
//! nor needs a look-up. A series that goes costs the rendering of those after it in its family, once.

use super::dialect::{Dialect, Head, PartEnds, Shape};
use super::taken::{Claim, Taken};
use inferometer::{FamilyView, SeriesId, SeriesView};

/// The texts of a registry in one format.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    generation: u64,
    families: Vec<FamilyText>,
    /// Series that are not listed any more. Each may be the last owner of what a user's function has captured, so they
    /// are dropped when the registry is no longer being read.
    retired: Vec<SeriesId>,
}

/// The texts of a family.
#[derive(Debug)]
pub(crate) struct FamilyText {
    /// `None` for a family that cannot be exposed.
    head: Option<Head>,
    claim: Claim,
    /// What stands before the first series.
    pub(super) header: Vec<u8>,
    /// What each bucket has after the text of the series.
    pub(super) bounds: Spans,
    has_help: bool,
    series: Vec<SeriesText>,
    /// The texts of all series, one after the other.
    text: Vec<u8>,
}

/// Where the texts of a series end in the text of its family. Each begins where the one before it ends.
#[derive(Debug)]
struct SeriesText {
    /// `None` for a series that the scrape makes up, which is not known again by the next one.
    id: Option<SeriesId>,
    start: Offset,
    line_end: Offset,
    sum_end: Offset,
    count_end: Offset,
}

/// A place in the text of a family. (A family whose texts have 4 GiB could not be scraped anyway.)
type Offset = u32;

fn offset(place: usize) -> Offset {
    Offset::try_from(place).unwrap_or(Offset::MAX)
}

/// What a series has before its numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines<'a> {
    /// What its only line has; of a histogram the lines of buckets, up to the bound.
    pub(super) line: &'a [u8],
    /// A histogram's `_sum`.
    pub(super) sum: &'a [u8],
    /// A histogram's `_count`.
    pub(super) count: &'a [u8],
}

impl<'a> Lines<'a> {
    /// The parts of a text that [`Dialect::series`] has written.
    #[inline]
    pub(super) fn new(text: &'a [u8], ends: PartEnds) -> Self {
        Lines { line: &text[..ends.line], sum: &text[ends.line..ends.sum], count: &text[ends.sum..ends.count] }
    }
}

/// Texts one after the other.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Spans {
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| &self.text[std::mem::replace(&mut start, end)..end])
    }

    fn push(&mut self, append: impl FnOnce(&mut Vec<u8>)) {
        append(&mut self.text);
        self.ends.push(self.text.len());
    }
}

impl Cache {
    /// Makes sure that the texts of the family at this place are right. `head` says what it is exposed as.
    pub(super) fn prepare(
        &mut self,
        place: usize,
        view: &FamilyView<'_>,
        head: impl FnOnce(&FamilyView<'_>) -> Option<Head>,
        (dialect, taken): (&impl Dialect, &mut Taken),
    ) -> &FamilyText {
        if view.generation() != self.generation {
            self.generation = view.generation();
            self.truncate(0, taken);
        }
        // A family that nobody described can still get its help text, once.
        let valid = self.families.get(place).is_some_and(|family| family.has_help != view.help().is_empty());
        if !valid {
            self.truncate(place, taken);
            let head = head(view);
            self.families.push(FamilyText::new(head, !view.help().is_empty(), dialect, taken));
        }
        &self.families[place]
    }

    #[inline]
    pub(super) fn family(&self, place: usize) -> &FamilyText {
        &self.families[place]
    }

    /// Makes sure that the texts of a series are right.
    #[inline]
    pub(super) fn prepare_series(
        &mut self,
        family: usize,
        place: usize,
        view: &SeriesView<'_>,
        dialect: &impl Dialect,
    ) {
        let family = &mut self.families[family];
        if !family.series.get(place).and_then(|series| series.id.as_ref()).is_some_and(|id| view.is(id)) {
            family.truncate(place, &mut self.retired);
            family.push(view, dialect);
        }
    }

    /// Forgets the families from this place on.
    pub(super) fn truncate(&mut self, places: usize, taken: &mut Taken) {
        for mut family in self.families.drain(places.min(self.families.len())..) {
            family.truncate(0, &mut self.retired);
            taken.release(&family.claim);
        }
    }

    /// Forgets the series of a family from this place on.
    pub(super) fn truncate_series(&mut self, family: usize, places: usize) {
        let family = &mut self.families[family];
        family.truncate(places, &mut self.retired);
        family.shrink();
    }

    /// How many series have texts here.
    #[cfg(test)]
    pub(super) fn series(&self) -> usize {
        self.families.iter().map(|family| family.series.len()).sum()
    }

    /// Lets go of the series that are not listed any more. Not to be called while the registry is read.
    pub(super) fn drop_retired(&mut self) {
        self.retired.clear();
        self.retired.shrink_to(256);
    }
}

impl FamilyText {
    /// A family under its head, unless there is none or its names are taken.
    pub(super) fn new(head: Option<Head>, has_help: bool, dialect: &impl Dialect, taken: &mut Taken) -> Self {
        let claimed = head.and_then(|head| taken.claim(head, dialect));
        let (head, claim) = claimed.unzip();
        let (mut header, mut bounds) = (Vec::new(), Spans::default());
        if let Some(head) = &head {
            dialect.header(head, &mut header);
            if head.shape == Shape::Histogram {
                for &bound in head.bounds.iter().chain(&[f64::INFINITY]) {
                    bounds.push(|text| dialect.bound(bound, text));
                }
            }
        }
        let claim = claim.unwrap_or_default();
        FamilyText { head, claim, header, bounds, has_help, series: Vec::new(), text: Vec::new() }
    }

    /// Whether it had a help text.
    pub(super) fn has_help(&self) -> bool {
        self.has_help
    }

    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// What is exposed; `None` if the family is not.
    pub(super) fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    #[inline]
    pub(super) fn lines(&self, place: usize) -> Lines<'_> {
        let SeriesText { start, line_end, sum_end, count_end, .. } = self.series[place];
        let (start, line_end) = (start as usize, line_end as usize);
        let (sum_end, count_end) = (sum_end as usize, count_end as usize);
        Lines {
            line: &self.text[start..line_end],
            sum: &self.text[line_end..sum_end],
            count: &self.text[sum_end..count_end],
        }
    }

    /// Adds the texts of a series after the others.
    fn push(&mut self, view: &SeriesView<'_>, dialect: &impl Dialect) {
        let Some(head) = &self.head else { return };
        let start = offset(self.text.len());
        let PartEnds { line, sum, count } = dialect.series(head, view, &mut self.text);
        let id = Some(view.id()).filter(|id| view.is(id));
        self.series.push(SeriesText {
            id,
            start,
            line_end: offset(line),
            sum_end: offset(sum),
            count_end: offset(count),
        });
    }

    fn truncate(&mut self, places: usize, retired: &mut Vec<SeriesId>) {
        if places < self.series.len() {
            self.text.truncate(self.series[places].start as usize);
            retired.extend(self.series.drain(places..).filter_map(|series| series.id));
        }
    }

    /// Gives back memory that the family has too much of: after the scrape in which its series came, when the vectors
    /// have doubled their way up, and after one in which many went.
    fn shrink(&mut self) {
        if self.series.capacity() > 16 + self.series.len() + self.series.len() / 4 {
            self.series.shrink_to_fit();
            self.text.shrink_to_fit();
        }
    }
}
