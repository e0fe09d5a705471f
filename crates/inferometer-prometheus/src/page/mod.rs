//! The live page: one document that reads `/metrics` again and again while somebody looks at it.
//!
//! It brings its style and its script with it, and the browser is told to load nothing else and to run nothing else:
//! the policy names both by their hashes.

/// The document.
pub(crate) const DOCUMENT: &str = concat!(
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    "<title>inferometer</title>\n",
    "<link rel=\"icon\" href=\"data:,\">\n", // else the browser asks for /favicon.ico
    "<style>",
    include_str!("page.css"),
    "</style>\n</head>\n",
    include_str!("page.html"),
    "<script>",
    include_str!("page.js"),
    "</script>\n</body>\n</html>\n",
);

/// What the browser may do with it.
pub(crate) const CONTENT_SECURITY_POLICY: &str = concat!(
    "default-src 'none'; ",
    "style-src 'sha256-l2WZWw7cSEogOF8zUaEiJUcZxWepuExAfD4V4K49deg='; ",
    "script-src 'sha256-ermjtu0McbR+/B0bbP/vnc3TK0sufD8xYC/MnqDSNp8='; ",
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use sha2::{Digest, Sha256};

    /// What stands between two tags of the document, and that it is there once.
    fn inside(open: &str, close: &str) -> &'static str {
        let parts: Vec<_> = DOCUMENT.split(open).collect();
        assert_eq!(parts.len(), 2, "{open}");
        parts[1].split_once(close).unwrap().0
    }

    #[test]
    fn the_policy_has_the_hashes_of_what_is_in_the_document() {
        for (directive, text) in
            [("style-src", inside("<style>", "</style>")), ("script-src", inside("<script>", "</script>"))]
        {
            let want = format!("{directive} 'sha256-{}';", BASE64_STANDARD.encode(Sha256::digest(text)));
            assert!(CONTENT_SECURITY_POLICY.contains(&want), "the policy must have: {want}");
        }
        assert!(!CONTENT_SECURITY_POLICY.contains("unsafe"));
    }

    #[test]
    fn the_script_makes_no_markup_or_code_of_texts() {
        for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "srcdoc"] {
            assert!(!DOCUMENT.contains(way), "{way}");
        }
    }

    #[test]
    fn the_document_names_no_other_place() {
        // The name of SVG is not an address that anybody visits.
        let places: Vec<_> = DOCUMENT.match_indices("//").map(|(at, _)| &DOCUMENT[at.saturating_sub(6)..at]).collect();
        let schemes = places.iter().filter(|before| before.ends_with(':'));
        assert_eq!(schemes.count(), 1, "{places:?}");
        assert!(DOCUMENT.contains("'http://www.w3.org/2000/svg'"));
        assert!(!DOCUMENT.contains("src=") && !DOCUMENT.contains("url(") && !DOCUMENT.contains("@import"));
    }

    #[test]
    fn the_document_is_small() {
        assert!(DOCUMENT.len() < 60_000, "{}", DOCUMENT.len());
    }
}
