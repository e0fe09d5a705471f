//! The GPU beside the model, if there is one. (The model itself runs on the processor.)

use anyhow::{Context, Result};
use inferometer_gpu::testing::FakeProbe;
use inferometer_gpu::{AmdProbe, GpuMonitor, NvmlProbe};

/// Which GPUs are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum GpuChoice {
    /// NVIDIA's if there are any, else AMD's, else none.
    Auto,
    /// NVIDIA's.
    Nvml,
    /// AMD's.
    Amd,
    /// One that is not there, with values that do not change.
    Fake,
    /// None, and no thread that looks for any.
    Off,
}

/// Begins to watch. That there is no GPU is said once, and is no error.
pub fn watch(choice: GpuChoice) -> Result<Option<GpuMonitor>> {
    let builder = GpuMonitor::builder().on_status(|status| eprintln!("gpu: {status}"));
    let builder = match choice {
        GpuChoice::Off => return Ok(None),
        GpuChoice::Auto => builder,
        GpuChoice::Nvml => builder.probe(NvmlProbe::new()),
        GpuChoice::Amd => builder.probe(AmdProbe::new()),
        GpuChoice::Fake => builder.probe(FakeProbe::example()).devices(inferometer_gpu::Devices::all()),
    };
    builder.start().map(Some).context("cannot watch GPUs: choose with --gpu off")
}
