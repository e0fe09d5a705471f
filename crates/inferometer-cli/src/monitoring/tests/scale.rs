//! What `--time-scale` does.

use super::rendered;
use std::iter;

/// Two renderings, of which one is for a time that runs ten times as fast, are the same but for times, which are all
/// ten times as short.
#[test]
fn a_scale_changes_times_and_nothing_else() {
    const SCALE: f64 = 10.0;
    let slow = rendered("--interval 60s --target 127.0.0.1:9464");
    let fast = rendered("--interval 60s --target 127.0.0.1:9464 --time-scale 10");
    assert_eq!(slow.len(), fast.len());
    let mut numbers = Vec::new();
    for (slow, fast) in iter::zip(&slow, &fast) {
        assert_eq!(slow.path, fast.path);
        let (one, other) = (tokens(&slow.content), tokens(&fast.content));
        assert_eq!(one.len(), other.len(), "{}", slow.path);
        let differing = iter::zip(one, other).filter(|(one, other)| one != other);
        for (one, other) in differing {
            let ratio = if let (Some(one), Some(other)) = (duration(one), duration(other)) {
                one / other
            } else {
                let number = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("{}: {text}", slow.path));
                if slow.path.starts_with("rules/") {
                    numbers.push((slow.path.as_str(), number(one)));
                }
                number(one) / number(other)
            };
            assert!((ratio - SCALE).abs() < 1e-9, "{}: {one} and {other}", slow.path);
        }
    }
    // Times that a value is compared with: ten minutes since an Xid, and half of what a scrape may take.
    assert_eq!(numbers, [("rules/targets.yml", 5.0), ("rules/gpu.yml", 600.0), ("rules/gpu.yml", 600.0)]);
}

/// Words, numbers with their units, and signs.
fn tokens(text: &str) -> Vec<&str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = if word(first) { rest.find(|c| !word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        if !first.is_whitespace() {
            tokens.push(&rest[..end]);
        }
        rest = &rest[end..];
    }
    tokens
}

/// In milliseconds.
fn duration(text: &str) -> Option<f64> {
    let number = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let unit = match &text[number..] {
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 60e3,
        "h" => 3_600e3,
        "d" => 86_400e3,
        _ => return None,
    };
    text[..number].parse::<f64>().ok().map(|number| number * unit)
}
