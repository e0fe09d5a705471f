//! How one family is exposed under another name.

use super::ProfileError;

/// How a family of the registry is exposed: under what name, as what, with which labels.
///
/// The labels that the registry adds to all series (its constant ones) can be renamed, dropped and mapped as well. The
/// registry's prefix is not part of the name of a source.
///
/// ```
/// use inferometer_prometheus::Mapping;
///
/// let mapping = Mapping::sum("inference_queue_seconds", "nv_inference_queue_duration_us")
///     .scale(1e6)
///     .rename_label("model_name", "model")
///     .add_label("version", "1");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Mapping {
    source: String,
    /// What the source is divided by.
    divisor: Option<String>,
    name: String,
    help: Option<String>,
    part: Part,
    as_gauge: Option<bool>,
    scale: f64,
    bounds: Option<Vec<f64>>,
    labels: Vec<LabelRule>,
    added: Vec<(String, String)>,
    only: Vec<(String, Vec<String>)>,
    sorted: bool,
}

/// What of a family is exposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All.
    Whole,
    /// The sum of a histogram, as a counter.
    Sum,
    /// The count of a histogram, as a counter.
    Count,
    /// A share of it in another family, as a gauge.
    Ratio,
}

/// What becomes of a label.
#[derive(Clone, Debug)]
struct LabelRule {
    from: String,
    /// `None` drops it.
    to: Option<String>,
    values: Vec<(String, String)>,
}

impl Mapping {
    fn new(source: &str, name: &str, part: Part) -> Self {
        Mapping {
            source: source.to_owned(),
            divisor: None,
            name: name.to_owned(),
            help: None,
            part,
            as_gauge: None,
            scale: 1.0,
            bounds: None,
            labels: Vec::new(),
            added: Vec::new(),
            only: Vec::new(),
            sorted: false,
        }
    }

    /// The family `source` as it is, under the name `name`.
    pub fn family(source: &str, name: &str) -> Self {
        Mapping::new(source, name, Part::Whole)
    }

    /// The sum of the histogram `source`, as a counter.
    pub fn sum(source: &str, name: &str) -> Self {
        Mapping::new(source, name, Part::Sum)
    }

    /// How many observations the histogram `source` has, as a counter.
    pub fn count(source: &str, name: &str) -> Self {
        Mapping::new(source, name, Part::Count)
    }

    /// The share of one counter in another, since both began, as a gauge; absent as long as the other is zero.
    pub fn ratio(numerator: &str, denominator: &str, name: &str) -> Self {
        Mapping { divisor: Some(denominator.to_owned()), ..Mapping::new(numerator, name, Part::Ratio) }
    }

    /// The help text, instead of the source's.
    pub fn help(mut self, help: &str) -> Self {
        self.help = Some(help.to_owned());
        self
    }

    /// As a gauge, whatever it is; a histogram stays one.
    pub fn as_gauge(mut self) -> Self {
        self.as_gauge = Some(true);
        self
    }

    /// As a counter, whatever it is; a histogram stays one.
    pub fn as_counter(mut self) -> Self {
        self.as_gauge = Some(false);
        self
    }

    /// Multiplies values, sums and bounds: 1e3 turns seconds into milliseconds. A histogram then has no native buckets,
    /// whose bounds cannot be moved, and no exemplars.
    pub fn scale(mut self, factor: f64) -> Self {
        self.scale = factor;
        self
    }

    /// The finite bounds of a histogram's classic buckets, in the unit of the source. Buckets can only be put together,
    /// so a bound that the source does not have is left out.
    pub fn bounds(mut self, bounds: &[f64]) -> Self {
        self.bounds = Some(bounds.to_vec());
        self
    }

    /// Another name for a label.
    pub fn rename_label(mut self, from: &str, to: &str) -> Self {
        self.rule(from).to = Some(to.to_owned());
        self
    }

    /// Leaves a label out. Series that differ in nothing else are added up, and their histograms have no exemplars.
    pub fn drop_label(mut self, name: &str) -> Self {
        self.rule(name).to = None;
        self
    }

    /// Another value for a label, given by the name that it has in the source.
    pub fn map_value(mut self, label: &str, from: &str, to: &str) -> Self {
        self.rule(label).values.push((from.to_owned(), to.to_owned()));
        self
    }

