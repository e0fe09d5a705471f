//! Prints what the GPUs of this machine say: every reading, what each call costs, and what is not supported.
//!
//! ```sh
//! cargo run --release -p inferometer-gpu --example probe
//! ```
//!
//! With a path, that library is loaded in place of the system's NVML; a directory is taken for a `/sys` with AMD's GPUs.

use inferometer_gpu::{AmdProbe, AutoProbe, Call, Probe, ProbeError, Readings, Session, Value};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// How often each call is made.
const TIMES: usize = 20;

/// Between two calls of a kind, so that drivers that keep a value for a while have to find it out again.
const PAUSE: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let mut probe: Box<dyn Probe> = match std::env::args_os().nth(1).map(PathBuf::from) {
        Some(path) if path.is_dir() => Box::new(AmdProbe::with_sysfs(path)),
        #[cfg(feature = "nvml")]
        Some(path) => Box::new(inferometer_gpu::NvmlProbe::with_library(path)),
        _ => Box::new(AutoProbe::new()),
    };
    match print(&mut *probe) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error} ({})", error.reason().as_str());
            ExitCode::FAILURE
        }
    }
}

fn print(probe: &mut dyn Probe) -> Result<(), ProbeError> {
    let started = Instant::now();
    let mut session = probe.open()?;
    let opened = started.elapsed();
    let driver = session.driver();
    println!("driver      {} {}, CUDA {}", driver.name, or_dash(&driver.version), or_dash(&driver.cuda_version));
    println!("open        {opened:.1?}");
    let started = Instant::now();
    let gpus = session.devices()?;
    println!("list        {:.1?}, {} GPUs", started.elapsed(), gpus.len());
    println!(
        "events      {}",
        match session.events() {
            Ok(Some(_)) => "there is a source".to_owned(),
            Ok(None) => "none".to_owned(),
            Err(error) => error.to_string(),
        }
    );
    let calls = session.capabilities().to_vec();
    for (place, gpu) in gpus.into_iter().enumerate() {
        let gpu = match gpu {
            Ok(gpu) => gpu,
            Err(error) => {
                println!("\nGPU in place {place}: {error} ({})", error.reason().as_str());
                continue;
            }
        };
        println!("\nGPU {} {}, {}, bus {}", gpu.index, gpu.uuid, gpu.name, gpu.pci_bus_id);
        for &call in &calls {
            one(&mut *session, place, call);
        }
    }
    Ok(())
}

/// One call: what it costs, and the values of the last time.
fn one(session: &mut dyn Session, place: usize, call: Call) {
    let mut took = Vec::new();
    let mut readings = Readings::default();
    for time in 0..TIMES {
        if time > 0 {
            thread::sleep(PAUSE);
        }
        readings = Readings::default();
        let started = Instant::now();
        let result = session.read(place, call, &mut readings);
        took.push(started.elapsed());
        if let Err(error) = result {
            println!("  {:<17} {:<18} {error}", call.as_str(), error.reason().as_str());
            return;
        }
    }
    took.sort();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!("  {:<17} median {median:.1?}, worst {worst:.1?} of {TIMES}", call.as_str());
    for reading in readings.readings() {
        let spec = reading.metric.spec();
        let own: Vec<String> =
            spec.labels.iter().zip(reading.labels).map(|(name, value)| format!("{name}={value}")).collect();
        let value = match reading.value {
            Value::Gauge(value) => value.to_string(),
            Value::Counter(count) => (count as f64 / f64::from(spec.per_unit)).to_string(),
        };
        println!("      {:<42} {:<34} {value}", spec.name, own.join(" "));
    }
    for error in readings.failures() {
        println!("      {error} ({})", error.reason().as_str());
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}
