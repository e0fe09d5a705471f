//! How long Prometheus waits, which it says with each scrape.

use http::HeaderMap;
use std::time::Duration;

const HEADER: &str = "x-prometheus-scrape-timeout-seconds";

/// What the answer needs to arrive, of a second or more; of less, half.
const OFFSET: Duration = Duration::from_millis(500);

/// How long a response to a request with these headers may take, if they say so once.
pub(super) fn of(headers: &HeaderMap) -> Option<Duration> {
    let mut all = headers.get_all(HEADER).iter();
    match (all.next(), all.next()) {
        (Some(one), None) => parse(one.as_bytes()),
        _ => None,
    }
}

/// How long a response may take for a header of this text, in seconds. `None` for what is no such time.
fn parse(header: &[u8]) -> Option<Duration> {
    let seconds: f64 = std::str::from_utf8(header).ok()?.parse().ok()?;
    // Neither for a number below zero, nor for one past a duration's range, nor for NaN.
    let timeout = Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero())?;
    Some(timeout.saturating_sub(OFFSET).max(timeout / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn an_answer_is_due_before_the_scraper_gives_up() {
        for (header, millis) in [("10", 9_500), ("1.5", 1_000), ("1", 500), ("0.6", 300), ("0.01", 5), ("1e1", 9_500)] {
            assert_eq!(parse(header.as_bytes()), Some(Duration::from_millis(millis)), "{header}");
        }
    }

    #[test]
    fn what_is_no_time_is_ignored() {
        for header in ["", " ", "abc", "-1", "-0", "0", "NaN", "inf", "-inf", "1e308", "1e-400", "10s", "1,5", "0x10"] {
            assert_eq!(parse(header.as_bytes()), None, "{header}");
        }
        assert_eq!(parse(b"\xff"), None);
        assert_eq!(parse(&[b'9'; 8_000]), None);
    }

    #[test]
    fn two_headers_contradict_each_other_and_are_ignored() {
        let mut headers = HeaderMap::new();
        assert_eq!(of(&headers), None);
        headers.append(HEADER, HeaderValue::from_static("10"));
        assert_eq!(of(&headers), Some(Duration::from_millis(9_500)));
        headers.append(HEADER, HeaderValue::from_static("5"));
        assert_eq!(of(&headers), None);
    }
}
