//! The monitor's threads, with a driver that does what it is told. Fault 61 of `docs/faults.md` among it.

mod support;

use inferometer::{Registry, Unit};
use inferometer_gpu::testing::FakeProbe;
use inferometer_gpu::{
    Call, Device, Driver, GpuMonitor, Metric, Probe, ProbeError, Readings, Reason, Session, StartError, Status, Tier,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use support::{LIMIT, has, ms, page, quick, up, value, wait, wait_for};

const UUID: &str = "GPU-00000000-0000-0000-0000-000000000001";

/// All threads that a monitor has: those of its own, and the one on which a scrape polls it.
#[cfg(target_os = "linux")]
const THREADS: [&str; 3] = ["gpu-probe", "gpu-events", "collect-gpu"];

/// Tests that count threads of this process.
static COUNTS_THREADS: std::sync::RwLock<()> = std::sync::RwLock::new(());

fn beside_others() -> std::sync::RwLockReadGuard<'static, ()> {
    COUNTS_THREADS.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
#[cfg(target_os = "linux")]
fn a_thousand_hangs_and_recoveries_leave_no_thread_behind() {
    let _alone = COUNTS_THREADS.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (registry, fake) = (Registry::new(), FakeProbe::example());
    let monitor = quick(&registry)
        .interval(Tier::Fast, ms(1))
        .interval(Tier::Slow, ms(1))
        .deadline(ms(1))
        .grace(ms(20))
        .backoff(ms(1), ms(1))
        .probe(fake.clone())
        .start()
        .unwrap();
    wait("the start", || up(&registry.snapshot()));
    for cycle in 0..1_000 {
        let hung = fake.hung();
        fake.hang(Call::Utilization);
        wait("a hang", || fake.hung() > hung && !up(&registry.snapshot()));
        if cycle % 100 == 0 {
            wait("the values to go", || registry.snapshot().gauge("gpu_power_watts", &[]).is_none());
        }
        fake.recover();
        wait("a recovery", || monitor.is_up());
        wait("the same threads", || THREADS.map(support::threads_named) == [1, 1, 1]);
    }
    let failures = value(&page(&registry), "gpu_probe_failures_total{call=\"utilization\",reason=\"timeout\"}");
    assert!(failures >= Some(1_000.0), "{failures:?}");
    assert!(monitor.stop());
    wait("the threads to end", || THREADS.map(support::threads_named) == [0, 0, 0]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_thousand_sessions_and_a_thousand_monitors_leave_no_thread_behind() {
    let _alone = COUNTS_THREADS.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (registry, fake) = (Registry::new(), FakeProbe::example());
    let quick = || quick(&registry).interval(Tier::Fast, ms(1)).backoff(ms(1), ms(1)).deadline(LIMIT);
    let monitor = quick().probe(fake.clone()).start().unwrap();
    wait("the start", || monitor.is_up());
    fake.fail(Call::Utilization, Reason::Uninitialized);
    wait("a thousand sessions", || fake.opened() > 1_000);
    // For a moment a thread that begins has the name of the one that made it, and one that ends goes on.
    wait("threads of one session", || {
        support::threads_named("gpu-probe") == 1 && support::threads_named("gpu-events") <= 1
    });
    fake.recover();
    wait("a recovery", || monitor.is_up());
    assert!(monitor.stop());
    wait("the threads to end", || THREADS.map(support::threads_named) == [0, 0, 0]);

    for _ in 0..1_000 {
        let monitor = quick().probe(fake.clone()).start().unwrap();
        assert!(monitor.stop());
    }
    wait("the threads to end", || THREADS.map(support::threads_named) == [0, 0, 0]);
}

#[test]
fn a_hanging_driver_costs_a_recording_thread_nothing() {
    let _beside = beside_others();
    let (registry, fake) = (Registry::new(), FakeProbe::example());
    let counter = registry.counter("requests_total", &[]).unwrap();
    let monitor = quick(&registry).probe(fake.clone()).start().unwrap();
    wait("the start", || monitor.is_up());

    // Scrapes go on beside it, as they do in an engine.
    let stop = Arc::new(AtomicBool::new(false));
    let scraper = std::thread::spawn({
        let (registry, stop) = (registry.clone(), Arc::clone(&stop));
        move || {
            let mut slowest = Duration::ZERO;
            while !stop.load(Relaxed) {
                let started = Instant::now();
                drop(registry.snapshot());
                slowest = slowest.max(started.elapsed());
                std::thread::sleep(ms(5));
            }
            slowest
        }
    });
    // The best of many runs: the machine may be busy with other things.
    let record = || {
        let run = || {
            let started = Instant::now();
            (0..20_000).for_each(|_| counter.increment(std::hint::black_box(1)));
            started.elapsed()
        };
        (0..200).map(|_| run()).min().unwrap_or_default()
    };
    let before = record();
    fake.hang(Call::Memory);
    wait("the hang", || fake.hung() > 0);
    let beside = record();
    fake.recover();
    stop.store(true, Relaxed);
    let slowest = scraper.join().unwrap();
    println!("20,000 records: {before:?}, beside a driver that hangs {beside:?}; slowest scrape {slowest:?}");
    assert!(beside < before * 2 + Duration::from_micros(20), "{beside:?} beside a hang, {before:?} before");
    // The collector's own deadline is a second, and what it misses would be absent.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let missed = registry.snapshot().counter("inferometer_collector_errors_total", &[("collector", "gpu")]);
    assert_eq!(missed.unwrap_or(0), 0);
}

#[test]
fn values_are_stale_before_they_are_absent() {
    let _beside = beside_others();
    let (registry, fake) = (Registry::new(), FakeProbe::example());
    let monitor = quick(&registry).deadline(ms(200)).grace(Duration::from_secs(5)).probe(fake.clone()).start().unwrap();
    wait("the start", || monitor.is_up());
    fake.hang(Call::Utilization);
    wait("the hang", || !monitor.is_up());
    let age = || registry.snapshot().gauge("gpu_probe_age_seconds", &[("uuid", UUID)]).unwrap();
    wait("it to age", || age() > 0.5);
    let stale = page(&registry);
    // Within the grace that was given they are there, and their age is too.
    if age() < 4.0 {
        assert!(has(&stale, "gpu_power_watts"), "{stale}");
    }
    wait("the values to go", || !has(&page(&registry), "gpu_power_watts"));
    assert!(age() >= 5.0);
    fake.recover();
    wait_for(&registry, &format!("gpu_power_watts{{gpu=\"0\",uuid=\"{UUID}\"}} 512"));
}

#[test]
fn tiers_have_their_own_cadence() {
    let _beside = beside_others();
    let (registry, fake) = (Registry::new(), FakeProbe::example());
    let _monitor =
        quick(&registry).interval(Tier::Slow, LIMIT).interval(Tier::Rare, LIMIT).probe(fake).start().unwrap();
    let calls = |call: &str| value(&page(&registry), &format!("gpu_probe_calls_total{{call=\"{call}\"}}"));
    wait("twenty passes", || calls("utilization") >= Some(20.0));
    for call in ["power", "energy", "fields", "devices", "open"] {
        assert_eq!(calls(call), Some(1.0), "{call}");
    }
    assert_eq!(calls("processes"), None, "the list of processes is not asked for unless that is wanted");
}

#[test]
fn a_probe_that_panics_is_down_and_tried_again() {
    let _beside = beside_others();

    /// Panics as long as it is told to.
    struct Panics(FakeProbe, Arc<AtomicBool>);
    struct Inner<'a>(Box<dyn Session + 'a>, Arc<AtomicBool>);

    impl Probe for Panics {
        fn open(&mut self) -> Result<Box<dyn Session + '_>, ProbeError> {
            Ok(Box::new(Inner(self.0.open()?, Arc::clone(&self.1))))
        }
    }

    impl Session for Inner<'_> {
        fn driver(&self) -> Driver {
            self.0.driver()
        }
        fn capabilities(&self) -> &[Call] {
            self.0.capabilities()
        }
        fn devices(&mut self) -> Result<Vec<Result<Device, ProbeError>>, ProbeError> {
            self.0.devices()
        }
        fn read(&mut self, device: usize, call: Call, readings: &mut Readings) -> Result<(), ProbeError> {
            assert!(!self.1.load(Relaxed), "on purpose");
            self.0.read(device, call, readings)
        }
    }

    let (registry, panics) = (Registry::new(), Arc::new(AtomicBool::new(true)));
    let monitor = quick(&registry).probe(Panics(FakeProbe::example(), Arc::clone(&panics))).start().unwrap();
    wait_for(&registry, "gpu_probe_up 0");
    wait("a few", || {
        value(&page(&registry), "gpu_probe_failures_total{call=\"utilization\",reason=\"panicked\"}") >= Some(3.0)
    });
    assert!(matches!(monitor.status(), Status::Down { error, .. } if error.reason() == Reason::Panicked));
    panics.store(false, Relaxed);
    wait("the start", || monitor.is_up());
    assert!(monitor.stop());
}

