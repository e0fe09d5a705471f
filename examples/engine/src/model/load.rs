//! From `--model` to a model that runs, its tokenizer and its chat template.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use candle_core::quantized::gguf_file::{Content, Value};

use super::quantized::QuantizedLlama;
use super::random::{RandomLlama, SMALL, Shape, TINY};
use super::{ModelFile, SharedModel};
use crate::chat::{self, ChatTemplate, TemplateError};
use crate::fetch::{self, FetchError, SMOLLM2};
use crate::sha256;
use crate::tokenizer::{Tokenizer, TokenizerError};

/// Which model to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSpec {
    /// SmolLM2-135M-Instruct, fetched on first use.
    SmolLm2,
    /// A GGUF file with a Llama model.
    File(PathBuf),
    /// Pseudo-random weights; a step takes a few milliseconds.
    Random,
    /// Pseudo-random weights; a step takes a fraction of a millisecond.
    RandomTiny,
}

impl FromStr for ModelSpec {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "smollm2" => Self::SmolLm2,
            "random" => Self::Random,
            "random-tiny" => Self::RandomTiny,
            path => Self::File(path.into()),
        })
    }
}

/// A model and what belongs to it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The weights.
    pub model: SharedModel,
    /// Text to tokens and back.
    pub tokenizer: Arc<Tokenizer>,
    /// Chat messages to a prompt.
    pub template: Arc<ChatTemplate>,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The weights could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The file cannot be read.
    #[error("cannot read the model {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds no model that runs here.
    #[error("cannot load the model {}: {source}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: candle_core::Error,
    },
    /// The file holds a model of another kind.
    #[error("{} holds a model of the architecture `{found}`; this server runs `llama`", path.display())]
    Architecture {
        /// Which file.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// Random weights could not be made.
    #[error("cannot build the random model: {0}")]
    Random(candle_core::Error),
    /// The tokenizer could not be built.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The chat template does not parse.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// Loads a model, and fetches it first if it has to be. Blocks for as long as that takes.
pub fn load(spec: &ModelSpec) -> Result<Loaded, LoadError> {
    match spec {
        ModelSpec::SmolLm2 => {
            let fetched = fetch::fetch(&SMOLLM2, &fetch::cache_directory()?)?;
            from_file(&fetched.path, fetched.sha256)
        }
        ModelSpec::File(path) => {
            let sha256 = sha256::of_file(path).map_err(|source| LoadError::File { path: path.clone(), source })?;
            from_file(path, sha256)
        }
        ModelSpec::Random => random(SMALL),
        ModelSpec::RandomTiny => random(TINY),
    }
}

fn random(shape: Shape) -> Result<Loaded, LoadError> {
    let model = RandomLlama::new(shape).map_err(LoadError::Random)?;
    let vocabulary = super::Model::info(&model).vocabulary;
    Ok(Loaded {
        model: Arc::new(model),
        tokenizer: Arc::new(Tokenizer::bytes(vocabulary)),
        template: Arc::new(ChatTemplate::new(chat::PLAIN.to_owned())?),
    })
}

fn from_file(path: &Path, sha256: String) -> Result<Loaded, LoadError> {
    let unreadable = |source| LoadError::File { path: path.to_owned(), source };
    let malformed = |source| LoadError::Format { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let content = Content::read(&mut reader).map_err(malformed)?;
    match content.metadata.get("general.architecture") {
        Some(Value::String(name)) if name == "llama" => {}
        other => {
            let found = match other {
                Some(Value::String(name)) => name.clone(),
                _ => "unknown".to_owned(),
            };
            return Err(LoadError::Architecture { path: path.to_owned(), found });
        }
    }
    let tokenizer = Tokenizer::from_gguf(&content)?;
    let template = match content.metadata.get("tokenizer.chat_template") {
        Some(Value::String(source)) => source.clone(),
        _ => chat::PLAIN.to_owned(),
    };
    let template = ChatTemplate::new(template)?;
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let file = ModelFile { path: path.to_owned(), name: name.clone(), bytes, sha256 };
    let model = QuantizedLlama::from_gguf(content, &mut reader, served_name(&name), file).map_err(malformed)?;
    Ok(Loaded { model: Arc::new(model), tokenizer: Arc::new(tokenizer), template: Arc::new(template) })
}

/// `SmolLM2-135M-Instruct.Q4_1.gguf` is served as `SmolLM2-135M-Instruct`: the file's name without its ending and
/// the type of its weights.
fn served_name(file: &str) -> String {
    let stem = file.strip_suffix(".gguf").unwrap_or(file);
    match stem.rsplit_once(['.', '-']) {
        Some((name, end)) if is_weight_type(end) => name.to_owned(),
        _ => stem.to_owned(),
    }
}

fn is_weight_type(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    let digit_after =
        |prefix: &str| text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    ["Q", "IQ", "F", "BF"].into_iter().any(digit_after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (file, name) in [
            ("SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct"),
            ("tiny-f16.gguf", "tiny"),
            ("TinyLlama-1.1B.gguf", "TinyLlama-1.1B"),
            ("model.gguf", "model"),
        ] {
            assert_eq!(served_name(file), name);
        }
    }

    #[test]
    fn a_missing_or_foreign_file_is_an_error_that_names_it() {
        let error = load(&ModelSpec::File("no/such/model.gguf".into())).expect_err("missing");
        assert!(error.to_string().contains("no/such/model.gguf"), "{error}");
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("text.gguf");
        std::fs::write(&path, "no model at all").expect("writes");
        let error = load(&ModelSpec::File(path)).expect_err("foreign");
        assert!(matches!(error, LoadError::Format { .. }), "{error}");
    }
}
