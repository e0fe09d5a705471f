//! Which names are allowed. All checks are `const fn`, so that literals are checked by the compiler.

use crate::registry::Kind;
use crate::unit::{Unit, ends_with_word};
use std::borrow::Cow;
use std::fmt;

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// The name is empty.
    Empty,
    /// The name starts with a digit.
    LeadingDigit,
    /// The name has a character that is not allowed.
    Character,
    /// A metric name has an upper-case letter.
    UpperCase,
    /// A metric name has a colon, which Prometheus keeps for recording rules.
    Colon,
    /// A metric name ends in `_bucket`, `_count`, `_sum` or `_created`, which the exposition appends itself.
    ReservedSuffix,
    /// A counter declared with `#[metric]` does not end in `_total`.
    CounterWithoutTotal,
    /// Something else than a counter ends in `_total`.
    TotalWithoutCounter,
    /// The unit is not the name's last word, or the last word is another unit.
    UnitContradictsName,
    /// The label is `le` or `quantile`, which the exposition uses itself.
    ReservedLabel,
    /// The label starts with two underscores, which Prometheus keeps for itself.
    InternalLabel,
    /// The label occurs twice.
    DuplicateLabel,
}

impl NameError {
    pub(crate) const fn message(self) -> &'static str {
        match self {
            NameError::Empty => "the name is empty",
            NameError::LeadingDigit => "a name must not start with a digit",
            NameError::Character => "a metric or label name may have letters, digits and underscores only",
            NameError::UpperCase => "a metric name is snake_case: no upper-case letters",
            NameError::Colon => "a metric name must not have a colon: colons are for recording rules",
            NameError::ReservedSuffix => {
                "a metric name must not end in _bucket, _count, _sum or _created: the exposition appends these"
            }
            NameError::CounterWithoutTotal => "a counter's name ends in _total",
            NameError::TotalWithoutCounter => "only a counter's name ends in _total",
            NameError::UnitContradictsName => {
                "the name's last word (before _total) must be the unit, and no other unit"
            }
            NameError::ReservedLabel => "the labels `le` and `quantile` are reserved for the exposition",
            NameError::InternalLabel => "a label name must not start with two underscores",
            NameError::DuplicateLabel => "a label occurs twice",
        }
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for NameError {}

/// Whether `name` can be a metric's. Dots are allowed, since names of the `metrics` facade often have them; they
/// become underscores.
pub(crate) const fn check_metric_name(name: &str) -> Result<(), NameError> {
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return Err(NameError::Empty);
    }
    if bytes[0].is_ascii_digit() {
        return Err(NameError::LeadingDigit);
    }
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' => {}
            b'A'..=b'Z' => return Err(NameError::UpperCase),
            b':' => return Err(NameError::Colon),
            _ => return Err(NameError::Character),
        }
        i += 1;
    }
    check_suffix(bytes)
}

const fn check_suffix(name: &[u8]) -> Result<(), NameError> {
    if ends_with_word(name, name.len(), b"bucket")
        || ends_with_word(name, name.len(), b"count")
        || ends_with_word(name, name.len(), b"sum")
        || ends_with_word(name, name.len(), b"created")
    {
        return Err(NameError::ReservedSuffix);
    }
    Ok(())
}

/// What a declared metric must keep to besides: `_total` on counters only, and a unit that the name confirms.
pub(crate) const fn check_declared(name: &str, kind: Kind, unit: Option<Unit>) -> Result<(), NameError> {
    if let Err(error) = check_metric_name(name) {
        return Err(error);
    }
    let total = ends_with_word(name.as_bytes(), name.len(), b"total");
    match kind {
        Kind::Counter if !total => return Err(NameError::CounterWithoutTotal),
        Kind::Counter => {}
        _ if total => return Err(NameError::TotalWithoutCounter),
        _ => {}
    }
    check_unit(name, unit)
}

/// Whether a unit that was stated is the one in the name.
pub(crate) const fn check_unit(name: &str, unit: Option<Unit>) -> Result<(), NameError> {
    match (unit, Unit::from_name(name)) {
        (None, _) | (Some(Unit::Count), None) => Ok(()),
        (Some(stated), Some(named)) if stated as u8 == named as u8 => Ok(()),
        _ => Err(NameError::UnitContradictsName),
    }
}

/// Whether `name` can be a label's.
pub(crate) const fn check_label_name(name: &str) -> Result<(), NameError> {
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return Err(NameError::Empty);
    }
    if bytes[0].is_ascii_digit() {
        return Err(NameError::LeadingDigit);
    }
    let mut i = 0;
    while i < bytes.len() {
        if !(bytes[i].is_ascii_alphanumeric() || bytes[i] == b'_') {
            return Err(NameError::Character);
        }
        i += 1;
    }
    if equal(bytes, b"le") || equal(bytes, b"quantile") {
        return Err(NameError::ReservedLabel);
    }
    if bytes.len() >= 2 && bytes[0] == b'_' && bytes[1] == b'_' {
        return Err(NameError::InternalLabel);
    }
    Ok(())
}

/// Whether `names` can be the labels of one series.
pub(crate) const fn check_label_names(names: &[&str]) -> Result<(), NameError> {
    let mut i = 0;
    while i < names.len() {
        if let Err(error) = check_label_name(names[i]) {
            return Err(error);
        }
        let mut j = 0;
        while j < i {
            if equal(names[i].as_bytes(), names[j].as_bytes()) {
                return Err(NameError::DuplicateLabel);
            }
            j += 1;
        }
        i += 1;
    }
    Ok(())
}

