//! The names of DCGM's exporter and of Triton, through the real loading code.
#![cfg(target_os = "linux")]

mod support;

use fake_nvml::{FakeLibrary, Gpu, Script};
use inferometer::Registry;
use inferometer_gpu::{DeviceLabel, NvmlProbe, profiles};
use inferometer_prometheus::{Exporter, ScrapeRequest};
use support::{quick, value, wait_for};

/// What each profile makes of two GPUs.
fn pages() -> [String; 3] {
    let mut second = Gpu::h100("GPU-2");
    second.set("utilization.gpu", 100);
    let library = FakeLibrary::new(&Script::with([Gpu::h100("GPU-1"), second]));
    let registry = Registry::new();
    let labels = [DeviceLabel::Name, DeviceLabel::DriverVersion];
    let _monitor = quick(&registry).labels(labels).probe(NvmlProbe::with_library(library.path())).start().unwrap();
    let device = "gpu=\"1\",uuid=\"GPU-2\",name=\"NVIDIA H100 80GB HBM3\",driver_version=\"550.90.07\"";
    wait_for(&registry, &format!("gpu_sm_active_ratio{{{device}}} 0.74"));
    wait_for(&registry, &format!("gpu_row_remap{{{device},state=\"failure\"}} 0"));
    let profiles = [profiles::dcgm(), profiles::triton(), profiles::basic()];
    let builder = profiles.into_iter().fold(Exporter::builder().registry(registry), |b, profile| b.profile(profile));
    let exporter = builder.build().unwrap();
    ["dcgm", "triton", "basic"].map(|name| {
        let query = format!("profile={name}");
        let answer = exporter.answer(&ScrapeRequest::new().query(query.as_str())).unwrap();
        String::from_utf8(answer.body.to_vec()).unwrap()
    })
}

#[test]
fn profiles_have_the_names_units_and_labels_of_those_that_they_stand_for() {
    let [dcgm, triton, basic] = pages();

    let labels = "{gpu=\"0\",UUID=\"GPU-1\",modelName=\"NVIDIA H100 80GB HBM3\",DCGM_FI_DRIVER_VERSION=\"550.90.07\"}";
    for (name, kind, want) in [
        ("DCGM_FI_DEV_GPU_UTIL", "gauge", 42.0),
        ("DCGM_FI_DEV_MEM_COPY_UTIL", "gauge", 17.0),
        ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "gauge", 0.22),
        ("DCGM_FI_PROF_DRAM_ACTIVE", "gauge", 0.58),
        ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "gauge", 0.96),
        ("DCGM_FI_DEV_FB_USED", "gauge", 49_152.0),
        ("DCGM_FI_DEV_FB_FREE", "gauge", 32_256.0),
        ("DCGM_FI_DEV_FB_RESERVED", "gauge", 512.0),
        ("DCGM_FI_DEV_POWER_USAGE", "gauge", 412.5),
        ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "counter", 1_234_500.0),
        ("DCGM_FI_DEV_GPU_TEMP", "gauge", 61.0),
        ("DCGM_FI_DEV_MEMORY_TEMP", "gauge", 74.0),
        ("DCGM_FI_DEV_SM_CLOCK", "gauge", 1_755.0),
        ("DCGM_FI_DEV_MEM_CLOCK", "gauge", 2_619.0),
        ("DCGM_FI_DEV_POWER_VIOLATION", "counter", 1.5e9),
        ("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", "counter", 2.0),
        ("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", "counter", 1.0),
        ("DCGM_FI_DEV_ROW_REMAP_FAILURE", "gauge", 0.0),
        ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "counter", 12.0),
        ("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", "counter", 3.0),
        ("DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", "counter", 1.0),
    ] {
        let found = value(&dcgm, &format!("{name}{labels}")).unwrap_or_else(|| panic!("no {name} in\n{dcgm}"));
        assert!((found - want).abs() <= want * 1e-12, "{name} is {found}");
        assert!(dcgm.contains(&format!("# TYPE {name} {kind}\n")), "{name} in\n{dcgm}");
    }

    for (name, kind, want) in [
        ("nv_gpu_utilization", "gauge", 0.42),
        ("nv_gpu_memory_total_bytes", "gauge", 85_899_345_920.0),
        ("nv_gpu_memory_used_bytes", "gauge", 51_539_607_552.0),
        ("nv_gpu_power_usage", "gauge", 412.5),
        ("nv_gpu_power_limit", "gauge", 700.0),
        ("nv_energy_consumption", "counter", 1_234.5),
    ] {
        let line = triton.lines().find(|line| line.starts_with(name) && line.contains("gpu_uuid=\"GPU-1\""));
        let line = line.unwrap_or_else(|| panic!("no {name} in\n{triton}"));
        assert!(line.ends_with(&format!(" {want}")) && !line.contains("gpu=\""), "{line}");
        assert!(triton.contains(&format!("# TYPE {name} {kind}\n")), "{name} in\n{triton}");
    }

    for (name, want) in [
        ("gpu_memory_used_bytes", "51539607552"),
        ("gpu_memory_total_bytes", "85899345920"),
        ("gpu_utilization_ratio", "1"),
    ] {
        let line = basic.lines().find(|line| line.starts_with(&format!("{name}{{device_id=\"1\"")));
        let line = line.unwrap_or_else(|| panic!("no {name} in\n{basic}"));
        assert!(line.ends_with(&format!(" {want}")) && !line.contains("uuid"), "{line}");
    }
}
