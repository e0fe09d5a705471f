//! Timed sections, through the public API. (What sampling does to estimates is tested where it is done.)

#![cfg(not(inferometer_off))]

use inferometer::testing::MockClock;
use inferometer::{Histogram, Registry, Sampling, metric, time, timed};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release, fence};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

fn timed_histogram(registry: &Registry, sampling: Sampling) -> Histogram {
    let histogram: Histogram = registry.histogram("step_seconds", &[]).unwrap();
    histogram.set_sampling(sampling);
    histogram
}

fn count(registry: &Registry) -> u64 {
    registry.snapshot().histogram("step_seconds", &[]).unwrap().count()
}

fn counter(registry: &Registry, name: &str) -> u64 {
    registry.snapshot().counter(name, &[]).unwrap()
}

#[test]
fn events_are_exact_and_totals_are_exact_to_the_block() {
    let registry = Registry::new();
    let histogram = timed_histogram(&registry, Sampling::EveryN(64));
    for n in 1..=10_000_u64 {
        histogram.start().stop();
        if n % 997 == 0 {
            assert_eq!(counter(&registry, "step_seconds_events_total"), n);
            assert!(count(&registry).abs_diff(n) <= 64, "{} of {n}", count(&registry));
        }
    }
    let samples = counter(&registry, "step_seconds_samples_total");
    assert!((150..=160).contains(&samples), "{samples}");
    assert_eq!(registry.snapshot().histogram("step_seconds", &[]).unwrap().samples(), Some(samples));
}

#[test]
fn events_are_exact_under_concurrent_scrapes_and_nothing_ever_falls() {
    const THREADS: u64 = 4;
    /// Each thread has at least so many sections, and goes on as long as there are scrapes.
    const EACH: u64 = 50_000;
    const SCRAPES: u64 = 1_000;
    const LARGEST_N: u64 = 1 + (9 + THREADS - 1) * 7;

    // How many sections all threads have begun and ended. A scrape must see each that had ended before, and none that
    // began after it.
    static BEGUN: AtomicU64 = AtomicU64::new(0);
    static ENDED: AtomicU64 = AtomicU64::new(0);

    let registry = Registry::new();
    let histogram = timed_histogram(&registry, Sampling::EveryN(16));
    let reader = {
        let registry = registry.clone();
        thread::spawn(move || {
            let mut before = [0; 3];
            for _ in 0..SCRAPES {
                let at_least = ENDED.load(Acquire);
                let snapshot = registry.snapshot();
                fence(Acquire);
                let at_most = BEGUN.load(Relaxed);
                let of = |name| snapshot.counter(name, &[]).unwrap_or(0);
                let count = snapshot.histogram("step_seconds", &[]).unwrap().count();
                let now = [count, of("step_seconds_events_total"), of("step_seconds_samples_total")];
                assert!((at_least..=at_most).contains(&now[1]), "{} is not in {at_least}..={at_most}", now[1]);
                assert!(now.iter().zip(&before).all(|(now, before)| now >= before), "{now:?} after {before:?}");
                before = now;
            }
        })
    };
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (histogram, reader) = (histogram.handle(), &reader);
            scope.spawn(move || {
                let mut i = 0;
                while i < EACH || !reader.is_finished() {
                    if i % 5_000 == 0 {
                        let n = 1 + (i / 5_000 % 10 + number) * 7;
                        histogram.set_sampling(Sampling::EveryN(n as u32));
                    }
                    BEGUN.fetch_add(1, Relaxed);
                    // With the reader's: whoever has seen the section has seen that it began.
                    fence(Release);
                    histogram.start().stop();
                    ENDED.fetch_add(1, Release);
                    i += 1;
                }
            });
        }
    });
    reader.join().unwrap();
    let all = BEGUN.load(Relaxed);
    assert_eq!(counter(&registry, "step_seconds_events_total"), all);
    assert!(count(&registry).abs_diff(all) < THREADS * LARGEST_N, "{} of {all}", count(&registry));
}

#[test]
fn a_series_that_has_too_few_events_for_a_sample_has_them_in_its_totals() {
    let registry = Registry::new();
    let histogram = timed_histogram(&registry, Sampling::EveryN(1_000));
    histogram.start().stop();
    histogram.start().stop();
    assert_eq!(counter(&registry, "step_seconds_events_total"), 2);
    // The first event of a thread is always timed.
    assert!(counter(&registry, "step_seconds_samples_total") >= 1);
}

#[test]
fn all_ways_out_of_a_section_end_it() {
    /// Time of a fallible step.
    #[metric(name = "ways_out_seconds", sampling = Sampling::Always)]
    static WAYS: Histogram = Histogram::new();

    fn fallible(text: &str) -> Result<u32, std::num::ParseIntError> {
        Ok(time!(WAYS, text.parse::<u32>()?))
    }
    #[timed(WAYS)]
    fn early(n: u32) -> u32 {
        if n > 1 {
            return n;
        }
        n + 1
    }
    let samples = || Registry::global().snapshot().histogram("ways_out_seconds", &[]).unwrap().count();
    assert_eq!(fallible("7"), Ok(7));
    assert!(fallible("x").is_err());
    assert_eq!((early(1), early(5)), (2, 5));
    assert!(std::panic::catch_unwind(|| time!(WAYS, fallible("x").unwrap())).is_err());
    assert_eq!(samples(), 6); // the one that failed in the panicking section too
    WAYS.start().cancel();
    assert_eq!(samples(), 6);
    assert_eq!(WAYS.time(|| 3), 3);
    assert_eq!(samples(), 7);
    assert_eq!(Registry::global().snapshot().counter("ways_out_seconds_events_total", &[]), Some(8));
}

