//! A Llama of pseudo-random weights: no download, the same arithmetic as a trained model of its shape, and an answer
//! that means nothing. For benches and tests.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::llama::{Cache, Config, Llama};

use super::{Model, ModelError, ModelInfo, Sequence, copy_logits};
use crate::sampling::SplitMix64;

/// The measures of a random model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    hidden: usize,
    intermediate: usize,
    layers: usize,
    heads: usize,
    vocabulary: usize,
}

/// A shape whose step takes a few milliseconds on one core.
pub(super) const SMALL: Shape =
    Shape { name: "random", hidden: 288, intermediate: 768, layers: 6, heads: 6, vocabulary: 32_000 };

/// A shape whose step takes a fraction of a millisecond.
pub(super) const TINY: Shape =
    Shape { name: "random-tiny", hidden: 64, intermediate: 172, layers: 2, heads: 4, vocabulary: 512 };

const CONTEXT: usize = 2_048;

#[derive(Debug)]
pub(super) struct RandomLlama {
    weights: Arc<Llama>,
    /// An empty cache; cloning it shares the tables of rotary embeddings.
    pristine: Cache,
    info: ModelInfo,
}

impl RandomLlama {
    pub(super) fn new(shape: Shape) -> candle_core::Result<Self> {
        let config = Config {
            hidden_size: shape.hidden,
            intermediate_size: shape.intermediate,
            vocab_size: shape.vocabulary,
            num_hidden_layers: shape.layers,
            num_attention_heads: shape.heads,
            num_key_value_heads: shape.heads,
            use_flash_attn: false,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            bos_token_id: None,
            eos_token_id: None,
            rope_scaling: None,
            max_position_embeddings: CONTEXT,
            tie_word_embeddings: true,
        };
        let tensors = weights(shape)?;
        let parameters = tensors.values().map(|t| t.elem_count() as u64).sum();
        let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        Ok(Self {
            weights: Arc::new(Llama::load(builder, &config)?),
            pristine: Cache::new(true, DType::F32, &config, &Device::Cpu)?,
            info: ModelInfo {
                name: shape.name.to_owned(),
                file: None,
                weights: "F32, pseudo-random".to_owned(),
                backend: "candle CPU, F32".to_owned(),
                parameters,
                vocabulary: shape.vocabulary,
                context: CONTEXT,
            },
        })
    }
}

/// Every tensor that candle's Llama asks for, from one generator in a fixed order.
fn weights(shape: Shape) -> candle_core::Result<HashMap<String, Tensor>> {
    let Shape { hidden, intermediate, layers, vocabulary, .. } = shape;
    let mut rng = SplitMix64(0x1f2e_3d4c);
    let mut tensors = HashMap::new();
    let mut matrix = |name: String, rows: usize, columns: usize| -> candle_core::Result<()> {
        // Uniform with the variance 1/columns, which keeps activations at their size from layer to layer.
        let scale = (12.0 / columns as f64).sqrt();
        let values: Vec<f32> = (0..rows * columns).map(|_| ((rng.unit() - 0.5) * scale) as f32).collect();
        tensors.insert(name, Tensor::from_vec(values, (rows, columns), &Device::Cpu)?);
        Ok(())
    };
    matrix("model.embed_tokens.weight".to_owned(), vocabulary, hidden)?;
    for layer in 0..layers {
        let of = |part: &str| format!("model.layers.{layer}.{part}.weight");
        for part in ["q_proj", "k_proj", "v_proj", "o_proj"] {
            matrix(of(&format!("self_attn.{part}")), hidden, hidden)?;
        }
        matrix(of("mlp.gate_proj"), intermediate, hidden)?;
        matrix(of("mlp.up_proj"), intermediate, hidden)?;
        matrix(of("mlp.down_proj"), hidden, intermediate)?;
    }
    let ones = Tensor::ones(hidden, DType::F32, &Device::Cpu)?;
    tensors.insert("model.norm.weight".to_owned(), ones.clone());
    for layer in 0..layers {
        for part in ["input_layernorm", "post_attention_layernorm"] {
            tensors.insert(format!("model.layers.{layer}.{part}.weight"), ones.clone());
        }
    }
    Ok(tensors)
}

impl Model for RandomLlama {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn new_sequence(&self) -> Result<Box<dyn Sequence>, ModelError> {
        Ok(Box::new(RandomSequence { weights: Arc::clone(&self.weights), cache: self.pristine.clone() }))
    }
}

struct RandomSequence {
    weights: Arc<Llama>,
    cache: Cache,
}

impl Sequence for RandomSequence {
    fn forward(&mut self, input: &Tensor, position: usize, logits: &mut Vec<f32>) -> Result<(), ModelError> {
        copy_logits(&self.weights.forward(input, position, &mut self.cache)?, logits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::input;

    /// A prompt in one piece, in two pieces, and token by token gives the same logits, and so does a second sequence:
    /// caches are neither shared nor lost.
    #[test]
    fn pieces_and_sequences_agree() {
        let model = RandomLlama::new(TINY).expect("builds");
        let prompt = [5, 17, 200, 3, 3, 42];
        let mut whole = Vec::new();
        let mut pieces = Vec::new();
        let mut one = model.new_sequence().expect("a sequence");
        one.forward(&input(&prompt).expect("an input"), 0, &mut whole).expect("runs");
        assert_eq!(whole.len(), TINY.vocabulary);

        let mut two = model.new_sequence().expect("a sequence");
        two.forward(&input(&prompt[..4]).expect("an input"), 0, &mut pieces).expect("runs");
        two.forward(&input(&prompt[4..]).expect("an input"), 4, &mut pieces).expect("runs");
        assert_close(&whole, &pieces);

        let mut three = model.new_sequence().expect("a sequence");
        for (position, token) in prompt.iter().enumerate() {
            three.forward(&input(&[*token]).expect("an input"), position, &mut pieces).expect("runs");
        }
        assert_close(&whole, &pieces);
    }

    #[test]
    fn weights_are_the_same_every_time() {
        let logits = || {
            let mut logits = Vec::new();
            let model = RandomLlama::new(TINY).expect("builds");
            let mut sequence = model.new_sequence().expect("a sequence");
            sequence.forward(&input(&[1, 2, 3]).expect("an input"), 0, &mut logits).expect("runs");
            logits
        };
        assert_eq!(logits(), logits());
    }

    fn assert_close(a: &[f32], b: &[f32]) {
        for (x, y) in a.iter().zip(b) {
            assert!((x - y).abs() < 1e-4, "{x} {y}");
        }
    }
}
