//! Text to tokens and back.

mod bpe;
mod detokenizer;

use candle_core::quantized::gguf_file::Content;

pub use detokenizer::Detokenizer;

/// A model's tokenizer.
#[derive(Debug)]
pub struct Tokenizer {
    kind: Kind,
    /// The bytes that each token stands for; a control token stands for none.
    pieces: Vec<Box<[u8]>>,
    /// Tokens that end an answer, in ascending order.
    end: Vec<u32>,
}

#[derive(Debug)]
enum Kind {
    Bpe(Box<tokenizers::Tokenizer>),
    Bytes,
}

/// A tokenizer that cannot be built, or a text that it refuses.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The model file lacks an entry, or has one of another type.
    #[error("the model file has no usable `{0}`")]
    Metadata(&'static str),
    /// The model file names a kind of tokenizer that is not built here.
    #[error("the model file wants the {what} `{name}`, which this server does not have")]
    Unsupported {
        /// What is missing.
        what: &'static str,
        /// Its name in the file.
        name: String,
    },
    /// From the tokenizers crate.
    #[error("tokenizer: {0}")]
    Tokenizers(String),
}

impl From<tokenizers::Error> for TokenizerError {
    fn from(error: tokenizers::Error) -> Self {
        Self::Tokenizers(error.to_string())
    }
}

impl Tokenizer {
    /// The byte-pair tokenizer whose vocabulary and merges stand in a GGUF file.
    pub fn from_gguf(content: &Content) -> Result<Self, TokenizerError> {
        let bpe::Bpe { tokenizer, pieces, end } = bpe::from_gguf(content)?;
        Ok(Self { kind: Kind::Bpe(Box::new(tokenizer)), pieces, end })
    }

    /// One token for each byte. The tokens past 255, which only a model of random weights produces, read `<n>`;
    /// nothing ends an answer early.
    pub fn bytes(vocabulary: usize) -> Self {
        let piece = |id: usize| match u8::try_from(id) {
            Ok(byte) => Box::from([byte]),
            Err(_) => format!("<{id}>").into_bytes().into_boxed_slice(),
        };
        Self { kind: Kind::Bytes, pieces: (0..vocabulary).map(piece).collect(), end: Vec::new() }
    }

    /// The text's tokens. Control tokens written out in the text are recognised, as a chat template needs.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        match &self.kind {
            Kind::Bpe(tokenizer) => Ok(tokenizer.encode_fast(text, false)?.get_ids().to_vec()),
            Kind::Bytes => Ok(text.bytes().map(u32::from).collect()),
        }
    }

    /// The text of whole sequence of tokens.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let mut detokenizer = Detokenizer::new();
        let mut text: String = tokens.iter().map(|&token| detokenizer.push(self.piece(token))).collect();
        text.push_str(&detokenizer.finish());
        text
    }

    /// The bytes that one token stands for: none if it is a control token or outside the vocabulary.
    pub fn piece(&self, token: u32) -> &[u8] {
        self.pieces.get(token as usize).map_or(&[], |piece| piece)
    }

    /// The tokens that end an answer.
    pub fn end_tokens(&self) -> &[u32] {
        &self.end
    }

    /// The number of tokens.
    pub fn vocabulary(&self) -> usize {
        self.pieces.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_trip() {
        let tokenizer = Tokenizer::bytes(512);
        let text = "naïve 東京 🦀\n";
        let tokens = tokenizer.encode(text).expect("bytes never fail");
        assert_eq!(tokens.len(), text.len());
        assert_eq!(tokenizer.decode(&tokens), text);
        assert_eq!(tokenizer.decode(&[72, 105, 300]), "Hi<300>");
        assert_eq!(tokenizer.piece(9_999), b"");
    }
}
