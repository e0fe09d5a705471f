//! The models: one trait for all, so that scheduler, server and benches do not care which one runs.

mod load;
mod quantized;
mod random;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::{CpuStorage, Device, Storage, Tensor};
use serde::Serialize;

pub use load::{LoadError, Loaded, ModelSpec, load};

/// A model's weights, shared by all its sequences.
pub trait Model: Send + Sync + fmt::Debug {
    /// What it is.
    fn info(&self) -> &ModelInfo;

    /// A sequence with an empty key-value cache of its own. Cheap: the weights are shared.
    fn new_sequence(&self) -> Result<Box<dyn Sequence>, ModelError>;
}

/// One sequence's state: its key-value cache.
pub trait Sequence: Send {
    /// Appends the tokens of an [`input`], of which the first stands at `position`, and writes the logits of the token
    /// that follows them to `logits`, whose length becomes the vocabulary's.
    fn forward(&mut self, input: &Tensor, position: usize, logits: &mut Vec<f32>) -> Result<(), ModelError>;
}

/// What a forward pass takes: these tokens, as a batch of one sequence.
pub fn input(tokens: &[u32]) -> Result<Tensor, ModelError> {
    Ok(Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?)
}

/// Facts about a model, read from the model.
#[derive(Debug, Clone, Serialize)]
pub struct ModelInfo {
    /// The name in the API and in the `model_name` label.
    pub name: String,
    /// The file it came from, unless its weights were made up.
    pub file: Option<ModelFile>,
    /// The weights' type: that of most parameters.
    pub weights: String,
    /// What computes, and on what.
    pub backend: String,
    /// The number of weights.
    pub parameters: u64,
    /// Size of the vocabulary.
    pub vocabulary: usize,
    /// The most tokens that a sequence may have, prompt and answer together.
    pub context: usize,
}

/// A model's file.
#[derive(Debug, Clone, Serialize)]
pub struct ModelFile {
    /// Where it is; not part of a report, which may leave this machine.
    #[serde(skip)]
    pub path: PathBuf,
    /// Its name without the directories.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// A forward pass that failed.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// candle refused it.
    #[error("the forward pass failed: {0}")]
    Candle(#[from] candle_core::Error),
    /// The logits are not laid out as this crate reads them.
    #[error("the model returned logits in an unexpected layout")]
    Layout,
}

/// Any model behind a pointer that threads can share.
pub type SharedModel = Arc<dyn Model>;

/// Copies the last dimension of `tensor` into `logits`. `Tensor::to_vec1` would allocate a vocabulary's worth of
/// memory for every token.
fn copy_logits(tensor: &Tensor, logits: &mut Vec<f32>) -> Result<(), ModelError> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(CpuStorage::F32(values)) = &*storage else {
        return Err(ModelError::Layout);
    };
    let (start, end) = layout.contiguous_offsets().ok_or(ModelError::Layout)?;
    logits.clear();
    logits.extend_from_slice(values.get(start..end).ok_or(ModelError::Layout)?);
    Ok(())
}
