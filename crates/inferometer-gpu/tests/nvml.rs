//! NVML's values through the real loading code, from a library that does what a file says.
#![cfg(target_os = "linux")]

mod support;

use fake_nvml::{FakeLibrary, Gpu, Number, Script};
use inferometer::Registry;
use inferometer_gpu::{AmdProbe, AutoProbe, DeviceLabel, Devices, Metric, NvmlProbe, Probe};
use support::{has, page, quick, value, wait, wait_for};

/// The labels that a GPU's series begin with.
const GPU: &str = "gpu=\"0\",uuid=\"GPU-1\"";

fn labels(own: &str) -> String {
    if own.is_empty() { format!("{{{GPU}}}") } else { format!("{{{GPU},{own}}}") }
}

#[test]
fn every_metric_has_the_right_value_unit_and_type() {
    let library = FakeLibrary::new(&Script::with([Gpu::h100("GPU-1")]));
    let registry = Registry::new();
    let monitor = quick(&registry).process_memory(true).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    // The last thing that there is: it takes two samples.
    wait_for(&registry, &format!("gpu_sm_active_ratio{} 0.74", labels("")));
    wait_for(&registry, &format!("gpu_process_memory_bytes{} 48318382080", labels("")));
    wait_for(&registry, "gpu_probe_up 1");
    let page = page(&registry);
    let want = [
        ("gpu_utilization_ratio", "", 0.42),
        ("gpu_memory_bandwidth_utilization_ratio", "", 0.17),
        ("gpu_graphics_engine_active_ratio", "", 0.96),
        ("gpu_sm_active_ratio", "", 0.74),
        ("gpu_sm_occupancy_ratio", "", 0.31),
        ("gpu_tensor_active_ratio", "", 0.22),
        ("gpu_dram_active_ratio", "", 0.58),
        ("gpu_memory_used_bytes", "", 51_539_607_552.0),
        ("gpu_memory_free_bytes", "", 33_822_867_456.0),
        ("gpu_memory_total_bytes", "", 85_899_345_920.0),
        ("gpu_memory_reserved_bytes", "", 536_870_912.0),
        ("gpu_process_memory_bytes", "", 48_318_382_080.0),
        ("gpu_power_watts", "", 412.5),
        ("gpu_power_limit_watts", "", 700.0),
        ("gpu_energy_joules_total", "", 1_234.5),
        ("gpu_temperature_celsius", "sensor=\"die\"", 61.0),
        ("gpu_temperature_celsius", "sensor=\"memory\"", 74.0),
        ("gpu_clock_hertz", "clock=\"sm\"", 1.755e9),
        ("gpu_clock_hertz", "clock=\"memory\"", 2.619e9),
        ("gpu_throttle_active", "reason=\"sw_power_cap\"", 1.0),
        ("gpu_throttle_active", "reason=\"hw_thermal_slowdown\"", 0.0),
        ("gpu_throttle_seconds_total", "reason=\"sw_power_cap\"", 1.5),
        ("gpu_throttle_seconds_total", "reason=\"thermal\"", 0.25),
        ("gpu_throttle_seconds_total", "reason=\"low_utilization\"", 7.0),
        ("gpu_throttle_seconds_total", "reason=\"sw_thermal_slowdown\"", 2.0),
        ("gpu_throttle_seconds_total", "reason=\"hw_thermal_slowdown\"", 3.0),
        ("gpu_throttle_seconds_total", "reason=\"hw_power_brake_slowdown\"", 4.0),
        ("gpu_ecc_errors_total", "type=\"corrected\",scope=\"volatile\"", 3.0),
        ("gpu_ecc_errors_total", "type=\"uncorrected\",scope=\"volatile\"", 0.0),
        ("gpu_ecc_errors_total", "type=\"corrected\",scope=\"aggregate\"", 5.0),
        ("gpu_ecc_errors_total", "type=\"uncorrected\",scope=\"aggregate\"", 1.0),
        ("gpu_row_remap", "state=\"correctable\"", 2.0),
        ("gpu_row_remap", "state=\"uncorrectable\"", 1.0),
        ("gpu_row_remap", "state=\"pending\"", 1.0),
        ("gpu_row_remap", "state=\"failure\"", 0.0),
        ("gpu_pcie_bytes_total", "direction=\"tx\"", 9e9),
        ("gpu_pcie_bytes_total", "direction=\"rx\"", 3e10),
        ("gpu_pcie_replays_total", "", 12.0),
        ("gpu_nvlink_bytes_total", "direction=\"tx\"", 1_024_000.0),
        ("gpu_nvlink_bytes_total", "direction=\"rx\"", 2_048_000.0),
        ("gpu_nvlink_errors_total", "type=\"crc_flit\"", 1.0),
        ("gpu_nvlink_errors_total", "type=\"crc_data\"", 2.0),
        ("gpu_nvlink_errors_total", "type=\"replay\"", 3.0),
        ("gpu_nvlink_errors_total", "type=\"recovery\"", 4.0),
    ];
    for (name, own, want) in want {
        let series = format!("{name}{}", labels(own));
        assert_eq!(value(&page, &series), Some(want), "{series} in\n{page}");
    }
    for metric in Metric::ALL {
        let spec = metric.spec();
        assert!(has(&page, spec.name), "no {} in\n{page}", spec.name);
        assert!(page.contains(&format!("# TYPE {} {}\n", spec.name, spec.kind)), "{}", spec.name);
    }
    let info = "gpu_info{gpu=\"0\",uuid=\"GPU-1\",name=\"NVIDIA H100 80GB HBM3\",driver_version=\"550.90.07\",\
                cuda_version=\"12.4\",pci_bus_id=\"00000000:04:00.0\",parent_uuid=\"\"}";
    assert_eq!(value(&page, info), Some(1.0), "{page}");
    assert!(value(&page, &format!("gpu_probe_age_seconds{}", labels(""))).unwrap() < 30.0);
    for call in ["open", "devices", "utilization", "memory", "activity", "energy", "fields", "nvlink", "ecc"] {
        assert!(value(&page, &format!("gpu_probe_seconds{{call=\"{call}\"}}")).unwrap() > 0.0, "{call}");
        assert!(value(&page, &format!("gpu_probe_calls_total{{call=\"{call}\"}}")).unwrap() >= 1.0, "{call}");
    }
    assert!(!has(&page, "gpu_probe_failures_total"), "{page}");
    assert!(monitor.stop());
    assert!(!support::page(&registry).contains("gpu_"), "what was registered is gone");
}

