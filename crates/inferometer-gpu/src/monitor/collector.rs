//! What a scrape sees. It reads the latest values, and never calls a driver.

use super::Config;
use super::state::{Known, Number, Shared, State};
use crate::call::Tier;
use crate::metric::{Metric, Spec};
use inferometer::{Collector, CollectorError, CollectorFamily, CollectorSink, Kind, Unit};
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

const UP: &str = "gpu_probe_up";
const AGE: &str = "gpu_probe_age_seconds";
const SECONDS: &str = "gpu_probe_seconds";
const CALLS: &str = "gpu_probe_calls_total";
const CALL_SECONDS: &str = "gpu_probe_call_seconds_total";
const FAILURES: &str = "gpu_probe_failures_total";
const INFO: &str = "gpu_info";
const XIDS: &str = "gpu_xid_errors_total";
const XID_TIME: &str = "gpu_xid_last_timestamp_seconds";

/// A label that series may have besides `gpu` and `uuid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceLabel {
    /// `name`: the product's name.
    Name,
    /// `pci_bus_id`: the address on the bus.
    PciBusId,
    /// `driver_version`: the driver's version.
    DriverVersion,
}

impl DeviceLabel {
    fn as_str(self) -> &'static str {
        match self {
            DeviceLabel::Name => "name",
            DeviceLabel::PciBusId => "pci_bus_id",
            DeviceLabel::DriverVersion => "driver_version",
        }
    }

    fn value<'a>(self, known: &'a Known, state: &'a State) -> &'a str {
        match self {
            DeviceLabel::Name => &known.device.name,
            DeviceLabel::PciBusId => &known.device.pci_bus_id,
            DeviceLabel::DriverVersion => state.driver.as_ref().map_or("", |driver| &driver.version),
        }
    }
}

/// Reads what the probe's thread has left.
#[derive(Debug)]
pub(super) struct GpuCollector {
    pub(super) shared: Arc<Shared>,
    pub(super) config: Arc<Config>,
}

impl GpuCollector {
    /// The names of the labels of a GPU's series.
    fn names(&self, own: &[&'static str]) -> Vec<&'static str> {
        let extra = self.config.labels.iter().map(|label| label.as_str());
        ["gpu", "uuid"].into_iter().chain(extra).chain(own.iter().copied()).collect()
    }

    /// And their values.
    fn labels<'a>(&self, state: &'a State, known: &'a Known) -> Vec<&'a str> {
        let extra = self.config.labels.iter().map(|label| label.value(known, state));
        [&*known.device.index, &*known.device.uuid].into_iter().chain(extra).collect()
    }

    fn device(
        &self,
        state: &State,
        known: &Known,
        now: Instant,
        sink: &mut CollectorSink<'_>,
    ) -> Result<(), CollectorError> {
        let mut labels = self.labels(state, known);
        let of_gpu = labels.len();
        sink.gauge(AGE, &labels, now.saturating_duration_since(known.seen).as_secs_f64())?;
        for ((metric, own), shown) in &known.values {
            if now.saturating_duration_since(shown.at) > self.config.lifetime(shown.tier) {
                continue;
            }
            let spec = metric.spec();
            labels.extend_from_slice(own);
            match shown.value {
                Number::Gauge(value) => sink.gauge(spec.name, &labels, value)?,
                Number::Count(count) if spec.per_unit == 1 => sink.counter(spec.name, &labels, count)?,
                Number::Count(count) => {
                    sink.float_counter(spec.name, &labels, count as f64 / f64::from(spec.per_unit))?
                }
            }
            labels.truncate(of_gpu);
        }
        if let Some(driver) = state.driver.as_ref().filter(|_| known.listed) {
            let device = &known.device;
            let parent = device.parent_uuid.as_deref().unwrap_or_default();
            let [index, uuid, name, bus] = [&device.index, &device.uuid, &device.name, &device.pci_bus_id];
            sink.gauge(INFO, &[index, uuid, name, &driver.version, &driver.cuda_version, bus, parent], 1.0)?;
        }
        Ok(())
    }
}

impl Collector for GpuCollector {
    fn families(&self) -> Vec<CollectorFamily> {
        let family = |spec: Spec| {
            let family = match spec.kind {
                Kind::Counter => CollectorFamily::counter(spec.name, spec.help),
                _ => CollectorFamily::gauge(spec.name, spec.help),
            };
            let family = family.labels(&self.names(spec.labels));
            if spec.unit == Unit::Count { family } else { family.unit(spec.unit) }
        };
        let mut families: Vec<CollectorFamily> = Metric::ALL.map(Metric::spec).into_iter().map(family).collect();
        families.extend([
            CollectorFamily::counter(XIDS, "Errors that the GPU reported, by NVIDIA's number.")
                .labels(&self.names(&["xid"])),
            CollectorFamily::gauge(XID_TIME, "When the latest of these errors came, in seconds since 1970.")
                .labels(&self.names(&["xid"])),
            CollectorFamily::gauge(INFO, "1, with what there is to know about the GPU.").labels(&[
                "gpu",
                "uuid",
                "name",
                "driver_version",
                "cuda_version",
                "pci_bus_id",
                "parent_uuid",
            ]),
            CollectorFamily::gauge(UP, "1 if the driver answers for all GPUs that are watched, else 0."),
            CollectorFamily::gauge(AGE, "Time since the driver last answered for the GPU.").labels(&self.names(&[])),
            CollectorFamily::gauge(SECONDS, "What the latest call of a kind took.").labels(&["call"]),
            CollectorFamily::counter(CALLS, "Calls to the driver.").labels(&["call"]),
            CollectorFamily::counter(CALL_SECONDS, "Time in calls to the driver.").labels(&["call"]),
            CollectorFamily::counter(FAILURES, "Calls to the driver that failed or gave values that cannot be.")
                .labels(&["call", "reason"]),
        ]);
        families
    }

    fn collect(&mut self, sink: &mut CollectorSink<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut state = self.shared.lock();
        let now = Instant::now();
        state.count_overdue(now);
        let state = &*state;
        sink.gauge(UP, &[], f64::from(u8::from(state.is_up(now, self.config.lifetime(Tier::Fast)))))?;
        for known in state.devices.values() {
            self.device(state, known, now, sink)?;
        }
        for ((uuid, xid), errors) in &state.xids {
            let Some(known) = state.devices.get(uuid) else { continue };
            let (mut labels, xid) = (self.labels(state, known), xid.to_string());
            labels.push(&xid);
            sink.counter(XIDS, &labels, errors.count)?;
            sink.gauge(XID_TIME, &labels, errors.latest)?;
        }
        for (call, cost) in &state.costs {
            let labels = [call.as_str()];
            sink.gauge(SECONDS, &labels, cost.latest.as_secs_f64())?;
            sink.counter(CALLS, &labels, cost.calls)?;
            sink.float_counter(CALL_SECONDS, &labels, cost.total.as_secs_f64())?;
        }
        for ((call, reason), &count) in &state.failures {
            sink.counter(FAILURES, &[call.as_str(), reason.as_str()], count)?;
        }
        Ok(())
    }
}
