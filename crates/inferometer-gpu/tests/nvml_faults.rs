//! What goes wrong with NVML, and what is left of the metrics then. Faults 60 to 63 of `docs/faults.md`.
#![cfg(target_os = "linux")]

mod support;

use fake_nvml::{FakeLibrary, Gpu, Script};
use inferometer::Registry;
use inferometer_gpu::{NvmlProbe, Status};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{has, ms, page, quick, up, value, wait, wait_for};

const USED: &str = "gpu_memory_used_bytes{gpu=\"0\",uuid=\"GPU-1\"}";
const ENERGY: &str = "gpu_energy_joules_total{gpu=\"0\",uuid=\"GPU-1\"}";

/// NVML's return codes.
const NO_PERMISSION: u32 = 4;
const DRIVER_NOT_LOADED: u32 = 9;
const LIB_RM_VERSION_MISMATCH: u32 = 18;
const UNKNOWN: u32 = 999;

fn one() -> Script {
    Script::with([Gpu::h100("GPU-1")])
}

fn failures(page: &str, call: &str, reason: &str) -> f64 {
    value(page, &format!("gpu_probe_failures_total{{call=\"{call}\",reason=\"{reason}\"}}")).unwrap_or(0.0)
}

#[test]
fn without_the_library_the_probe_says_so_once_and_nothing_else_changes() {
    let registry = Registry::new();
    let requests = registry.counter("requests_total", &[]).unwrap();
    let told: Arc<Mutex<Vec<Status>>> = Arc::default();
    let tell = Arc::clone(&told);
    let monitor = quick(&registry)
        .on_status(move |status| tell.lock().unwrap().push(status.clone()))
        .probe(NvmlProbe::with_library("/no/such/libnvidia-ml.so.1"))
        .start()
        .unwrap();
    requests.increment(1);
    wait("several tries", || failures(&page(&registry), "open", "library_missing") >= 4.0);
    let page = page(&registry);
    assert_eq!(value(&page, "gpu_probe_up"), Some(0.0));
    assert_eq!(value(&page, "requests_total"), Some(1.0));
    assert!(!page.contains("gpu=\""), "{page}");
    let told = told.lock().unwrap();
    assert!(
        matches!(&told[..], [Status::Down { driver: None, error }] if error.to_string().contains("/no/such")),
        "{told:?}"
    );
    assert!(monitor.stop());
}

#[test]
fn a_library_that_cannot_be_initialised_is_tried_again_until_it_can() {
    let mut script = one();
    for (code, reason) in [(DRIVER_NOT_LOADED, "driver_not_loaded"), (LIB_RM_VERSION_MISMATCH, "version_mismatch")] {
        script.returns.insert("nvmlInit_v2".to_owned(), code);
        let library = FakeLibrary::new(&script);
        let registry = Registry::new();
        let monitor = quick(&registry).probe(NvmlProbe::with_library(library.path())).start().unwrap();
        wait(reason, || failures(&page(&registry), "open", reason) >= 2.0);
        assert!(!up(&registry.snapshot()) && !monitor.is_up());
        library.say(&one());
        wait_for(&registry, "gpu_probe_up 1");
        wait_for(&registry, &format!("{USED} 51539607552"));
    }
}

#[test]
fn a_library_without_the_symbol_to_initialise_it_is_down_and_others_cost_their_metrics_only() {
    let library = FakeLibrary::without(&one(), &["nvmlInit_v2"]);
    let registry = Registry::new();
    let monitor = quick(&registry).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait("a failure", || failures(&page(&registry), "open", "symbol_missing") >= 1.0);
    assert_eq!(value(&page(&registry), "gpu_probe_up"), Some(0.0));
    drop(monitor);

    let library = FakeLibrary::without(&one(), &["nvmlDeviceGetPowerUsage", "nvmlEventSetCreate"]);
    let registry = Registry::new();
    let _monitor = quick(&registry).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait_for(&registry, &format!("{ENERGY} 1234.5"));
    wait_for(&registry, "gpu_probe_up 1");
    let page = page(&registry);
    assert!(!has(&page, "gpu_power_watts"), "{page}");
    assert_eq!(failures(&page, "power", "symbol_missing"), 1.0, "it is asked once");
}