#[test]
fn what_a_gpu_does_not_support_is_absent_and_no_failure() {
    let mut gpu = Gpu::h100("GPU-1");
    // A card for desktops: no GPM, no NVLink, no ECC, no energy.
    gpu.values.retain(|name, _| !["gpm", "ecc", "energy", "field"].iter().any(|kind| name.starts_with(kind)));
    gpu.remove("clock.2");
    let library = FakeLibrary::new(&Script::with([gpu]));
    let registry = Registry::new();
    let _monitor = quick(&registry).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait_for(&registry, &format!("gpu_power_watts{} 412.5", labels("")));
    wait_for(&registry, "gpu_probe_up 1");
    let calls = |call: &str| value(&page(&registry), &format!("gpu_probe_calls_total{{call=\"{call}\"}}"));
    let before = calls("power").unwrap();
    wait("more passes", || calls("power").unwrap() > before + 5.0);
    let page = page(&registry);
    for absent in [
        "gpu_sm_active_ratio",
        "gpu_ecc_errors_total",
        "gpu_energy_joules_total",
        "gpu_nvlink_bytes_total",
        "gpu_pcie_bytes_total",
        "gpu_throttle_seconds_total",
        "gpu_row_remap",
        "gpu_process_memory_bytes",
        "gpu_probe_failures_total",
    ] {
        assert!(!has(&page, absent), "{absent} in\n{page}");
    }
    assert_eq!(value(&page, &format!("gpu_clock_hertz{}", labels("clock=\"sm\""))), Some(1.755e9));
    assert_eq!(value(&page, &format!("gpu_clock_hertz{}", labels("clock=\"memory\""))), None);
    assert_eq!(calls("energy"), Some(1.0), "it is not asked again");
    assert_eq!(calls("processes"), None, "it is not asked at all");
}

