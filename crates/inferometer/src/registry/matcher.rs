//! Which buckets a histogram gets that was not declared with any: by its name.

use super::name;
use crate::grid::Buckets;

/// Matches the names of metrics, for [`Registry::set_buckets`](crate::Registry::set_buckets). The text may be that of
/// the name as given or as exposed: `http.server` and `http_server` match the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Matcher {
    /// This name.
    Full(String),
    /// Names that start so.
    Prefix(String),
    /// Names that end so.
    Suffix(String),
}

impl Matcher {
    fn matches(&self, name: &str) -> bool {
        match self {
            Matcher::Full(full) => name == full,
            Matcher::Prefix(prefix) => name.starts_with(prefix.as_str()),
            Matcher::Suffix(suffix) => name.ends_with(suffix.as_str()),
        }
    }

    /// The same for names as they are exposed.
    fn escaped(self) -> Self {
        match self {
            Matcher::Full(text) => Matcher::Full(name::escape_piece(&text)),
            Matcher::Prefix(text) => Matcher::Prefix(name::escape_piece(&text)),
            Matcher::Suffix(text) => Matcher::Suffix(name::escape_piece(&text)),
        }
    }

    /// A full name goes before a prefix, a prefix before a suffix, and a longer text before a shorter one.
    fn rank(&self) -> (u8, usize) {
        match self {
            Matcher::Full(text) => (2, text.len()),
            Matcher::Prefix(text) => (1, text.len()),
            Matcher::Suffix(text) => (0, text.len()),
        }
    }
}

/// The rules of a registry.
#[derive(Debug, Default)]
pub(crate) struct BucketRules(Vec<(Matcher, Buckets)>);

impl BucketRules {
    /// A rule for the same names replaces the one before it.
    pub(crate) fn set(&mut self, matcher: Matcher, buckets: Buckets) {
        let matcher = matcher.escaped();
        self.0.retain(|(other, _)| *other != matcher);
        self.0.push((matcher, buckets));
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Buckets> {
        let matching = self.0.iter().filter(|(matcher, _)| matcher.matches(name));
        matching.max_by_key(|(matcher, _)| matcher.rank()).map(|(_, buckets)| buckets)
    }
}
