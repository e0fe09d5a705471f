//! A reader of Prometheus's text format 0.0.4 that lets nothing pass: what it accepts is complete, unambiguous and
//! consistent with itself. `promtool` and Prometheus, which are more lenient, judge it besides.

use std::collections::{BTreeMap, BTreeSet};

/// The labels of a series, by name.
pub type Labels = BTreeMap<String, String>;

/// What one scrape said.
#[derive(Debug, Clone, Default)]
pub struct Scrape {
    /// The type of each family.
    pub types: BTreeMap<String, String>,
    help: BTreeSet<String>,
    samples: BTreeMap<(String, Labels), f64>,
}

impl Scrape {
    /// Reads a page.
    pub fn parse(page: &str) -> Result<Self, String> {
        let mut scrape = Self::default();
        if !page.ends_with('\n') {
            return Err("the last line does not end".to_owned());
        }
        let mut current = String::new();
        for line in page.lines() {
            scrape.line(line, &mut current).map_err(|error| format!("{error}: `{line}`"))?;
        }
        scrape.check()?;
        Ok(scrape)
    }

    fn line(&mut self, line: &str, current: &mut String) -> Result<(), String> {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, _) = rest.split_once(' ').ok_or("HELP without a text")?;
            return if self.help.insert(name.to_owned()) { Ok(()) } else { Err("a second HELP".to_owned()) };
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or("TYPE without a type")?;
            name.clone_into(current);
            return match self.types.insert(name.to_owned(), kind.to_owned()) {
                None => Ok(()),
                Some(_) => Err("a second TYPE".to_owned()),
            };
        }
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (name, labels, value) = sample(line)?;
        if self.family_of(&name).as_deref() != Some(current.as_str()) {
            return Err(format!("a sample outside its family, among those of `{current}`"));
        }
        match self.samples.insert((name, labels), value) {
            None => Ok(()),
            Some(_) => Err("the series occurs twice".to_owned()),
        }
    }

    /// The family that a sample's name belongs to.
    fn family_of(&self, name: &str) -> Option<String> {
        if self.types.contains_key(name) {
            return Some(name.to_owned());
        }
        ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
            let family = name.strip_suffix(suffix)?;
            (self.types.get(family)? == "histogram").then(|| family.to_owned())
        })
    }

    /// That the samples of each family fit together.
    fn check(&self) -> Result<(), String> {
        for (family, kind) in &self.types {
            match kind.as_str() {
                "counter" => {
                    for (labels, value) in self.series(family) {
                        if !(value.is_finite() && value >= 0.0) {
                            return Err(format!("the counter `{family}` {labels:?} is {value}"));
                        }
                    }
                }
                "gauge" => {}
                "histogram" => self.check_histogram(family)?,
                other => return Err(format!("`{family}` is a {other}")),
            }
        }
        Ok(())
    }

    fn check_histogram(&self, family: &str) -> Result<(), String> {
        for (labels, count) in self.series(&format!("{family}_count")) {
            let mut own: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
            let buckets = self.buckets(family, &own);
            if buckets.last() != Some(&(f64::INFINITY, count)) {
                return Err(format!("`{family}` {labels:?}: _count is {count}, and the buckets are {buckets:?}"));
            }
            if !buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1) {
                return Err(format!("`{family}` {labels:?}: the buckets are not cumulative: {buckets:?}"));
            }
            own.sort_unstable();
            let sum = self.value(&format!("{family}_sum"), &own).ok_or_else(|| format!("`{family}` has no _sum"))?;
            if !(sum.is_finite() && sum >= 0.0) || (count == 0.0 && sum != 0.0) {
                return Err(format!("`{family}` {labels:?}: the sum of {count} values is {sum}"));
            }
        }
        Ok(())
    }

    /// All series with this sample name.
    pub fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Labels, f64)> {
        self.samples.iter().filter(move |((sample, _), _)| sample == name).map(|((_, labels), &value)| (labels, value))
    }

    /// The value of the one series with exactly these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.samples.get(&(name.to_owned(), labels)).copied()
    }

    /// The sum of all series that have at least these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        // Adding to -0.0, where an empty sum begins, would print as such.
        self.series(name).filter(|(series, _)| has(series, labels)).map(|(_, value)| value).fold(0.0, |a, b| a + b)
    }

    /// The cumulative buckets of all series of a histogram that have at least these labels, by their upper bounds.
    pub fn buckets(&self, family: &str, labels: &[(&str, &str)]) -> Vec<(f64, f64)> {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (series, value) in self.series(&format!("{family}_bucket")) {
            let Some(bound) = series.get("le").and_then(|le| number(le)) else { continue };
            if !has(series, labels) {
                continue;
            }
            match buckets.iter_mut().find(|(other, _)| *other == bound) {
                Some((_, sum)) => *sum += value,
                None => buckets.push((bound, value)),
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The names of the families of a type.
    pub fn families(&self, kind: &str) -> Vec<&str> {
        self.types.iter().filter(|(_, other)| *other == kind).map(|(name, _)| name.as_str()).collect()
    }

    /// That nothing went down and nothing vanished since an earlier scrape of the same process.
    pub fn check_since(&self, earlier: &Self) -> Result<(), String> {
        for ((name, labels), before) in &earlier.samples {
            let Some(after) = self.samples.get(&(name.clone(), labels.clone())) else {
                return Err(format!("`{name}` {labels:?} has vanished"));
            };
            let family = earlier.family_of(name).unwrap_or_default();
            let goes_up = earlier.types.get(&family).is_some_and(|kind| kind != "gauge");
            if goes_up && after < before {
                return Err(format!("`{name}` {labels:?} went down from {before} to {after}"));
            }
        }
        Ok(())
    }
}

fn has(series: &Labels, labels: &[(&str, &str)]) -> bool {
    labels.iter().all(|&(name, value)| series.get(name).is_some_and(|other| other == value))
}

/// `name{label="value",...} value`.
fn sample(line: &str) -> Result<(String, Labels, f64), String> {
    let end = line.find(['{', ' ']).ok_or("a sample without a value")?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::new(), rest),
    };
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let value = number(value).ok_or("a value that is not a number")?;
    Ok((name.to_owned(), labels, value))
}