#[test]
fn a_call_that_hangs_holds_up_no_scrape_and_its_values_age_and_go_and_come_back() {
    let mut script = one();
    let library = FakeLibrary::new(&script);
    let registry = Registry::new();
    let quick = quick(&registry).deadline(ms(2_000)).grace(ms(300));
    let monitor = quick.probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait_for(&registry, &format!("{USED} 51539607552"));
    wait_for(&registry, "gpu_probe_up 1");

    script.hangs.insert("nvmlDeviceGetUtilizationRates".to_owned());
    library.say(&script);
    wait_for(&registry, "gpu_probe_up 0");
    assert!(!monitor.is_up());
    wait("it to be counted, while it hangs", || failures(&page(&registry), "utilization", "timeout") == 1.0);
    wait("the values to go", || value(&page(&registry), USED).is_none());
    let stale = page(&registry);
    assert!(value(&stale, "gpu_probe_age_seconds{gpu=\"0\",uuid=\"GPU-1\"}").unwrap() > 0.3, "{stale}");
    assert!(!has(&stale, "gpu_utilization_ratio") && !has(&stale, "gpu_energy_joules_total"), "{stale}");

    // A scrape reads what there is, however long the driver takes. (The limit is the collector's, and far above it.)
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let started = Instant::now();
        let snapshot = registry.snapshot();
        slowest = slowest.max(started.elapsed());
        assert!(!up(&snapshot) && snapshot.gauge("gpu_probe_up", &[]).is_some());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    println!("slowest of 100 scrapes beside a call that hangs: {slowest:?}");

    script.hangs.clear();
    library.say(&script);
    wait_for(&registry, &format!("{USED} 51539607552"));
    wait_for(&registry, "gpu_probe_up 1");
    assert_eq!(failures(&page(&registry), "utilization", "timeout"), 1.0);
    assert!(monitor.stop());
}

#[test]
fn a_slow_driver_is_asked_less_often() {
    let mut script = one();
    script.delays_ms.insert("nvmlDeviceGetMemoryInfo_v2".to_owned(), 300);
    let library = FakeLibrary::new(&script);
    let registry = Registry::new();
    let quick = quick(&registry).deadline(ms(100)).backoff(ms(50), ms(100_000));
    let monitor = quick.probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait("failures", || failures(&page(&registry), "memory", "timeout") >= 4.0);
    let calls = || value(&page(&registry), "gpu_probe_calls_total{call=\"memory\"}").unwrap();
    let (before, started) = (calls(), Instant::now());
    wait("some time", || started.elapsed() > ms(500));
    // Every ten milliseconds without the back-off, which doubles.
    assert!(calls() - before <= 3.0, "{} calls in {:?}", calls() - before, started.elapsed());
    assert!(monitor.stop());
}

#[test]
fn a_monitor_can_be_stopped_while_a_call_hangs_and_its_thread_ends_with_the_call() {
    let mut script = one();
    script.hangs.insert("nvmlDeviceGetPowerUsage".to_owned());
    let library = FakeLibrary::new(&script);
    let registry = Registry::new();
    let monitor = quick(&registry).deadline(ms(200)).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait("the call to hang", || failures(&page(&registry), "power", "timeout") >= 1.0);
    let started = Instant::now();
    assert!(!monitor.stop(), "the thread is inside the call");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    assert!(!page(&registry).contains("gpu_"));
    library.say(&one());
}

#[test]
fn a_gpu_that_falls_off_the_bus_is_absent_and_the_others_are_not() {
    let mut script = Script::with([Gpu::h100("GPU-1"), Gpu::h100("GPU-2")]);
    let library = FakeLibrary::new(&script);
    let registry = Registry::new();
    let _monitor = quick(&registry).grace(ms(300)).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    let other = "gpu_memory_used_bytes{gpu=\"1\",uuid=\"GPU-2\"}";
    wait_for(&registry, &format!("{other} 51539607552"));
    wait_for(&registry, "gpu_probe_up 1");

    script.gpu("GPU-2").lost = true;
    library.say(&script);
    wait_for(&registry, "gpu_probe_up 0");
    wait("it to go", || value(&page(&registry), other).is_none());
    wait("it to be missed in the list", || failures(&page(&registry), "devices", "gpu_lost") >= 2.0);
    let lost = page(&registry);
    assert_eq!(value(&lost, "gpu_probe_up"), Some(0.0), "{lost}");
    assert!(value(&lost, "gpu_probe_age_seconds{gpu=\"1\",uuid=\"GPU-2\"}").is_some(), "it is missed:\n{lost}");
    // The other one goes on, while the driver is opened again and again.
    for _ in 0..50 {
        wait_for(&registry, &format!("{USED} 51539607552"));
    }

    script.gpu("GPU-2").lost = false;
    library.say(&script);
    wait_for(&registry, &format!("{other} 51539607552"));
    wait_for(&registry, "gpu_probe_up 1");
}

