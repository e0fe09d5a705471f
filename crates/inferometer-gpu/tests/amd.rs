//! AMD's GPUs, from trees of files as the kernel has them.
#![cfg(target_os = "linux")]

mod support;

use inferometer::Registry;
use inferometer_gpu::{AmdProbe, Probe, Reason};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use support::{has, page, quick, value, wait, wait_for};
use tempfile::TempDir;

/// A file system like `/sys`: cards in `class/drm` that are links to devices on the bus.
struct Sysfs(TempDir);

impl Sysfs {
    fn new() -> Self {
        let tree = Sysfs(tempfile::tempdir().unwrap());
        fs::create_dir_all(tree.drm()).unwrap();
        fs::write(tree.drm().join("version"), "drm 1.1.0 20060810\n").unwrap();
        tree
    }

    fn drm(&self) -> PathBuf {
        self.0.path().join("class/drm")
    }

    /// What an Instinct MI210 has.
    fn card(&self, card: usize, bus: &str, unique_id: &str) -> PathBuf {
        let device = self.0.path().join("devices/pci0000:00").join(bus);
        let sensors = device.join(format!("hwmon/hwmon{card}"));
        fs::create_dir_all(&sensors).unwrap();
        fs::create_dir_all(device.join("ras")).unwrap();
        for (file, text) in [
            ("vendor", "0x1002"),
            ("device", "0x740f"),
            ("unique_id", unique_id),
            ("product_name", "AMD Instinct MI210"),
            ("gpu_busy_percent", "37"),
            ("mem_busy_percent", "12"),
            ("mem_info_vram_total", "68702699520"),
            ("mem_info_vram_used", "8589934592"),
            ("ras/umc_err_count", "ue: 2\nce: 7"),
        ] {
            fs::write(device.join(file), format!("{text}\n")).unwrap();
        }
        for (file, text) in [
            ("name", "amdgpu"),
            ("power1_average", "113000000"),
            ("power1_cap", "300000000"),
            ("energy1_input", "5000123"),
            ("temp1_label", "edge"),
            ("temp1_input", "41000"),
            ("temp2_label", "junction"),
            ("temp2_input", "48500"),
            ("temp3_label", "mem"),
            ("temp3_input", "52000"),
            ("freq1_label", "sclk"),
            ("freq1_input", "1700000000"),
            ("freq2_label", "mclk"),
            ("freq2_input", "1600000000"),
        ] {
            fs::write(sensors.join(file), format!("{text}\n")).unwrap();
        }
        let entry = self.drm().join(format!("card{card}"));
        fs::create_dir_all(&entry).unwrap();
        symlink(&device, entry.join("device")).unwrap();
        // A connector of the card, and its twin for those who only compute.
        fs::create_dir_all(self.drm().join(format!("card{card}-DP-1"))).unwrap();
        let render = self.drm().join(format!("renderD{}", 128 + card));
        fs::create_dir_all(&render).unwrap();
        symlink(&device, render.join("device")).unwrap();
        device
    }

    fn probe(&self) -> AmdProbe {
        AmdProbe::with_sysfs(self.0.path())
    }
}

fn write(device: &Path, file: &str, bytes: impl AsRef<[u8]>) {
    fs::write(device.join(file), bytes).unwrap();
}

const UUID: &str = "0x1a2b3c4d5e6f7788";

#[test]
fn one_gpu_has_its_values_in_the_right_units() {
    let sysfs = Sysfs::new();
    sysfs.card(0, "0000:c1:00.0", UUID);
    let registry = Registry::new();
    let monitor = quick(&registry).probe(sysfs.probe()).start().unwrap();
    wait_for(&registry, "gpu_probe_up 1");
    let page = page(&registry);
    let labels = format!("gpu=\"0\",uuid=\"{UUID}\"");
    for (name, own, want) in [
        ("gpu_utilization_ratio", "", 0.37),
        ("gpu_memory_bandwidth_utilization_ratio", "", 0.12),
        ("gpu_memory_used_bytes", "", 8_589_934_592.0),
        ("gpu_memory_free_bytes", "", 60_112_764_928.0),
        ("gpu_memory_total_bytes", "", 68_702_699_520.0),
        ("gpu_power_watts", "", 113.0),
        ("gpu_power_limit_watts", "", 300.0),
        ("gpu_energy_joules_total", "", 5.0),
        ("gpu_temperature_celsius", ",sensor=\"die\"", 41.0),
        ("gpu_temperature_celsius", ",sensor=\"junction\"", 48.5),
        ("gpu_temperature_celsius", ",sensor=\"memory\"", 52.0),
        ("gpu_clock_hertz", ",clock=\"sm\"", 1.7e9),
        ("gpu_clock_hertz", ",clock=\"memory\"", 1.6e9),
        ("gpu_ecc_errors_total", ",type=\"corrected\",scope=\"volatile\"", 7.0),
        ("gpu_ecc_errors_total", ",type=\"uncorrected\",scope=\"volatile\"", 2.0),
    ] {
        let series = format!("{name}{{{labels}{own}}}");
        assert_eq!(value(&page, &series), Some(want), "{series} in\n{page}");
    }
    assert!(page.contains("name=\"AMD Instinct MI210\"") && page.contains("pci_bus_id=\"0000:c1:00.0\""), "{page}");
    assert!(!has(&page, "gpu_probe_failures_total"), "{page}");
    assert!(monitor.status().to_string().contains("amd"));
}