/// What stands after `{`, and the rest after `}`.
fn labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, after) = rest.split_once("=\"").ok_or("a label without a value")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next() {
                Some((at, '"')) => break at,
                Some((_, '\\')) => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c @ ('\\' | '"'))) => value.push(c),
                    _ => return Err("an unknown escape".to_owned()),
                },
                Some((_, c)) => value.push(c),
                None => return Err("a label value that does not end".to_owned()),
            }
        };
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("the label `{name}` occurs twice"));
        }
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // Rust takes words such as `inf`, which the format does not know.
        _ => text.parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP a_total Counts.\n# TYPE a_total counter\na_total{x=\"q\\\"\\n\\\\\"} 3\na_total{x=\"\"} 4\n\
        # HELP h_seconds Times.\n# TYPE h_seconds histogram\nh_seconds_bucket{le=\"0.1\"} 1\n\
        h_seconds_bucket{le=\"+Inf\"} 2\nh_seconds_sum 1.5\nh_seconds_count 2\n";

    #[test]
    fn pages_are_read() {
        let scrape = Scrape::parse(PAGE).expect("a good page");
        assert_eq!(scrape.value("a_total", &[("x", "q\"\n\\")]), Some(3.0));
        assert_eq!(scrape.sum("a_total", &[]), 7.0);
        assert_eq!(scrape.buckets("h_seconds", &[]), [(0.1, 1.0), (f64::INFINITY, 2.0)]);
        assert_eq!(scrape.families("histogram"), ["h_seconds"]);
        assert_eq!(scrape.len(), 6);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let faults = [
            (PAGE.replace("_count 2", "_count 3"), "_count is 3"),
            (PAGE.replace("le=\"0.1\"} 1", "le=\"0.1\"} 5"), "not cumulative"),
            (PAGE.replace("x=\"\"} 4", "x=\"\"} -4"), "is -4"),
            (PAGE.replace("x=\"\"} 4", "x=\"\"} inf"), "not a number"),
            (format!("{PAGE}a_total 5\n"), "outside its family"),
            (format!("{PAGE}h_seconds_count 2\n"), "twice"),
            (PAGE.replace("# HELP h_seconds", "# HELP a_total"), "a second HELP"),
            (PAGE.trim_end().to_owned(), "does not end"),
        ];
        for (page, expected) in faults {
            let error = Scrape::parse(&page).expect_err("a bad page");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_goes_down_or_vanishes_is_noticed() {
        let before = Scrape::parse(PAGE).expect("a good page");
        before.check_since(&before).expect("the same");
        let after = Scrape::parse(&PAGE.replace("x=\"\"} 4", "x=\"\"} 3")).expect("a good page");
        assert!(after.check_since(&before).expect_err("went down").contains("went down"));
        let after = Scrape::parse(&PAGE.replace("a_total{x=\"\"} 4\n", "")).expect("a good page");
        assert!(after.check_since(&before).expect_err("gone").contains("vanished"));
    }
}