#[test]
fn a_driver_that_comes_later_is_found_and_what_changes_is_told() {
    let _beside = beside_others();
    let (registry, fake) = (Registry::new(), FakeProbe::example());
    fake.fail(Call::Open, Reason::LibraryMissing);
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let monitor = quick(&registry)
        .on_status(move |status| {
            tell.lock().unwrap().push(status.to_string());
            panic!("a panic of the user's is no concern of the monitor's");
        })
        .probe(fake.clone())
        .start()
        .unwrap();
    wait("some tries", || fake.calls() > 3);
    fake.recover();
    wait("the start", || monitor.is_up());
    fake.lose(UUID);
    wait("the loss", || !monitor.is_up());
    fake.recover();
    wait("a recovery", || monitor.is_up());
    assert!(monitor.stop());
    let told = told.lock().unwrap();
    assert_eq!(told[0], "no GPU metrics: `open` fails on purpose");
    assert_eq!(told[1], "1 GPU (fake)");
    assert!(told[2].starts_with("GPU trouble (fake): "), "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("1 GPU (fake)"));
}

#[test]
fn a_monitor_that_cannot_start_says_why_and_leaves_nothing_behind() {
    let _beside = beside_others();
    let registry = Registry::new();
    let first = quick(&registry).probe(FakeProbe::example()).start().unwrap();
    let error = quick(&registry).probe(FakeProbe::example()).start().unwrap_err();
    assert!(matches!(&error, StartError::Register(_)) && error.to_string().contains("gpu"), "{error}");
    drop(first);
    let error = quick(&registry).interval(Tier::Slow, Duration::ZERO).probe(FakeProbe::example()).start().unwrap_err();
    assert!(matches!(error, StartError::Interval { tier: Tier::Slow }), "{error}");
    assert!(registry.snapshot().families.is_empty());
    let third = quick(&registry).probe(FakeProbe::example()).start().unwrap();
    wait("the start", || third.is_up());
}

#[test]
fn nothing_is_wrong_with_the_names_and_units() {
    let _beside = beside_others();
    let (registry, fake) = (Registry::new(), FakeProbe::example());
    let monitor = quick(&registry).probe(fake.clone()).start().unwrap();
    wait("the start", || monitor.is_up());
    fake.xid(UUID, 79);
    wait_for(&registry, &format!("gpu_xid_errors_total{{gpu=\"0\",uuid=\"{UUID}\",xid=\"79\"}} 1"));
    let findings = inferometer::testing::lint(&registry);
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(Metric::Energy.spec().unit, Unit::Joules);
    // The global registry is the default, and its environment's GPUs are.
    drop(GpuMonitor::builder());
}