/// The same for the names of pairs.
pub(crate) fn check_label_pairs(labels: &[(&str, &str)]) -> Result<(), NameError> {
    for (i, &(name, _)) in labels.iter().enumerate() {
        check_label_name(name)?;
        if labels[..i].iter().any(|&(other, _)| other == name) {
            return Err(NameError::DuplicateLabel);
        }
    }
    Ok(())
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// The name as it is exposed: dots become underscores.
pub(crate) fn escape(name: &str) -> Cow<'_, str> {
    if name.contains('.') { Cow::Owned(name.replace('.', "_")) } else { Cow::Borrowed(name) }
}

/// The name under which a metric of the `metrics` facade is exposed: whatever Prometheus does not allow in a name becomes
/// an underscore, as in `metrics-exporter-prometheus`. Upper-case letters and colons stay, although our own names have
/// none: the dashboards of who comes from there know them.
pub(crate) fn foreign_metric_name(name: &str) -> Result<String, NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    let exposed = sanitize(name, is_of_a_metric_name);
    check_suffix(exposed.as_bytes()).map(|()| exposed)
}

/// The same for a label.
#[cfg_attr(not(feature = "metrics"), allow(dead_code))]
pub(crate) fn foreign_label_name(name: &str) -> String {
    sanitize(name, |c| c.is_ascii_alphanumeric() || c == '_')
}

fn sanitize(name: &str, may_stay: impl Fn(char) -> bool) -> String {
    let stays = |at, c: char| may_stay(c) && !(at == 0 && c.is_ascii_digit());
    name.chars().enumerate().map(|(at, c)| if stays(at, c) { c } else { '_' }).collect()
}

/// The same for a piece of a metric's name.
pub(crate) fn escape_piece(text: &str) -> String {
    text.chars().map(|c| if is_of_a_metric_name(c) { c } else { '_' }).collect()
}

fn is_of_a_metric_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_metric_names_are_told_apart() {
        for (name, error) in [
            ("", NameError::Empty),
            ("1st", NameError::LeadingDigit),
            ("a b", NameError::Character),
            ("caf\u{e9}", NameError::Character),
            ("requestsTotal", NameError::UpperCase),
            ("vllm:requests", NameError::Colon),
            ("latency_seconds_sum", NameError::ReservedSuffix),
            ("x_bucket", NameError::ReservedSuffix),
            ("worker_count", NameError::ReservedSuffix),
            ("x_created", NameError::ReservedSuffix),
        ] {
            assert_eq!(check_metric_name(name), Err(error), "{name:?}");
        }
        assert_eq!(check_metric_name("http.requests_total"), Ok(()));
        assert_eq!(check_metric_name("account"), Ok(()));
    }

    #[test]
    fn bad_label_names_are_told_apart() {
        for (name, error) in [
            ("", NameError::Empty),
            ("0x", NameError::LeadingDigit),
            ("a-b", NameError::Character),
            ("le", NameError::ReservedLabel),
            ("quantile", NameError::ReservedLabel),
            ("__name__", NameError::InternalLabel),
        ] {
            assert_eq!(check_label_name(name), Err(error), "{name:?}");
        }
        assert_eq!(check_label_names(&["a", "b", "a"]), Err(NameError::DuplicateLabel));
        assert_eq!(check_label_names(&["a", "_b", "modelName"]), Ok(()));
        assert_eq!(check_label_pairs(&[("a", "1"), ("b", "1"), ("a", "2")]), Err(NameError::DuplicateLabel));
        assert_eq!(check_label_pairs(&[("a", "1"), ("0x", "1")]), Err(NameError::LeadingDigit));
        assert_eq!(check_label_pairs(&[("trace_id", "1"), ("_b", "1")]), Ok(()));
    }

    #[test]
    fn foreign_names_become_what_metrics_exporter_prometheus_makes_of_them() {
        for (given, exposed) in [
            ("http.server.requests", "http_server_requests"),
            ("time-in queue", "time_in_queue"),
            ("vllm:numRequests", "vllm:numRequests"),
            ("caf\u{e9}\u{1f600}", "caf__"),
            ("1foobar", "_foobar"),
            ("123", "_23"),
            ("*", "_"),
        ] {
            assert_eq!(foreign_metric_name(given).as_deref(), Ok(exposed));
        }
        assert_eq!(foreign_metric_name(""), Err(NameError::Empty));
        assert_eq!(foreign_metric_name("worker.count"), Err(NameError::ReservedSuffix));
        for (given, exposed) in [("a.b", "a_b"), ("0x", "_x"), ("a:b", "a_b"), ("modelName", "modelName")] {
            assert_eq!(foreign_label_name(given), exposed);
        }
    }

    #[test]
    fn units_and_totals_must_agree_with_the_name() {
        use NameError::{CounterWithoutTotal, TotalWithoutCounter, UnitContradictsName};
        assert_eq!(check_declared("x", Kind::Counter, None), Err(CounterWithoutTotal));
        assert_eq!(check_declared("x_total", Kind::Gauge, None), Err(TotalWithoutCounter));
        assert_eq!(check_declared("x_bytes", Kind::Gauge, Some(Unit::Seconds)), Err(UnitContradictsName));
        assert_eq!(check_declared("x", Kind::Gauge, Some(Unit::Seconds)), Err(UnitContradictsName));
        assert_eq!(check_declared("x_seconds", Kind::Gauge, Some(Unit::Count)), Err(UnitContradictsName));
        assert_eq!(check_declared("x_bytes_total", Kind::Counter, Some(Unit::Bytes)), Ok(()));
    }
}
