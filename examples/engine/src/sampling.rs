//! Picking the next token from the logits.

use crate::request::GenerationParams;

/// One request's sampler: its parameters and the state of its generator.
#[derive(Debug, Clone)]
pub struct Sampler {
    temperature: f32,
    top_p: f32,
    rng: SplitMix64,
    /// Reused from token to token, since a vocabulary's worth of pairs is too much to allocate each time.
    candidates: Vec<(f32, u32)>,
}

impl Sampler {
    /// A sampler at the start of its seed's sequence.
    pub fn new(params: &GenerationParams) -> Self {
        Self {
            temperature: params.temperature,
            top_p: params.top_p,
            rng: SplitMix64(params.seed),
            candidates: Vec::new(),
        }
    }

    /// The next token; `None` if there is no logit that is a number to choose from.
    pub fn sample(&mut self, logits: &[f32]) -> Option<u32> {
        let best = argmax(logits)?;
        if self.temperature <= 0.0 {
            return Some(best);
        }
        let top = logits[best as usize];
        if !top.is_finite() {
            return Some(best);
        }
        // Subtracting the maximum keeps exp() from overflowing; a NaN logit gets weight 0.
        self.candidates.clear();
        self.candidates.extend(
            logits
                .iter()
                .zip(0u32..)
                .map(|(&logit, id)| (((logit - top) / self.temperature).exp(), id))
                .filter(|&(weight, _)| weight > 0.0),
        );
        let mut total: f64 = self.candidates.iter().map(|&(w, _)| f64::from(w)).sum();
        if self.top_p < 1.0 {
            // By id among equals, so that the order never depends on the sort.
            self.candidates.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let enough = total * f64::from(self.top_p);
            let mut kept = 0.0;
            let mut count = 0;
            for &(weight, _) in &self.candidates {
                kept += f64::from(weight);
                count += 1;
                if kept >= enough {
                    break;
                }
            }
            self.candidates.truncate(count);
            total = kept;
        }
        let mut left = self.rng.unit() * total;
        for &(weight, id) in &self.candidates {
            left -= f64::from(weight);
            if left < 0.0 {
                return Some(id);
            }
        }
        // Rounding can leave a sliver at the end.
        self.candidates.last().map(|&(_, id)| id)
    }
}

fn argmax(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(f32, u32)> = None;
    for (&logit, id) in logits.iter().zip(0u32..) {
        if !logit.is_nan() && best.is_none_or(|(value, _)| logit > value) {
            best = Some((logit, id));
        }
    }
    best.map(|(_, id)| id)
}

/// Steele, Lea and Flood's generator: eight bytes of state, and the same sequence on every machine and in every
/// version, which no library promises of its default generator.
#[derive(Debug, Clone)]
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(temperature: f32, top_p: f32, seed: u64) -> GenerationParams {
        GenerationParams { temperature, top_p, seed, ..GenerationParams::default() }
    }

    fn draw(temperature: f32, top_p: f32, seed: u64, count: usize) -> Vec<u32> {
        let logits: Vec<f32> = (0..50).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut sampler = Sampler::new(&params(temperature, top_p, seed));
        (0..count).map(|_| sampler.sample(&logits).expect("finite logits")).collect()
    }

    #[test]
    fn same_seed_same_tokens() {
        assert_eq!(draw(1.0, 0.9, 7, 200), draw(1.0, 0.9, 7, 200));
        assert_ne!(draw(1.0, 0.9, 7, 200), draw(1.0, 0.9, 8, 200));
    }

    #[test]
    fn temperature_zero_is_argmax_whatever_the_seed() {
        assert_eq!(draw(0.0, 1.0, 1, 20), draw(0.0, 1.0, 2, 20));
        let mut sampler = Sampler::new(&params(0.0, 1.0, 0));
        assert_eq!(sampler.sample(&[0.0, f32::NAN, 3.0, 2.0]), Some(2));
        assert_eq!(sampler.sample(&[f32::NAN]), None);
        assert_eq!(sampler.sample(&[]), None);
    }

    #[test]
    fn top_p_drops_the_tail() {
        // Probabilities 0.5, 0.25, 0.125, 0.125: 0.7 is reached with the first two.
        let logits = [0.5f32, 0.25, 0.125, 0.125].map(f32::ln);
        let mut sampler = Sampler::new(&params(1.0, 0.7, 3));
        let mut counts = [0; 4];
        for _ in 0..3_000 {
            counts[sampler.sample(&logits).expect("a token") as usize] += 1;
        }
        assert_eq!(counts[2] + counts[3], 0);
        // Two to one between those that are left, within five standard deviations.
        assert!((counts[0] - 2_000i32).abs() < 130, "{counts:?}");
    }

    #[test]
    fn draws_follow_the_softmax() {
        let logits = [0.6f32, 0.3, 0.1].map(f32::ln);
        let mut sampler = Sampler::new(&params(1.0, 1.0, 11));
        let mut counts = [0i32; 3];
        for _ in 0..10_000 {
            counts[sampler.sample(&logits).expect("a token") as usize] += 1;
        }
        assert!((counts[0] - 6_000).abs() < 250, "{counts:?}");
        assert!((counts[1] - 3_000).abs() < 230, "{counts:?}");
    }
}
