//! The time that a thread has computed.

use std::time::Duration;

/// How long the calling thread has had a core, without the time in which other processes had it. On a busy machine that
/// is far steadier than the time of day, and no less honest for what neither sleeps nor waits.
#[cfg(unix)]
pub fn now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: validity: the pointer is to a whole `timespec`, which nobody else has.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The time of day, where no better one is known.
#[cfg(not(unix))]
pub fn now() -> Duration {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}
