//! The dashboards of NVIDIA's DCGM exporter and of Triton, on a live Prometheus that scrapes GPUs which are not there: each
//! expression has rows.
//!
//! The dashboards are others' and not copied here. `INFEROMETER_DASHBOARDS` names the folder that has
//! `dcgm-exporter.json` and `triton-k8s-onprem.json`.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::path::Path;

use fake_nvml::{FakeLibrary, Gpu, Script};
use inferometer::Registry;
use inferometer_e2e::dashboards;
use inferometer_e2e::prometheus::{Prometheus, Row};
use inferometer_gpu::{Devices, GpuMonitor, NvmlProbe, profiles};
use inferometer_prometheus::{Exporter, Server};

/// The expressions of a dashboard, for all machines and GPUs.
fn expressions(file: &Path) -> BTreeSet<String> {
    dashboards::expressions(file, &[("$instance", ".*"), ("$gpu", ".*")])
}

/// Two GPUs, behind a server that serves a profile's names.
struct Served {
    server: Server,
    _monitor: GpuMonitor,
    _library: FakeLibrary,
}

fn serve(profile: &str) -> Served {
    let library = FakeLibrary::new(&Script::with([Gpu::h100("GPU-1"), Gpu::h100("GPU-2")]));
    let registry = Registry::new();
    let monitor = GpuMonitor::builder().registry(&registry).devices(Devices::all());
    let monitor = monitor.probe(NvmlProbe::with_library(library.path())).start().expect("a monitor");
    let exporter = Exporter::builder().registry(registry).profile(profiles::dcgm()).profile(profiles::triton());
    let server = exporter.expose([profile]).build().expect("an exporter").serve("127.0.0.1:0").expect("a free port");
    Served { server, _monitor: monitor, _library: library }
}

/// The rows of an expression, once there are as many.
fn rows(prometheus: &Prometheus, expression: &str, count: usize) -> Vec<Row> {
    dashboards::rows(prometheus, expression, |rows| rows.len() == count)
}

/// How many rows an expression has for two GPUs.
fn count(expression: &str) -> usize {
    if expression.starts_with("avg(") || expression.starts_with("sum(") { 1 } else { 2 }
}

#[test]
fn every_expression_of_the_dcgm_dashboard_has_rows() {
    let Some(folder) = dashboards::folder() else { return };
    let expressions = expressions(&folder.join("dcgm-exporter.json"));
    assert!(expressions.len() >= 8, "{expressions:?}");
    let served = serve("dcgm");
    let Some(prometheus) = Prometheus::start(&served.server.local_addr().to_string()) else { return };
    for expression in &expressions {
        rows(&prometheus, expression, count(expression));
    }
    // What its variable lists.
    let gpus = rows(&prometheus, "count by (gpu) (DCGM_FI_DEV_GPU_TEMP)", 2);
    let gpus: BTreeSet<_> = gpus.iter().map(|row| row.labels["gpu"].as_str().unwrap_or_default()).collect();
    assert_eq!(gpus, BTreeSet::from(["0", "1"]));
    // And in its units.
    let one = |expression: &str| rows(&prometheus, expression, 1)[0].value;
    assert_eq!(one("DCGM_FI_DEV_FB_USED{gpu=\"0\"}"), 49_152.0);
    assert_eq!(one("DCGM_FI_DEV_SM_CLOCK{gpu=\"0\"} * 1000000"), 1.755e9);
}

#[test]
fn every_gpu_panel_of_the_triton_dashboard_has_rows() {
    let Some(folder) = dashboards::folder() else { return };
    let mut expressions = expressions(&folder.join("triton-k8s-onprem.json"));
    expressions.retain(|expression| expression.contains("nv_gpu_") || expression.contains("nv_energy_"));
    assert!(expressions.len() >= 4, "{expressions:?}");
    let served = serve("triton");
    let Some(prometheus) = Prometheus::start(&served.server.local_addr().to_string()) else { return };
    for expression in &expressions {
        rows(&prometheus, expression, count(expression));
    }
    let used = rows(&prometheus, "nv_gpu_memory_used_bytes{gpu_uuid=\"GPU-2\"}", 1);
    assert_eq!(used[0].value, 51_539_607_552.0);
}