#[test]
fn an_async_section_lasts_from_the_first_poll_to_completion() {
    /// Time of an async step.
    #[metric(name = "async_step_seconds", sampling = Sampling::Always)]
    static STEP: Histogram = Histogram::new();

    #[timed(STEP)]
    async fn step(mut pending: u32) -> u32 {
        std::future::poll_fn(|_| {
            if pending == 0 {
                Poll::Ready(())
            } else {
                pending -= 1;
                Poll::Pending
            }
        })
        .await;
        9
    }
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let clock = MockClock::install();
    let mut future = pin!(is_send(step(2)));
    clock.advance(Duration::from_secs(100)); // before the first poll
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        assert!(future.as_mut().poll(&mut context).is_pending());
        clock.advance(Duration::from_millis(5));
    }
    assert_eq!(future.as_mut().poll(&mut context), Poll::Ready(9));
    let seen = Registry::global().snapshot().histogram("async_step_seconds", &[]).unwrap();
    assert_eq!((seen.count(), seen.sum()), (1, 0.01));
}

#[test]
fn a_section_may_end_on_another_thread_after_its_handle_is_gone() {
    let registry = Registry::new();
    let timer = timed_histogram(&registry, Sampling::Always).start();
    thread::spawn(move || assert!(timer.stop().is_some())).join().unwrap();
    assert_eq!(count(&registry), 1);
}

#[test]
fn a_clock_that_stands_still_or_goes_back_gives_zero_and_is_counted() {
    let registry = Registry::new();
    let histogram = timed_histogram(&registry, Sampling::Always);
    let anomalies = || Registry::global().snapshot().counter("inferometer_clock_anomalies_total", &[]).unwrap();
    let clock = MockClock::install();
    let before = anomalies();
    assert_eq!(histogram.start().stop(), Some(Duration::ZERO));
    assert_eq!(anomalies(), before);
    let timer = histogram.start();
    clock.set_back(Duration::from_secs(1));
    assert_eq!(timer.stop(), Some(Duration::ZERO));
    assert!(anomalies() > before);
    // A jump forward is a long section, and no longer than what a histogram takes.
    let timer = histogram.start();
    clock.advance(Duration::from_secs(3600));
    assert_eq!(timer.stop(), Some(Duration::from_secs(3600)));
    assert_eq!(count(&registry), 3);
}

#[test]
fn a_paused_process_leaves_one_large_observation_and_goes_on() {
    let registry = Registry::new();
    let histogram = timed_histogram(&registry, Sampling::DEFAULT);
    let clock = MockClock::install();
    for i in 0..1_000 {
        let timer = histogram.start();
        clock.advance(Duration::from_millis(if i == 500 { 60_000 } else { 10 }));
        timer.stop();
    }
    let seen = registry.snapshot().histogram("step_seconds", &[]).unwrap();
    assert_eq!(counter(&registry, "step_seconds_events_total"), 1_000);
    let samples = counter(&registry, "step_seconds_samples_total");
    assert!(samples > 900 && seen.count() > 900, "{samples}");
}

#[test]
fn sections_without_a_clock_are_sampled_too() {
    let registry = Registry::new();
    let sizes: Histogram<u64> = registry.histogram("size_bytes", &[]).unwrap();
    sizes.set_sampling(Sampling::EveryN(10));
    let mut calls = 0;
    for _ in 0..1_000 {
        sizes.record_with(|| {
            calls += 1;
            4_096
        });
    }
    let seen = registry.snapshot().histogram("size_bytes", &[]).unwrap();
    assert!((99..=102).contains(&calls), "{calls}");
    assert!(seen.count().abs_diff(1_000) <= 10);
    assert_eq!(seen.sum(), 4_096.0 * seen.count() as f64);
}

#[test]
fn the_help_text_says_that_the_values_are_estimates() {
    let registry = Registry::new();
    let histogram = timed_histogram(&registry, Sampling::EveryN(64));
    registry.describe("step_seconds", None, "Time of a step.").unwrap();
    histogram.start().stop();
    let help = || registry.snapshot().families.into_iter().find(|family| family.name == "step_seconds").unwrap().help;
    assert_eq!(help(), "Time of a step. Estimated from 1 in 64 events, drawn at random.");
    histogram.set_sampling(Sampling::Always);
    assert_eq!(help(), "Time of a step.");
}

#[test]
fn a_series_that_is_removed_and_made_anew_begins_its_events_at_zero() {
    let registry = Registry::new();
    let histogram: Histogram = registry.histogram("load_seconds", &[("model_name", "a")]).unwrap();
    histogram.set_sampling(Sampling::Always);
    (0..5).for_each(|_| _ = histogram.start().stop());
    assert_eq!(counter(&registry, "load_seconds_events_total"), 5);
    assert_eq!(registry.unregister(&[("model_name", "a")]), 1);
    let again: Histogram = registry.histogram("load_seconds", &[("model_name", "a")]).unwrap();
    again.start().stop();
    assert_eq!(counter(&registry, "load_seconds_events_total"), 1);
    drop((histogram, again));
    assert_eq!(registry.unregister(&[("model_name", "a")]), 1);
    // The cells are used again, without what was in them.
    let third: Histogram = registry.histogram("load_seconds", &[("model_name", "b")]).unwrap();
    (0..3).for_each(|_| _ = third.start().stop());
    assert_eq!(counter(&registry, "load_seconds_events_total"), 3);
}
