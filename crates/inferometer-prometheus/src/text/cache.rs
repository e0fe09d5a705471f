//! What a scrape writes that the next one will write again: everything but the numbers.
//!
//! What is kept of a family is valid for one generation of the registry, and what is kept of a series for as long as
//! the series at its place is the same. A cache that follows the places neither grows past what was in the last scrape
//! nor needs a look-up. A series that goes costs the rendering of those after it in its family, once.

use super::{escape, number};
use inferometer::{FamilyView, Kind, SeriesId, SeriesView};

/// The texts of a registry.
#[derive(Debug, Default)]
pub(super) struct Cache {
    generation: u64,
    families: Vec<FamilyText>,
    /// Series that are not listed any more. Each may be the last owner of what a user's function has captured, so they
    /// are dropped when the registry is no longer being read.
    retired: Vec<SeriesId>,
}

/// The texts of a family.
#[derive(Debug)]
pub(super) struct FamilyText {
    /// The lines `# HELP` and `# TYPE`.
    pub(super) header: Vec<u8>,
    /// For each bucket what its line has after the text of the series: `0.1"} `.
    pub(super) bounds: Spans,
    name: String,
    kind: Kind,
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

/// What the lines of a series have before their numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'a> {
    /// The only line; of a histogram the bucket lines, up to the bound.
    pub(super) line: &'a [u8],
    /// A histogram's `_sum`.
    pub(super) sum: &'a [u8],
    /// A histogram's `_count`.
    pub(super) count: &'a [u8],
}

/// Texts one after the other.
#[derive(Debug, Default)]
pub(super) struct Spans {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Spans {
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| &self.text[std::mem::replace(&mut start, end)..end])
    }
}

impl Cache {
    /// Makes sure that the texts of the family at this place are right.
    pub(super) fn prepare(&mut self, place: usize, view: &FamilyView<'_>) {
        if view.generation() != self.generation {
            self.generation = view.generation();
            self.truncate(0);
        }
        // A family that nobody described can still get its help text, once.
        let valid = self.families.get(place).is_some_and(|family| family.has_help != view.help().is_empty());
        if !valid {
            self.truncate(place);
            self.families.push(FamilyText::new(view));
        }
    }

    #[inline]
    pub(super) fn family(&self, place: usize) -> &FamilyText {
        &self.families[place]
    }

    /// Makes sure that the texts of a series are right.
    #[inline]
    pub(super) fn prepare_series(&mut self, family: usize, place: usize, view: &SeriesView<'_>) {
        let family = &mut self.families[family];
        if !family.series.get(place).and_then(|series| series.id.as_ref()).is_some_and(|id| view.is(id)) {
            family.truncate(place, &mut self.retired);
            family.push(view);
        }
    }

    /// Forgets the families from this place on.
    pub(super) fn truncate(&mut self, places: usize) {
        for mut family in self.families.drain(places.min(self.families.len())..) {
            family.truncate(0, &mut self.retired);
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
    fn new(view: &FamilyView<'_>) -> Self {
        let name = format!("{}{}", view.prefix(), view.name());
        let mut header = Vec::new();
        if !view.help().is_empty() {
            header.extend_from_slice(b"# HELP ");
            header.extend_from_slice(name.as_bytes());
            header.push(b' ');
            escape::help(&mut header, view.help());
            header.push(b'\n');
        }
        header.extend_from_slice(b"# TYPE ");
        header.extend_from_slice(name.as_bytes());
        header.extend_from_slice(match view.kind() {
            Kind::Counter => b" counter\n",
            Kind::Gauge | Kind::UpDownCounter => b" gauge\n",
            Kind::Histogram => b" histogram\n",
            _ => b" untyped\n",
        });
        let mut bounds = Spans::default();
        if view.kind() == Kind::Histogram {
            for &bound in view.classic_bounds() {
                number::bound(&mut bounds.text, bound);
                bounds.text.extend_from_slice(b"\"} ");
                bounds.ends.push(bounds.text.len());
            }
            bounds.text.extend_from_slice(b"+Inf\"} ");
            bounds.ends.push(bounds.text.len());
        }
        FamilyText {
            header,
            bounds,
            name,
            kind: view.kind(),
            has_help: !view.help().is_empty(),
            series: Vec::new(),
            text: Vec::new(),
        }
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
    fn push(&mut self, view: &SeriesView<'_>) {
        let text = &mut self.text;
        let start = text.len();
        let (line_end, sum_end, count_end);
        if self.kind == Kind::Histogram {
            text.extend_from_slice(self.name.as_bytes());
            text.extend_from_slice(b"_bucket{");
            if push_labels(text, view) {
                text.push(b',');
            }
            text.extend_from_slice(b"le=\"");
            line_end = text.len();
            push_line(text, &self.name, "_sum", view);
            sum_end = text.len();
            push_line(text, &self.name, "_count", view);
            count_end = text.len();
        } else {
            push_line(text, &self.name, "", view);
            (line_end, sum_end, count_end) = (text.len(), text.len(), text.len());
        }
        let id = Some(view.id()).filter(|id| view.is(id));
        self.series.push(SeriesText {
            id,
            start: offset(start),
            line_end: offset(line_end),
            sum_end: offset(sum_end),
            count_end: offset(count_end),
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

/// Appends a line up to its number.
fn push_line(text: &mut Vec<u8>, name: &str, suffix: &str, view: &SeriesView<'_>) {
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(suffix.as_bytes());
    let brace = text.len();
    text.push(b'{');
    if push_labels(text, view) {
        text.push(b'}');
    } else {
        text.truncate(brace);
    }
    text.push(b' ');
}

/// Appends the labels without braces, and says whether there are any.
fn push_labels(text: &mut Vec<u8>, view: &SeriesView<'_>) -> bool {
    let mut any = false;
    for (name, value) in view.labels() {
        if any {
            text.push(b',');
        }
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"=\"");
        escape::label_value(text, value);
        text.push(b'"');
        any = true;
    }
    any
}
