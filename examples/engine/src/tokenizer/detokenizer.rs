//! Tokens to text, one at a time.

/// Puts the pieces of a character together: a token may end in the middle of one, and a stream must not send half.
#[derive(Debug, Default)]
pub struct Detokenizer {
    /// The start of a character that is not complete; three bytes at most.
    pending: Vec<u8>,
}

impl Detokenizer {
    /// One that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The text that has become complete with this token's bytes. Bytes that cannot be part of any character become
    /// U+FFFD at once.
    pub fn push(&mut self, piece: &[u8]) -> String {
        self.pending.extend_from_slice(piece);
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, tail) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = tail;
                    match error.error_len() {
                        Some(length) => {
                            text.push(char::REPLACEMENT_CHARACTER);
                            rest = &rest[length..];
                        }
                        None => break,
                    }
                }
            }
        }
        self.pending = rest.to_vec();
        text
    }

    /// What is left when no more tokens come.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_in_pieces_comes_out_whole() {
        let mut detokenizer = Detokenizer::new();
        let crab = "🦀".as_bytes();
        assert_eq!(detokenizer.push(b"a"), "a");
        assert_eq!(detokenizer.push(&crab[..1]), "");
        assert_eq!(detokenizer.push(&crab[1..3]), "");
        assert_eq!(detokenizer.push(&[crab[3], b'b']), "🦀b");
        assert_eq!(detokenizer.finish(), "");
    }

    #[test]
    fn broken_bytes_are_replaced_and_nothing_is_held_back() {
        let mut detokenizer = Detokenizer::new();
        assert_eq!(detokenizer.push(&[0xff, b'x']), "\u{fffd}x");
        assert_eq!(detokenizer.push(&[0xe6]), "");
        assert_eq!(detokenizer.push(b"y"), "\u{fffd}y");
        assert_eq!(detokenizer.push(&[0xe6, 0x9d]), "");
        assert_eq!(detokenizer.finish(), "\u{fffd}");
    }
}
