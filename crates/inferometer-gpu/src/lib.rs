//! GPU metrics in an engine's own process, which never hold the engine up.
//!
//! NVIDIA's GPUs are asked through NVML, which is loaded at run time ([`NvmlProbe`]); AMD's through `sysfs`
//! ([`AmdProbe`]). A [`GpuMonitor`] does so on a thread of its own, since a call to a driver takes the driver's lock and may
//! take long or never return. A scrape reads the latest values, and no driver is ever called for it.
//!
//! ```
//! use inferometer::Registry;
//! use inferometer_gpu::GpuMonitor;
//!
//! let registry = Registry::new();
//! // Without a GPU this is no error: it says so once, and `gpu_probe_up` is 0.
//! let _monitor = GpuMonitor::builder().registry(&registry).on_status(|status| println!("{status}")).start()?;
//! # Ok::<(), inferometer_gpu::StartError>(())
//! ```
//!
//! What each metric means, what a call costs and what a container needs is in `docs/gpu.md` of the repository.
//!
//! # Metrics
//!
//! The table is [`Metric::spec`]. All have the labels `gpu` (the place in the driver's list) and `uuid`; counters never fall, also
//! when the driver is loaded again or lists its GPUs in another order. What a GPU does not have is absent. Besides:
//!
//! | metric | what it is |
//! |---|---|
//! | `gpu_info{gpu, uuid, name, driver_version, cuda_version, pci_bus_id, parent_uuid}` | 1 |
//! | `gpu_xid_errors_total{xid}`, `gpu_xid_last_timestamp_seconds{xid}` | errors that the GPU reported, and when the latest came |
//! | `gpu_probe_up` | 1 if the driver answers for all GPUs that are watched |
//! | `gpu_probe_age_seconds` | time since it last did, by GPU |
//! | `gpu_probe_seconds{call}`, `gpu_probe_calls_total{call}`, `gpu_probe_call_seconds_total{call}` | what calls cost: the latest, and all |
//! | `gpu_probe_failures_total{call, reason}` | what failed, and what gave values that cannot be |
//!
//! # Features
//!
//! `nvml` (on by default) has [`NvmlProbe`]; `profiles` the names of DCGM's exporter and of Triton for
//! `inferometer-prometheus`.

mod amd;
mod auto;
mod call;
mod error;
mod events;
mod metric;
mod monitor;
#[cfg(feature = "nvml")]
mod nvml;
mod probe;
#[cfg(feature = "profiles")]
pub mod profiles;
mod reading;
mod selection;
pub mod testing;

pub use amd::AmdProbe;
pub use auto::AutoProbe;
pub use call::{Call, Tier};
pub use error::{ProbeError, Reason};
pub use events::{EventSink, EventSource};
pub use metric::{Metric, Spec};
pub use monitor::{DeviceLabel, GpuMonitor, GpuMonitorBuilder, StartError, Status};
#[cfg(feature = "nvml")]
pub use nvml::NvmlProbe;
pub use probe::{Device, Driver, Probe, Session};
pub use reading::{Reading, Readings, Value};
pub use selection::Devices;
