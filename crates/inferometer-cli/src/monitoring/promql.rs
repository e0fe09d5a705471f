//! PromQL, put together by functions that each have one correct form.

use std::fmt::{self, Display, Write};

/// The series of a family that have these labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    name: String,
    matchers: Vec<(String, &'static str, String)>,
}

impl Selector {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Selector { name: name.into(), matchers: Vec::new() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// With this value, whatever was asked of the label before.
    pub(crate) fn is(mut self, label: &str, value: impl Into<String>) -> Self {
        self.matchers.retain(|(known, ..)| known != label);
        self.matching(label, "=", value)
    }

    pub(crate) fn matches(self, label: &str, pattern: impl Into<String>) -> Self {
        self.matching(label, "=~", pattern)
    }

    pub(crate) fn matches_not(self, label: &str, pattern: impl Into<String>) -> Self {
        self.matching(label, "!~", pattern)
    }

    fn matching(mut self, label: &str, operator: &'static str, value: impl Into<String>) -> Self {
        self.matchers.push((label.to_owned(), operator, value.into()));
        self
    }

    /// The family's name with this behind it: `_bucket`, `_count`, `_sum`.
    fn part(&self, suffix: &str) -> Self {
        Selector { name: format!("{}{suffix}", self.name), matchers: self.matchers.clone() }
    }

    /// The number of a histogram's observations.
    pub(crate) fn count(&self) -> Self {
        self.part("_count")
    }

    /// The sum of a histogram's observations.
    pub(crate) fn sum(&self) -> Self {
        self.part("_sum")
    }

    /// How many events there were, of a histogram that not all of them are measured for.
    pub(crate) fn events(&self) -> Self {
        self.part("_events_total")
    }

    /// How many of them were measured.
    pub(crate) fn samples(&self) -> Self {
        self.part("_samples_total")
    }

    /// All of a histogram's buckets.
    pub(crate) fn buckets(&self) -> Self {
        self.part("_bucket")
    }
}

impl Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (place, (label, operator, value)) in self.matchers.iter().enumerate() {
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            write!(f, "{}{label}{operator}\"{value}\"", if place == 0 { '{' } else { ',' })?;
        }
        if self.matchers.is_empty() { Ok(()) } else { f.write_char('}') }
    }
}

/// A bucket's bound as the label `le` has it in every format that counts: `1` is `1.0`.
pub(crate) fn le(bound: f64) -> String {
    if bound == f64::INFINITY { "+Inf".to_owned() } else { format!("{bound:?}") }
}

/// An expression that has a value for each of its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expr {
    text: String,
    /// Whether an operator stands in it that is in no brackets.
    open: bool,
}

impl Expr {
    fn closed(text: String) -> Self {
        Expr { text, open: false }
    }

    fn operand(&self) -> String {
        if self.open { format!("({})", self.text) } else { self.text.clone() }
    }

    fn binary(&self, operator: &str, other: &Expr) -> Self {
        Expr { text: format!("{} {operator} {}", self.operand(), other.operand()), open: true }
    }

    pub(crate) fn over(&self, other: &Expr) -> Self {
        self.binary("/", other)
    }

    pub(crate) fn minus(&self, other: &Expr) -> Self {
        self.binary("-", other)
    }

    /// The rows of this, and of the other those whose labels this has not.
    pub(crate) fn or(&self, other: &Expr) -> Self {
        // In brackets, as all else binds tighter.
        Expr::closed(format!("({} or {})", self.text, other.text))
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Selector> for Expr {
    fn from(selector: Selector) -> Self {
        Expr::closed(selector.to_string())
    }
}

/// A number. Rounded, so that 14.4 hundredths are not 0.14400000000000002.
pub(crate) fn number(value: f64) -> Expr {
    Expr::closed(((value * 1e9).round() / 1e9).to_string())
}

/// The time now, in seconds since 1970.
pub(crate) fn now() -> Expr {
    Expr::closed("time()".to_owned())
}

/// What a function makes of the samples of a window.
pub(crate) fn over_window(function: &str, selector: &Selector, window: impl Display) -> Expr {
    Expr::closed(format!("{function}({selector}[{window}])"))
}

/// Growth per second. What is summed is rates, never the rate of a sum: a sum hides the resets of its parts.
pub(crate) fn rate(counter: &Selector, window: impl Display) -> Expr {
    over_window("rate", counter, window)
}

/// Growth in a window.
pub(crate) fn increase(counter: &Selector, window: impl Display) -> Expr {
    over_window("increase", counter, window)
}

/// The least value in a window. A scrape that fails does not interrupt it, as it would interrupt the gauge itself.
pub(crate) fn min_over_time(gauge: &Selector, window: impl Display) -> Expr {
    over_window("min_over_time", gauge, window)
}

/// The greatest value in a window.
pub(crate) fn max_over_time(gauge: &Selector, window: impl Display) -> Expr {
    over_window("max_over_time", gauge, window)
}

/// The greatest value in a window of an expression, evaluated every `step`.
pub(crate) fn max_over_time_of(expression: &Expr, window: impl Display, step: impl Display) -> Expr {
    Expr::closed(format!("max_over_time({}[{window}:{step}])", expression.operand()))
}

fn aggregate(operator: &str, by: &[&str], expression: &Expr) -> Expr {
    Expr::closed(match by {
        [] => format!("{operator}({expression})"),
        by => format!("{operator} by ({}) ({expression})", by.join(", ")),
    })
}

pub(crate) fn sum_by(by: &[&str], expression: &Expr) -> Expr {
    aggregate("sum", by, expression)
}

pub(crate) fn max_by(by: &[&str], expression: &Expr) -> Expr {
    aggregate("max", by, expression)
}

pub(crate) fn count_by(by: &[&str], expression: &Expr) -> Expr {
    aggregate("count", by, expression)
}

/// A quantile of what was observed in a window, over all series that have the same labels of `by`.
pub(crate) fn quantile(q: f64, by: &[&str], histogram: &Selector, window: impl Display) -> Expr {
    // Without `le` in the sum nothing is left that a quantile could be computed from.
    let by: Vec<&str> = ["le"].into_iter().chain(by.iter().copied()).collect();
    let buckets = sum_by(&by, &rate(&histogram.buckets(), window));
    Expr::closed(format!("histogram_quantile({q}, {buckets})"))
}

/// The mean of what was observed in a window.
pub(crate) fn mean(by: &[&str], histogram: &Selector, window: impl Display) -> Expr {
    let part = |part: &Selector| sum_by(by, &rate(part, &window));
    part(&histogram.sum()).over(&part(&histogram.count()))
}

/// The share of observations in a window that were above a bound. It is exact, as a quantile is not.
pub(crate) fn share_above(bound: f64, by: &[&str], histogram: &Selector, window: impl Display) -> Expr {
    let part = |part: &Selector| sum_by(by, &rate(part, &window));
    let within = part(&histogram.buckets().is("le", le(bound))).over(&part(&histogram.count()));
    // A division binds tighter than a subtraction.
    Expr { text: format!("1 - {within}"), open: true }
}

/// The share that one counter's growth has in another's, in a window.
pub(crate) fn share(part: &Selector, whole: &Selector, by: &[&str], window: impl Display) -> Expr {
    let rate_of = |counter: &Selector| sum_by(by, &rate(counter, &window));
    // A counter that never counted may not be there yet; then its share is none, and not unknown.
    let none = Expr { text: format!("0 * {}", rate_of(whole)), open: true };
    rate_of(part).or(&none).over(&rate_of(whole))
}

/// What makes an alert fire: comparisons. The expressions that they compare are kept, so that somebody can see whether
/// these have rows at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    text: String,
    /// Whether an `or` stands in it that is in no brackets.
    open: bool,
    operands: Vec<Expr>,
}

impl Condition {
    fn compare(left: Expr, operator: &str, right: f64) -> Self {
        let text = format!("{} {operator} {}", left.text, number(right));
        Condition { text, open: false, operands: vec![left] }
    }

