//! What a driver is asked, and how often.

/// A question to the driver: one function, or a few that belong together. Each is timed, fails by itself, and is the label
/// `call` of `gpu_probe_seconds` and `gpu_probe_failures_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Call {
    /// To load the driver's library and to initialise it.
    Open,
    /// To list the GPUs.
    Devices,
    /// To wait for events: Xid errors.
    Events,
    /// How long the GPU and its memory were in use.
    Utilization,
    /// How much memory there is, and how much of it is in use.
    Memory,
    /// What of the GPU was active (NVIDIA's GPM: Hopper and later).
    Activity,
    /// The power that it draws.
    Power,
    /// The power that it may draw.
    PowerLimit,
    /// The energy that it has used.
    Energy,
    /// Its temperatures.
    Temperature,
    /// Its clocks.
    Clocks,
    /// Why its clocks are low at the moment.
    ThrottleReasons,
    /// Errors of its memory.
    Ecc,
    /// What NVML has as field values, in one go: throttle time, row remapping, PCIe, errors of NVLink.
    Fields,
    /// What went over NVLink.
    Nvlink,
    /// The processes that use it, for the memory of this one. Not asked unless
    /// [`process_memory`](crate::GpuMonitorBuilder::process_memory) is.
    Processes,
}

impl Call {
    /// All that can be asked of a GPU.
    pub(crate) const OF_A_GPU: [Call; 13] = [
        Call::Utilization,
        Call::Memory,
        Call::Activity,
        Call::Power,
        Call::PowerLimit,
        Call::Energy,
        Call::Temperature,
        Call::Clocks,
        Call::ThrottleReasons,
        Call::Ecc,
        Call::Fields,
        Call::Nvlink,
        Call::Processes,
    ];

    /// As it is in a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Call::Open => "open",
            Call::Devices => "devices",
            Call::Events => "events",
            Call::Utilization => "utilization",
            Call::Memory => "memory",
            Call::Activity => "activity",
            Call::Power => "power",
            Call::PowerLimit => "power_limit",
            Call::Energy => "energy",
            Call::Temperature => "temperature",
            Call::Clocks => "clocks",
            Call::ThrottleReasons => "throttle_reasons",
            Call::Ecc => "ecc",
            Call::Fields => "fields",
            Call::Nvlink => "nvlink",
            Call::Processes => "processes",
        }
    }

    /// How often it is asked.
    pub fn tier(self) -> Tier {
        match self {
            Call::Utilization | Call::Memory | Call::Activity => Tier::Fast,
            Call::Open | Call::Devices | Call::Events => Tier::Rare,
            _ => Tier::Slow,
        }
    }
}

/// A cadence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Utilisation and memory: every second, unless another interval is set.
    Fast,
    /// Power, energy, temperatures, clocks, errors and bytes: every five seconds.
    Slow,
    /// Which GPUs there are: every minute.
    Rare,
}

impl Tier {
    pub(crate) const ALL: [Tier; 3] = [Tier::Fast, Tier::Slow, Tier::Rare];
}
