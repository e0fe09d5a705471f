//! One GPU, or one MIG instance, by NVML.

use super::error::{in_call, of};
use super::gpm::Activity;
use super::{fields, legacy};
use crate::call::Call;
use crate::error::{ProbeError, Reason};
use crate::metric::Metric;
use crate::probe;
use crate::reading::Readings;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

pub(super) struct NvmlDevice<'n> {
    pub(super) info: probe::Device,
    device: Device<'n>,
    mig: Option<Mig<'n>>,
    activity: Activity<'n>,
}

/// What a MIG instance is part of.
pub(super) struct Mig<'n> {
    pub(super) parent: Device<'n>,
    pub(super) gpu_instance: Option<u32>,
}

/// Why clocks are low, as it is in a label. (That they are not is a reason to NVML as well, and left out.)
const REASONS: [(ThrottleReasons, &[&str]); 9] = [
    (ThrottleReasons::GPU_IDLE, &["gpu_idle"]),
    (ThrottleReasons::APPLICATIONS_CLOCKS_SETTING, &["applications_clocks_setting"]),
    (ThrottleReasons::SW_POWER_CAP, &["sw_power_cap"]),
    (ThrottleReasons::HW_SLOWDOWN, &["hw_slowdown"]),
    (ThrottleReasons::SYNC_BOOST, &["sync_boost"]),
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, &["sw_thermal_slowdown"]),
    (ThrottleReasons::HW_THERMAL_SLOWDOWN, &["hw_thermal_slowdown"]),
    (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, &["hw_power_brake_slowdown"]),
    (ThrottleReasons::DISPLAY_CLOCK_SETTING, &["display_clock_setting"]),
];

impl<'n> NvmlDevice<'n> {
    pub(super) fn new(device: Device<'n>, info: probe::Device, mig: Option<Mig<'n>>) -> Self {
        NvmlDevice { info, device, mig, activity: Activity::default() }
    }

    pub(super) fn read(&mut self, nvml: &'n Nvml, call: Call, readings: &mut Readings) -> Result<(), ProbeError> {
        match call {
            Call::Utilization => {
                let rates = self.device.utilization_rates().map_err(in_call("utilisation"))?;
                readings.gauge(Metric::Utilization, &[], f64::from(rates.gpu) / 100.0);
                readings.gauge(Metric::MemoryBandwidthUtilization, &[], f64::from(rates.memory) / 100.0);
            }
            Call::Memory => self.memory(readings)?,
            Call::Activity => self.activity.read(nvml, &self.device, self.mig.as_ref(), readings)?,
            Call::Power => {
                let milliwatts = self.device.power_usage().map_err(in_call("power"))?;
                readings.gauge(Metric::Power, &[], f64::from(milliwatts) / 1_000.0);
            }
            Call::PowerLimit => {
                let milliwatts = self.device.enforced_power_limit().map_err(in_call("the power limit"))?;
                readings.gauge(Metric::PowerLimit, &[], f64::from(milliwatts) / 1_000.0);
            }
            Call::Energy => {
                let millijoules = self.device.total_energy_consumption().map_err(in_call("energy"))?;
                readings.counter(Metric::Energy, &[], millijoules);
            }
            Call::Temperature => {
                let celsius = self.device.temperature(TemperatureSensor::Gpu).map_err(in_call("temperature"))?;
                readings.gauge(Metric::Temperature, &["die"], f64::from(celsius));
            }
            Call::Clocks => {
                for (clock, labels) in [(Clock::SM, &["sm"]), (Clock::Memory, &["memory"])] {
                    match self.device.clock_info(clock) {
                        Ok(megahertz) => readings.gauge(Metric::Clock, labels, f64::from(megahertz) * 1e6),
                        Err(error) => readings.failed(of(&error, "a clock")),
                    }
                }
                readings.end()?;
            }
            Call::ThrottleReasons => {
                let now = self.device.current_throttle_reasons().map_err(in_call("throttle reasons"))?;
                for (reason, labels) in REASONS {
                    readings.gauge(Metric::ThrottleActive, labels, f64::from(u8::from(now.contains(reason))));
                }
            }
            Call::Ecc => self.ecc(readings)?,
            Call::Fields => fields::read(&self.device, readings)?,
            Call::Nvlink => fields::nvlink(&self.device, readings)?,
            Call::Processes => self.process(readings)?,
            Call::Open | Call::Devices | Call::Events => {
                return Err(ProbeError::new(Reason::Unsupported, "this is no question to a GPU"));
            }
        }
        Ok(())
    }

    fn memory(&self, readings: &mut Readings) -> Result<(), ProbeError> {
        let (total, used, free) = match self.device.memory_info() {
            Ok(memory) => {
                readings.gauge(Metric::MemoryReserved, &[], memory.reserved as f64);
                (memory.total, memory.used, memory.free)
            }
            Err(NvmlError::FailedToLoadSymbol(_) | NvmlError::FunctionNotFound) => {
                let memory = legacy::memory(&self.device).map_err(in_call("memory"))?;
                (memory.total, memory.used, memory.free)
            }
            Err(error) => return Err(of(&error, "memory")),
        };
        readings.gauge(Metric::MemoryUsed, &[], used as f64);
        readings.gauge(Metric::MemoryFree, &[], free as f64);
        readings.gauge(Metric::MemoryTotal, &[], total as f64);
        Ok(())
    }

    fn ecc(&self, readings: &mut Readings) -> Result<(), ProbeError> {
        let kinds: [(MemoryError, EccCounter, &'static [&'static str]); 4] = [
            (MemoryError::Corrected, EccCounter::Volatile, &["corrected", "volatile"]),
            (MemoryError::Uncorrected, EccCounter::Volatile, &["uncorrected", "volatile"]),
            (MemoryError::Corrected, EccCounter::Aggregate, &["corrected", "aggregate"]),
            (MemoryError::Uncorrected, EccCounter::Aggregate, &["uncorrected", "aggregate"]),
        ];
        for (error, scope, labels) in kinds {
            match self.device.total_ecc_errors(error, scope) {
                Ok(errors) => readings.counter(Metric::EccErrors, labels, errors),
                Err(error) => readings.failed(of(&error, "ECC errors")),
            }
        }
        readings.end()
    }

    /// What the driver lists for this process. In a container it may list the processes by the host's numbers, and then
    /// there is nothing for this one.
    fn process(&self, readings: &mut Readings) -> Result<(), ProbeError> {
        let own = std::process::id();
        let processes = self.device.running_compute_processes().map_err(in_call("processes"))?;
        let used = processes.into_iter().filter(|process| process.pid == own).filter_map(|process| {
            match process.used_gpu_memory {
                UsedGpuMemory::Used(bytes) => Some(bytes as f64),
                UsedGpuMemory::Unavailable => None,
            }
        });
        if let Some(bytes) = used.reduce(|a, b| a + b) {
            readings.gauge(Metric::ProcessMemory, &[], bytes);
        }
        Ok(())
    }
}
