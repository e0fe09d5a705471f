//! A byte-level BPE tokenizer from a GGUF file's metadata.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::{Content, Value};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{AddedToken, Tokenizer};

use super::TokenizerError;

pub(super) struct Bpe {
    pub(super) tokenizer: Tokenizer,
    pub(super) pieces: Vec<Box<[u8]>>,
    pub(super) end: Vec<u32>,
}

/// llama.cpp's token types that are not text: unknown, control, unused.
const NOT_TEXT: [i64; 3] = [2, 3, 5];
/// A token of the author's own that is matched in the text before the merges.
const USER_DEFINED: i64 = 4;

pub(super) fn from_gguf(content: &Content) -> Result<Bpe, TokenizerError> {
    let model = text(content, "tokenizer.ggml.model")?;
    if model != "gpt2" {
        return Err(TokenizerError::Unsupported { what: "tokenizer", name: model.to_owned() });
    }
    let tokens = texts(content, "tokenizer.ggml.tokens")?;
    let merges = texts(content, "tokenizer.ggml.merges")?
        .into_iter()
        .map(|merge| merge.split_once(' '))
        .map(|pair| pair.map(|(left, right)| (left.to_owned(), right.to_owned())))
        .collect::<Option<Vec<_>>>()
        .ok_or(TokenizerError::Metadata("tokenizer.ggml.merges"))?;
    let vocabulary: Vocab = tokens.iter().zip(0u32..).map(|(&token, id)| (token.to_owned(), id)).collect();
    let types = match content.metadata.get("tokenizer.ggml.token_type") {
        Some(Value::Array(values)) => values.iter().map(integer).collect(),
        _ => vec![Some(1); tokens.len()],
    };

    let mut tokenizer = Tokenizer::new(BPE::builder().vocab_and_merges(vocabulary, merges).build()?);
    tokenizer.with_pre_tokenizer(Some(pre_tokenizer(content)?));

    let of_type = |wanted: &[i64]| -> Vec<&str> {
        tokens
            .iter()
            .zip(&types)
            .filter(|(_, kind)| kind.is_some_and(|kind| wanted.contains(&kind)))
            .map(|(&token, _)| token)
            .collect()
    };
    let control = of_type(&NOT_TEXT);
    tokenizer.add_special_tokens(control.iter().map(|&token| AddedToken::from(token, true)))?;
    tokenizer.add_tokens(
        of_type(&[USER_DEFINED]).into_iter().map(|token| AddedToken::from(token, false).normalized(false)),
    )?;

    let bytes = byte_of_char();
    let pieces = tokens
        .iter()
        .zip(&types)
        .map(|(&token, kind)| match kind {
            Some(kind) if NOT_TEXT.contains(kind) => Box::default(),
            Some(USER_DEFINED) => Box::from(token.as_bytes()),
            // A character outside the byte alphabet stands for itself.
            _ => token
                .chars()
                .flat_map(|c| match bytes.get(&c) {
                    Some(&byte) => vec![byte],
                    None => c.to_string().into_bytes(),
                })
                .collect(),
        })
        .collect();

    // An answer ends with the end-of-text token, or, whatever the file calls that, at the end of a chat turn.
    let mut end: Vec<u32> = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"]
        .iter()
        .filter_map(|&key| content.metadata.get(key).and_then(integer))
        .filter_map(|id| u32::try_from(id).ok())
        .chain(
            ["<|im_end|>", "<|endoftext|>", "<|eot_id|>"]
                .iter()
                .filter(|&name| control.contains(name))
                .filter_map(|name| tokenizer.token_to_id(name)),
        )
        .collect();
    end.sort_unstable();
    end.dedup();
    Ok(Bpe { tokenizer, pieces, end })
}

/// How a text is cut before the merges: the file only gives a name, and a wrong cut still gives tokens, just not
/// those that the model was trained on. So an unknown name is an error.
fn pre_tokenizer(content: &Content) -> Result<PreTokenizerWrapper, TokenizerError> {
    const LLAMA3: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let gpt2 = ByteLevel::new(false, true, true);
    match text(content, "tokenizer.ggml.pre")? {
        // Every digit by itself, then as GPT-2 does.
        "smollm" => Ok(Sequence::new(vec![Digits::new(true).into(), gpt2.into()]).into()),
        "gpt-2" | "default" => Ok(gpt2.into()),
        "llama-bpe" | "llama3" => {
            let split = Split::new(SplitPattern::Regex(LLAMA3.to_owned()), SplitDelimiterBehavior::Isolated, false)?;
            let bytes = ByteLevel::new(false, true, false);
            Ok(Sequence::new(vec![split.into(), bytes.into()]).into())
        }
        other => Err(TokenizerError::Unsupported { what: "pre-tokenizer", name: other.to_owned() }),
    }
}

