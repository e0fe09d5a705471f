//! The time that a thread has computed.

use std::time::Duration;

/// How long the calling thread has had a processor, where the system tells: the time in which others had it is not part
/// of this.
#[cfg(unix)]
pub(super) fn now() -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: validity: the pointer is to a whole `timespec`. Aliasing: it is this function's own.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    // The types of the fields differ between systems; the values are never negative.
    (failed == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

#[cfg(not(unix))]
pub(super) fn now() -> Option<Duration> {
    None
}
