//! What the library is told.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Script {
    /// As `nvmlSystemGetDriverVersion` gives it.
    pub driver_version: String,
    /// 12040 is 12.4.
    pub cuda_version: i32,
    /// In the order in which they are listed.
    pub gpus: Vec<Gpu>,
    /// By function: what it returns instead of doing anything.
    pub returns: BTreeMap<String, u32>,
    /// Functions that do not return.
    pub hangs: BTreeSet<String>,
    /// By function: how long it takes.
    pub delays_ms: BTreeMap<String, u64>,
    /// Xid errors so far, by UUID. What is added is told to those who wait.
    pub xids: Vec<(String, u64)>,
    /// Another number than before is another driver: who has not initialised the library since then has to.
    pub generation: u64,
}

/// A GPU, or a MIG instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gpu {
    /// Its UUID.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// Its address on the bus.
    pub pci_bus_id: String,
    /// What it has: see [`Gpu::h100`] for the names.
    pub values: BTreeMap<String, Number>,
    /// Processes on it, with the bytes that they use. Process 0 is the one that asks.
    pub processes: Vec<(u32, u64)>,
    /// By function: what it returns for this GPU.
    pub returns: BTreeMap<String, u32>,
    /// Whether it has fallen off the bus.
    pub lost: bool,
    /// Of a GPU: its MIG instances, if MIG is enabled.
    pub mig: Option<Vec<Gpu>>,
    /// Of a MIG instance: the number of its GPU instance.
    pub gpu_instance: u32,
}

/// A value, or how it changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Number {
    /// Always the same.
    Constant(u64),
    /// One after the other at each call; the last one stays.
    Series(Vec<u64>),
    /// It grows with time.
    Ramp {
        /// From this, when the library was loaded,
        from: u64,
        /// by this much.
        per_second: u64,
    },
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Number::Constant(value)
    }
}

impl Script {
    /// With a driver of today and these GPUs.
    pub fn with(gpus: impl IntoIterator<Item = Gpu>) -> Self {
        Script {
            driver_version: "550.90.07".to_owned(),
            cuda_version: 12_040,
            gpus: gpus.into_iter().collect(),
            ..Script::default()
        }
    }

    /// The GPU with a UUID.
    ///
    /// # Panics
    /// If there is none.
    pub fn gpu(&mut self, uuid: &str) -> &mut Gpu {
        self.gpus.iter_mut().find(|gpu| gpu.uuid == uuid).expect("there is such a GPU")
    }
}

impl Gpu {
    /// With a value for all there is.
    pub fn h100(uuid: &str) -> Self {
        let number = |name: &str, value: u64| (name.to_owned(), Number::Constant(value));
        let values = [
            number("utilization.gpu", 42),
            number("utilization.memory", 17),
            number("memory.total", 85_899_345_920),
            number("memory.used", 51_539_607_552),
            number("memory.free", 33_822_867_456),
            number("memory.reserved", 536_870_912),
            number("power", 412_500),
            number("power_limit", 700_000),
            number("energy", 1_234_500),
            number("temperature", 61),
            // By NVML's number of the clock.
            number("clock.1", 1_755),
            number("clock.2", 2_619),
            number("throttle_reasons", 0x4),
            // Type (0 corrected, 1 uncorrected) and scope (0 volatile, 1 aggregate).
            number("ecc.0.0", 3),
            number("ecc.1.0", 0),
            number("ecc.0.1", 5),
            number("ecc.1.1", 1),
            // Per cent, by NVML's number of the GPM metric.
            number("gpm.1", 96),
            number("gpm.2", 74),
            number("gpm.3", 31),
            number("gpm.5", 22),
            number("gpm.10", 58),
            // By NVML's number of the field; for one link, or all, with the scope behind.
            number("field.82", 74),
            number("field.74", 1_500_000_000),
            number("field.75", 250_000_000),
            number("field.76", 0),
            number("field.77", 0),
            number("field.78", 7_000_000_000),
            number("field.79", 0),
            number("field.251", 2_000_000_000),
            number("field.252", 3_000_000_000),
            number("field.253", 4_000_000_000),
            number("field.142", 2),
            number("field.143", 1),
            number("field.144", 1),
            number("field.145", 0),
            number("field.197", 9_000_000_000),
            number("field.198", 30_000_000_000),
            number("field.94", 12),
            number("field.38", 1),
            number("field.45", 2),
            number("field.52", 3),
            number("field.59", 4),
            number("field.138.4294967295", 1_000),
            number("field.139.4294967295", 2_000),
        ];
        Gpu {
            uuid: uuid.to_owned(),
            name: "NVIDIA H100 80GB HBM3".to_owned(),
            pci_bus_id: "00000000:04:00.0".to_owned(),
            values: values.into(),
            processes: vec![(1, 1_073_741_824), (0, 48_318_382_080)],
            ..Gpu::default()
        }
    }

    /// A MIG instance, which has its memory and GPM only.
    pub fn mig(uuid: &str, gpu_instance: u32) -> Self {
        let names = ["memory.total", "memory.used", "memory.free", "memory.reserved", "gpm.2"];
        let mut gpu = Gpu::h100(uuid);
        gpu.values.retain(|name, _| names.contains(&name.as_str()));
        for name in &names[..4] {
            gpu.set(name, 10_737_418_240);
        }
        Gpu { name: "NVIDIA H100 80GB HBM3 MIG 1g.10gb".to_owned(), gpu_instance, ..gpu }
    }

    /// Gives it a value.
    pub fn set(&mut self, name: &str, value: impl Into<Number>) {
        self.values.insert(name.to_owned(), value.into());
    }

    /// Takes a value away.
    pub fn remove(&mut self, name: &str) {
        self.values.remove(name);
    }
}
