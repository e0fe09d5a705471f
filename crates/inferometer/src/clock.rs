//! The clock of timed sections.
//!
//! A reading is a number of ticks. On most machines that is the processor's time stamp counter: about 10 ns, two fifths of
//! what `Instant::now` costs. `quanta` decides whether it can be used, and on most processors reads it too. On x86-64 it
//! is read here: where the caches are cold, a call to a function of another crate, and what that looks at before it
//! reads, cost more than all the rest. How long a tick is becomes known by comparing the counter with the
//! system's monotonic clock: once at the start, and again at each scrape, because a virtual machine that moves to another
//! host gets another counter. Where the kernel itself does not trust the counter, or it went wrong here before, ticks are
//! made from the monotonic clock instead; they go on where the counter's ended, so a section that is under way meanwhile
//! gets no nonsense.
//!
//! The wall clock jumps, so no time is measured with it. It says since when a series is there, and when an exemplar was
//! taken.

use crate::sync::{Mutex, MutexGuard, OnceLock, lock};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nothing is known yet.
const UNKNOWN: u8 = 0;
/// Ticks come from the counter.
const COUNTER: u8 = 1;
/// Ticks are made from the monotonic clock.
const MONOTONIC: u8 = 2;
/// Ticks are what a test says.
const MOCK: u8 = 3;

/// One unit of [`State::scale`] is 2^-32 nanoseconds a tick.
const SCALE_BITS: u32 = 32;

static STATE: State = State {
    source: AtomicU8::new(UNKNOWN),
    scale: AtomicU64::new(1 << SCALE_BITS),
    ticks_at_switch: AtomicU64::new(0),
    nanos_at_switch: AtomicU64::new(0),
    mocked: AtomicU64::new(0),
    mocked_wall_nanos: AtomicU64::new(0),
};
static COUNTER_CLOCK: OnceLock<quanta::Clock> = OnceLock::new();
static START: OnceLock<Instant> = OnceLock::new();
static CHECKS: Mutex<Checks> = Mutex::new(Checks { last: None, first: None, strikes: 0 });
static ANOMALIES: AtomicU64 = AtomicU64::new(0);

/// On a line of its own: it is read by every sample and almost never written.
#[repr(align(64))]
struct State {
    source: AtomicU8,
    scale: AtomicU64,
    /// Where the monotonic clock took over from the counter.
    ticks_at_switch: AtomicU64,
    nanos_at_switch: AtomicU64,
    mocked: AtomicU64,
    /// Since 1970.
    mocked_wall_nanos: AtomicU64,
}

