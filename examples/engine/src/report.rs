//! The summary: what ran, on what, and what was measured. Every number in it was read or counted, none is assumed.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::load::{LoadResult, Spread};
use crate::machine::{Build, Machine, ProcessMemory};
use crate::model::ModelInfo;
use crate::telemetry::Figures;

/// The summary, as it is written to `--report`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// How the program was built.
    pub build: Build,
    /// The machine, before the model was loaded.
    pub machine: Machine,
    /// This process's memory when the summary was made.
    pub memory: ProcessMemory,
    /// The model.
    pub model: ModelInfo,
    /// How it was run.
    pub settings: Settings,
    /// What the metrics say, since the program started.
    pub figures: Figures,
    /// What the clients of the built-in load saw, if there was any.
    pub load: Option<LoadResult>,
}

/// The settings that bear on the figures.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// Threads that the running sequences are spread over.
    pub threads: usize,
    /// Sequences that may run at once.
    pub max_running: usize,
    /// Requests that may wait.
    pub queue: usize,
    /// Prompt tokens after which no further request joins a step.
    pub max_prefill_tokens: usize,
    /// Tokens in an answer, at most.
    pub max_tokens: usize,
    /// The artificial delay in every step.
    pub delay_ms: u64,
    /// Requests of the built-in load under way at once.
    pub concurrency: usize,
}

impl Report {
    /// Writes it as JSON.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(path, text)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { build, machine, memory, model, settings, figures, load } = self;
        let vectors = build.vector_instructions.join(", ");
        writeln!(
            f,
            "{} {}, {}, {} build{}",
            build.package,
            build.version,
            build.rustc,
            build.profile,
            if vectors.is_empty() { String::new() } else { format!(", {vectors}") },
        )?;
        writeln!(
            f,
            "  machine     {}, {} cores, {}; memory {} of {} available at start",
            machine.cpu.as_deref().unwrap_or("unknown processor"),
            or_unknown(machine.cores),
            machine.platform,
            megabytes(machine.memory_available_bytes),
            megabytes(machine.memory_total_bytes),
        )?;
        match &model.file {
            Some(file) => {
                writeln!(f, "  model       {} ({}, SHA-256 {})", file.name, megabytes(Some(file.bytes)), file.sha256)?
            }
            None => writeln!(f, "  model       {} (no file)", model.name)?,
        }
        writeln!(
            f,
            "              {:.1} million parameters, {}; context {} tokens, vocabulary {}",
            model.parameters as f64 / 1e6,
            model.weights,
            model.context,
            model.vocabulary
        )?;
        writeln!(
            f,
            "  data path   {}, {} threads, up to {} sequences a step, delay {} ms",
            model.backend, settings.threads, settings.max_running, settings.delay_ms
        )?;
        writeln!(
            f,
            "  memory      {} resident, {} at most",
            megabytes(memory.resident_bytes),
            megabytes(memory.peak_resident_bytes)
        )?;
        figures.fmt(f)?;
        if let Some(load) = load {
            writeln!(
                f,
                "  clients     {} answered, {} failed in {:.1} s; {} prompt and {} answer tokens, {:.1} tokens/s",
                load.answered,
                load.failed,
                load.seconds,
                load.prompt_tokens,
                load.completion_tokens,
                load.tokens_per_second
            )?;
            if let (Some(first), Some(total)) = (load.first_text_seconds, load.total_seconds) {
                let pair =
                    |spread: Spread| format!("p50 {}, p95 {}", seconds(Some(spread.p50)), seconds(Some(spread.p95)));
                writeln!(f, "              first text {}; whole answer {}", pair(first), pair(total))?;
            }
            if let Some(error) = &load.first_error {
                writeln!(f, "              first failure: {error}")?;
            }
            if let Some(sample) = &load.sample {
                writeln!(f, "  sample      > {}", sample.prompt)?;
                for line in sample.answer.lines() {
                    writeln!(f, "              {line}")?;
                }
            }
        }
        Ok(())
    }
}

/// A duration in the unit that suits it.
pub(crate) fn seconds(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(s) if s >= 1.0 => format!("{s:.2} s"),
        Some(s) if s >= 0.001 => format!("{:.1} ms", s * 1e3),
        Some(s) if s >= 0.000_001 || s == 0.0 => format!("{:.0} us", s * 1e6),
        Some(s) => format!("{:.0} ns", s * 1e9),
    }
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{:.1} MB", bytes as f64 / 1e6))
}

fn or_unknown(value: Option<usize>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| value.to_string())
}