    pub(crate) fn above(left: Expr, right: f64) -> Self {
        Self::compare(left, ">", right)
    }

    pub(crate) fn below(left: Expr, right: f64) -> Self {
        Self::compare(left, "<", right)
    }

    pub(crate) fn equal(left: Expr, right: f64) -> Self {
        Self::compare(left, "==", right)
    }

    /// Less than another expression.
    pub(crate) fn less(left: Expr, right: Expr) -> Self {
        Condition { text: format!("{left} < {right}"), open: false, operands: vec![left, right] }
    }

    /// That there is no series.
    pub(crate) fn absent(selector: Selector) -> Self {
        Condition { text: format!("absent({selector})"), open: false, operands: vec![selector.into()] }
    }

    /// A counter has grown in a window. The first event makes the series of some counters, which is no growth to
    /// `increase`: there, that it was not there before counts as well.
    pub(crate) fn grown(counter: &Selector, window: impl Display) -> Self {
        let grown = Self::above(increase(counter, &window), 0.0);
        let mut new = Self::above(counter.clone().into(), 0.0);
        let _ = write!(new.text, " unless {counter} offset {window}");
        new.operands.clear();
        grown.or(new)
    }

    pub(crate) fn and(self, other: Self) -> Self {
        let side = |condition: &Condition| {
            if condition.open { format!("({})", condition.text) } else { condition.text.clone() }
        };
        let text = format!("{} and {}", side(&self), side(&other));
        Condition { text, open: false, operands: [self.operands, other.operands].concat() }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        let text = format!("{} or {}", self.text, other.text);
        Condition { text, open: true, operands: [self.operands, other.operands].concat() }
    }

    /// What is compared, without the comparisons: on a server that works, each has rows.
    pub(crate) fn operands(&self) -> &[Expr] {
        &self.operands
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency() -> Selector {
        Selector::new("latency_seconds").is("job", "a")
    }

    #[test]
    fn a_quantile_is_of_summed_rates_and_keeps_le() {
        assert_eq!(
            quantile(0.95, &["model_name"], &latency(), "5m").to_string(),
            r#"histogram_quantile(0.95, sum by (le, model_name) (rate(latency_seconds_bucket{job="a"}[5m])))"#
        );
    }

    #[test]
    fn the_share_above_a_bound_is_read_off_its_bucket() {
        assert_eq!(
            share_above(1.0, &[], &latency(), "5m").to_string(),
            r#"1 - sum(rate(latency_seconds_bucket{job="a",le="1.0"}[5m])) / sum(rate(latency_seconds_count{job="a"}[5m]))"#
        );
    }

    #[test]
    fn label_values_are_escaped() {
        assert_eq!(Selector::new("x").is("a", "\"\\\n").to_string(), r#"x{a="\"\\\n"}"#);
    }

    #[test]
    fn what_is_compared_is_known_without_the_comparison() {
        let condition = Condition::above(Selector::new("a").into(), 1.0)
            .or(Condition::below(Selector::new("b").into(), 0.144_000_000_000_000_02))
            .and(Condition::equal(Selector::new("c").into(), 0.0));
        assert_eq!(condition.to_string(), "(a > 1 or b < 0.144) and c == 0");
        assert_eq!(condition.operands().iter().map(Expr::to_string).collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