/// The time now, in ticks.
#[inline(always)]
pub(crate) fn now() -> u64 {
    if STATE.source.load(Relaxed) == COUNTER { counter() } else { now_without_counter() }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn counter() -> u64 {
    // SAFETY: validity: every x86-64 processor has the instruction. Aliasing: it has no operands.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    COUNTER_CLOCK.get_or_init(quanta::Clock::new).raw()
}

/// By its calling convention it does not unwind: else whoever asks for the time would have to be ready for that, and keep
/// a timer in memory that fits into registers.
#[cold]
#[inline(never)]
extern "C" fn now_without_counter() -> u64 {
    match STATE.source.load(Acquire) {
        MOCK => STATE.mocked.load(Relaxed),
        MONOTONIC => {
            let since = monotonic_nanos().saturating_sub(STATE.nanos_at_switch.load(Relaxed));
            STATE.ticks_at_switch.load(Relaxed).wrapping_add(ticks(since))
        }
        _ => {
            start();
            now()
        }
    }
}

/// How long it is from one reading to another. Zero, and counted as an anomaly, when the second is earlier: counters of
/// different processors need not agree.
#[inline(always)]
pub(crate) fn ticks_between(earlier: u64, later: u64) -> u64 {
    later.checked_sub(earlier).unwrap_or_else(went_back)
}

#[cold]
fn went_back() -> u64 {
    ANOMALIES.fetch_add(1, Relaxed);
    0
}

/// Ticks as nanoseconds.
#[inline(always)]
pub(crate) fn nanos(ticks: u64) -> u64 {
    scaled(ticks, STATE.scale.load(Relaxed))
}

#[inline(always)]
fn scaled(ticks: u64, scale: u64) -> u64 {
    ((u128::from(ticks) * u128::from(scale)) >> SCALE_BITS) as u64
}

/// How long a tick is.
pub(crate) fn nanos_per_tick() -> f32 {
    // As a signed number: the processor has no instruction for the other kind.
    STATE.scale.load(Relaxed) as i64 as f32 / (1_u64 << SCALE_BITS) as f32
}

/// Nanoseconds as ticks.
pub(crate) fn ticks(nanos: u64) -> u64 {
    divided(nanos, STATE.scale.load(Relaxed))
}

/// In fixed point: nanoseconds by a scale are ticks, and by ticks a scale.
fn divided(nanos: u64, by: u64) -> u64 {
    u64::try_from((u128::from(nanos) << SCALE_BITS) / u128::from(by.max(1))).unwrap_or(u64::MAX)
}

/// Whether a test has taken the place of the clock.
pub(crate) fn is_mocked() -> bool {
    STATE.source.load(Relaxed) == MOCK
}

/// How often the clock went back, or a check found that it had changed its speed.
pub(crate) fn anomalies() -> u64 {
    ANOMALIES.load(Relaxed)
}

/// Nanoseconds of the system's monotonic clock since this process first asked.
pub(crate) fn monotonic_nanos() -> u64 {
    let start = START.get_or_init(Instant::now);
    start.elapsed().as_nanos() as u64
}

/// The wall clock's time since 1970.
pub(crate) fn since_1970() -> Duration {
    if is_mocked() {
        return Duration::from_nanos(STATE.mocked_wall_nanos.load(Relaxed));
    }
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Decides where ticks come from.
pub(crate) fn start() {
    // Under the lock, so that one thread decides.
    let _checks = lock(&CHECKS);
    if STATE.source.load(Relaxed) != UNKNOWN {
        return;
    }
    // Only made where it can be of use: it is calibrated then.
    let clock = || COUNTER_CLOCK.get_or_init(quanta::Clock::new);
    if kernel_trusts_counter() && reads_counter(clock()) {
        STATE.scale.store(clock().delta_as_nanos(0, 1 << SCALE_BITS), Relaxed);
        STATE.source.store(COUNTER, Release);
    } else {
        STATE.source.store(MONOTONIC, Release);
    }
}

/// Whether that is what it reads: where it does not trust the counter, it has another clock.
fn reads_counter(clock: &quanta::Clock) -> bool {
    let before = counter();
    let reading = clock.raw();
    (before..=counter()).contains(&reading)
}

/// Whether the kernel keeps time by the counter. It watches the counter and gives it up when it goes wrong, and in a
/// virtual machine knows better than the processor's own flags whether it can be used.
fn kernel_trusts_counter() -> bool {
    const CLOCK_SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return true; // quanta's own checks decide
    }
    // Where it cannot be read, as in some sandboxes, the processor's flags must do.
    std::fs::read_to_string(CLOCK_SOURCE).map_or(true, |source| source.trim() == "tsc")
}

/// The lock of the checks, held across a `fork`.
#[cfg(unix)]
pub(crate) struct Held {
    _checks: MutexGuard<'static, Checks>,
}

#[cfg(unix)]
pub(crate) fn hold() -> Held {
    Held { _checks: lock(&CHECKS) }
}

/// What the checks of the counter against the monotonic clock remember.
struct Checks {
    last: Option<Reading>,
    /// Since when the counter has kept its speed.
    first: Option<Reading>,
    /// How many checks in a row have found another speed.
    strikes: u32,
}

/// Both clocks at the same time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    ticks: u64,
    nanos: u64,
}

