//! Taking a text apart into families.

use super::family::{Family, Shape};

/// A line, which a line feed ends wherever it stands: those in label values and help texts are escaped.
enum Line<'a> {
    Help(&'a str),
    Type(&'a str, Shape),
    Sample(&'a str),
    Other,
}

/// Takes the first family off a text. A family is its comments and the samples after them; samples without a comment
/// about them are one too.
pub(super) fn take_family<'a>(text: &mut &'a [u8]) -> Option<Family<'a>> {
    let (mut name, mut shape) = (None, Shape::Single);
    let (mut has_help, mut has_type, mut has_sample) = (false, false, false);
    let mut end = 0;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let is_own = |other| name.is_none_or(|name| name == other);
        match parse(line) {
            Line::Help(about) if is_own(about) && !has_help && !has_sample => {
                (name, has_help) = (Some(about), true);
            }
            Line::Type(about, kind) if is_own(about) && !has_type && !has_sample => {
                (name, shape, has_type) = (Some(about), kind, true);
            }
            Line::Sample(sample) if is_own(sample) || is_part(sample, name, shape) => {
                (name, has_sample) = (Some(name.unwrap_or(sample)), true);
            }
            Line::Other => {}
            Line::Help(_) | Line::Type(..) | Line::Sample(_) => break, // of the next one
        }
        end += line.len();
    }
    let (bytes, rest) = text.split_at(end);
    *text = rest;
    let blank = bytes.iter().rev().take_while(|&&byte| byte == b'\n').count().saturating_sub(1);
    Some(Family { name: name?, shape, bytes: &bytes[..bytes.len() - blank] })
}

/// Whether this is a sample of the family under another name than its own.
fn is_part(sample: &str, family: Option<&str>, shape: Shape) -> bool {
    family.and_then(|family| sample.strip_prefix(family)).is_some_and(|suffix| shape.suffixes().contains(&suffix))
}

fn parse(line: &[u8]) -> Line<'_> {
    // Metrics are rendered as UTF-8. What were not would be nobody's.
    let line = std::str::from_utf8(line).unwrap_or_default().trim_end_matches('\n');
    if let Some(help) = line.strip_prefix("# HELP ") {
        return Line::Help(help.split(' ').next().unwrap_or_default());
    }
    if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
        let shape = match kind {
            "histogram" => Shape::Histogram,
            "summary" => Shape::Summary,
            _ => Shape::Single,
        };
        return Line::Type(name, shape);
    }
    match line.split(['{', ' ']).next() {
        None | Some("" | "#") => Line::Other,
        Some(name) => Line::Sample(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families(text: &str) -> Vec<(String, Shape, String)> {
        let mut rest = text.as_bytes();
        let family = || take_family(&mut rest);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        std::iter::from_fn(family).map(|family| (family.name.to_owned(), family.shape, text(family.bytes))).collect()
    }

    #[test]
    fn families_are_told_apart_by_their_comments_and_names() {
        let parts = [
            ("a", Shape::Single, "# HELP a Help of a.\n# TYPE a counter\na 1\na{x=\"1\"} 2\n"),
            ("b", Shape::Histogram, "# TYPE b histogram\nb_bucket{le=\"+Inf\"} 1\nb_sum 1\nb_count 1\n"),
            ("c", Shape::Summary, "# TYPE c summary\nc{quantile=\"0.5\"} 1\nc_sum 1\nc_count 1\n"),
            ("c_max", Shape::Single, "c_max 1\nc_max{x=\"1\"} 2\n"),
            ("d", Shape::Single, "d 1\n"),
            // Twice the same name.
            ("d", Shape::Single, "# TYPE d gauge\nd 1\n"),
            ("d", Shape::Single, "# TYPE d gauge\nd 1\n"),
            ("e", Shape::Single, "# HELP e\n"),
            ("f", Shape::Single, "# TYPE f untyped\n# HELP f After the type.\nf 1\n"),
        ];
        let own = parts.map(|(name, shape, text)| (name.to_owned(), shape, text.to_owned()));
        assert_eq!(families(&parts.map(|(_, _, text)| text).concat()), own);
        assert_eq!(families(&parts.map(|(_, _, text)| text).join("\n")), own, "with blank lines between");
    }

    #[test]
    fn what_stands_in_label_values_and_help_texts_begins_nothing() {
        let text =
            "# HELP a \\n# TYPE b counter\\nb 1\n# TYPE a gauge\na{x=\"\\n# TYPE b counter\\nb{} 1\\\\\\\"} 2\"} 1\n";
        assert_eq!(families(text), [("a".to_owned(), Shape::Single, text.to_owned())]);
    }

    #[test]
    fn any_text_comes_to_an_end() {
        for text in ["", "\n\n", "#", "# TYPE", "# TYPE a", "# HELP ", "{", "a", "a 1", " 1\n", "# EOF\n"] {
            families(text);
        }
        let mut broken: &[u8] = b"# TYPE \xff gauge\n\xff 1\na 1\n";
        assert_eq!(take_family(&mut broken).map(|family| family.name), Some("a"));
        assert_eq!(take_family(&mut broken), None);
    }
}