#[test]
fn four_gpus_are_in_the_order_of_the_bus_and_cards_of_others_are_left_out() {
    let sysfs = Sysfs::new();
    for (card, bus) in [(3, "0000:03:00.0"), (1, "0000:c1:00.0"), (10, "0000:41:00.0"), (2, "0000:83:00.0")] {
        sysfs.card(card, bus, &format!("0x{card:016x}"));
    }
    let other = sysfs.card(0, "0000:01:00.0", "0xff");
    write(&other, "vendor", "0x10de\n");
    let mut probe = sysfs.probe();
    let gpus: Result<Vec<_>, _> = probe.open().unwrap().devices().unwrap().into_iter().collect();
    let gpus = gpus.unwrap();
    let found: Vec<_> = gpus.iter().map(|gpu| (&*gpu.index, &*gpu.pci_bus_id)).collect();
    assert_eq!(found, [("0", "0000:03:00.0"), ("1", "0000:41:00.0"), ("2", "0000:83:00.0"), ("3", "0000:c1:00.0")]);
    assert_eq!(gpus[1].uuid, "0x000000000000000a");
    let registry = Registry::new();
    let _monitor = quick(&registry).probe(sysfs.probe()).start().unwrap();
    wait_for(&registry, "gpu_probe_up 1");
    assert_eq!(registry.snapshot().gauge("gpu_power_watts", &[]), Some(4.0 * 113.0));
}

#[test]
fn files_that_are_missing_are_values_that_there_are_not() {
    let sysfs = Sysfs::new();
    let device = sysfs.card(0, "0000:c1:00.0", "");
    for file in ["mem_busy_percent", "product_name", "ras/umc_err_count", "mem_info_vram_used"] {
        fs::remove_file(device.join(file)).unwrap();
    }
    for file in ["power1_average", "power1_cap", "energy1_input", "temp1_label", "temp2_input", "temp3_label"] {
        fs::remove_file(device.join("hwmon/hwmon0").join(file)).unwrap();
    }
    write(&device, "hwmon/hwmon0/power1_input", "95000000\n");
    let registry = Registry::new();
    let _monitor = quick(&registry).probe(sysfs.probe()).start().unwrap();
    wait_for(&registry, "gpu_probe_up 1");
    let page = page(&registry);
    // Without a number of its own, the card goes by its place on the bus.
    let labels = "gpu=\"0\",uuid=\"PCI-0000:c1:00.0\"";
    assert_eq!(value(&page, &format!("gpu_power_watts{{{labels}}}")), Some(95.0));
    assert_eq!(value(&page, &format!("gpu_temperature_celsius{{{labels},sensor=\"die\"}}")), Some(41.0));
    assert_eq!(value(&page, &format!("gpu_memory_total_bytes{{{labels}}}")), Some(68_702_699_520.0));
    assert!(page.contains("name=\"AMD 0x740f\""), "{page}");
    for absent in [
        "gpu_memory_used_bytes",
        "gpu_memory_free_bytes",
        "gpu_memory_bandwidth_utilization_ratio",
        "gpu_power_limit_watts",
        "gpu_energy_joules_total",
        "gpu_ecc_errors_total",
        "gpu_probe_failures_total",
    ] {
        assert!(!has(&page, absent), "{absent} in\n{page}");
    }
    for absent in ["junction", "memory"] {
        assert!(!page.contains(&format!("sensor=\"{absent}\"")), "{page}");
    }
}

#[test]
fn garbage_in_files_is_left_out_and_counted() {
    let sysfs = Sysfs::new();
    let device = sysfs.card(0, "0000:c1:00.0", UUID);
    write(&device, "gpu_busy_percent", "often\n");
    write(&device, "mem_busy_percent", "101\n");
    write(&device, "mem_info_vram_used", [0xff, 0xfe, 0x00]);
    write(&device, "mem_info_vram_total", "");
    write(&device, "ras/umc_err_count", "ue 2\nce: 7\n");
    write(&device, "hwmon/hwmon0/power1_average", "-1\n");
    write(&device, "hwmon/hwmon0/power1_cap", "18446744073709551616\n");
    write(&device, "hwmon/hwmon0/temp1_input", "4294967295\n");
    let registry = Registry::new();
    let _monitor = quick(&registry).probe(sysfs.probe()).start().unwrap();
    let failures = |call: &str, reason: &str| {
        value(&page(&registry), &format!("gpu_probe_failures_total{{call=\"{call}\",reason=\"{reason}\"}}"))
    };
    for (call, reason) in [
        ("utilization", "malformed"),
        ("utilization", "implausible"),
        ("memory", "malformed"),
        ("ecc", "malformed"),
        ("power_limit", "malformed"),
        ("temperature", "implausible"),
    ] {
        wait(call, || failures(call, reason) >= Some(1.0));
    }
    let page = page(&registry);
    for absent in ["gpu_utilization_ratio", "gpu_memory_used_bytes", "gpu_memory_total_bytes", "gpu_power_limit_watts"]
    {
        assert!(!has(&page, absent), "{absent} in\n{page}");
    }
    let labels = format!("gpu=\"0\",uuid=\"{UUID}\"");
    assert_eq!(
        value(&page, &format!("gpu_ecc_errors_total{{{labels},type=\"corrected\",scope=\"volatile\"}}")),
        Some(7.0)
    );
    assert_eq!(value(&page, &format!("gpu_temperature_celsius{{{labels},sensor=\"junction\"}}")), Some(48.5));
}

#[test]
fn without_a_card_the_probe_says_so() {
    let sysfs = Sysfs::new();
    let error = sysfs.probe().open().map(|_| ()).unwrap_err();
    assert_eq!(error.reason(), Reason::NotFound);
    let error = AmdProbe::with_sysfs("/no/such/place").open().map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("/no/such/place/class/drm"), "{error}");
}