/// What a check has found.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Finding {
    /// Too little time has passed to tell.
    TooSoon,
    /// As before; a more precise scale where there is one.
    Steady(Option<u64>),
    /// The counter has another speed than before, or jumped.
    Changed,
    /// It has kept its new speed: this one.
    Settled(u64),
    /// It cannot be relied on.
    Broken,
}

/// The shortest time between two checks, in nanoseconds: reading both clocks takes some 100 ns, or one part in 10^5.
const CHECK_EVERY: u64 = 10_000_000;
/// How far the counter may be off without having changed: one part in this many. NTP slews the monotonic clock by up to
/// one part in 2,000.
const TOLERANCE: u64 = 1_000;
/// After how many checks in a row that find another speed the counter is given up.
const MOST_STRIKES: u32 = 4;
/// From when on the whole time that the counter was steady gives a better scale than the start did.
const REFINE_AFTER: u64 = 1_000_000_000;

impl Checks {
    fn look(&mut self, now: Reading, scale: u64) -> Finding {
        let (Some(last), Some(first)) = (self.last, self.first) else {
            (self.last, self.first) = (Some(now), Some(now));
            return Finding::TooSoon;
        };
        let nanos = now.nanos.saturating_sub(last.nanos);
        if nanos < CHECK_EVERY {
            return Finding::TooSoon;
        }
        self.last = Some(now);
        let ticks = now.ticks.saturating_sub(last.ticks);
        if scaled(ticks, scale).abs_diff(nanos) <= nanos / TOLERANCE {
            self.strikes = 0;
            let whole = now.nanos - first.nanos;
            return Finding::Steady((whole >= REFINE_AFTER).then(|| scale_of(now.ticks - first.ticks, whole)));
        }
        self.first = Some(now);
        self.strikes += 1;
        match self.strikes {
            1 => Finding::Changed, // once may be a jump: the machine was suspended
            MOST_STRIKES.. => Finding::Broken,
            _ if ticks == 0 => Finding::Changed,
            _ => Finding::Settled(scale_of(ticks, nanos)),
        }
    }
}

fn scale_of(ticks: u64, nanos: u64) -> u64 {
    divided(nanos, ticks)
}

/// Compares the counter with the monotonic clock. To be called now and then; each scrape does.
pub(crate) fn check() {
    if STATE.source.load(Acquire) != COUNTER {
        return;
    }
    let mut checks = lock(&CHECKS);
    let start = *START.get_or_init(Instant::now);
    let (instant, ticks) = read_both(5, 0);
    let now = Reading { ticks, nanos: instant.duration_since(start).as_nanos() as u64 };
    let finding = checks.look(now, STATE.scale.load(Relaxed));
    match finding {
        Finding::TooSoon => {}
        Finding::Steady(scale) => {
            if let Some(scale) = scale {
                STATE.scale.store(scale, Relaxed);
            }
        }
        Finding::Changed => _ = ANOMALIES.fetch_add(1, Relaxed),
        Finding::Settled(scale) => {
            ANOMALIES.fetch_add(1, Relaxed);
            STATE.scale.store(scale, Relaxed);
        }
        Finding::Broken => {
            ANOMALIES.fetch_add(1, Relaxed);
            STATE.ticks_at_switch.store(now.ticks, Relaxed);
            STATE.nanos_at_switch.store(now.nanos, Relaxed);
            STATE.source.store(MONOTONIC, Release);
            drop(checks);
            log::warn!("the time stamp counter changes its speed; timed sections use the monotonic clock from now on");
        }
    }
}

/// Both clocks at the same time: the system's, between two readings of the other. Of so many tries it is the one in which
/// these were closest together, or the first in which they were no more than so many ticks apart.
pub(crate) fn read_both(tries: u32, close: u64) -> (Instant, u64) {
    let read = || {
        let before = now();
        let instant = Instant::now();
        (now().saturating_sub(before), before, instant)
    };
    let mut best = read();
    for _ in 1..tries {
        if best.0 <= close {
            break;
        }
        let next = read();
        if next.0 < best.0 {
            best = next;
        }
    }
    let (gap, before, instant) = best;
    (instant, before + gap / 2)
}