#[test]
fn an_old_driver_without_newer_functions_has_the_values_of_the_older_ones() {
    let missing = [
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlGpmQueryDeviceSupport",
        "nvmlDeviceGetFieldValues",
    ];
    let library = FakeLibrary::without(&Script::with([Gpu::h100("GPU-1")]), &missing);
    let registry = Registry::new();
    let _monitor =
        quick(&registry).process_memory(true).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait_for(&registry, "gpu_probe_up 1");
    wait_for(&registry, "gpu_probe_failures_total{call=\"processes\",reason=\"symbol_missing\"} 1");
    let page = page(&registry);
    // What is reserved was in use to these drivers.
    assert_eq!(value(&page, &format!("gpu_memory_used_bytes{}", labels(""))), Some(52_076_478_464.0));
    assert_eq!(value(&page, &format!("gpu_memory_total_bytes{}", labels(""))), Some(85_899_345_920.0));
    for absent in ["gpu_memory_reserved_bytes", "gpu_process_memory_bytes", "gpu_sm_active_ratio", "gpu_row_remap"] {
        assert!(!has(&page, absent), "{absent} in\n{page}");
    }
    for call in ["activity", "fields", "nvlink"] {
        let failures = format!("gpu_probe_failures_total{{call=\"{call}\",reason=\"symbol_missing\"}}");
        assert_eq!(value(&page, &failures), Some(1.0), "{page}");
    }
}

#[test]
fn mig_instances_are_devices_with_their_own_memory() {
    let mut gpu = Gpu::h100("GPU-1");
    // What the GPU as a whole no longer has when it is divided.
    gpu.values.retain(|name, _| !name.starts_with("utilization") && !name.starts_with("gpm"));
    gpu.mig = Some(vec![Gpu::mig("MIG-a", 7), Gpu::mig("MIG-b", 9)]);
    let mut script = Script::with([gpu]);
    let library = FakeLibrary::new(&script);
    let registry = Registry::new();
    let monitor = quick(&registry).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    for (index, uuid) in [("0:0", "MIG-a"), ("0:1", "MIG-b")] {
        wait_for(&registry, &format!("gpu_memory_used_bytes{{gpu=\"{index}\",uuid=\"{uuid}\"}} 10737418240"));
        wait_for(&registry, &format!("gpu_sm_active_ratio{{gpu=\"{index}\",uuid=\"{uuid}\"}} 0.74"));
    }
    wait_for(&registry, "gpu_probe_up 1");
    let page = page(&registry);
    assert!(has(&page, "gpu_power_watts") && !has(&page, "gpu_utilization_ratio"), "{page}");
    assert!(page.contains("gpu_info{gpu=\"0:1\",uuid=\"MIG-b\",name=\"NVIDIA H100 80GB HBM3 MIG 1g.10gb\""), "{page}");
    assert!(page.contains("pci_bus_id=\"00000000:04:00.0\",parent_uuid=\"GPU-1\"} 1"), "{page}");
    assert_eq!(monitor.devices().len(), 3);

    // One instance is destroyed, and the GPU is whole again after that.
    script.gpu("GPU-1").mig = Some(vec![Gpu::mig("MIG-b", 9)]);
    library.say(&script);
    wait("one instance", || monitor.devices().len() == 2);
    wait("its series to go", || !support::page(&registry).contains("MIG-a"));
    script.gpu("GPU-1").mig = None;
    script.gpu("GPU-1").set("utilization.gpu", 5);
    script.gpu("GPU-1").set("utilization.memory", 1);
    library.say(&script);
    wait_for(&registry, &format!("gpu_utilization_ratio{} 0.05", labels("")));
    wait("the last instance to go", || !support::page(&registry).contains("MIG-"));
}

#[test]
fn bytes_of_nvlink_5_are_those_of_its_links_together() {
    let mut gpu = Gpu::h100("GPU-1");
    gpu.remove("field.138.4294967295");
    gpu.remove("field.139.4294967295");
    for link in 0..18 {
        gpu.set(&format!("field.202.{link}"), 100 + link);
        gpu.set(&format!("field.204.{link}"), 1);
    }
    let library = FakeLibrary::new(&Script::with([gpu]));
    let registry = Registry::new();
    let _monitor = quick(&registry).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait_for(&registry, &format!("gpu_nvlink_bytes_total{} 1953", labels("direction=\"tx\"")));
    wait_for(&registry, &format!("gpu_nvlink_bytes_total{} 18", labels("direction=\"rx\"")));
}

#[test]
fn values_follow_the_driver() {
    let mut gpu = Gpu::h100("GPU-1");
    gpu.set("utilization.gpu", Number::Series(vec![10, 20, 30, 99]));
    gpu.set("energy", Number::Ramp { from: 1_000, per_second: 400_000 });
    let library = FakeLibrary::new(&Script::with([gpu]));
    let registry = Registry::new();
    let _monitor = quick(&registry).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait_for(&registry, &format!("gpu_utilization_ratio{} 0.99", labels("")));
    let energy = || value(&page(&registry), &format!("gpu_energy_joules_total{}", labels(""))).unwrap_or(0.0);
    let before = energy();
    wait("energy to be used", || energy() > before + 10.0);
}