/// GPT-2's alphabet: each byte as a printable character. The printable bytes of Latin-1 stand for themselves, the
/// others follow from U+0100 on.
fn byte_of_char() -> HashMap<char, u8> {
    let mut next = 0x100u32;
    (0..=255u8)
        .filter_map(|byte| {
            let code = if matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff) {
                u32::from(byte)
            } else {
                next += 1;
                next - 1
            };
            char::from_u32(code).map(|c| (c, byte))
        })
        .collect()
}

fn text<'a>(content: &'a Content, key: &'static str) -> Result<&'a str, TokenizerError> {
    match content.metadata.get(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(TokenizerError::Metadata(key)),
    }
}

fn texts<'a>(content: &'a Content, key: &'static str) -> Result<Vec<&'a str>, TokenizerError> {
    let Some(Value::Array(values)) = content.metadata.get(key) else {
        return Err(TokenizerError::Metadata(key));
    };
    values
        .iter()
        .map(|value| match value {
            Value::String(text) => Ok(text.as_str()),
            _ => Err(TokenizerError::Metadata(key)),
        })
        .collect()
}

fn integer(value: &Value) -> Option<i64> {
    Some(match *value {
        Value::U8(n) => n.into(),
        Value::I8(n) => n.into(),
        Value::U16(n) => n.into(),
        Value::I16(n) => n.into(),
        Value::U32(n) => n.into(),
        Value::I32(n) => n.into(),
        Value::U64(n) => i64::try_from(n).ok()?,
        Value::I64(n) => n,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::quantized::gguf_file::VersionedMagic;

    use super::*;
    use crate::tokenizer::Tokenizer as Ours;

    /// A file with the 256 bytes, three control tokens and a few merges.
    fn content(pre: &str) -> Content {
        let mut alphabet: Vec<(char, u8)> = byte_of_char().into_iter().collect();
        alphabet.sort_by_key(|&(_, byte)| byte);
        let mut tokens: Vec<String> = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(str::to_owned).to_vec();
        let mut types = vec![3; tokens.len()];
        tokens.extend(alphabet.iter().map(|(c, _)| c.to_string()));
        let merges = ["h e", "l l", "Ġ w", "1 2", "Ġ Ġ"];
        tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
        types.resize(tokens.len(), 1);
        let strings = |list: &[String]| Value::Array(list.iter().map(|text| Value::String(text.clone())).collect());
        let metadata = HashMap::from([
            ("tokenizer.ggml.model".to_owned(), Value::String("gpt2".to_owned())),
            ("tokenizer.ggml.pre".to_owned(), Value::String(pre.to_owned())),
            ("tokenizer.ggml.tokens".to_owned(), strings(&tokens)),
            ("tokenizer.ggml.merges".to_owned(), strings(&merges.map(str::to_owned))),
            ("tokenizer.ggml.token_type".to_owned(), Value::Array(types.into_iter().map(Value::I32).collect())),
            ("tokenizer.ggml.eos_token_id".to_owned(), Value::U32(2)),
        ]);
        Content { magic: VersionedMagic::GgufV3, metadata, tensor_infos: HashMap::new(), tensor_data_offset: 0 }
    }

    fn texts_of(tokenizer: &Ours, text: &str) -> Vec<String> {
        tokenizer
            .encode(text)
            .expect("encodes")
            .iter()
            .map(|&token| String::from_utf8_lossy(tokenizer.piece(token)).into_owned())
            .collect()
    }

    #[test]
    fn any_text_survives_the_round_trip() {
        let tokenizer = Ours::from_gguf(&content("smollm")).expect("builds");
        for text in ["hello  world", " leading and trailing ", "naïve 東京 🦀\r\n\tend", "\u{0}\u{7f}", ""] {
            let tokens = tokenizer.encode(text).expect("encodes");
            assert_eq!(tokenizer.decode(&tokens), text, "{tokens:?}");
        }
    }

    #[test]
    fn smollm_takes_each_digit_by_itself() {
        let smollm = Ours::from_gguf(&content("smollm")).expect("builds");
        let gpt2 = Ours::from_gguf(&content("gpt-2")).expect("builds");
        assert_eq!(texts_of(&smollm, "he 12"), ["he", " ", "1", "2"]);
        assert_eq!(texts_of(&gpt2, "he12"), ["he", "12"]);
    }

    #[test]
    fn control_tokens_are_recognised_and_silent() {
        let tokenizer = Ours::from_gguf(&content("smollm")).expect("builds");
        let tokens = tokenizer.encode("<|im_start|>he<|im_end|>").expect("encodes");
        assert_eq!(tokens.first(), Some(&1));
        assert_eq!(tokens.last(), Some(&2));
        assert_eq!(tokenizer.decode(&tokens), "he");
        assert_eq!(tokenizer.end_tokens(), [0, 2]);
    }

    #[test]
    fn an_unknown_cut_is_an_error() {
        let error = Ours::from_gguf(&content("novel")).expect_err("unknown");
        assert!(error.to_string().contains("`novel`"), "{error}");
    }
}
