//! What the tests share.
#![allow(dead_code, reason = "no test uses all of it")]

use inferometer::{Registry, Snapshot};
use inferometer_gpu::{GpuMonitor, GpuMonitorBuilder, Tier};
use inferometer_prometheus::{Exporter, ScrapeRequest};
use std::time::{Duration, Instant};

/// How long something may take on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Milliseconds.
pub(crate) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A monitor in a hurry: what takes seconds elsewhere takes some hundredths of one. Calls are not late and values not old
/// by themselves, however busy the machine is.
pub(crate) fn quick(registry: &Registry) -> GpuMonitorBuilder {
    GpuMonitor::builder()
        .registry(registry)
        .devices(inferometer_gpu::Devices::all())
        .interval(Tier::Fast, ms(10))
        .interval(Tier::Slow, ms(10))
        .interval(Tier::Rare, ms(50))
        .deadline(LIMIT)
        .grace(LIMIT)
        .backoff(ms(10), ms(50))
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
        std::thread::sleep(ms(2));
    }
}

/// Waits until a family is there with these labels, or a gauge or counter of it has the value.
#[track_caller]
pub(crate) fn wait_for(registry: &Registry, line: &str) {
    let started = Instant::now();
    loop {
        let page = page(registry);
        if page.lines().any(|other| other == line) {
            return;
        }
        assert!(started.elapsed() < LIMIT, "no {line} in\n{page}");
        std::thread::sleep(ms(2));
    }
}

/// What a scraper gets.
pub(crate) fn page(registry: &Registry) -> String {
    let exporter = Exporter::builder().registry(registry.clone()).build().expect("an exporter");
    let answer = exporter.answer(&ScrapeRequest::new()).expect("an answer");
    String::from_utf8(answer.body.to_vec()).expect("text")
}

/// The value of a series, given as it stands in the page.
pub(crate) fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Whether a page has a sample of a family.
pub(crate) fn has(page: &str, family: &str) -> bool {
    page.lines().any(|line| line.starts_with(&format!("{family}{{")) || line.starts_with(&format!("{family} ")))
}

pub(crate) fn up(snapshot: &Snapshot) -> bool {
    snapshot.gauge("gpu_probe_up", &[]) == Some(1.0)
}

/// How many of this process's threads have a name, which Linux cuts at 15 characters.
#[cfg(target_os = "linux")]
pub(crate) fn threads_named(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux lists threads");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|other| other.trim_end() == name).count()
}
