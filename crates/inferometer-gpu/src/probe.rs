//! What a kind of GPU has to offer.

use crate::call::Call;
use crate::error::ProbeError;
use crate::events::EventSource;
use crate::reading::Readings;

/// A way to ask a driver about its GPUs.
///
/// A probe and its sessions live on one thread, [`GpuMonitor`](crate::GpuMonitor)'s own, where every call may take as long
/// as it takes. It can be used without a monitor as well:
///
/// ```
/// use inferometer_gpu::{Call, Metric, Probe, Readings, testing::FakeProbe};
///
/// let mut probe = FakeProbe::example();
/// let mut session = probe.open()?;
/// let gpu = session.devices()?.remove(0)?;
/// let mut readings = Readings::default();
/// session.read(0, Call::Memory, &mut readings)?;
/// assert_eq!(gpu.index, "0");
/// assert!(readings.readings().iter().any(|reading| reading.metric == Metric::MemoryUsed));
/// # Ok::<(), inferometer_gpu::ProbeError>(())
/// ```
pub trait Probe: Send + 'static {
    /// Loads the driver, or connects to it. A session before it is over by then.
    ///
    /// # Errors
    /// When there is no driver, or no GPU.
    fn open(&mut self) -> Result<Box<dyn Session + '_>, ProbeError>;
}

/// A driver that is open.
pub trait Session {
    /// What driver it is.
    fn driver(&self) -> Driver;

    /// The calls that this kind of driver knows. A GPU may still not support one, and says so when it is asked.
    fn capabilities(&self) -> &[Call];

    /// Lists the GPUs; one that is there and does not work is an error in the list. [`Session::read`] takes a place in the
    /// latest list.
    ///
    /// # Errors
    /// When the driver does not list them.
    fn devices(&mut self) -> Result<Vec<Result<Device, ProbeError>>, ProbeError>;

    /// Makes a call for the GPU at a place in the list, and adds what it gives to `readings`.
    ///
    /// # Errors
    /// When it gives nothing. Where parts of it fail, they are [in the readings](Readings::failed).
    fn read(&mut self, device: usize, call: Call, readings: &mut Readings) -> Result<(), ProbeError>;

    /// What waits for events of the GPUs in the list, on a thread of its own; `None` where there are none to wait for.
    ///
    /// # Errors
    /// When the driver should have events and does not give them.
    fn events(&mut self) -> Result<Option<Box<dyn EventSource>>, ProbeError> {
        Ok(None)
    }
}

/// What a driver is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// The kind of probe: `nvml`, `amd`.
    pub name: &'static str,
    /// The driver's version; empty where it has none.
    pub version: String,
    /// The newest version of CUDA that it supports; empty where there is no CUDA.
    pub cuda_version: String,
}

/// A GPU, or a part of one that is used like a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What identifies it, also after a restart and in another order.
    pub uuid: String,
    /// Its place in the driver's list; of a MIG instance, its GPU's and its own with a colon between.
    pub index: String,
    /// The product's name.
    pub name: String,
    /// Its address on the bus.
    pub pci_bus_id: String,
    /// The UUID of the GPU that a MIG instance is part of.
    pub parent_uuid: Option<String>,
}
