//! For tests of programs that watch GPUs: a driver that does what it is told.

use crate::call::Call;
use crate::error::{ProbeError, Reason};
use crate::events::{EventSink, EventSource};
use crate::metric::Metric;
use crate::probe::{Device, Driver, Probe, Session};
use crate::reading::{Reading, Readings, Value};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A driver without GPUs behind it. Clones are the same driver: one goes to the monitor, the other one tells it what to
/// say.
///
/// ```
/// use inferometer_gpu::{Call, Metric, Probe, Reason, Readings, testing::FakeProbe};
///
/// let gpus = FakeProbe::new(["GPU-1"]);
/// gpus.gauge("GPU-1", Metric::Power, &[], 412.0);
///
/// let mut driver = gpus.clone();
/// let mut session = driver.open()?;
/// session.devices()?;
/// let mut readings = Readings::default();
/// session.read(0, Call::Power, &mut readings)?;
/// assert_eq!(readings.readings().len(), 1);
///
/// gpus.fail(Call::Power, Reason::GpuLost);
/// assert_eq!(session.read(0, Call::Power, &mut readings).unwrap_err().reason(), Reason::GpuLost);
/// # Ok::<(), inferometer_gpu::ProbeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FakeProbe(Arc<Fake>);

#[derive(Debug, Default)]
struct Fake {
    script: Mutex<Script>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Script {
    devices: Vec<Device>,
    /// By UUID.
    values: BTreeMap<String, Vec<Reading>>,
    failures: BTreeMap<Call, Reason>,
    lost: BTreeSet<String>,
    hanging: BTreeSet<Call>,
    events: VecDeque<(String, u64)>,
    calls: u64,
    hung: u64,
    opened: u64,
}

impl FakeProbe {
    /// With GPUs of these UUIDs, which have no values yet.
    pub fn new<S: Into<String>>(uuids: impl IntoIterator<Item = S>) -> Self {
        let fake = FakeProbe::default();
        fake.list(uuids);
        fake
    }

    /// With one GPU that has all there is.
    pub fn example() -> Self {
        const GIB: f64 = 1_073_741_824.0;
        let uuid = "GPU-00000000-0000-0000-0000-000000000001";
        let fake = FakeProbe::new([uuid]);
        let gauge = |metric, labels, value| fake.gauge(uuid, metric, labels, value);
        gauge(Metric::Utilization, &[], 0.97);
        gauge(Metric::MemoryBandwidthUtilization, &[], 0.61);
        gauge(Metric::GraphicsEngineActive, &[], 0.96);
        gauge(Metric::SmActive, &[], 0.74);
        gauge(Metric::SmOccupancy, &[], 0.31);
        gauge(Metric::TensorActive, &[], 0.22);
        gauge(Metric::DramActive, &[], 0.58);
        gauge(Metric::MemoryUsed, &[], 71.0 * GIB);
        gauge(Metric::MemoryFree, &[], 8.5 * GIB);
        gauge(Metric::MemoryTotal, &[], 80.0 * GIB);
        gauge(Metric::MemoryReserved, &[], 0.5 * GIB);
        gauge(Metric::ProcessMemory, &[], 70.0 * GIB);
        gauge(Metric::Power, &[], 512.0);
        gauge(Metric::PowerLimit, &[], 700.0);
        gauge(Metric::Temperature, &["die"], 61.0);
        gauge(Metric::Temperature, &["memory"], 74.0);
        gauge(Metric::Clock, &["sm"], 1.755e9);
        gauge(Metric::Clock, &["memory"], 2.619e9);
        gauge(Metric::ThrottleActive, &["sw_power_cap"], 1.0);
        gauge(Metric::RowRemap, &["pending"], 0.0);
        let counter = |metric, labels, value| fake.counter(uuid, metric, labels, value);
        counter(Metric::Energy, &[], 81_250_000);
        counter(Metric::ThrottleTime, &["sw_power_cap"], 1_500_000_000);
        counter(Metric::EccErrors, &["corrected", "volatile"], 0);
        counter(Metric::PcieBytes, &["tx"], 9_000_000_000);
        counter(Metric::PcieBytes, &["rx"], 30_000_000_000);
        counter(Metric::PcieReplays, &[], 0);
        counter(Metric::NvlinkBytes, &["tx"], 400_000_000_000);
        counter(Metric::NvlinkBytes, &["rx"], 400_000_000_000);
        counter(Metric::NvlinkErrors, &["replay"], 0);
        fake
    }

    /// Lists these GPUs from now on, in this order.
    pub fn list<S: Into<String>>(&self, uuids: impl IntoIterator<Item = S>) {
        let devices = uuids.into_iter().enumerate().map(|(index, uuid)| Device {
            uuid: uuid.into(),
            index: index.to_string(),
            name: "Fake GPU".to_owned(),
            pci_bus_id: format!("00000000:{:02X}:00.0", index + 1),
            parent_uuid: None,
        });
        let devices = devices.collect();
        self.change(|script| script.devices = devices);
    }

    /// Gives a GPU a gauge.
    pub fn gauge(&self, uuid: &str, metric: Metric, labels: &'static [&'static str], value: f64) {
        self.set(uuid, Reading { metric, labels, value: Value::Gauge(value) });
    }

