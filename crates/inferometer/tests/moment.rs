//! Points in time.

use inferometer::Moment;
use inferometer::testing::MockClock;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

/// The mock is the clock of all threads, and one test needs the real one.
static CLOCK: Mutex<()> = Mutex::new(());

#[test]
fn moments_are_as_far_apart_as_the_clock_went_on() {
    let _only = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let clock = MockClock::install();
    let start = Moment::now();
    clock.advance(7 * MS);
    assert_eq!((start.elapsed(), Moment::now().nanos_since(start)), (7 * MS, 7_000_000));
    assert_eq!(start.since(Moment::now()), Duration::ZERO);
    assert_eq!(start + 7 * MS, Moment::now());
    assert_eq!(Moment::now() - 7 * MS, start);
    assert!(start < Moment::now());
}

#[test]
fn what_the_clock_cannot_tell_is_its_first_or_its_last_moment() {
    let _only = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let clock = MockClock::install();
    let first = Moment::now() - Duration::MAX;
    assert_eq!(first - MS, first);
    let last = Moment::now() + Duration::MAX;
    assert_eq!(last + MS, last);
    clock.advance(MS);
    assert!(first < Moment::now() && Moment::now() < last);
}

#[test]
fn an_instant_is_a_moment_to_within_microseconds() {
    let _only = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    // Until a try that nothing came in between.
    let is_close = |_| {
        let (before, instant, after) = (Moment::now(), Instant::now(), Moment::now());
        let is_there = |moment: Moment, shift: Duration| {
            let (from, to) = (before + shift - MS / 100, after + shift + MS / 100);
            (from..=to).contains(&moment)
        };
        after.since(before) < MS / 100
            && is_there(instant.into(), Duration::ZERO)
            && is_there((instant + 5 * MS).into(), 5 * MS)
            && instant.checked_sub(MS).is_none_or(|earlier| is_there(Moment::from(earlier) + MS, Duration::ZERO))
    };
    assert!((0..100).any(is_close));
}
