//! Escaping, as the text formats want it. All else stands verbatim: the formats are UTF-8 and so is a `str`.

/// Appends a label's value as it stands between its quotes; a help text of OpenMetrics is escaped like one.
pub(super) fn quoted(out: &mut Vec<u8>, value: &str) {
    escape(out, value, |byte| match byte {
        b'\\' => Some(b"\\\\"),
        b'"' => Some(b"\\\""),
        b'\n' => Some(b"\\n"),
        _ => None,
    });
}

/// Appends a help text of text 0.0.4. A quote is not special in it.
pub(super) fn help(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |byte| match byte {
        b'\\' => Some(b"\\\\"),
        b'\n' => Some(b"\\n"),
        _ => None,
    });
}

/// Replaces bytes. Those that are special are ASCII, which is never part of a longer UTF-8 sequence.
fn escape(out: &mut Vec<u8>, text: &str, replacement: impl Fn(u8) -> Option<&'static [u8; 2]>) {
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if let Some(escaped) = replacement(byte) {
            out.extend_from_slice(&bytes[plain..at]);
            out.extend_from_slice(escaped);
            plain = at + 1;
        }
    }
    out.extend_from_slice(&bytes[plain..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(escape: fn(&mut Vec<u8>, &str), text: &str) -> String {
        let mut out = Vec::new();
        escape(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_label_value_escapes_backslash_quote_and_line_feed_and_nothing_else() {
        assert_eq!(escaped(quoted, "a\\b\"c\nd"), r#"a\\b\"c\nd"#);
        for verbatim in ["", "\r", "\0", "},# EOF", "\u{2028}", "模型", "\u{FFFD}"] {
            assert_eq!(escaped(quoted, verbatim), verbatim);
        }
        assert_eq!(escaped(quoted, "\n\n"), "\\n\\n");
    }

    #[test]
    fn a_help_text_keeps_its_quotes() {
        assert_eq!(escaped(help, "a\\b\"c\nd"), r#"a\\b"c\nd"#);
    }
}
