//! A family that somebody else has rendered.

/// A piece of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family<'a> {
    pub(super) name: &'a str,
    pub(super) shape: Shape,
    pub(super) bytes: &'a [u8],
}

/// Which names its samples have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Single,
    Summary,
    Histogram,
}

impl Shape {
    /// What the names of the samples have after that of the family, beside nothing.
    pub(super) fn suffixes(self) -> &'static [&'static str] {
        match self {
            Shape::Single => &[],
            Shape::Summary => &["_sum", "_count"],
            Shape::Histogram => &["_bucket", "_sum", "_count"],
        }
    }
}

impl Family<'_> {
    /// Whether this or one of its samples has a name that is taken.
    pub(super) fn collides(&self, taken: impl Fn(&str) -> bool) -> bool {
        taken(self.name) || self.shape.suffixes().iter().any(|suffix| taken(&format!("{}{suffix}", self.name)))
    }
}