/// Puts a test in the place of the clock. A tick is a nanosecond then.
pub(crate) mod mock {
    use super::{MOCK, STATE, UNKNOWN};
    use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
    use std::time::Duration;

    /// Returns what [`end`] needs to know.
    pub(crate) fn begin() -> (u8, u64) {
        super::start();
        let before = (STATE.source.load(Acquire), STATE.scale.load(Relaxed));
        STATE.mocked.store(super::now(), Relaxed);
        set_wall(super::since_1970());
        STATE.scale.store(1 << super::SCALE_BITS, Relaxed);
        STATE.source.store(MOCK, Release);
        before
    }

    pub(crate) fn set(ticks: u64) {
        STATE.mocked.store(ticks, Relaxed);
    }

    pub(crate) fn get() -> u64 {
        STATE.mocked.load(Relaxed)
    }

    /// The time since 1970; what does not fit is cut, in the year 2554.
    pub(crate) fn set_wall(time: Duration) {
        STATE.mocked_wall_nanos.store(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn end((source, scale): (u8, u64)) {
        debug_assert!(source != UNKNOWN);
        STATE.scale.store(scale, Relaxed);
        STATE.source.store(source, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3 ticks a nanosecond.
    const FAST: u64 = (1 << SCALE_BITS) / 3;

    fn moments(checks: &mut Checks, scale: u64, moments: &[(u64, u64)]) -> Vec<Finding> {
        moments.iter().map(|&(ticks, nanos)| checks.look(Reading { ticks, nanos }, scale)).collect()
    }

    fn fresh() -> Checks {
        Checks { last: None, first: None, strikes: 0 }
    }

    #[test]
    fn a_counter_that_keeps_its_speed_is_steady_and_its_scale_is_refined() {
        let found =
            moments(&mut fresh(), FAST, &[(0, 0), (3, 1), (300_000_000, 100_000_000), (6_000_300_000, 2_000_100_000)]);
        assert_eq!(found[..3], [Finding::TooSoon, Finding::TooSoon, Finding::Steady(None)]);
        assert_eq!(found[3], Finding::Steady(Some(scale_of(6_000_300_000, 2_000_100_000))));
    }

    #[test]
    fn one_jump_changes_no_scale_and_a_new_speed_does() {
        let second = 1_000_000_000;
        let mut checks = fresh();
        let jump = 500 * second;
        let found = moments(
            &mut checks,
            FAST,
            &[(0, 0), (3 * second, second), (6 * second + jump, 2 * second), (9 * second + jump, 3 * second)],
        );
        assert_eq!(found[2], Finding::Changed);
        assert!(matches!(found[3], Finding::Steady(_)));
        // It moves to a machine whose counter is slower by a fifth.
        let base = 9 * second + jump;
        let step = 3 * second * 4 / 5;
        let found = moments(&mut checks, FAST, &[(base + step, 4 * second), (base + 2 * step, 5 * second)]);
        assert_eq!(found, [Finding::Changed, Finding::Settled(scale_of(step, second))]);
        let scale = scale_of(step, second);
        assert!(matches!(moments(&mut checks, scale, &[(base + 3 * step, 6 * second)])[0], Finding::Steady(_)));
    }

    #[test]
    fn a_counter_that_never_settles_or_goes_back_is_given_up() {
        let second = 1_000_000_000;
        let mut checks = fresh();
        let ticks = [9 * second, 10 * second, 8 * second, 30 * second, 31 * second];
        let found: Vec<_> =
            (0..).zip(ticks).map(|(at, ticks)| checks.look(Reading { ticks, nanos: at * second }, FAST)).collect();
        assert_eq!(found[4], Finding::Broken);
    }

    #[test]
    fn ticks_and_nanoseconds_are_each_others_inverse() {
        for n in [0, 1, 999, 1_000_000_007, 1 << 47] {
            assert!(nanos(ticks(n)).abs_diff(n) <= 1, "{n}");
        }
    }
}