    /// A label with the same value for all series.
    pub fn add_label(mut self, name: &str, value: &str) -> Self {
        self.added.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Only series whose label has one of these values, given as they are in the source.
    pub fn only(mut self, label: &str, values: &[&str]) -> Self {
        self.only.push((label.to_owned(), values.iter().map(|&value| value.to_owned()).collect()));
        self
    }

    /// Series in the order of their labels' values, the first label first, instead of that in which they were made: some
    /// readers take the first series for the only one. Their histograms have no exemplars then.
    pub fn sorted(mut self) -> Self {
        self.sorted = true;
        self
    }

    fn rule(&mut self, from: &str) -> &mut LabelRule {
        let place = self.labels.iter().position(|rule| rule.from == from).unwrap_or_else(|| {
            self.labels.push(LabelRule { from: from.to_owned(), to: Some(from.to_owned()), values: Vec::new() });
            self.labels.len() - 1
        });
        &mut self.labels[place]
    }

    pub(super) fn check(&self) -> Result<(), ProfileError> {
        check_name(&self.name)?;
        let family = || self.name.clone();
        let names = self.labels.iter().filter_map(|rule| rule.to.as_deref());
        for name in names.chain(self.added.iter().map(|(name, _)| name.as_str())) {
            let legal = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && !name.starts_with("__")
                && !["", "le", "quantile"].contains(&name);
            if !legal {
                return Err(ProfileError::LabelName { family: family(), name: name.to_owned() });
            }
        }
        let bounds = self.bounds.as_deref().unwrap_or_default();
        if !bounds.is_sorted_by(|a, b| a < b) || !bounds.iter().all(|bound| bound.is_finite()) {
            return Err(ProfileError::Bounds { family: family() });
        }
        if !(self.scale > 0.0 && self.scale.is_finite()) {
            return Err(ProfileError::Scale { family: family(), scale: self.scale });
        }
        Ok(())
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The families that it reads.
    pub(super) fn sources(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.source).chain(self.divisor.as_deref().filter(|divisor| *divisor != self.source))
    }

    pub(crate) fn stated_help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    pub(crate) fn part(&self) -> Part {
        self.part
    }

    /// What a label of the source is called, unless it is dropped.
    pub(super) fn label_named<'a>(&'a self, from: &'a str) -> Option<&'a str> {
        self.labels.iter().find(|rule| rule.from == from).map_or(Some(from), |rule| rule.to.as_deref())
    }

    /// Whether it is exposed as a gauge, where that was said.
    pub(crate) fn is_gauge(&self) -> Option<bool> {
        self.as_gauge
    }

    pub(crate) fn factor(&self) -> f64 {
        self.scale
    }

    /// Whether the bound of a source's bucket is wanted.
    pub(crate) fn wants_bound(&self, bound: f64) -> bool {
        self.bounds.as_ref().is_none_or(|bounds| bounds.contains(&bound))
    }

    /// Whether a family is the one that the source is divided by.
    pub(crate) fn is_divisor(&self, family: &str) -> bool {
        self.divisor.as_deref() == Some(family)
    }

    /// Whether series cannot be written as they come: several can become one, or have to stand in another order.
    pub(crate) fn gathers(&self) -> bool {
        self.sorted
            || self.part == Part::Ratio
            || self.labels.iter().any(|rule| rule.to.is_none() || !rule.values.is_empty())
    }

    /// Whether a series with these labels, as they are in the source, is exposed.
    pub(crate) fn wants<'a, L: Iterator<Item = (&'a str, &'a str)>>(&self, labels: impl Fn() -> L) -> bool {
        self.only.iter().all(|(name, wanted)| {
            let value = labels().find(|(own, _)| own == name).map_or("", |(_, value)| value);
            wanted.iter().any(|wanted| wanted == value)
        })
    }

    /// A label of the source as it is exposed; `None` if it is dropped.
    pub(crate) fn label<'a>(&'a self, name: &'a str, value: &'a str) -> Option<(&'a str, &'a str)> {
        let Some(rule) = self.labels.iter().find(|rule| rule.from == name) else { return Some((name, value)) };
        let mapped = rule.values.iter().find(|(from, _)| from == value).map_or(value, |(_, to)| to);
        Some((rule.to.as_deref()?, mapped))
    }

    /// The labels that all series get.
    pub(crate) fn added_labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.added.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

pub(super) fn check_name(name: &str) -> Result<(), ProfileError> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.bytes().all(legal) {
        return Err(ProfileError::FamilyName { name: name.to_owned() });
    }
    Ok(())
}