#[test]
fn xid_errors_are_counted_by_gpu_and_number_with_the_time_of_the_latest() {
    let mut script = Script::with([Gpu::h100("GPU-1"), Gpu::h100("GPU-2")]);
    // One from before the monitor: nobody waited for it.
    script.xids.push(("GPU-1".to_owned(), 13));
    let library = FakeLibrary::new(&script);
    let registry = Registry::new();
    let monitor = quick(&registry).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait("the second thread to register both", || library.registrations() == 2 && monitor.is_up());
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let before = now();
    script.xids.extend([("GPU-1".to_owned(), 79), ("GPU-2".to_owned(), 31), ("GPU-1".to_owned(), 79)]);
    library.say(&script);
    wait_for(&registry, "gpu_xid_errors_total{gpu=\"0\",uuid=\"GPU-1\",xid=\"79\"} 2");
    wait_for(&registry, "gpu_xid_errors_total{gpu=\"1\",uuid=\"GPU-2\",xid=\"31\"} 1");
    let page = page(&registry);
    let latest = value(&page, "gpu_xid_last_timestamp_seconds{gpu=\"0\",uuid=\"GPU-1\",xid=\"79\"}").unwrap();
    assert!((before..=now()).contains(&latest), "{latest}");
    assert!(!page.contains("xid=\"13\""), "{page}");
}

#[test]
fn gpus_are_chosen_and_what_is_not_there_is_said() {
    let library = FakeLibrary::new(&Script::with([Gpu::h100("GPU-1"), Gpu::h100("GPU-2"), Gpu::h100("GPU-3")]));
    let registry = Registry::new();
    let chosen = quick(&registry).devices(Devices::list(["2", "GPU-1"]));
    let monitor = chosen.probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait_for(&registry, "gpu_probe_up 1");
    let uuids: Vec<String> = monitor.devices().into_iter().map(|device| device.uuid).collect();
    assert_eq!(uuids, ["GPU-1", "GPU-3"]);
    assert!(!page(&registry).contains("GPU-2"));
    drop(monitor);

    let chosen = quick(&registry).devices(Devices::list(["0", "7"]));
    let monitor = chosen.probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait("the status", || monitor.status().to_string().contains("there is no GPU 7"));
    wait_for(&registry, "gpu_memory_total_bytes{gpu=\"0\",uuid=\"GPU-1\"} 85899345920");
    let page = page(&registry);
    assert_eq!(value(&page, "gpu_probe_up"), Some(0.0));
    assert!(value(&page, "gpu_probe_failures_total{call=\"devices\",reason=\"not_found\"}") >= Some(1.0), "{page}");
}

#[test]
fn further_labels_are_on_all_series_of_a_gpu() {
    let library = FakeLibrary::new(&Script::with([Gpu::h100("GPU-1")]));
    let registry = Registry::new();
    let labels = [DeviceLabel::Name, DeviceLabel::DriverVersion, DeviceLabel::Name];
    let _monitor = quick(&registry).labels(labels).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait_for(
        &registry,
        &format!(
            "gpu_clock_hertz{{{GPU},name=\"NVIDIA H100 80GB HBM3\",driver_version=\"550.90.07\",clock=\"sm\"}} 1755000000"
        ),
    );
}

#[test]
fn a_machine_without_any_driver_says_so() {
    let nothing = tempfile::tempdir().unwrap();
    let mut probe =
        AutoProbe::of(NvmlProbe::with_library("/no/such/libnvidia-ml.so.1"), AmdProbe::with_sysfs(nothing.path()));
    let error = probe.open().map(|_| ()).unwrap_err();
    assert_eq!(error.reason().as_str(), "library_missing");
    assert!(error.to_string().contains("/no/such/libnvidia-ml.so.1"), "{error}");
    assert!(error.to_string().contains("no AMD GPU"), "{error}");
    let error = NvmlProbe::with_library("/no/such/libnvidia-ml.so.1").open().map(|_| ()).unwrap_err();
    assert_eq!(error.reason().as_str(), "library_missing");
    assert!(error.to_string().contains("/no/such/libnvidia-ml.so.1"), "{error}");
}
