//! The metrics of this very process, held against what it does.

use inferometer::{Kind, ProcessCollector, Registry, testing};
use std::fs::File;
use std::hint::black_box;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The tests change what the others look at.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn registry() -> Registry {
    let registry = Registry::new();
    registry.register_collector("process", ProcessCollector::new()).unwrap();
    registry
}

#[test]
fn the_families_are_the_standard_ones_and_clean() {
    let _alone = ONE_AT_A_TIME.lock();
    let registry = registry();
    assert_eq!(testing::lint(&registry), []);
    let families = registry.snapshot().families;
    let (own, rest) = families.split_at(8);
    let names: Vec<_> = own.iter().map(|family| (family.name.as_str(), family.kind)).collect();
    let want = [
        ("process_cpu_seconds_total", Kind::Counter),
        ("process_open_fds", Kind::Gauge),
        ("process_max_fds", Kind::Gauge),
        ("process_virtual_memory_bytes", Kind::Gauge),
        ("process_virtual_memory_max_bytes", Kind::Gauge),
        ("process_resident_memory_bytes", Kind::Gauge),
        ("process_start_time_seconds", Kind::Gauge),
        ("process_threads", Kind::Gauge),
    ];
    assert_eq!(names, want);
    assert_eq!(rest[0].name, "inferometer_collector_errors_total");
}

#[cfg(unix)]
#[test]
fn processor_time_is_that_of_all_threads() {
    let _alone = ONE_AT_A_TIME.lock();
    let registry = registry();
    let cpu_seconds = || {
        let families = registry.snapshot().families;
        let series = families[0].series.first().map(|series| series.value.clone());
        let Some(inferometer::Value::FloatCounter(seconds)) = series else { panic!("no processor time") };
        seconds
    };
    let before = cpu_seconds();
    thread::spawn(|| {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(300) {
            black_box((0..10_000_u64).sum::<u64>());
        }
    })
    .join()
    .unwrap();
    let spent = cpu_seconds() - before;
    // A machine that is busy gives the thread less than its time.
    assert!((0.05..20.0).contains(&spent), "{spent}");
}

#[cfg(target_os = "linux")]
#[test]
fn descriptors_threads_memory_and_start_are_those_of_this_process() {
    let _alone = ONE_AT_A_TIME.lock();
    let registry = registry();
    let value = |name: &str| registry.snapshot().gauge(name, &[]).unwrap_or_else(|| panic!("no {name}"));
    value("process_threads"); // the collector's own is there from now on
    // The harness starts threads meanwhile, and they have files open.
    let files: Vec<File> = (0..100).map(|_| File::open("/proc/self/stat").unwrap()).collect();
    let with = value("process_open_fds");
    drop(files);
    let without = value("process_open_fds");
    assert!((90.0..=110.0).contains(&(with - without)), "{with} with 100 files open, and {without} without");
    assert!(value("process_max_fds") >= with);

    let (leave, may_leave) = std::sync::mpsc::channel::<()>();
    let may_leave = Mutex::new(may_leave);
    thread::scope(|scope| {
        let before = value("process_threads");
        for _ in 0..50 {
            scope.spawn(|| {
                let _ = may_leave.lock().map(|leave| leave.recv());
            });
        }
        let more = value("process_threads") - before;
        assert!((45.0..=55.0).contains(&more), "{more}");
        drop(leave);
    });

    let page = 64 << 20;
    let before = value("process_resident_memory_bytes");
    let memory = black_box(vec![1_u8; page]);
    let grown = value("process_resident_memory_bytes") - before;
    assert!((0.9..1.5).contains(&(grown / page as f64)), "{grown}");
    assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
    drop(memory);

    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let age = now - value("process_start_time_seconds");
    assert!((-2.0..3_600.0).contains(&age), "{age}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_address_space_without_a_limit_has_no_maximum() {
    let _alone = ONE_AT_A_TIME.lock();
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: validity: the pointer is to a whole `rlimit`. Aliasing: it is this function's own.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) }, 0);
    let want = (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur as f64);
    assert_eq!(registry().snapshot().gauge("process_virtual_memory_max_bytes", &[]), want);
    // There is room for that, in a process of its own or not.
    let low = libc::rlimit { rlim_cur: 1 << 40, ..limit };
    // SAFETY: validity: the pointer is to a whole `rlimit`. Aliasing: it is read only.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &low) }, 0);
    let lowered = registry().snapshot().gauge("process_virtual_memory_max_bytes", &[]);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
    assert_eq!(lowered, Some((1_u64 << 40) as f64));
}
