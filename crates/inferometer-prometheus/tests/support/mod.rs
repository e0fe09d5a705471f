//! A strict reader of text 0.0.4, written from the format's description and not from the encoder. It refuses what
//! Prometheus may let pass.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod protobuf;

use inferometer_prometheus::Exporter;
use std::collections::HashSet;

/// A family as it was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) help: Option<String>,
    pub(crate) kind: String,
    pub(crate) samples: Vec<Sample>,
}

/// A sample as it was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    /// The value as it was written.
    pub(crate) text: String,
}

impl Sample {
    pub(crate) fn value(&self) -> f64 {
        match self.text.as_str() {
            "NaN" => f64::NAN,
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            text => text.parse().unwrap_or_else(|_| panic!("{text:?} is no number")),
        }
    }

    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// A histogram as it was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Histogram {
    pub(crate) labels: Vec<(String, String)>,
    /// Bounds as they were written, and cumulative counts.
    pub(crate) buckets: Vec<(String, u64)>,
    pub(crate) sum: String,
    pub(crate) count: u64,
}

/// Everything that an exporter exposes.
pub(crate) fn read(exporter: &Exporter) -> Vec<Family> {
    let body = exporter.render(None).body;
    parse(std::str::from_utf8(&body).expect("UTF-8")).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn text(exporter: &Exporter) -> String {
    String::from_utf8(exporter.render(None).body.to_vec()).expect("UTF-8")
}

/// The family with this name.
pub(crate) fn family<'a>(families: &'a [Family], name: &str) -> &'a Family {
    families.iter().find(|family| family.name == name).unwrap_or_else(|| panic!("no family {name:?} in {families:?}"))
}

/// The value of the only series with this label, as it was written.
pub(crate) fn value<'a>(families: &'a [Family], name: &str, label: Option<(&str, &str)>) -> &'a str {
    let samples = &family(families, name).samples;
    let matches = |sample: &&Sample| label.is_none_or(|(name, value)| sample.label(name) == Some(value));
    let found: Vec<&Sample> = samples.iter().filter(matches).collect();
    assert_eq!(found.len(), 1, "{name} {label:?}: {found:?}");
    &found[0].text
}

/// Reads a whole exposition, or says what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Vec<Family>, String> {
    let mut families: Vec<Family> = Vec::new();
    let mut names = HashSet::new();
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    let mut help: Option<(String, String)> = None;
    for line in text.split_terminator('\n') {
        let refuse = |why: &str| Err(format!("{why}: {line:?}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let Some((name, text)) = rest.split_once(' ') else { return refuse("a help without a text") };
            if help.is_some() {
                return refuse("a help without a type");
            }
            help = Some((name.to_owned(), unescape(text, false)?));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { return refuse("a type without a name") };
            if !["counter", "gauge", "histogram", "summary"].contains(&kind) {
                return refuse("an unknown type");
            }
            if !is_name(name, true) || !names.insert(name.to_owned()) {
                return refuse("a bad name, or a second time");
            }
            let help = match help.take() {
                Some((of, _)) if of != name => return refuse("the help is of another family"),
                help => help.map(|(_, text)| text),
            };
            families.push(Family { name: name.to_owned(), help, kind: kind.to_owned(), samples: Vec::new() });
        } else {
            if help.is_some() {
                return refuse("a help that no type follows");
            }
            let sample = parse_sample(line)?;
            let Some(family) = families.last_mut() else { return refuse("a sample before any type") };
            let suffix = sample.name.strip_prefix(family.name.as_str());
            let suffixes: &[&str] = match &*family.kind {
                "histogram" => &["_bucket", "_sum", "_count"],
                "summary" => &["", "_sum", "_count"],
                _ => &[""],
            };
            if !suffix.is_some_and(|suffix| suffixes.contains(&suffix)) {
                return refuse("a sample of another family");
            }
            let mut sorted = sample.labels.clone();
            sorted.sort();
            let same = |other: &Sample| {
                let mut labels = other.labels.clone();
                labels.sort();
                other.name == sample.name && labels == sorted
            };
            // Quadratic, and enough for tests.
            if family.samples.len() < 2_000 && family.samples.iter().any(same) {
                return refuse("a sample a second time");
            }
            family.samples.push(sample);
        }
    }
    if help.is_some() {
        return Err("a help at the end".to_owned());
    }
    for family in &families {
        if family.samples.is_empty() {
            return Err(format!("{} has no samples", family.name));
        }
        if family.kind == "histogram" {
            histograms(family)?;
        }
    }
    Ok(families)
}

