//! A quantised Llama from a GGUF file, on candle's CPU backend.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use candle_core::quantized::gguf_file;
use candle_core::{Device, Tensor};
use candle_transformers::models::quantized_llama::{MAX_SEQ_LEN, ModelWeights};

use super::{Model, ModelError, ModelFile, ModelInfo, Sequence, copy_logits};

/// A GGUF model.
///
/// candle keeps the key-value cache inside the model. Cloning a model that has seen no token copies pointers to the
/// weights and no cache, so each sequence is a clone of this one, which is never run.
#[derive(Debug)]
pub(super) struct QuantizedLlama {
    pristine: ModelWeights,
    info: ModelInfo,
}

impl QuantizedLlama {
    pub(super) fn from_gguf<R: Read + Seek>(
        content: gguf_file::Content,
        reader: &mut R,
        name: String,
        file: ModelFile,
    ) -> candle_core::Result<Self> {
        let mut by_type: BTreeMap<String, u64> = BTreeMap::new();
        for tensor in content.tensor_infos.values() {
            *by_type.entry(format!("{:?}", tensor.ggml_dtype)).or_default() += tensor.shape.elem_count() as u64;
        }
        let parameters = by_type.values().sum();
        let weights = by_type.into_iter().max_by_key(|&(_, count)| count).map_or_else(String::new, |(name, _)| name);
        let trained_for = content.metadata.get("llama.context_length").map(gguf_file::Value::to_u32).transpose()?;
        let vocabulary = content
            .tensor_infos
            .get("token_embd.weight")
            .and_then(|tensor| tensor.shape.dims().first().copied())
            .unwrap_or(0);
        let info = ModelInfo {
            name,
            backend: format!("candle CPU, {weights} GGUF"),
            file: Some(file),
            weights,
            parameters,
            vocabulary,
            // candle's tables of rotary embeddings end at MAX_SEQ_LEN, whatever the model was trained for.
            context: trained_for.map_or(MAX_SEQ_LEN, |n| (n as usize).min(MAX_SEQ_LEN)),
        };
        let pristine = ModelWeights::from_gguf(content, reader, &Device::Cpu)?;
        Ok(Self { pristine, info })
    }
}

impl Model for QuantizedLlama {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn new_sequence(&self) -> Result<Box<dyn Sequence>, ModelError> {
        Ok(Box::new(QuantizedSequence(self.pristine.clone())))
    }
}

struct QuantizedSequence(ModelWeights);

impl Sequence for QuantizedSequence {
    fn forward(&mut self, input: &Tensor, position: usize, logits: &mut Vec<f32>) -> Result<(), ModelError> {
        copy_logits(&self.0.forward(input, position)?, logits)
    }
}
