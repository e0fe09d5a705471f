//! Units of measurement.

use std::fmt;

/// The base unit of a family, as Prometheus and OpenMetrics name them. Only base units: a name that says milliseconds
/// is better changed to say seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// A plain number; no suffix.
    Count,
    /// `_seconds`
    Seconds,
    /// `_bytes`
    Bytes,
    /// `_ratio`, from 0 to 1.
    Ratio,
    /// `_tokens`
    Tokens,
    /// `_celsius`
    Celsius,
    /// `_watts`
    Watts,
    /// `_joules`
    Joules,
    /// `_hertz`
    Hertz,
    /// `_volts`
    Volts,
    /// `_amperes`
    Amperes,
    /// `_meters`
    Meters,
    /// `_grams`
    Grams,
}

impl Unit {
    const SUFFIXED: [Unit; 12] = [
        Unit::Seconds,
        Unit::Bytes,
        Unit::Ratio,
        Unit::Tokens,
        Unit::Celsius,
        Unit::Watts,
        Unit::Joules,
        Unit::Hertz,
        Unit::Volts,
        Unit::Amperes,
        Unit::Meters,
        Unit::Grams,
    ];

    /// The unit's name, which is the last word of the family's name (before `_total`); empty for [`Unit::Count`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Unit::Count => "",
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
            Unit::Ratio => "ratio",
            Unit::Tokens => "tokens",
            Unit::Celsius => "celsius",
            Unit::Watts => "watts",
            Unit::Joules => "joules",
            Unit::Hertz => "hertz",
            Unit::Volts => "volts",
            Unit::Amperes => "amperes",
            Unit::Meters => "meters",
            Unit::Grams => "grams",
        }
    }

    /// The unit that the name's last word says (before `_total`), if any.
    ///
    /// ```
    /// use inferometer::Unit;
    /// assert_eq!(Unit::from_name("queue_seconds"), Some(Unit::Seconds));
    /// assert_eq!(Unit::from_name("sent_bytes_total"), Some(Unit::Bytes));
    /// assert_eq!(Unit::from_name("requests_total"), None);
    /// ```
    pub const fn from_name(name: &str) -> Option<Unit> {
        let name = name.as_bytes();
        let end = if ends_with_word(name, name.len(), b"total") { name.len() - 6 } else { name.len() };
        let mut i = 0;
        while i < Self::SUFFIXED.len() {
            if ends_with_word(name, end, Self::SUFFIXED[i].as_str().as_bytes()) {
                return Some(Self::SUFFIXED[i]);
            }
            i += 1;
        }
        None
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the first `end` bytes of `name` end in `_word`.
pub(crate) const fn ends_with_word(name: &[u8], end: usize, word: &[u8]) -> bool {
    if end < word.len() + 2 || name[end - word.len() - 1] != b'_' {
        return false;
    }
    let mut i = 0;
    while i < word.len() {
        if name[end - word.len() + i] != word[i] {
            return false;
        }
        i += 1;
    }
    true
}