fn parse_sample(line: &str) -> Result<Sample, String> {
    let refuse = |why: &str| Err(format!("{why}: {line:?}"));
    let end = line.find(['{', ' ']).ok_or(format!("no value: {line:?}"))?;
    let (name, mut rest) = line.split_at(end);
    if !is_name(name, true) {
        return refuse("a bad name");
    }
    let mut labels: Vec<(String, String)> = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let Some((name, after)) = rest.split_once("=\"") else { return refuse("a label without a value") };
            if !is_name(name, false) || labels.iter().any(|(other, _)| other == name) {
                return refuse("a bad label name, or a second time");
            }
            let mut escaped = false;
            let quote = after.char_indices().find(|&(_, c)| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            let Some((quote, _)) = quote else { return refuse("a value without an end") };
            labels.push((name.to_owned(), unescape(&after[..quote], true)?));
            rest = &after[quote + 1..];
            if let Some(after) = rest.strip_prefix(',') {
                rest = after;
            } else if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            } else {
                return refuse("neither a comma nor a brace after a label");
            }
        }
    }
    let Some(text) = rest.strip_prefix(' ') else { return refuse("no space before the value") };
    if !matches!(text, "NaN" | "+Inf" | "-Inf") {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.e".contains(&byte));
        if !plain || text.parse::<f64>().is_err() {
            return refuse("a bad value");
        }
    }
    Ok(Sample { name: name.to_owned(), labels, text: text.to_owned() })
}

fn is_name(name: &str, metric: bool) -> bool {
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || (metric && byte == b':');
    name.bytes().next().is_some_and(first) && name.bytes().all(|byte| first(byte) || byte.is_ascii_digit())
}

fn unescape(text: &str, quoted: bool) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(match chars.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('"') if quoted => '"',
                other => return Err(format!("a bad escape {other:?} in {text:?}")),
            }),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// The histograms of a family, each checked: bounds ascend, counts do not fall, `+Inf` is there and equals the count.
pub(crate) fn histograms(family: &Family) -> Result<Vec<Histogram>, String> {
    let mut histograms: Vec<Histogram> = Vec::new();
    let mut samples = family.samples.iter().peekable();
    while samples.peek().is_some() {
        let mut buckets: Vec<(String, u64)> = Vec::new();
        let mut labels = None;
        let mut last = f64::NEG_INFINITY;
        while let Some(sample) = samples.next_if(|sample| sample.name.ends_with("_bucket")) {
            let le = sample.label("le").ok_or("a bucket without a bound")?;
            let bound: f64 = le.trim_start_matches('+').parse().map_err(|_| format!("a bad bound {le:?}"))?;
            let count: u64 = sample.text.parse().map_err(|_| format!("a bad count {:?}", sample.text))?;
            if bound <= last || buckets.last().is_some_and(|&(_, before)| count < before) {
                return Err(format!("{} is not ascending at {le}", family.name));
            }
            last = bound;
            let own: Vec<_> = sample.labels.iter().filter(|(name, _)| name != "le").cloned().collect();
            if *labels.get_or_insert(own.clone()) != own {
                return Err(format!("{}: buckets of two series in one another", family.name));
            }
            buckets.push((le.to_owned(), count));
        }
        let (Some(sum), Some(count)) = (samples.next(), samples.next()) else {
            return Err(format!("{} has no sum or count", family.name));
        };
        let labels = labels.ok_or("no buckets")?;
        if !sum.name.ends_with("_sum")
            || !count.name.ends_with("_count")
            || sum.labels != labels
            || count.labels != labels
        {
            return Err(format!("{}: sum and count are not those of the buckets", family.name));
        }
        let total: u64 = count.text.parse().map_err(|_| format!("a bad count {:?}", count.text))?;
        if buckets.last() != Some(&("+Inf".to_owned(), total)) {
            return Err(format!("{}: +Inf is not the count", family.name));
        }
        histograms.push(Histogram { labels, buckets, sum: sum.text.clone(), count: total });
    }
    Ok(histograms)
}