    /// Gives a GPU a counter, as the driver has it.
    pub fn counter(&self, uuid: &str, metric: Metric, labels: &'static [&'static str], value: u64) {
        self.set(uuid, Reading { metric, labels, value: Value::Counter(value) });
    }

    fn set(&self, uuid: &str, reading: Reading) {
        self.change(|script| {
            let values = script.values.entry(uuid.to_owned()).or_default();
            values.retain(|old| (old.metric, old.labels) != (reading.metric, reading.labels));
            values.push(reading);
        });
    }

    /// A call fails from now on, for all GPUs.
    pub fn fail(&self, call: Call, reason: Reason) {
        self.change(|script| _ = script.failures.insert(call, reason));
    }

    /// A GPU falls off the bus.
    pub fn lose(&self, uuid: &str) {
        self.change(|script| _ = script.lost.insert(uuid.to_owned()));
    }

    /// A call does not return from now on.
    pub fn hang(&self, call: Call) {
        self.change(|script| _ = script.hanging.insert(call));
    }

    /// Everything works again, and what hangs returns.
    pub fn recover(&self) {
        self.change(|script| {
            script.failures.clear();
            script.lost.clear();
            script.hanging.clear();
        });
    }

    /// A GPU reports an error.
    pub fn xid(&self, uuid: &str, xid: u64) {
        self.change(|script| script.events.push_back((uuid.to_owned(), xid)));
    }

    /// How many calls there were, with those that hang.
    pub fn calls(&self) -> u64 {
        self.script().calls
    }

    /// How many calls have hung.
    pub fn hung(&self) -> u64 {
        self.script().hung
    }

    /// How often it was opened.
    pub fn opened(&self) -> u64 {
        self.script().opened
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script());
        self.0.changed.notify_all();
    }

    /// Counts a call, and holds it up or lets it fail as the script says.
    fn call(&self, call: Call) -> Result<MutexGuard<'_, Script>, ProbeError> {
        let mut script = self.script();
        script.calls += 1;
        script.hung += u64::from(script.hanging.contains(&call));
        while script.hanging.contains(&call) {
            script = self.0.changed.wait(script).unwrap_or_else(PoisonError::into_inner);
        }
        match script.failures.get(&call) {
            Some(&reason) => Err(ProbeError::new(reason, format!("`{}` fails on purpose", call.as_str()))),
            None => Ok(script),
        }
    }
}

impl Probe for FakeProbe {
    fn open(&mut self) -> Result<Box<dyn Session + '_>, ProbeError> {
        self.call(Call::Open)?.opened += 1;
        Ok(Box::new(FakeSession { fake: self.clone(), devices: Vec::new() }))
    }
}

struct FakeSession {
    fake: FakeProbe,
    devices: Vec<Device>,
}

impl Session for FakeSession {
    fn driver(&self) -> Driver {
        Driver { name: "fake", version: "1.0".to_owned(), cuda_version: "12.4".to_owned() }
    }

    fn capabilities(&self) -> &[Call] {
        &Call::OF_A_GPU
    }

    fn devices(&mut self) -> Result<Vec<Result<Device, ProbeError>>, ProbeError> {
        self.devices = self.fake.call(Call::Devices)?.devices.clone();
        Ok(self.devices.iter().cloned().map(Ok).collect())
    }

    fn read(&mut self, device: usize, call: Call, readings: &mut Readings) -> Result<(), ProbeError> {
        let script = self.fake.call(call)?;
        let missing = || ProbeError::new(Reason::NotFound, "there is no such GPU");
        let uuid = &self.devices.get(device).ok_or_else(missing)?.uuid;
        if script.lost.contains(uuid) {
            return Err(ProbeError::new(Reason::GpuLost, format!("{uuid} has fallen off the bus")));
        }
        let values = script.values.get(uuid).map_or(&[][..], Vec::as_slice);
        let mut found = false;
        for reading in values.iter().filter(|reading| call_of(reading.metric) == call) {
            found = true;
            match reading.value {
                Value::Gauge(value) => readings.gauge(reading.metric, reading.labels, value),
                Value::Counter(value) => readings.counter(reading.metric, reading.labels, value),
            }
        }
        if found { Ok(()) } else { Err(ProbeError::new(Reason::Unsupported, "the GPU does not have it")) }
    }

    fn events(&mut self) -> Result<Option<Box<dyn EventSource>>, ProbeError> {
        drop(self.fake.call(Call::Events)?);
        Ok(Some(Box::new(FakeEvents(self.fake.clone()))))
    }
}

struct FakeEvents(FakeProbe);

impl EventSource for FakeEvents {
    fn run(&mut self, sink: &EventSink<'_>) -> Result<(), ProbeError> {
        let fake = &*self.0.0;
        while !sink.is_closed() {
            let script = self.0.script();
            let waited = fake.changed.wait_timeout_while(script, Duration::from_millis(5), |s| s.events.is_empty());
            let event = waited.unwrap_or_else(PoisonError::into_inner).0.events.pop_front();
            if let Some((uuid, xid)) = event {
                sink.xid(&uuid, xid);
            }
        }
        Ok(())
    }
}

/// The call that has a metric.
fn call_of(metric: Metric) -> Call {
    match metric {
        Metric::Utilization | Metric::MemoryBandwidthUtilization => Call::Utilization,
        Metric::GraphicsEngineActive
        | Metric::SmActive
        | Metric::SmOccupancy
        | Metric::TensorActive
        | Metric::DramActive => Call::Activity,
        Metric::MemoryUsed | Metric::MemoryFree | Metric::MemoryTotal | Metric::MemoryReserved => Call::Memory,
        Metric::ProcessMemory => Call::Processes,
        Metric::Power => Call::Power,
        Metric::PowerLimit => Call::PowerLimit,
        Metric::Energy => Call::Energy,
        Metric::Temperature => Call::Temperature,
        Metric::Clock => Call::Clocks,
        Metric::ThrottleActive => Call::ThrottleReasons,
        Metric::EccErrors => Call::Ecc,
        Metric::ThrottleTime | Metric::RowRemap | Metric::PcieBytes | Metric::PcieReplays | Metric::NvlinkErrors => {
            Call::Fields
        }
        Metric::NvlinkBytes => Call::Nvlink,
    }
}
