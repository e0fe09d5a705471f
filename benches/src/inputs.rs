//! What histograms record here.

/// How many values a table has: they fit the first-level cache and are too many for a branch predictor to learn.
pub const COUNT: usize = 4_096;

/// Where the values come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Log-normal durations around 12 ms, with this sigma.
    LogNormal(f64),
    /// Uniform in the logarithm over 27 octaves, from a microsecond to two minutes.
    Octaves,
}

impl Distribution {
    /// All that are measured, the first of them being the one that rows report.
    pub const ALL: [Distribution; 3] =
        [Distribution::LogNormal(0.3), Distribution::LogNormal(1.0), Distribution::Octaves];

    /// A name for reports.
    pub fn name(self) -> String {
        match self {
            Distribution::LogNormal(sigma) => format!("log-normal around 12 ms, sigma {sigma}"),
            Distribution::Octaves => "27 octaves".to_owned(),
        }
    }

    /// The values, in nanoseconds; the same every time.
    pub fn nanos(self) -> Vec<u64> {
        let mut random = SplitMix64(0x5eed);
        let value = |random: &mut SplitMix64| match self {
            Distribution::LogNormal(sigma) => 12e6 * (sigma * random.normal()).exp(),
            Distribution::Octaves => 1e3 * (27.0 * random.unit()).exp2(),
        };
        (0..COUNT).map(|_| value(&mut random) as u64).collect()
    }
}

/// A small generator of random numbers.
#[derive(Debug)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1).
    pub fn unit(&mut self) -> f64 {
        ((self.draw() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Puts the values into any order, all alike (Fisher and Yates).
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for at in (1..values.len()).rev() {
            values.swap(at, (self.draw() % (at as u64 + 1)) as usize);
        }
    }

    /// Standard normal, by Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}
