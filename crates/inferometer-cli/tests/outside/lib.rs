//! An engine with metrics.

use inferometer::{Counter, Histogram, metric};
use std::time::Instant;

/// Tokens that were generated.
#[metric(name = "outside_tokens_total")]
static TOKENS: Counter = Counter::new();

/// Time of a step.
#[metric(name = "outside_step_seconds")]
static STEP: Histogram = Histogram::new();

/// A model of one layer.
pub struct Engine {
    weights: Vec<f32>,
    state: Vec<f32>,
}

const SIZE: usize = 128;

impl Engine {
    /// The model.
    pub fn load() -> Self {
        let weights = (0..SIZE * SIZE).map(|i| (i as f32).sin() / SIZE as f32).collect();
        Engine { weights, state: vec![1.0; SIZE] }
    }

    /// One token.
    pub fn step(&mut self) -> f32 {
        let start = Instant::now();
        let row = |row: &[f32]| row.iter().zip(&self.state).map(|(a, b)| a * b).sum::<f32>().tanh();
        self.state = self.weights.chunks(SIZE).map(row).collect();
        STEP.record(start.elapsed());
        TOKENS.increment(1);
        self.state[0]
    }
}