#[test]
fn gpus_that_come_go_or_change_places_are_told_apart_by_uuid_and_no_counter_falls() {
    let mut script = Script::with([Gpu::h100("GPU-1"), Gpu::h100("GPU-2")]);
    script.gpu("GPU-2").set("energy", 9_000_000);
    let library = FakeLibrary::new(&script);
    let registry = Registry::new();
    let monitor = quick(&registry).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait_for(&registry, "gpu_energy_joules_total{gpu=\"0\",uuid=\"GPU-1\"} 1234.5");
    wait_for(&registry, "gpu_energy_joules_total{gpu=\"1\",uuid=\"GPU-2\"} 9000");

    script.gpus.reverse();
    library.say(&script);
    wait_for(&registry, "gpu_energy_joules_total{gpu=\"1\",uuid=\"GPU-1\"} 1234.5");
    wait_for(&registry, "gpu_energy_joules_total{gpu=\"0\",uuid=\"GPU-2\"} 9000");

    // One is taken out, and comes back with its counter at zero.
    script.gpus.remove(0);
    library.say(&script);
    wait("it to go", || monitor.devices().len() == 1);
    let gone = page(&registry);
    assert!(!gone.contains("gpu_energy_joules_total{gpu=\"0\",uuid=\"GPU-2\"}"), "{gone}");
    assert!(gone.contains("gpu_probe_age_seconds{gpu=\"0\",uuid=\"GPU-2\"}"), "it is missed:\n{gone}");
    let mut back = Gpu::h100("GPU-2");
    back.set("energy", 500);
    script.gpus.push(back);
    library.say(&script);
    wait_for(&registry, "gpu_energy_joules_total{gpu=\"1\",uuid=\"GPU-2\"} 9000.5");
    wait_for(&registry, "gpu_energy_joules_total{gpu=\"0\",uuid=\"GPU-1\"} 1234.5");
}

#[test]
fn counters_go_on_when_the_driver_is_loaded_again() {
    let mut script = one();
    let library = FakeLibrary::new(&script);
    let registry = Registry::new();
    let monitor = quick(&registry).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait("the second thread", || library.registrations() >= 1 && monitor.is_up());
    script.xids.push(("GPU-1".to_owned(), 31));
    library.say(&script);
    wait_for(&registry, "gpu_xid_errors_total{gpu=\"0\",uuid=\"GPU-1\",xid=\"31\"} 1");

    let series = [
        ("energy", "gpu_energy_joules_total{gpu=\"0\",uuid=\"GPU-1\"}", 1_000.0),
        ("field.197", "gpu_pcie_bytes_total{gpu=\"0\",uuid=\"GPU-1\",direction=\"tx\"}", 1.0),
        ("field.74", "gpu_throttle_seconds_total{gpu=\"0\",uuid=\"GPU-1\",reason=\"sw_power_cap\"}", 1e9),
        ("field.139.4294967295", "gpu_nvlink_bytes_total{gpu=\"0\",uuid=\"GPU-1\",direction=\"rx\"}", 1.0 / 1_024.0),
        ("ecc.0.0", "gpu_ecc_errors_total{gpu=\"0\",uuid=\"GPU-1\",type=\"corrected\",scope=\"volatile\"}", 1.0),
    ];
    let before: Vec<f64> = series.iter().map(|(_, series, _)| value(&page(&registry), series).unwrap()).collect();
    for round in 1..=3 {
        // Another driver, which counts from the beginning.
        script.generation += 1;
        for (name, ..) in series {
            script.gpu("GPU-1").set(name, 2);
        }
        script.gpu("GPU-1").set("memory.used", 1_000 + round);
        library.say(&script);
        wait_for(&registry, &format!("{USED} {}", 1_000 + round));
        for ((name, series, per_unit), before) in series.iter().zip(&before) {
            // Once it began again; after that it stayed where it was.
            let want = before + 2.0 / per_unit;
            wait(name, || value(&page(&registry), series).is_some_and(|now| (now - want).abs() < 1e-9 * want));
        }
    }
    assert!(page(&registry).contains("reason=\"uninitialized\""));
    // The second thread listens again, some time after the values are back.
    wait("another Xid", || {
        script.xids.push(("GPU-1".to_owned(), 31));
        library.say(&script);
        std::thread::sleep(ms(100));
        registry.snapshot().counter("gpu_xid_errors_total", &[("xid", "31")]) >= Some(2)
    });
}

