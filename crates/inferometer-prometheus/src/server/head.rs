//! A strict look at the bytes of a request's head, beside the lenient one of the HTTP parser.
//!
//! The parser takes a bare line feed for the end of a line and keeps what follows a head for the next request. A proxy
//! in front that reads the same bytes otherwise can be made to take one request for two. So a head whose lines do not
//! end in CR LF is refused, and a connection with bytes after a head is closed after one answer.

/// Looks at the bytes of a head as they arrive.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadCheck {
    last: u8,
    /// Whether a line with something in it has ended: empty ones may stand before a request.
    begun: bool,
    /// How long the line is, without its end.
    line: usize,
    ended: bool,
    verdict: Verdict,
}

/// What there is to say of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// It has a carriage return or a line feed without the other.
    pub(super) malformed: bool,
    /// Something came after it before it was answered.
    pub(super) followed: bool,
}

impl HeadCheck {
    pub(super) fn look_at(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.ended {
                self.verdict.followed = true;
                return;
            }
            self.verdict.malformed |= (byte == b'\n') != (self.last == b'\r');
            match byte {
                b'\n' => {
                    self.ended = self.begun && self.line == 0;
                    self.begun |= self.line > 0;
                    self.line = 0;
                }
                b'\r' => {}
                _ => self.line += 1,
            }
            self.last = byte;
        }
    }

    /// The verdict on the head that was just parsed. From here on the next one is looked at.
    pub(super) fn finish(&mut self) -> Verdict {
        std::mem::take(self).verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(bytes: &[u8]) -> (bool, bool) {
        let mut whole = HeadCheck::default();
        whole.look_at(bytes);
        let mut pieces = HeadCheck::default();
        bytes.iter().for_each(|byte| pieces.look_at(&[*byte]));
        let verdict = whole.finish();
        assert_eq!(verdict, pieces.finish());
        (verdict.malformed, verdict.followed)
    }

    #[test]
    fn a_head_with_proper_lines_is_good() {
        assert_eq!(verdict(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (false, false));
        assert_eq!(verdict(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"), (false, false));
    }

    #[test]
    fn a_bare_line_feed_or_carriage_return_is_bad() {
        assert_eq!(verdict(b"GET / HTTP/1.1\nHost: a\r\n\r\n"), (true, false));
        assert_eq!(verdict(b"GET / HTTP/1.1\r\nHost: a\n\n"), (true, false));
        assert_eq!(verdict(b"GET / HTTP/1.1\r\nHost: a\rb: c\r\n\r\n"), (true, false));
        assert_eq!(verdict(b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"), (true, false));
    }

    #[test]
    fn what_follows_a_head_is_noticed_and_not_judged() {
        assert_eq!(verdict(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"), (false, true));
        assert_eq!(verdict(b"GET / HTTP/1.1\r\n\r\n\n"), (false, true));
    }

    #[test]
    fn each_head_is_looked_at_for_itself() {
        let mut check = HeadCheck::default();
        check.look_at(b"GET / HTTP/1.1\n\n");
        assert!(check.finish().malformed);
        check.look_at(b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(check.finish(), Verdict::default());
    }
}
