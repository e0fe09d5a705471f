//! The names that the metrics have, with those of the GPUs that go with them.

use inferometer_gpu::profiles as gpu;
use inferometer_prometheus::{Profile, ProfileError};
use inferometer_serving::profiles as serving;

/// What the metrics are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Naming {
    /// As they are in the registry.
    Canonical,
    /// As vLLM's, and DCGM's for GPUs.
    Vllm,
    /// As OpenTelemetry's conventions have them.
    Otel,
    /// As Triton's.
    Triton,
    /// As services that were written by hand often have them.
    Basic,
}

impl Naming {
    /// The name of the profile.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Canonical => Profile::CANONICAL,
            Self::Vllm => "vllm",
            Self::Otel => "otel",
            Self::Triton => "triton",
            Self::Basic => "basic",
        }
    }
}

/// All of them but the canonical one.
pub fn profiles() -> Result<Vec<Profile>, ProfileError> {
    Ok(vec![
        Profile::new("vllm", [serving::vllm_mappings(), gpu::dcgm_mappings()].concat())?,
        serving::otel(),
        Profile::new("triton", [serving::triton_mappings(), gpu::triton_mappings()].concat())?,
        Profile::new("basic", [serving::basic_mappings(), gpu::basic_mappings()].concat())?,
    ])
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_name_is_that_of_a_profile() {
        let profiles = profiles().expect("sound tables");
        let offered: Vec<&str> = profiles.iter().map(Profile::name).collect();
        let named: Vec<&str> = Naming::value_variants()[1..].iter().map(|naming| naming.as_str()).collect();
        assert_eq!(offered, named);
    }
}