#[test]
fn values_that_cannot_be_are_left_out_and_counted() {
    let mut script = one();
    let gpu = script.gpu("GPU-1");
    gpu.set("memory.used", 85_899_345_921); // a byte more than there is
    gpu.set("power", u64::from(u32::MAX));
    gpu.set("temperature", u64::from(u32::MAX));
    gpu.set("utilization.gpu", u64::from(u32::MAX));
    gpu.set("energy", u64::MAX);
    gpu.set("field.197", u64::MAX);
    gpu.set("clock.1", u64::from(u32::MAX));
    gpu.set("gpm.2", 4_000);
    let library = FakeLibrary::new(&script);
    let registry = Registry::new();
    let _monitor = quick(&registry).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    for call in ["memory", "power", "temperature", "utilization", "energy", "fields", "clocks", "activity"] {
        wait(call, || failures(&page(&registry), call, "implausible") >= 2.0);
    }
    wait_for(&registry, "gpu_probe_up 1");
    let wild = page(&registry);
    for absent in ["gpu_memory_used_bytes", "gpu_memory_total_bytes", "gpu_power_watts", "gpu_energy_joules_total"] {
        assert!(!has(&wild, absent), "{absent} in\n{wild}");
    }
    let labels = "gpu=\"0\",uuid=\"GPU-1\"";
    for (absent, present) in [
        (
            format!("gpu_temperature_celsius{{{labels},sensor=\"die\"}}"),
            format!("gpu_temperature_celsius{{{labels},sensor=\"memory\"}}"),
        ),
        (
            format!("gpu_pcie_bytes_total{{{labels},direction=\"tx\"}}"),
            format!("gpu_pcie_bytes_total{{{labels},direction=\"rx\"}}"),
        ),
        (format!("gpu_clock_hertz{{{labels},clock=\"sm\"}}"), format!("gpu_clock_hertz{{{labels},clock=\"memory\"}}")),
        (format!("gpu_utilization_ratio{{{labels}}}"), format!("gpu_memory_bandwidth_utilization_ratio{{{labels}}}")),
        (format!("gpu_sm_active_ratio{{{labels}}}"), format!("gpu_sm_occupancy_ratio{{{labels}}}")),
    ] {
        assert_eq!(value(&wild, &absent), None, "{wild}");
        assert!(value(&wild, &present).is_some(), "{present} in\n{wild}");
    }

    library.say(&one());
    wait_for(&registry, &format!("{USED} 51539607552"));
    wait_for(&registry, &format!("{ENERGY} 1234.5"));
}

#[test]
fn return_codes_cost_the_call_that_has_them() {
    let mut script = one();
    script.returns.insert("nvmlDeviceGetPowerUsage".to_owned(), UNKNOWN);
    script.returns.insert("nvmlDeviceGetTotalEnergyConsumption".to_owned(), NO_PERMISSION);
    script.gpu("GPU-1").returns.insert("nvmlDeviceGetTemperature".to_owned(), UNKNOWN);
    let library = FakeLibrary::new(&script);
    let registry = Registry::new();
    let _monitor = quick(&registry).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait("failures", || failures(&page(&registry), "power", "unknown") >= 3.0);
    wait_for(&registry, "gpu_probe_up 1");
    let failing = page(&registry);
    assert!(!has(&failing, "gpu_power_watts") && !has(&failing, "gpu_energy_joules_total"), "{failing}");
    assert!(failures(&failing, "temperature", "unknown") >= 1.0);
    assert_eq!(failures(&failing, "energy", "no_permission"), 1.0, "it is asked once");
    assert!(value(&failing, USED).is_some() && has(&failing, "gpu_power_limit_watts"), "{failing}");
    library.say(&one());
    wait_for(&registry, "gpu_power_watts{gpu=\"0\",uuid=\"GPU-1\"} 412.5");
}

#[test]
fn a_driver_that_answers_nothing_any_more_is_opened_again() {
    let mut script = one();
    let library = FakeLibrary::new(&script);
    let registry = Registry::new();
    let _monitor = quick(&registry).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    wait_for(&registry, "gpu_probe_up 1");
    let opened = || value(&page(&registry), "gpu_probe_calls_total{call=\"open\"}").unwrap();
    assert_eq!(opened(), 1.0);
    // What a container sees when its right to the device was taken away.
    for function in ["nvmlDeviceGetUtilizationRates", "nvmlDeviceGetMemoryInfo_v2", "nvmlGpmSampleGet"] {
        script.returns.insert(function.to_owned(), UNKNOWN);
    }
    library.say(&script);
    wait_for(&registry, "gpu_probe_up 0");
    wait("it to be opened again", || opened() >= 3.0);
    library.say(&one());
    wait_for(&registry, "gpu_probe_up 1");
}
