//! One card.

use super::file::{malformed, number, text};
use crate::call::Call;
use crate::error::{ProbeError, Reason};
use crate::metric::Metric;
use crate::reading::Readings;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) struct Card {
    pub(super) uuid: String,
    pub(super) name: String,
    pub(super) pci_bus_id: String,
    device: PathBuf,
    /// Where its sensors are, if it has any.
    sensors: Option<PathBuf>,
}

/// AMD's number among makers of PCI devices.
const AMD: &str = "0x1002";

impl Card {
    /// What `card0` and so on in `class/drm` stand for; `None` for connectors, and for cards of others.
    pub(super) fn at(entry: &Path) -> Option<Card> {
        let number = entry.file_name()?.to_str()?.strip_prefix("card")?;
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let device = entry.join("device");
        if text(&device.join("vendor")).ok()? != AMD {
            return None;
        }
        let place = fs::canonicalize(&device).ok();
        let pci_bus_id = place.and_then(|place| Some(place.file_name()?.to_str()?.to_owned())).unwrap_or_default();
        // Consumer cards have no number of their own.
        let unique = text(&device.join("unique_id")).ok().filter(|id| !id.is_empty() && id.bytes().any(|b| b != b'0'));
        let uuid = unique.unwrap_or_else(|| format!("PCI-{pci_bus_id}"));
        let name = text(&device.join("product_name")).ok().filter(|name| !name.is_empty());
        let name = name.or_else(|| Some(format!("AMD {}", text(&device.join("device")).ok()?))).unwrap_or_default();
        let sensors =
            fs::read_dir(device.join("hwmon")).ok().and_then(|mut entries| Some(entries.next()?.ok()?.path()));
        Some(Card { uuid, name, pci_bus_id, device, sensors })
    }

    pub(super) fn read(&self, call: Call, readings: &mut Readings) -> Result<(), ProbeError> {
        match call {
            Call::Utilization => {
                let percent = |file| number(&self.device.join(file)).map(|percent| percent as f64 / 100.0);
                gauge(readings, Metric::Utilization, &[], percent("gpu_busy_percent"));
                gauge(readings, Metric::MemoryBandwidthUtilization, &[], percent("mem_busy_percent"));
            }
            Call::Memory => self.memory(readings),
            Call::Power => {
                // Newer chips have the average only, or the present value only.
                let watts = self.sensor("power1_average").or_else(|_| self.sensor("power1_input"));
                gauge(readings, Metric::Power, &[], watts.map(|microwatts| microwatts as f64 / 1e6));
            }
            Call::PowerLimit => {
                let watts = self.sensor("power1_cap").map(|microwatts| microwatts as f64 / 1e6);
                gauge(readings, Metric::PowerLimit, &[], watts);
            }
            Call::Energy => match self.sensor("energy1_input") {
                Ok(microjoules) => readings.counter(Metric::Energy, &[], microjoules / 1_000),
                Err(error) => readings.failed(error),
            },
            Call::Temperature => self.labelled(readings, "temp", Metric::Temperature, 1e-3, |label| match label {
                "edge" => Some(&["die"]),
                "junction" => Some(&["junction"]),
                "mem" => Some(&["memory"]),
                _ => None,
            }),
            Call::Clocks => self.labelled(readings, "freq", Metric::Clock, 1.0, |label| match label {
                "sclk" => Some(&["sm"]),
                "mclk" => Some(&["memory"]),
                _ => None,
            }),
            Call::Ecc => self.ecc(readings),
            _ => return Err(ProbeError::new(Reason::Unsupported, "sysfs does not have it")),
        }
        readings.end()
    }

    /// What is free is the rest: there is no file for it.
    fn memory(&self, readings: &mut Readings) {
        let bytes = |file| number(&self.device.join(file));
        let (used, total) = (bytes("mem_info_vram_used"), bytes("mem_info_vram_total"));
        if let (Ok(used), Ok(total)) = (&used, &total)
            && let Some(free) = total.checked_sub(*used)
        {
            readings.gauge(Metric::MemoryFree, &[], free as f64);
        }
        gauge(readings, Metric::MemoryUsed, &[], used.map(|bytes| bytes as f64));
        gauge(readings, Metric::MemoryTotal, &[], total.map(|bytes| bytes as f64));
    }

    /// Errors of the memory's controller, by lines of `ue: 0` and `ce: 0`.
    fn ecc(&self, readings: &mut Readings) {
        let path = self.device.join("ras/umc_err_count");
        let text = match text(&path) {
            Ok(text) => text,
            Err(error) => return readings.failed(error),
        };
        for line in text.lines() {
            let counted =
                line.split_once(':').and_then(|(kind, count)| Some((kind.trim(), count.trim().parse().ok()?)));
            match counted {
                Some(("ce", count)) => readings.counter(Metric::EccErrors, &["corrected", "volatile"], count),
                Some(("ue", count)) => readings.counter(Metric::EccErrors, &["uncorrected", "volatile"], count),
                Some(_) => {} // newer kernels have `de`: errors that were put off
                None => readings.failed(malformed(&path, line)),
            }
        }
    }

    fn sensor(&self, file: &str) -> Result<u64, ProbeError> {
        match &self.sensors {
            Some(sensors) => number(&sensors.join(file)),
            None => Err(ProbeError::new(Reason::Unsupported, "the card has no sensors")),
        }
    }

    /// Sensors of a kind, which are told apart by a file with a label beside them.
    fn labelled(
        &self,
        readings: &mut Readings,
        kind: &str,
        metric: Metric,
        unit: f64,
        known: impl Fn(&str) -> Option<&'static [&'static str]>,
    ) {
        let Some(sensors) = &self.sensors else {
            return readings.failed(ProbeError::new(Reason::Unsupported, "the card has no sensors"));
        };
        for place in 1..=3 {
            let label = match text(&sensors.join(format!("{kind}{place}_label"))) {
                Ok(label) => label,
                // A single sensor may have no label. It is of the first kind.
                Err(_) if place == 1 => String::from(if kind == "temp" { "edge" } else { "sclk" }),
                Err(error) => {
                    readings.failed(error);
                    continue;
                }
            };
            if let Some(labels) = known(&label) {
                let value = number(&sensors.join(format!("{kind}{place}_input")));
                gauge(readings, metric, labels, value.map(|value| value as f64 * unit));
            }
        }
    }
}

fn gauge(readings: &mut Readings, metric: Metric, labels: &'static [&'static str], value: Result<f64, ProbeError>) {
    match value {
        Ok(value) => readings.gauge(metric, labels, value),
        Err(error) => readings.failed(error),
    }
}
